/* The world of two brokers: connections, clocks, faults, and what must be true at the end. */
#include "tests/sim/two.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { START_US = 100000000, FLOW_US = 5000 };

Ask *world_find_ask(World *world, RequestId id) {
  for (TableLink *at = table_bucket(&world->by_id, request_id_hash(id)); at; at = at->next) {
    Ask *ask = CONTAINER_OF(at, Ask, by_id);

    if (request_id_equal(ask->id, id))
      return ask;
  }
  return NULL;
}

void world_add_ask(World *world, Ask *ask) {
  table_add(&world->by_id, &ask->by_id, request_id_hash(ask->id));
}

uint64_t local_us(const World *world, uint64_t rate_ppm) {
  return world->base.now_us * rate_ppm / 1000000;
}

/* A clock that is up to 1 % off. */
static uint64_t any_rate(World *world) {
  return 990000 + world_random(world, 20001);
}

/* --- connections --- */

void conn_send(Conn *conn, const Header *header, Bytes body) {
  channel_send(&conn->to_broker, header, body);
}

static void forget_conn(Peer *peer, Conn *conn) {
  if (peer->is_worker)
    worker_forget_conn(peer, conn);
  peer->conns[conn->broker] = NULL;
}

void conn_close(World *world, Conn *conn) {
  Peer *peer = TAKE(conn->peer);

  forget_conn(peer, conn);
  channel_empty(&conn->to_peer);
  if (world_chance(world, 300))
    channel_empty(&conn->to_broker); /* the connection is reset */
}

void peer_connect(World *world, Peer *peer, int broker) {
  static const HelloMethod work[] = {{.method = TEXT("once"), .has_flags = true, .flags = METHOD_ONCE},
                                     {.method = TEXT("idem"), .has_flags = true, .flags = METHOD_IDEMPOTENT},
                                     {.method = TEXT("stream"), .has_flags = true, .flags = METHOD_IDEMPOTENT}};
  static const HelloMethod front[] = {{.method = TEXT("idem"), .has_flags = true, .flags = METHOD_IDEMPOTENT}};
  static const HelloService services[] = {{.service = TEXT("work"), .methods = {work, 3}},
                                          {.service = TEXT("front"), .methods = {front, 1}}};
  Hello hello = {.version = 1, .client = peer->client.value, .incarnation = peer->incarnation, .has_features = true};
  _cleanup_(buffer_done) Buffer body = {0};
  Conn *conn = calloc(1, sizeof *conn);
  char name[16];

  assert(conn);
  snprintf(name, sizeof name, "peer-%d", peer->index);
  hello.agent = text_of(name);
  hello.has_site = true;
  hello.site = peer->index % 2 ? TEXT("main") : TEXT("pc2");
  hello.features = peer->is_basic ? 0 : FEATURE_PROBE | FEATURE_CONFIRM;
  hello.has_services = peer->is_worker;
  hello.services.items = services;
  hello.services.count = peer->is_worker ? 2 : 0;
  *conn = (Conn){.peer = peer,
                 .broker = broker,
                 .heard_us = local_us(world, peer->rate_ppm),
                 .is_worker = peer->is_worker,
                 .site = 1 - peer->index % 2};
  list_init(&conn->to_broker);
  list_init(&conn->to_peer);
  list_push(&world->conns, &conn->in_world);
  peer->conns[broker] = conn;
  conn->session = core_connect(world->brokers[broker].core, conn, broker_now_us(world, &world->brokers[broker]));
  if (contract_encode(CONTRACT(Hello), &hello, &body, NULL) != 0)
    world_fail(world, "HELLO can't be encoded");
  conn_send(conn, &(Header){.kind = KIND_HELLO}, buffer_bytes(&body));
}

static void free_conn(Conn *conn) {
  channel_empty(&conn->to_broker);
  channel_empty(&conn->to_peer);
  list_remove(&conn->in_world);
  free(conn);
}

static void deliver_to_broker(World *world, Conn *conn) {
  Broker *broker = &world->brokers[conn->broker];
  Packet *packet = channel_first(&conn->to_broker);

  if (conn->mute || broker->frozen || !broker->core)
    return;
  if (packet && conn->session) {
    Header header = packet_read(world, packet);

    broker_heard(conn, &header);
    core_receive(broker->core, conn->session, packet->body.size ? 2 : 1, buffer_bytes(&packet->header),
                 buffer_bytes(&packet->body), NULL, broker_now_us(world, broker));
  }
  if (packet)
    packet_free(packet);
  if (list_is_empty(&conn->to_broker) && !conn->peer && conn->session)
    core_disconnect(broker->core, TAKE(conn->session), broker_now_us(world, broker));
}

static void read_packet(World *world, Conn *conn, Packet *packet) {
  Peer *peer = conn->peer;
  Header header = packet_read(world, packet);

  conn->heard_us = local_us(world, peer->rate_ppm);
  conn->pinged_us = 0;
  if (header.kind == KIND_WELCOME) {
    conn->welcomed = true;
    conn->id = header.session;
  }
  if (peer->is_worker)
    worker_take(world, conn, &header, buffer_bytes(&packet->body));
  else
    client_take(world, conn, &header, buffer_bytes(&packet->body));
  if (header.kind == KIND_WELCOME && !peer->is_worker)
    client_session(world, peer, conn->broker);
}

/* The broker has hung up and all it said has been read. */
static void end_conn(World *world, Conn *conn) {
  Peer *peer = TAKE(conn->peer);

  forget_conn(peer, conn);
  if (!peer->is_worker)
    client_session(world, peer, conn->broker);
}

static void deliver_to_peer(World *world, Conn *conn) {
  Packet *packet = channel_first(&conn->to_peer);

  if (!conn->peer || conn->peer->frozen || conn->deaf)
    return;
  if (packet) {
    list_remove(&packet->in_channel); /* reading it may close the connection */
    read_packet(world, conn, packet);
    packet_free(packet);
  } else if (!conn->session) {
    end_conn(world, conn);
  }
}

static void sweep(World *world) {
  LIST_EACH (&world->conns, Conn, in_world, conn) {
    if (!conn->peer && !conn->session)
      free_conn(conn);
  }
}

/* --- peers --- */

void peer_die(World *world, Peer *peer) {
  for (int i = 0; i < BROKERS; i++)
    if (peer->conns[i])
      conn_close(world, peer->conns[i]);
  if (peer->is_worker)
    worker_die(peer);
  else
    client_die(world, peer);
  peer->alive = peer->frozen = false;
}

void peer_start(World *world, Peer *peer) {
  Conn *none[BROKERS] = {NULL};

  peer->alive = true;
  peer->leaving = false;
  peer->client.value =
      (uint64_t)world_random(world, 1U << 30) << 20 | (uint64_t)peer->index << 12 | ++peer->incarnation;
  peer->sequence = 0;
  peer->at = 0;
  peer->rate_ppm = any_rate(world);
  peer->started_us = local_us(world, peer->rate_ppm);
  memcpy(peer->conns, none, sizeof none);
  if (!peer->is_worker)
    return;
  worker_start(world, peer);
  world->trouble_us = world->base.now_us; /* who is younger than a request can't vouch */
}

/* A worker finds out, too, that a connection is dead. */
static void worker_tick(World *world, Peer *peer) {
  uint64_t now_us = local_us(world, peer->rate_ppm);

  for (int i = 0; i < BROKERS; i++) {
    Conn *conn = peer->conns[i];

    if (!conn)
      continue;
    if ((conn->pinged_us && now_us > conn->pinged_us + 150000) ||
        (!conn->welcomed && now_us > conn->heard_us + US_PER_S)) {
      world->trouble_us = world->base.now_us;
      conn_close(world, conn);
    } else if (!conn->pinged_us && now_us > conn->heard_us + US_PER_S / 2) {
      conn->pinged_us = now_us;
      conn_send(conn, &(Header){.kind = KIND_PING, .number = now_us}, BYTES_NONE);
    }
  }
}

/* Whether it gets to a broker in this moment. */
static bool may_connect(World *world, const Peer *peer, int broker) {
  bool is_late = !world->base.quiet && world->restless && peer->is_worker && broker == (int)(peer->incarnation % 2);

  if (!world->brokers[broker].core || world->brokers[broker].frozen ||
      (peer->is_basic && world->base.seed % 8 == 1 && broker != peer->index % 2))
    return false;
  return world_chance(world, is_late ? 1 : 200);
}

static void peer_tick(World *world, Peer *peer) {
  if (!peer->alive || peer->frozen)
    return;
  for (int i = 0; i < BROKERS && !peer->leaving; i++)
    if (!peer->conns[i] && may_connect(world, peer, i))
      peer_connect(world, peer, i);
  if (peer->is_worker)
    worker_tick(world, peer);
  else
    client_tick(world, peer);
}

static void act(World *world, Peer *peer) {
  if (!peer->alive && world_chance(world, 200))
    peer_start(world, peer);
  if (!peer->alive || peer->frozen)
    return;
  if (peer->is_worker)
    worker_act(world, peer);
  else
    client_act(world, peer);
}

/* --- time --- */

/* Whether somebody can't be asked now. */
static bool is_in_trouble(const World *world) {
  bool trouble = link_is_cut(world);

  for (int i = CLIENTS; i < PEERS; i++) {
    const Peer *peer = &world->peers[i];

    trouble = trouble || !peer->alive || peer->frozen || peer->is_basic;
    for (int k = 0; k < BROKERS; k++) {
      const Conn *conn = peer->conns[k];

      trouble = trouble || !world->brokers[k].core || !conn || !conn->session || conn->deaf || conn->mute;
    }
  }
  LIST_EACH (&world->conns, Conn, in_world, conn) /* one that is gone, and its broker has not noticed */
    trouble = trouble || (conn->is_worker && !conn->peer && conn->session);
  return trouble;
}

static void tick_all(World *world) {
  brokers_tick(world);
  for (int i = 0; i < PEERS; i++)
    peer_tick(world, &world->peers[i]);
  sweep(world);
  if (!world->gentle && is_in_trouble(world))
    world->trouble_us = world->base.now_us;
}

/* Everything that can arrive arrives, once. */
static void deliver_all(World *world) {
  LIST_EACH (&world->conns, Conn, in_world, conn) {
    deliver_to_broker(world, conn);
    deliver_to_peer(world, conn);
  }
  for (int i = 0; i < BROKERS; i++)
    link_deliver(world, &world->brokers[i]);
}

/* Time in which all goes as it should, for those who can. */
static void flow(World *world, uint64_t us) {
  for (uint64_t end_us = world->base.now_us + us; world->base.now_us < end_us;) {
    world->base.now_us += FLOW_US;
    tick_all(world);
    for (int i = 0; i < 20; i++)
      deliver_all(world);
    act(world, &world->peers[world_random(world, PEERS)]);
    sweep(world);
  }
}

static void pass_time(World *world) {
  uint32_t how = world_random(world, 1000);

  if (how < 850) {
    world->base.now_us += world_random(world, 3000);
    tick_all(world);
  } else {
    flow(world, how < 970 ? world_random(world, 60000) : how < 998 ? world_random(world, 500000) : 3 * US_PER_S);
  }
}

/* --- a run --- */

static Conn *pick_conn(World *world) {
  uint32_t n = 0;
  uint32_t at;

  LIST_EACH (&world->conns, Conn, in_world, counted)
    n += counted != NULL;
  at = n ? world_random(world, n) : 0;
  LIST_EACH (&world->conns, Conn, in_world, conn) {
    if (at-- == 0)
      return conn;
  }
  return NULL;
}

static void step(World *world) {
  uint32_t what = world_random(world, 100);
  Conn *conn = what < 75 ? pick_conn(world) : NULL;

  if (!world->base.quiet && world_chance(world, 8))
    world_fault(world);
  if (what < 35 && conn)
    deliver_to_broker(world, conn);
  else if (what < 70 && conn)
    deliver_to_peer(world, conn);
  else if (what < 75)
    link_deliver(world, &world->brokers[world_random(world, BROKERS)]);
  else if (what < 85)
    pass_time(world);
  else
    act(world, &world->peers[world_random(world, PEERS)]);
  sweep(world);
  world->base.steps++;
  for (int i = 0; i < BROKERS && !world->base.blind; i++)
    if (world->brokers[i].core)
      core_check(world->brokers[i].core, 0);
}

static void check_end(World *world) {
  for (uint32_t i = 0; i < world->n_asks; i++)
    if (!world->asks[i].ended && !world->asks[i].orphan)
      world_fail(world, "request %llu never ended", (unsigned long long)world->asks[i].id.sequence);
  for (int i = 0; i < BROKERS; i++) {
    if (!core_is_idle(world->brokers[i].core))
      world_fail(world, "requests are left after all deadlines");
    if (core_counter(world->brokers[i].core, COUNTER_MALFORMED) > 0)
      world_fail(world, "what keeps to the protocol was taken for malformed");
  }
}

/* No more faults, and nothing new: everything comes to its end. */
static void calm_down(World *world) {
  world->base.quiet = true;
  world_heal(world);
  pairs_calm(world->pairs);
  for (int i = 0; i < PEERS; i++)
    world->peers[i].frozen = false;
  for (int i = 0; i < BROKERS; i++) {
    world->brokers[i].frozen = false;
    pairs_freeze(world->pairs, i, false);
    if (world->brokers[i].core && world->brokers[i].drains) {
      broker_note_loss(world, &world->brokers[i]);
      broker_kill(world, &world->brokers[i]);
    }
    if (!world->brokers[i].core)
      broker_start(world, &world->brokers[i]);
  }
  flow(world, 3 * US_PER_S);
  for (int i = 0; i < 30; i++) { /* all deadlines, but nobody is silent for too long */
    world->base.now_us += US_PER_S;
    flow(world, 50 * US_PER_MS);
  }
  flow(world, US_PER_S);
  pairs_check_end(world->pairs, &world->tally->pairs);
}

/* A rule of authority is broken. */
static void on_pairs_fail(void *userdata, const char *what) {
  world_fail(userdata, "%s", what);
}

/* Whoever leads delivers a durable request. */
static void on_deliver(void *userdata, int broker, const DurableAction *action) {
  World *world = userdata;

  courier_deliver(world, &world->brokers[broker], action);
}

static void start(World *world) {
  for (int i = 0; i < BROKERS; i++) {
    Broker *broker = &world->brokers[i];

    *broker = (Broker){.index = i, .rate_ppm = any_rate(world)};
    list_init(&broker->words);
    broker_start(world, broker);
  }
  for (int i = 0; i < PEERS; i++) {
    world->peers[i] =
        (Peer){.index = i, .is_worker = i >= CLIENTS, .is_basic = i == PEERS - 1 && world->base.seed % 4 == 1};
    peer_start(world, &world->peers[i]);
  }
  flow(world, 3 * US_PER_S);
  world->trouble_us = world->base.now_us;
}

void world_run(uint64_t seed, uint32_t steps, bool blind, Tally *tally) {
  World *world = calloc(1, sizeof *world);

  assert(world);
  world->base = (WorldBase){.blind = blind, .seed = seed, .chance = chance_of(seed, 1), .now_us = START_US};
  world->gentle = seed % 4 == 0;
  world->restless = seed % 4 == 2;
  world->tally = tally;
  list_init(&world->conns);
  pairs_new(&world->pairs, seed, world->base.now_us, &(PairsSink){on_pairs_fail, on_deliver, world});
  start(world);
  for (uint32_t i = 0; i < steps; i++)
    step(world);
  calm_down(world);
  check_end(world);
  for (int i = 0; i < PEERS; i++)
    if (world->peers[i].alive)
      peer_die(world, &world->peers[i]);
  for (int i = 0; i < BROKERS; i++)
    broker_kill(world, &world->brokers[i]);
  sweep(world);
  pairs_destroy(&world->pairs);
  table_done(&world->by_id);
  free(world);
}
