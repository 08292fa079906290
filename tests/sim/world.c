/* The world: channels, faults, the clock, and what must be true at every step and at the end. */
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

Ask *world_find_ask(World *world, RequestId id) {
  uint32_t at = (uint32_t)request_id_hash(id) % ASK_BUCKETS;

  for (; world->ask_places[at]; at = (at + 1) % ASK_BUCKETS) {
    Ask *ask = &world->asks[world->ask_places[at] - 1];

    if (request_id_equal(ask->id, id))
      return ask;
  }
  return NULL;
}

void world_add_ask(World *world, Ask *ask) {
  uint32_t at = (uint32_t)request_id_hash(ask->id) % ASK_BUCKETS;

  while (world->ask_places[at])
    at = (at + 1) % ASK_BUCKETS;
  world->ask_places[at] = (uint16_t)(ask - world->asks + 1);
}

void fill_body(RequestId id, uint32_t from, uint32_t size_bytes, Buffer *ret) {
  for (uint32_t i = 0; i < size_bytes; i++) {
    uint8_t byte = (uint8_t)(request_id_hash(id) + from + i);

    buffer_append(ret, &byte, 1);
  }
}

/* --- channels --- */

void peer_send(World *world, SimPeer *peer, const Header *header, Bytes body) {
  (void)world;
  channel_send(&peer->to_broker, header, body);
}

/* What the core sends goes through here, so what it must not do is seen in the moment that it does it. */
static void on_send(void *userdata, void *to, const Header *header, Bytes body, Block *block) {
  World *world = userdata;
  SimPeer *peer = to;

  (void)block;
  model_sent(world, peer, header, body);
  channel_send(&peer->to_peer, header, body);
}

static void on_close(void *userdata, void *to) {
  SimPeer *peer = to;

  (void)userdata;
  peer->session = NULL;
}

/* --- peers --- */

static void say_hello(World *world, SimPeer *peer) {
  static const HelloMethod work_methods[] = {{.method = TEXT("once"), .has_flags = true, .flags = METHOD_ONCE},
                                             {.method = TEXT("idem"), .has_flags = true, .flags = METHOD_IDEMPOTENT},
                                             {.method = TEXT("stream"), .has_flags = true, .flags = METHOD_IDEMPOTENT}};
  static const HelloMethod heavy_methods[] = {{.method = TEXT("once")},
                                              {.method = TEXT("idem"), .has_flags = true, .flags = METHOD_IDEMPOTENT},
                                              {.method = TEXT("stream"), .has_flags = true, .flags = METHOD_IDEMPOTENT},
                                              {.method = TEXT("any")}};
  HelloService services[] = {{.service = TEXT("work"), .methods = {work_methods, 3}},
                             {.service = TEXT("heavy"), .methods = {heavy_methods, 4}}};
  Header header = {.kind = KIND_HELLO};
  _cleanup_(buffer_done) Buffer body = {0};
  char name[16];
  Hello hello = {.version = 1, .client = peer->client.value, .incarnation = peer->incarnation};

  snprintf(name, sizeof name, "%s-%d", peer->is_worker ? "worker" : "client",
           peer->index - (peer->is_worker ? CLIENTS : 0));
  hello.agent = text_of(name);
  if (peer->narrow)
    services[0].methods.items = work_methods + 1;
  services[0].methods.count -= peer->narrow;
  services[0].has_weight = true;
  services[0].weight = peer->weight;
  services[0].has_role = true;
  services[0].role = text_of(peer->standby ? "standby" : "primary");
  hello.has_services = peer->is_worker;
  if (peer->is_worker) {
    hello.services.items = services;
    hello.services.count = 1 + ((unsigned)peer->index & 1U);
  }
  if (contract_encode(CONTRACT(Hello), &hello, &body, NULL) != 0)
    world_fail(world, "HELLO can't be encoded");
  peer_send(world, peer, &header, buffer_bytes(&body));
}

void peer_connect(World *world, SimPeer *peer, bool fresh) {
  peer->connected = true;
  peer->welcomed = false;
  peer->draining = false;
  if (fresh) {
    client_die(world, peer);
    peer->client.value =
        ((uint64_t)world_random(world, 1U << 30) << 20 | (uint64_t)peer->index << 8) + ++peer->incarnation;
    peer->sequence = 0;
    memset(peer->last_given, 0, sizeof peer->last_given);
  }
  peer->session = core_connect(world->core, peer, world->base.now_us);
  peer->beat_us = world->base.now_us + TIME_IDLE_INTERVAL_US;
  say_hello(world, peer);
}

void peer_cut(World *world, SimPeer *peer) {
  Session *session = TAKE(peer->session);

  if (session)
    core_disconnect(world->core, session, world->base.now_us);
  model_forget(peer);
  channel_empty(&peer->to_broker);
  channel_empty(&peer->to_peer);
  peer->connected = false;
  peer->welcomed = false;
  peer->n_work = 0;
}

static void answer_ping(World *world, SimPeer *peer, const Header *ping) {
  Header pong = {.kind = KIND_PONG, .number = ping->number};

  peer_send(world, peer, &pong, BYTES_NONE);
}

static void deliver_to_peer(World *world, SimPeer *peer) {
  Packet *packet = channel_first(&peer->to_peer);
  Header header;

  if (!packet)
    return;
  header = packet_read(world, packet);
  if (header.kind == KIND_WELCOME) {
    peer->welcomed = true;
    peer->id = header.session;
    if (!peer->is_worker)
      client_resend(world, peer);
  }
  if (header.kind == KIND_PING)
    answer_ping(world, peer, &header);
  else if (peer->is_worker)
    worker_take(world, peer, &header, buffer_bytes(&packet->body));
  else
    client_take(world, peer, &header, buffer_bytes(&packet->body));
  packet_free(packet);
}

static void deliver_to_broker(World *world, SimPeer *peer) {
  Packet *packet = channel_first(&peer->to_broker);
  Header header;

  if (!packet)
    return;
  header = packet_read(world, packet);
  if (peer->session) {
    model_taken(world, peer, &header, buffer_bytes(&packet->body));
    core_receive(world->core, peer->session, packet->body.size ? 2 : 1, buffer_bytes(&packet->header),
                 buffer_bytes(&packet->body), NULL, world->base.now_us);
  }
  packet_free(packet);
}

/* --- one step --- */

static void beat(World *world, SimPeer *peer) {
  Header ping = {.kind = KIND_PING, .number = world->base.now_us};

  if (!peer->welcomed || peer->frozen || world->base.now_us < peer->beat_us)
    return;
  peer->beat_us = world->base.now_us + TIME_IDLE_INTERVAL_US;
  peer_send(world, peer, &ping, BYTES_NONE);
}

static void pass_time(World *world) {
  uint32_t how = world_random(world, 100);

  world->base.now_us += how < 90   ? world_random(world, 2000)
                        : how < 99 ? world_random(world, 60000)
                                   : world_random(world, 2000000);
  for (int i = 0; i < PEERS; i++)
    beat(world, &world->peers[i]);
  core_tick(world->core, world->base.now_us);
}

/* Half a minute in which everybody who can reads and beats, and nobody does anything else: who is frozen is given up. */
static void pass_long(World *world) {
  for (int i = 0; i < 30; i++) {
    world->base.now_us += US_PER_S;
    for (int k = 0; k < PEERS; k++) {
      SimPeer *peer = &world->peers[k];

      beat(world, peer);
      while (!list_is_empty(&peer->to_broker))
        deliver_to_broker(world, peer);
    }
    core_tick(world->core, world->base.now_us);
    for (int k = 0; k < PEERS; k++)
      while (!world->peers[k].frozen && !list_is_empty(&world->peers[k].to_peer))
        deliver_to_peer(world, &world->peers[k]);
  }
  for (int k = 0; k < PEERS; k++)
    if (world->peers[k].frozen && world->peers[k].session)
      world_fail(world, "peer %d has been silent for half a minute and is still believed in", k);
}

static void fault(World *world, SimPeer *peer) {
  switch (world_random(world, 4)) {
  case 0: /* kill -9 */
    peer_cut(world, peer);
    client_die(world, peer);
    peer->client.value = 0;
    break;
  case 1: /* the connection breaks, the process lives */
    if (!peer->is_worker)
      peer_cut(world, peer);
    break;
  default:
    peer->frozen = !peer->frozen;
  }
}

static void step(World *world) {
  SimPeer *peer = &world->peers[world_random(world, PEERS)];
  uint32_t what = world_random(world, 100);

  if (!world->base.quiet && world_chance(world, 5))
    fault(world, peer);
  if (!world->base.quiet && world_random(world, 8000) == 0)
    pass_long(world);
  if (what < 15) {
    pass_time(world);
  } else if (what < 50) {
    deliver_to_broker(world, peer);
  } else if (!peer->frozen && !peer->connected) {
    peer_connect(world, peer, peer->is_worker || peer->client.value == 0);
  } else if (!peer->frozen && !peer->session && list_is_empty(&peer->to_peer)) {
    peer_cut(world, peer); /* the broker hung up and all it said has been read */
  } else if (!peer->frozen && what < 80) {
    deliver_to_peer(world, peer);
  } else if (!peer->frozen) {
    peer->is_worker ? worker_act(world, peer) : client_act(world, peer);
  }
  world->base.steps++;
  model_check(world);
  if (!world->base.blind)
    core_check(world->core, 0);
}

/* --- a run --- */

/* Whoever stayed connected has all its answers. (Who came back late has its own deadline for the rest.) */
static void check_end(World *world) {
  for (uint32_t i = 0; i < world->n_asks; i++) {
    const Ask *ask = &world->asks[i];
    const SimPeer *peer = &world->peers[ask->client];

    if (!ask->ended && !ask->cancelled && !ask->orphan && ask->attempt == 0 && peer->session && peer->welcomed)
      world_fail(world, "request %llu never ended", (unsigned long long)ask->id.sequence);
  }
  if (core_counter(world->core, COUNTER_MALFORMED) > 0)
    world_fail(world, "what keeps to the protocol was taken for malformed");
  if (!core_is_idle(world->core))
    world_fail(world, "requests are left after all deadlines");
  news_check_end(world);
}

/* No more faults and nothing new: everything must come to its end. */
static void calm_down(World *world) {
  world->base.quiet = true;
  for (int i = 0; i < PEERS; i++)
    world->peers[i].frozen = false;
  for (int i = 0; i < 4000; i++)
    step(world);
  for (int i = 0; i < PEERS; i++) {
    while (!list_is_empty(&world->peers[i].to_broker))
      deliver_to_broker(world, &world->peers[i]);
    while (!list_is_empty(&world->peers[i].to_peer))
      deliver_to_peer(world, &world->peers[i]);
  }
  world->base.now_us += 70 * US_PER_S;
  core_tick(world->core, world->base.now_us);
  for (int i = 0; i < PEERS; i++)
    while (!list_is_empty(&world->peers[i].to_peer))
      deliver_to_peer(world, &world->peers[i]);
}

void world_run(uint64_t seed, uint32_t steps, bool blind, Tally *tally) {
  World *world = calloc(1, sizeof *world);
  CoreOptions options = core_options_default();
  CoreSink sink = {.send = on_send, .close = on_close, .userdata = world};

  assert(world);
  world->base = (WorldBase){.blind = blind, .seed = seed, .chance = chance_of(seed, 1), .now_us = 1000000};
  options.seed = seed + 1;
  options.limits.client_requests = 64;
  options.limits.service_queue = 32;
  options.limits.client_bytes = 12000;
  options.limits.all_bytes = 30000;
  assert(core_new(&world->core, &options, &sink, world->base.now_us) == 0);
  for (int i = 0; i < PEERS; i++) {
    SimPeer *peer = &world->peers[i];

    *peer = (SimPeer){.index = i, .is_worker = i >= CLIENTS, .credit = 1};
    if (world_random(world, 3) > 0)
      peer->credit += (uint32_t)i * 2;
    peer->narrow = i == CLIENTS + 1;
    peer->weight = i == PEERS - 1 ? 0 : 100 * (1 + (unsigned)i % 3);
    peer->standby = i == CLIENTS + 2;
    list_init(&peer->to_broker);
    list_init(&peer->to_peer);
  }
  for (uint32_t i = 0; i < steps; i++)
    step(world);
  calm_down(world);
  check_end(world);
  for (uint32_t i = 0; i < world->n_asks; i++) {
    tally->statuses[world->asks[i].status] += world->asks[i].ended;
    tally->asked++;
  }
  for (int i = 0; i < PEERS; i++)
    peer_cut(world, &world->peers[i]);
  core_destroy(&world->core);
  free(world);
}
