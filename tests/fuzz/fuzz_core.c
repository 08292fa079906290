/* Rooms: core wire. The bytes are what happens to a broker: who connects, what they send, how time passes.

   Each record begins with a byte that says what, and one that says to whom of six peers; the bytes after it fill in the
   rest, and zeros do when they run out. After every record the core's own invariants are checked, and the sink holds the
   core to what it may send: headers that decode, of kinds that a broker sends, within the limits, to peers that are there,
   never more work than credit, and to who has a key what its rights allow. Every run ends with all deadlines passed: nothing may be left. */
#include <stdio.h>
#include <stdlib.h>

#include "bus/base/clock.h"
#include "bus/core/core.h"
#include "bus/core/roster.h"
#include "bus/wire/pack.h"
#include "bus/wire/session.h"

enum { PEERS = 6, WORK_MAX = 32, RECORDS_MAX = 400 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct FuzzPeer {
  Session *session;
  SessionId id;
  ClientId client;
  uint64_t incarnation;
  RequestId work[WORK_MAX]; /* what it was given last, to be answered */
  uint32_t n_work;
  Rights *rights; /* NULL = it has no key, and may do everything */
} FuzzPeer;

typedef struct World {
  Core *core;
  uint64_t now_us;
  const uint8_t *at;
  const uint8_t *end;
  FuzzPeer peers[PEERS];
  bool has_peer; /* there is another broker */
} World;

/* --- the input --- */

static uint8_t take(World *world) {
  return world->at < world->end ? *world->at++ : 0;
}

static Bytes take_bytes(World *world, size_t size) {
  size_t left = (size_t)(world->end - world->at);
  Bytes bytes = {world->at, size < left ? size : left};

  world->at += bytes.size;
  return bytes;
}

/* One of a table by the next byte. */
#define PICK(world, table) ((table)[take(world) % ELEMENTS(table)])

/* --- what the core does --- */

static void require(bool condition, const char *sentence) {
  if (condition)
    return;
  fprintf(stderr, "fuzz_core: %s\n", sentence);
  abort();
}

/* Of those with a key one may call a, one serve b, and one nothing. */
enum { CALLER = 3, SERVER = 4 };

static void make_rights(FuzzPeer *peers) {
  for (int i = CALLER; i < PEERS; i++)
    peers[i].rights = rights_new();
  rights_allow(peers[CALLER].rights, RIGHTS_CALL, TEXT("a"));
  rights_allow(peers[SERVER].rights, RIGHTS_SERVE, TEXT("b"));
}

static void check_rights(const FuzzPeer *peer, const Header *header) {
  if (!peer->rights)
    return;
  require(header->kind != KIND_EVENT, "an event for who may hear none");
  require(header->kind != KIND_REQUEST || rights_cover(peer->rights, RIGHTS_SERVE, header->service, header->method),
          "work for who may not do it");
}

static void on_send(void *userdata, void *to, const Header *header, Bytes body, Block *block) {
  _cleanup_(buffer_done) Buffer bytes = {0};
  FuzzPeer *peer = to;
  Header again;

  (void)userdata, (void)block;
  require(peer->session != NULL, "sent to a peer that has gone");
  require(kind_from_broker(header->kind), "a kind that brokers don't send");
  require(body.size <= LIMIT_BODY_BYTES, "a body over the limit");
  check_rights(peer, header);
  header_encode(header, &bytes);
  require(header_decode(buffer_bytes(&bytes), &again) == 0, "a header that can't be read");
  if (header->kind == KIND_WELCOME)
    peer->id = header->session;
  if (header->kind == KIND_REQUEST)
    peer->work[peer->n_work++ % WORK_MAX] = header->id;
}

static void on_close(void *userdata, void *to) {
  FuzzPeer *peer = to;

  (void)userdata;
  require(peer->session != NULL, "closed twice");
  peer->session = NULL;
}

/* --- what peers do --- */

static void give(World *world, FuzzPeer *peer, const Header *header, Bytes body) {
  _cleanup_(buffer_done) Buffer bytes = {0};

  if (!peer->session)
    return;
  header_encode(header, &bytes);
  core_receive(world->core, peer->session, body.size ? 2 : 1, buffer_bytes(&bytes), body, NULL, world->now_us);
}

static void connect_peer(World *world, FuzzPeer *peer) {
  if (peer->session)
    return;
  peer->session = core_connect(world->core, peer, world->now_us);
  peer->n_work = 0;
  if (peer->session && peer->rights)
    core_identify(world->core, peer->session, &(CoreIdentity){"key", peer->client.value, peer->rights}, world->now_us);
}

static void disconnect_peer(World *world, FuzzPeer *peer) {
  Session *session = TAKE(peer->session);

  if (session)
    core_disconnect(world->core, session, world->now_us);
}

static void say_hello(World *world, FuzzPeer *peer) {
  static const HelloMethod methods[] = {{.method = TEXT("idem"), .has_flags = true, .flags = METHOD_IDEMPOTENT},
                                        {.method = TEXT("once"), .has_hash = true, .hash = 7},
                                        {.method = TEXT("more")}};
  HelloService services[] = {{.service = TEXT("a"), .has_weight = true, .weight = take(world) % 3 * 50},
                             {.service = TEXT("b"), .has_version = true},
                             {.service = TEXT("a")}};
  static const HelloCall call = {.service = TEXT("a"), .method = TEXT("once"), .has_hash = true, .hash = 8};
  static const char *const versions[] = {"1", "2", "1.1"};
  uint8_t how = take(world);
  Hello hello = {.version = 1, .client = peer->client.value, .agent = TEXT("peer"), .incarnation = peer->incarnation};
  _cleanup_(buffer_done) Buffer body = {0};
  Header header = {.kind = KIND_HELLO};

  services[0].methods.items = services[1].methods.items = services[2].methods.items = methods;
  services[0].methods.count = 2;
  services[1].methods.count = services[2].methods.count = 3;
  services[1].version = text_of(PICK(world, versions));
  services[0].has_role = how & 0x10;
  services[0].role = TEXT("standby");
  hello.has_services = how & 7;
  hello.services.items = services + (how >> 5 & 1);
  hello.services.count = 1 + (how & 7) % 2;
  hello.has_calls = how & 8;
  hello.calls.items = &call;
  hello.calls.count = 1;
  hello.has_features = how & 0x40;
  hello.features = FEATURE_PROBE | FEATURE_CONFIRM;
  if (how & 0x80)
    hello.incarnation = ++peer->incarnation;
  if (contract_encode(CONTRACT(Hello), &hello, &body, NULL) == 0)
    give(world, peer, &header, buffer_bytes(&body));
}

/* A header of any kind about ids and names that have a chance to mean something. */
static Header take_header(World *world, FuzzPeer *peer) {
  static const char *const services[] = {"a",    "b",   "a@peer",  "a@*", "b@*", "pons",          "nobody",
                                         "t.x",  "t.*", "t.>",     "t.y", "a@",  "pons.contract", ">",
                                         "peer", "",    "b@peer:1"};
  static const char *const methods[] = {"idem",     "once",        "more",  "stats", "registry",
                                        "requests", "connections", "trace", "info",  ""};
  static const uint64_t deadlines[] = {1000000, 1, 30000, 0, 70000000, LIMIT_DEADLINE_US};
  static const uint64_t windows[] = {0, 1, 100, 100000, UINT64_MAX};
  static const uint8_t annotations[] = {0x81, 0xa6, 's', 't', 'i', 'c', 'k', 'y', 0xa1, 'x'};
  uint8_t kind = take(world);
  uint8_t id = take(world);
  uint8_t more = take(world);
  Header header = {.kind = (Kind)(kind % (KIND_END + 1)),
                   .id = {id & 0x80 ? world->peers[id % PEERS].client : peer->client, 1 + id % 16},
                   .flags = take(world),
                   .number = take(world) % 8,
                   .attempt = more & 3,
                   .priority = (more >> 2 & 3) % PRIORITY_END,
                   .credit = more >> 4,
                   .status = (Status)(more % (STATUS_END + 1)),
                   .session = more & 0x80 ? (SessionId){1} : peer->id};

  header.service = text_of(PICK(world, services));
  header.method = text_of(PICK(world, methods));
  header.deadline_us = PICK(world, deadlines);
  header.window_bytes = PICK(world, windows);
  if (more & 0x40)
    header.annotations = (Bytes){annotations, sizeof annotations};
  return header;
}

static void say_anything(World *world, FuzzPeer *peer) {
  Header header = take_header(world, peer);

  give(world, peer, &header, take_bytes(world, take(world) % 64));
}

/* Two messages in one PACK, the second maybe cut. */
static void say_packed(World *world, FuzzPeer *peer) {
  Pack pack = {0};
  Bytes header;
  Bytes body;
  Header first = take_header(world, peer);
  Header second = take_header(world, peer);
  size_t cut = take(world) % 8;

  pack_add(&pack, &first, take_bytes(world, take(world) % 16));
  pack_add(&pack, &second, BYTES_NONE);
  pack_frames(&pack, &header, &body);
  body.size -= cut < body.size ? cut : 0;
  if (peer->session)
    core_receive(world->core, peer->session, 2, header, body, NULL, world->now_us);
  pack_done(&pack);
}

static void say_raw(World *world, FuzzPeer *peer) {
  Bytes header = take_bytes(world, take(world) % 64);
  Bytes body = take_bytes(world, take(world) % 64);

  if (peer->session)
    core_receive(world->core, peer->session, 1 + take(world) % 3, header, body, NULL, world->now_us);
}

/* Answers something that it was given, by any of the ways there are. */
static void answer(World *world, FuzzPeer *peer) {
  static const Kind kinds[] = {KIND_REPLY, KIND_ERROR, KIND_NACK, KIND_CHUNK, KIND_FORWARD};
  static const Status statuses[] = {STATUS_BUSY, STATUS_DRAINING, STATUS_INTERNAL, STATUS_NO_SERVICE, STATUS_OK};
  static const ForwardTarget targets[] = {{TEXT("b"), TEXT("idem")},    {TEXT("nobody"), TEXT("idem")},
                                          {TEXT("a@*"), TEXT("once")},  {TEXT("a@peer"), TEXT("once")},
                                          {TEXT("pons"), TEXT("ping")}, {TEXT("b"), TEXT("more")},
                                          {TEXT("a"), TEXT("idem")}};
  uint8_t first = take(world) % (uint8_t)ELEMENTS(targets);
  ForwardBody forward = {.targets = {targets + first, 1 + take(world) % (ELEMENTS(targets) - first)}};
  _cleanup_(buffer_done) Buffer body = {0};
  Header header = {.kind = PICK(world, kinds), .status = PICK(world, statuses)};
  uint8_t more = take(world);

  header.number = more % 4;
  header.flags = more & FLAG_PART;
  if (peer->n_work == 0)
    return;
  header.id = peer->work[take(world) % (peer->n_work < WORK_MAX ? peer->n_work : WORK_MAX)];
  if (header.kind == KIND_FORWARD && forward.targets.count <= LIMIT_FORWARD_TARGETS)
    require(contract_encode(CONTRACT(ForwardBody), &forward, &body, NULL) == 0, "FORWARD can't be encoded");
  give(world, peer, &header, buffer_bytes(&body));
}

static void give_credit(World *world, FuzzPeer *peer) {
  Header header = {.kind = KIND_CREDIT, .session = peer->id, .credit = take(world) % 8};

  give(world, peer, &header, BYTES_NONE);
}

static void ask(World *world, FuzzPeer *peer) {
  static const char *const services[] = {"a", "b", "a@*", "a@peer"};
  static const char *const methods[] = {"idem", "once", "more"};
  Header header = {.kind = KIND_REQUEST, .id = {peer->client, 1 + take(world) % 16}, .deadline_us = 5 * US_PER_S};

  header.service = text_of(PICK(world, services));
  header.method = text_of(PICK(world, methods));
  header.flags = take(world) & (FLAG_MORE | FLAG_STREAM | FLAG_IDEMPOTENT);
  header.window_bytes = 1000;
  give(world, peer, &header, take_bytes(world, take(world) % 32));
}

static void pass_time(World *world, FuzzPeer *peer) {
  static const uint64_t times[] = {100, 1000, 50000, 150000, 1000000, 1000001, 5000000, 17000000, 61000000};

  (void)peer;
  world->now_us += PICK(world, times);
  core_tick(world->core, world->now_us);
  core_check(world->core, world->now_us);
}

/* HAVE or PASS about what may have been asked. */
static void say_have(World *world, FuzzPeer *peer) {
  static const char *const states[] = {"queued", "running", "done", "forwarded", "reply_gone", "?"};
  static const Status statuses[] = {STATUS_OK, STATUS_UNKNOWN, STATUS_STALE};
  HaveBody have = {.state = text_of(PICK(world, states))};
  _cleanup_(buffer_done) Buffer body = {0};
  uint8_t more = take(world);
  Header header = {.kind = more & 0x80 ? KIND_HAVE : KIND_PASS,
                   .id = {world->peers[more % PEERS].client, 1 + take(world) % 16},
                   .attempt = more >> 2 & 3,
                   .hop = more >> 4 & 1,
                   .number = more >> 5 & 1,
                   .status = more & 0x80 ? STATUS_OK : PICK(world, statuses)};

  if (header.kind == KIND_HAVE && contract_encode(CONTRACT(HaveBody), &have, &body, NULL) != 0)
    buffer_clear(&body); /* a state that there is not */
  give(world, peer, &header, buffer_bytes(&body));
}

/* What the link to the other broker brings. */
static void hear_of_peer(World *world, FuzzPeer *peer, uint8_t what) {
  static const Text services[] = {TEXT("a"), TEXT("b")};
  RosterEntry entry = {peer->client, peer->incarnation, services, 1 + take(world) % 2};
  RosterHistory history = {take(world) * 100000U, take(world) * 100000U, take(world) * 10000U};

  switch (what) {
  case 0:
    core_peer_up(world->core, TEXT("site"), world->now_us);
    break;
  case 1:
    core_peer_has(world->core, &entry, world->now_us);
    break;
  case 2:
    core_peer_lost(world->core, &entry, take(world) * 10000U, world->now_us);
    break;
  case 3:
    core_peer_complete(world->core, &history, world->now_us);
    break;
  case 4:
    core_peer_noted(world->core, peer->client, peer->incarnation, world->now_us);
    break;
  case 5:
    core_peer_down(world->core, world->now_us, world->now_us);
    if (take(world) & 1)
      core_peer_dead(world->core, world->now_us, world->now_us);
    break;
  case 6:
    core_tell_roster(world->core, world->now_us);
    break;
  default:
    core_late(world->core, world->now_us);
  }
}

/* What comes seldom. */
static void happen(World *world, FuzzPeer *peer) {
  uint8_t what = take(world);

  if (what == 0xdd)
    core_drain(world->core, world->now_us);
  else if (what & 8)
    say_have(world, peer);
  else if (world->has_peer)
    hear_of_peer(world, peer, what & 7);
}

/* A new process in the place of the old one. */
static void restart(World *world, FuzzPeer *peer) {
  disconnect_peer(world, peer);
  peer->client.value += 0x100;
  peer->incarnation++;
  connect_peer(world, peer);
}

static void step(World *world) {
  static void (*const steps[])(World * world, FuzzPeer * peer) = {
      connect_peer, disconnect_peer, say_hello, give_credit, ask,     answer, answer,
      say_anything, say_packed,      say_raw,   pass_time,   restart, happen};
  void (*run)(World *, FuzzPeer *) = PICK(world, steps);

  run(world, &PICK(world, world->peers));
  core_check(world->core, 0);
}

/* --- a run --- */

static const RouteVersion versions[] = {{"1", 3}, {"2", 1}};
static const Route routes[] = {{"b", versions, ELEMENTS(versions)}};

static void finish(World *world, bool by_stop) {
  if (by_stop)
    core_stop(world->core, world->now_us);
  for (int i = 0; i < PEERS; i++)
    disconnect_peer(world, &world->peers[i]);
  world->now_us += 2 * US_PER_S;
  core_tick(world->core, world->now_us);
  core_check(world->core, world->now_us);
  require(core_is_idle(world->core), "requests are left when everybody has gone");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  World world = {.now_us = 1000000, .at = data, .end = data + size};
  CoreOptions options = core_options_default();
  CoreSink sink = {.send = on_send, .close = on_close};

  if (size == 0)
    return 0;
  options.routes = routes;
  options.n_routes = ELEMENTS(routes);
  options.limits = (CoreLimits){.client_requests = 6,
                                .client_bytes = 120,
                                .all_bytes = 300,
                                .service_queue = 4,
                                .sessions = 5,
                                .subscriptions = 3,
                                .topics = 3};
  world.has_peer = options.has_peer = data[size - 1] & 4;
  if (core_new(&world.core, &options, &sink, world.now_us) < 0)
    abort();
  for (int i = 0; i < PEERS; i++)
    world.peers[i] = (FuzzPeer){.client = {1 + (uint64_t)i}, .incarnation = 1};
  if (data[size - 1] & 8)
    make_rights(world.peers);
  for (int n = 0; n < RECORDS_MAX && world.at < world.end; n++)
    step(&world);
  if (data[size - 1] & 1)
    finish(&world, data[size - 1] & 2);
  core_destroy(&world.core);
  for (int i = 0; i < PEERS; i++)
    rights_destroy(&world.peers[i].rights);
  return 0;
}
