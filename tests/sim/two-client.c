/* A client with a session at each broker. It asks through one, moves to the other when it has lost that, or is told to, or only
   thinks so, and sends what is unanswered again with one attempt more. */
#include "tests/sim/two.h"

#include <assert.h>

enum { PING_US = 50000, GIVE_UP_US = 150000, WINDOW_BYTES = 2 * CHUNK_BYTES };

static uint64_t now_of(const World *world, const Peer *peer) {
  return local_us(world, peer->rate_ppm);
}

static bool is_open(const Peer *peer, const Ask *ask) {
  return ask->client == peer->index && !ask->ended && !ask->orphan;
}

static void end(World *world, Peer *peer, Ask *ask, Status status) {
  (void)peer;
  ask->ended = true;
  ask->status = status;
  world->tally->statuses[status]++;
}

/* --- asking --- */

static void send_ask(World *world, Peer *peer, Ask *ask) {
  uint64_t now_us = now_of(world, peer);
  Header header = {
      .kind = KIND_REQUEST,
      .id = ask->id,
      .attempt = ask->attempt,
      .service = text_of(ask->service),
      .method = text_of(ask->method),
      .deadline_us = ask->due_us - now_us,
      .flags = (ask->stream ? FLAG_STREAM : 0) | (ask->once ? 0 : FLAG_IDEMPOTENT),
      .number = ask->chunks,
      .window_bytes = ask->stream ? ask->chunks * CHUNK_BYTES + WINDOW_BYTES : 0,
      .age_us = ask->attempt > 0 ? now_us - ask->first_us + 1 : 0,
      .execution = ask->execution,
  };
  uint64_t id[2] = {ask->id.client.value, ask->id.sequence};

  if (now_us >= ask->due_us)
    return;
  ask->sent = true;
  ask->stuck = false;
  ask->sent_to = peer->at;
  conn_send(peer->conns[peer->at], &header, (Bytes){(const uint8_t *)id, sizeof id});
}

static bool can_send(const Peer *peer) {
  const Conn *conn = peer->conns[peer->at];

  return conn && conn->welcomed && !conn->going_away;
}

static void new_ask(World *world, Peer *peer) {
  static const struct {
    const char *service;
    const char *method;
    bool once;
  } kinds[] = {{"work", "once", true},
               {"work", "once", true},
               {"work", "idem", false},
               {"work", "stream", false},
               {"front", "idem", true}};
  uint32_t kind = world_random(world, ELEMENTS(kinds));
  Ask *ask = &world->asks[world->n_asks];

  if (world->n_asks == ASKS_MAX || !can_send(peer))
    return;
  world->n_asks++;
  world->tally->asked++;
  *ask = (Ask){.id = {peer->client, ++peer->sequence},
               .client = peer->index,
               .service = kinds[kind].service,
               .method = kinds[kind].method,
               .once = kinds[kind].once,
               .stream = kind == 3,
               .asked_us = world->base.now_us,
               .first_us = now_of(world, peer),
               .due_us = now_of(world, peer) + 20 * US_PER_S};
  world_add_ask(world, ask);
  send_ask(world, peer, ask);
}

/* --- moving --- */

static void resend(World *world, Peer *peer, Ask *ask) {
  if (ask->sent) {
    ask->attempt++;
    world->tally->moved++;
  }
  send_ask(world, peer, ask);
}

static void resend_all(World *world, Peer *peer) {
  for (uint32_t i = 0; i < world->n_asks; i++)
    if (is_open(peer, &world->asks[i]))
      resend(world, peer, &world->asks[i]);
}

/* Takes the other broker, if there is a session with it. */
static void move(World *world, Peer *peer) {
  const Conn *other = peer->conns[1 - peer->at];

  if (!other || !other->welcomed)
    return;
  peer->at = 1 - peer->at;
  resend_all(world, peer);
}

void client_session(World *world, Peer *peer, int broker) {
  if (broker != peer->at)
    return;
  if (peer->conns[broker] && peer->conns[broker]->welcomed)
    resend_all(world, peer); /* with the same broker again, or the first that is there */
  else
    move(world, peer);
}

static bool has_open(World *world, const Peer *peer) {
  for (uint32_t i = 0; i < world->n_asks; i++)
    if (is_open(peer, &world->asks[i]))
      return true;
  return false;
}

/* Whoever waits asks. */
static void watch(World *world, Peer *peer, Conn *conn) {
  uint64_t now_us = now_of(world, peer);
  bool waits = conn->broker == peer->at && has_open(world, peer);
  Header ping = {.kind = KIND_PING, .number = now_us};

  if (!conn->welcomed && now_us > conn->heard_us + US_PER_S) {
    conn_close(world, conn);
  } else if (conn->pinged_us && now_us > conn->pinged_us + GIVE_UP_US) {
    conn_close(world, conn);
    client_session(world, peer, conn->broker);
  } else if (!conn->pinged_us && now_us > conn->heard_us + (waits ? PING_US : US_PER_S)) {
    conn->pinged_us = now_us;
    conn_send(conn, &ping, BYTES_NONE);
  }
}

void client_tick(World *world, Peer *peer) {
  for (uint32_t i = 0; i < world->n_asks; i++) {
    Ask *ask = &world->asks[i];

    if (is_open(peer, ask) && now_of(world, peer) >= ask->due_us)
      end(world, peer, ask, ask->sent ? STATUS_DEADLINE : STATUS_UNAVAILABLE);
    else if (is_open(peer, ask) && ask->stuck && can_send(peer) && world_chance(world, 50))
      resend(world, peer, ask);
  }
  for (int i = 0; i < BROKERS; i++)
    if (peer->conns[i])
      watch(world, peer, peer->conns[i]);
  if (peer->conns[peer->at] == NULL)
    move(world, peer);
}

/* --- what it does --- */

static Ask *pick_open(World *world, const Peer *peer) {
  uint32_t start = world->n_asks ? world_random(world, world->n_asks) : 0;

  for (uint32_t i = 0; i < world->n_asks; i++) {
    Ask *ask = &world->asks[(start + i) % world->n_asks];

    if (is_open(peer, ask))
      return ask;
  }
  return NULL;
}

static void cancel(World *world, Peer *peer, Ask *ask) {
  Header header = {.kind = KIND_CANCEL, .id = ask->id, .attempt = ask->attempt};

  end(world, peer, ask, STATUS_CANCELLED);
  if (can_send(peer))
    conn_send(peer->conns[peer->at], &header, BYTES_NONE);
}

void client_act(World *world, Peer *peer) {
  Ask *ask = pick_open(world, peer);

  if (world->base.quiet)
    return;
  if (ask && world_chance(world, 20))
    cancel(world, peer, ask);
  else if (world_chance(world, world->restless ? 80 : 10))
    move(world, peer); /* it suspects its broker, for nothing */
  else if (world_chance(world, 5) && can_send(peer)) {
    int at = peer->at;

    conn_close(world, peer->conns[at]);
    client_session(world, peer, at);
  } else if (world_chance(world, 150)) {
    new_ask(world, peer);
  }
}

void client_die(World *world, Peer *peer) {
  for (uint32_t i = 0; i < world->n_asks; i++)
    if (world->asks[i].client == peer->index)
      world->asks[i].orphan = true;
}

/* --- what it hears --- */

/* All that is told of a stream is of one execution. */
static void check_execution(World *world, Ask *ask, Bytes bytes) {
  uint64_t whose;

  assert(bytes.size == sizeof whose);
  memcpy(&whose, bytes.data, sizeof whose);
  if (ask->chunks > 0 && ask->whose != whose)
    world_fail(world, "request %llu has chunks of one execution, and was told of another",
               (unsigned long long)ask->id.sequence);
  ask->whose = whose;
}

static void take_chunk(World *world, Conn *conn, Ask *ask, const Header *header, Bytes body) {
  Header window = {.kind = KIND_WINDOW, .id = ask->id, .attempt = ask->attempt};

  if (header->attempt < ask->attempt || header->number < ask->chunks)
    return; /* of an attempt that was left behind */
  if (header->number != ask->chunks)
    world_fail(world, "chunk %llu of request %llu came where %llu was next", (unsigned long long)header->number,
               (unsigned long long)ask->id.sequence, (unsigned long long)ask->chunks);
  if (body.size != CHUNK_BYTES || body.data[0] != (uint8_t)header->number)
    world_fail(world, "chunk %llu of request %llu has the bytes of another", (unsigned long long)header->number,
               (unsigned long long)ask->id.sequence);
  check_execution(world, ask, (Bytes){body.data + 8, 8});
  if (header->number == 0)
    ask->execution = header->execution;
  ask->chunks++;
  window.number = ask->chunks;
  window.window_bytes = ask->chunks * CHUNK_BYTES + WINDOW_BYTES;
  conn_send(conn, &window, BYTES_NONE);
}

/* It may only be unknown what became of `once` work, and only when an instance, or what is known of them, was lost. */
static void check_unknown(World *world, const Ask *ask) {
  if (!ask->once)
    world_fail(world, "request %llu is idempotent and ended UNKNOWN", (unsigned long long)ask->id.sequence);
  if (world->trouble_us + US_PER_S < ask->asked_us)
    world_fail(world, "request %llu ended UNKNOWN, and nothing happened to any instance",
               (unsigned long long)ask->id.sequence);
}

/* A basic instance takes a cancel of any attempt for its own. */
static bool has_basic(const World *world) {
  return world->peers[PEERS - 1].is_basic;
}

static void check_status(World *world, const Ask *ask, Status status) {
  bool has_died = status == STATUS_WORKER_LOST || status == STATUS_STREAM_LOST;

  if (status == STATUS_STALE || status == STATUS_DUPLICATE || status == STATUS_GONE || status == STATUS_FOREIGN_ID)
    world_fail(world, "request %llu ended %s", (unsigned long long)ask->id.sequence, status_name(status));
  if (status == STATUS_CANCELLED && !has_basic(world))
    world_fail(world, "request %llu was cancelled, and its client waits for it", (unsigned long long)ask->id.sequence);
  if (status == STATUS_UNKNOWN)
    check_unknown(world, ask);
  if (has_died && world->trouble_us + US_PER_S < ask->asked_us)
    world_fail(world, "request %llu ended %s, and nothing happened to any instance",
               (unsigned long long)ask->id.sequence, status_name(status));
}

/* Whether a REPLY is the end of what it has. */
static bool fits(const Ask *ask, const Header *reply) {
  bool is_other = reply->execution && ask->execution && reply->execution != ask->execution;

  return reply->number == ask->chunks && !is_other;
}

static void take_end(World *world, Peer *peer, Ask *ask, const Header *header, Bytes body) {
  if (header->kind == KIND_REPLY && !fits(ask, header))
    return; /* of a stream that went on elsewhere */
  if (header->kind == KIND_ERROR && header->attempt < ask->attempt)
    return;
  if (header->kind == KIND_ERROR && (header->status == STATUS_OTHER_BROKER || header->status == STATUS_DRAINING)) {
    ask->stuck = true;
    move(world, peer);
    return;
  }
  if (header->kind == KIND_REPLY && ask->executions == 0)
    world_fail(world, "request %llu was answered and never executed", (unsigned long long)ask->id.sequence);
  if (header->kind == KIND_REPLY && ask->stream && header->number != CHUNKS)
    world_fail(world, "the stream of request %llu ended after %llu chunks", (unsigned long long)ask->id.sequence,
               (unsigned long long)header->number);
  if (header->kind == KIND_REPLY && ask->stream)
    check_execution(world, ask, body);
  check_status(world, ask, header->status);
  end(world, peer, ask, header->status);
}

/* Whether it still waits for that attempt at that broker. */
static void answer_ping(World *world, Conn *conn, const Header *ping) {
  const Ask *ask = world_find_ask(world, ping->id);
  Header pong = {.kind = KIND_PONG, .number = ping->number, .id = ping->id, .attempt = ping->attempt};
  bool waits = ask && is_open(conn->peer, ask) && ask->attempt == ping->attempt && ask->sent_to == conn->broker;

  if (!request_id_is_none(ping->id) && !waits)
    pong.status = STATUS_STALE;
  conn_send(conn, &pong, BYTES_NONE);
}

void client_take(World *world, Conn *conn, const Header *header, Bytes body) {
  Peer *peer = conn->peer;
  Ask *ask = world_find_ask(world, header->id);

  if (header->kind == KIND_GOAWAY) {
    conn->going_away = true;
    if (conn->broker == peer->at)
      move(world, peer);
  }
  if (header->kind == KIND_PING)
    answer_ping(world, conn, header);
  if (!ask || !is_open(peer, ask))
    return;
  if (header->kind == KIND_CHUNK)
    take_chunk(world, conn, ask, header, body);
  else if (header->kind == KIND_REPLY || header->kind == KIND_ERROR)
    take_end(world, peer, ask, header, body);
}
