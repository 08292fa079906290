/* An instance with a session at each broker, and a memory: it says HAVE or PASS, refuses lower attempts, sends what it keeps of a
   stream again, and gives its answer to the other broker when its own is gone. */
#include "tests/sim/two.h"

static uint64_t now_of(const World *world, const Peer *peer) {
  return local_us(world, peer->rate_ppm);
}

/* --- memory --- */

static Visit *find_visit(Peer *peer, RequestId id, uint8_t hop) {
  for (uint32_t i = 0; i < peer->n_visits; i++)
    if (request_id_equal(peer->visits[i].id, id) && peer->visits[i].hop == hop)
      return &peer->visits[i];
  return NULL;
}

void worker_start(World *world, Peer *peer) {
  peer->n_visits = 0;
  memory_start(&peer->memory, now_of(world, peer));
}

void worker_die(Peer *peer) {
  memory_done(&peer->memory);
}

/* Whether the attempt is below the highest. */
static bool was_left(const Peer *peer, RequestId id, uint32_t attempt) {
  MemoryReply reply;

  return memory_find(&peer->memory, id, 0, attempt, &reply) == MEMORY_E_STALE;
}

/* The same; else it is the highest now. */
static bool is_stale(World *world, Peer *peer, RequestId id, uint32_t attempt) {
  if (was_left(peer, id, attempt))
    return true;
  memory_note(&peer->memory, id, attempt, now_of(world, peer));
  return false;
}

/* Something that is done is forgotten; what is older than now can't be vouched for any more. */
static void forget_one(World *world, Peer *peer) {
  uint32_t at = peer->n_visits ? world_random(world, peer->n_visits) : 0;
  Visit *visit;

  if (peer->n_visits && world_chance(world, 500))
    at = peer->n_visits - 1; /* which may not be answered yet */
  visit = &peer->visits[at];

  if (peer->n_visits == 0 || visit->state < VISIT_DONE)
    return;
  world->trouble_us = world->base.now_us;
  if (visit->state == VISIT_DONE && world_chance(world, 500)) {
    visit->state = VISIT_GONE;
    return;
  }
  peer->memory.covers_us = now_of(world, peer);
  *visit = peer->visits[--peer->n_visits];
}

/* --- answers --- */

static Conn *open_conn(const Peer *peer) {
  for (int i = 0; i < BROKERS; i++)
    if (peer->conns[i] && peer->conns[i]->welcomed)
      return peer->conns[i];
  return NULL;
}

/* Where the answer goes: to who waits for it, else to the other broker. */
static Conn *answer_conn(const Peer *peer, const Visit *visit) {
  return visit->conn || peer->is_basic ? visit->conn : open_conn(peer);
}

static void send_forward(World *world, Visit *visit) {
  static const ForwardTarget targets[] = {{TEXT("gone"), TEXT("once")}, {TEXT("work"), TEXT("once")}};
  const ForwardBody forward = {.targets = {targets, 2}};
  _cleanup_(buffer_done) Buffer body = {0};
  Header header = {.kind = KIND_FORWARD, .id = visit->id, .attempt = visit->attempt};

  if (!visit->conn)
    return; /* who probes it gets it */
  if (contract_encode(CONTRACT(ForwardBody), &forward, &body, NULL) != 0)
    world_fail(world, "FORWARD can't be encoded");
  conn_send(visit->conn, &header, buffer_bytes(&body));
  visit->conn = NULL;
}

/* What chunks and the end of a stream have in them, so that its client knows them apart whatever it is told. */
static Bytes signature(const Visit *visit) {
  return (Bytes){(const uint8_t *)&visit->execution, sizeof visit->execution};
}

/* A basic instance knows nothing of executions. */
static uint64_t told(const Peer *peer, const Visit *visit) {
  return peer->is_basic ? 0 : visit->execution;
}

static void send_answer(Peer *peer, Visit *visit) {
  Header header = {.kind = visit->status == STATUS_OK ? KIND_REPLY : KIND_ERROR,
                   .id = visit->id,
                   .attempt = visit->attempt,
                   .number = visit->chunks,
                   .status = visit->status,
                   .execution = visit->chunks > 0 ? told(peer, visit) : 0};
  Conn *conn = answer_conn(peer, visit);

  if (conn)
    conn_send(conn, &header, visit->chunks > 0 ? signature(visit) : BYTES_NONE);
  visit->conn = NULL;
}

static void send_chunk(const Peer *peer, Visit *visit, uint64_t number) {
  Header header = {.kind = KIND_CHUNK,
                   .id = visit->id,
                   .attempt = visit->attempt,
                   .number = number,
                   .execution = number == 0 ? told(peer, visit) : 0};
  uint8_t bytes[CHUNK_BYTES];

  memset(bytes, (int)number, sizeof bytes);
  memcpy(bytes + 8, signature(visit).data, signature(visit).size);
  if (visit->conn)
    conn_send(visit->conn, &header, (Bytes){bytes, sizeof bytes});
}

/* --- what it is given and asked --- */

static void say(Conn *conn, Kind kind, RequestId id, uint8_t hop, uint32_t attempt, Status status) {
  Header header = {.kind = kind, .id = id, .hop = hop, .attempt = attempt, .status = status};

  conn_send(conn, &header, BYTES_NONE);
}

/* From now on this broker gets the answer; the one before is told that it does not. */
static void attach(Visit *visit, Conn *conn, uint32_t attempt) {
  if (visit->conn && visit->conn != conn)
    say(visit->conn, KIND_NACK, visit->id, visit->hop, visit->attempt, STATUS_STALE);
  visit->conn = conn;
  visit->attempt = attempt;
}

/* What follows after it was attached: what is there already, from the chunk that is wanted. */
static void follow(World *world, Peer *peer, Visit *visit, uint64_t chunk) {
  for (uint64_t i = chunk; i < visit->chunks && visit->state != VISIT_FORWARDED; i++)
    send_chunk(peer, visit, i);
  if (visit->state == VISIT_DONE)
    send_answer(peer, visit);
  else if (visit->state == VISIT_FORWARDED)
    send_forward(world, visit);
}

static void say_have(World *world, Peer *peer, Conn *conn, Visit *visit, const ProbeItem *item) {
  static const char *const states[] = {"queued", "running", "done", "forwarded", "reply_gone"};
  VisitState state = visit->cancelled ? VISIT_GONE : visit->state; /* who comes later has not cancelled it */
  const HaveBody have = {.state = text_of(states[state])};
  _cleanup_(buffer_done) Buffer body = {0};
  Header header = {.kind = KIND_HAVE, .id = visit->id, .hop = visit->hop, .attempt = (uint32_t)item->attempt};

  if (state != VISIT_GONE)
    attach(visit, conn, header.attempt);
  if (state != VISIT_FORWARDED && state != VISIT_GONE) {
    header.execution = told(peer, visit);
    header.number = item->chunk < visit->chunks ? item->chunk : visit->chunks;
    header.window_bytes = header.number * CHUNK_BYTES;
    visit->window_bytes = max_u64(visit->window_bytes, item->window_bytes);
  }
  if (contract_encode(CONTRACT(HaveBody), &have, &body, NULL) != 0)
    world_fail(world, "HAVE can't be encoded");
  conn_send(conn, &header, buffer_bytes(&body));
  if (state != VISIT_GONE)
    follow(world, peer, visit, item->chunk);
}

static RequestId id_of(Bytes bytes) {
  uint64_t client = 0;
  uint64_t sequence = 0;

  for (int i = 0; i < 8; i++) {
    client = client << 8 | bytes.data[i];
    sequence = sequence << 8 | bytes.data[8 + i];
  }
  return (RequestId){{client}, sequence};
}

static void take_item(World *world, Peer *peer, Conn *conn, const ProbeItem *item) {
  RequestId id = id_of(item->id);
  uint8_t hop = item->has_hop ? (uint8_t)item->hop : 0;
  uint32_t attempt = (uint32_t)item->attempt;
  Visit *visit = find_visit(peer, id, hop);
  bool covers = memory_covers(&peer->memory, item->age_us, now_of(world, peer));

  if (is_stale(world, peer, id, attempt))
    say(conn, KIND_PASS, id, hop, attempt, STATUS_STALE);
  else if (visit)
    say_have(world, peer, conn, visit, item);
  else
    say(conn, KIND_PASS, id, hop, attempt, covers ? STATUS_OK : STATUS_UNKNOWN);
}

static void take_probe(World *world, Peer *peer, Conn *conn, Bytes body) {
  _cleanup_(arena_done) Arena arena = {0};
  ProbeBody probe;

  if (contract_decode(CONTRACT(ProbeBody), body, &arena, &probe, NULL) != 0)
    world_fail(world, "the broker sent a PROBE that can't be read");
  for (size_t i = 0; i < probe.requests.count; i++)
    take_item(world, peer, conn, &probe.requests.items[i]);
}

static void check_request(World *world, const Header *header, Bytes body) {
  uint64_t id[2] = {header->id.client.value, header->id.sequence};

  if (!world_find_ask(world, header->id))
    world_fail(world, "a request came that nobody asked");
  if (body.size != sizeof id || memcmp(body.data, id, sizeof id) != 0)
    world_fail(world, "the body of request %llu arrived changed", (unsigned long long)header->id.sequence);
}

static void refuse(Conn *conn, const Header *header) {
  Header credit = {.kind = KIND_CREDIT, .session = conn->id, .credit = 4};

  say(conn, KIND_NACK, header->id, 0, header->attempt, STATUS_BUSY);
  conn_send(conn, &credit, BYTES_NONE);
}

static void take_request(World *world, Peer *peer, Conn *conn, const Header *header, Bytes body) {
  Visit *visit = find_visit(peer, header->id, header->hop);

  check_request(world, header, body);
  if (peer->is_basic)
    visit = NULL; /* it remembers nothing */
  else if (is_stale(world, peer, header->id, header->attempt)) {
    say(conn, KIND_NACK, header->id, header->hop, header->attempt, STATUS_STALE);
    return;
  }
  if (visit && visit->cancelled && visit->state < VISIT_DONE) {
    refuse(conn, header); /* it is being stopped, and then done again */
    return;
  }
  if (visit && visit->state == VISIT_DONE && visit->cancelled)
    visit->state = VISIT_GONE;
  if (visit && visit->state == VISIT_GONE && !text_is(header->method, "once")) {
    *visit = peer->visits[--peer->n_visits]; /* it is done again */
    visit = NULL;
  }
  if (visit && visit->state == VISIT_GONE) {
    say(conn, KIND_ERROR, header->id, 0, header->attempt, STATUS_UNKNOWN);
    return;
  }
  if (visit) {
    attach(visit, conn, header->attempt);
    follow(world, peer, visit, 0);
    return;
  }
  if (peer->n_visits == VISITS_MAX)
    world_fail(world, "the simulated memory is too small");
  if (world_chance(world, 50) && !world->base.quiet) {
    refuse(conn, header);
    return;
  }
  peer->visits[peer->n_visits++] = (Visit){.id = header->id,
                                           .hop = header->hop,
                                           .attempt = header->attempt,
                                           .conn = conn,
                                           .execution = peer->client.value + ++peer->n_executions,
                                           .is_front = text_is(header->service, "front"),
                                           .window_bytes = header->window_bytes};
}

/* A cancel of an attempt that was left behind counts for nothing. */
static void take_cancel(Peer *peer, const Header *header) {
  if (!peer->is_basic && was_left(peer, header->id, header->attempt))
    return;
  for (uint32_t i = 0; i < peer->n_visits; i++)
    if (request_id_equal(peer->visits[i].id, header->id) && peer->visits[i].state < VISIT_DONE)
      peer->visits[i].cancelled = true;
}

static void take_window(Peer *peer, const Header *header) {
  for (uint32_t i = 0; i < peer->n_visits; i++)
    if (request_id_equal(peer->visits[i].id, header->id) && header->attempt >= peer->visits[i].attempt)
      peer->visits[i].window_bytes = max_u64(peer->visits[i].window_bytes, header->window_bytes);
}

void worker_take(World *world, Conn *conn, const Header *header, Bytes body) {
  Peer *peer = conn->peer;
  Header pong = {.kind = KIND_PONG, .number = header->number};
  Header credit = {.kind = KIND_CREDIT, .session = conn->id, .credit = 4};

  switch (header->kind) {
  case KIND_WELCOME:
    conn_send(conn, &credit, BYTES_NONE);
    break;
  case KIND_PING:
    conn_send(conn, &pong, BYTES_NONE);
    break;
  case KIND_REQUEST:
    take_request(world, peer, conn, header, body);
    break;
  case KIND_PROBE:
    take_probe(world, peer, conn, body);
    break;
  case KIND_CANCEL:
    take_cancel(peer, header);
    break;
  case KIND_WINDOW:
    take_window(peer, header);
    break;
  case KIND_DRAIN:
    conn->drained = true;
    break;
  default:
    break;
  }
}

void worker_forget_conn(Peer *peer, const Conn *conn) {
  for (uint32_t i = 0; i < peer->n_visits; i++)
    if (peer->visits[i].conn == conn)
      peer->visits[i].conn = NULL;
}

/* --- work --- */

static void begin(World *world, Visit *visit) {
  Ask *ask = world_find_ask(world, visit->id);

  visit->state = VISIT_RUNNING;
  if (visit->is_front)
    return;
  ask->executions++;
  if (ask->once && ask->executions > 1)
    world_fail(world, "%s %llu of a `once` method was executed twice", ask->wish ? "durable request" : "request",
               (unsigned long long)(ask->wish ? ask->wish : ask->id.sequence));
  if (ask->wish)
    keepers_executed(pairs_keepers(world->pairs), ask->wish);
}

static void finish(Peer *peer, Visit *visit, Status status) {
  visit->state = VISIT_DONE;
  visit->status = status;
  send_answer(peer, visit);
}

static void work_on(World *world, Peer *peer, Visit *visit) {
  const Ask *ask = world_find_ask(world, visit->id);

  if (visit->cancelled) {
    finish(peer, visit, STATUS_CANCELLED);
  } else if (visit->state == VISIT_QUEUED) {
    begin(world, visit);
  } else if (visit->is_front) {
    visit->state = VISIT_FORWARDED;
    send_forward(world, visit);
  } else if (ask->stream && visit->chunks < CHUNKS) {
    if (visit->chunks * CHUNK_BYTES < visit->window_bytes && world_chance(world, 300))
      send_chunk(peer, visit, visit->chunks++);
  } else {
    finish(peer, visit, STATUS_OK);
  }
}

/* A stream that waits for its reader. */
static bool waits(World *world, const Visit *visit) {
  const Ask *ask = world_find_ask(world, visit->id);

  return visit->state == VISIT_RUNNING && !visit->cancelled && ask->stream && visit->chunks < CHUNKS &&
         visit->chunks * CHUNK_BYTES >= visit->window_bytes;
}

/* A random one that is not done, of those that can go on if there are any, or NULL. */
static Visit *pick_open(World *world, Peer *peer) {
  uint32_t start = peer->n_visits ? world_random(world, peer->n_visits) : 0;
  Visit *open = NULL;

  for (uint32_t i = 0; i < peer->n_visits; i++) {
    Visit *visit = &peer->visits[(start + i) % peer->n_visits];

    if (visit->state >= VISIT_DONE)
      continue;
    open = visit;
    if (!waits(world, visit))
      break;
  }
  return open;
}

/* Nothing is left to be done, but for streams that nobody reads any more. */
static bool has_done(World *world, Peer *peer) {
  const Visit *visit = pick_open(world, peer);

  return !visit || (waits(world, visit) && !visit->conn);
}

/* An end in order: DRAIN to both, all answers, BYE to both. */
static void leave(World *world, Peer *peer) {
  Header drain = {.kind = KIND_DRAIN};
  Header bye = {.kind = KIND_BYE, .flags = FLAG_CLEAN};
  bool is_done = has_done(world, peer);

  for (int i = 0; i < BROKERS; i++) {
    Conn *conn = peer->conns[i];

    if (conn && conn->welcomed && !peer->leaving)
      conn_send(conn, &drain, BYTES_NONE);
    is_done = is_done && peer->leaving && (!conn || conn->drained);
  }
  peer->leaving = true;
  if (!is_done)
    return;
  for (int i = 0; i < BROKERS; i++)
    if (peer->conns[i])
      conn_send(peer->conns[i], &bye, BYTES_NONE);
  world->trouble_us = world->base.now_us;
  peer_die(world, peer);
}

void worker_act(World *world, Peer *peer) {
  bool may_fail = !world->base.quiet && !world->gentle;
  Visit *visit;

  if (peer->leaving || (may_fail && world_chance(world, 3)))
    leave(world, peer);
  else if (may_fail && world_chance(world, world->restless ? 60 : 10))
    forget_one(world, peer);
  visit = peer->alive ? pick_open(world, peer) : NULL;
  if (visit)
    work_on(world, peer, visit);
}
