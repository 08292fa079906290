/* What:      two brokers seen from one: a client that has moved here, full instances, and what they say about requests.
 * Owns:      nothing of its own; see harness.h.
 * May use:   base, wire, core, cmocka.
 * Threading: one thread.
 * Spec:      docs/protocol.md, section 17 */
#ifndef PONS_TESTS_UNIT_CORE_MOVED_H
#define PONS_TESTS_UNIT_CORE_MOVED_H

#include "bus/core/roster.h"
#include "tests/unit/bus/core/harness.h"

/* Long after the start, so that ages have room and nothing is young. */
enum { MOVED_START_US = 100000000, MOVED_AGE_US = 300000 };

static inline Bytes moved_bytes(const char *text) {
  return (Bytes){(const uint8_t *)text, strlen(text)};
}

/* A process that only asks, number 11. */
static inline void moved_client(Harness *h, TestPeer *peer, uint64_t features) {
  Hello hello = {.version = 1,
                 .client = 11,
                 .agent = TEXT("tester"),
                 .incarnation = 11,
                 .has_features = true,
                 .features = features};

  harness_hello(h, peer, &hello);
}

/* --- the other broker --- */

static inline void moved_peer_up(Harness *h) {
  core_peer_up(h->core, TEXT("there"), h->now_us);
}

static inline void moved_peer_down(Harness *h) {
  core_peer_down(h->core, h->now_us, h->now_us);
}

static inline void moved_peer_dead(Harness *h) {
  core_peer_dead(h->core, h->now_us, h->now_us);
}

/* It has told all, and how far back it knows. */
static inline void moved_peer_complete(Harness *h, RosterHistory history) {
  core_peer_complete(h->core, &history, h->now_us);
}

/* It has the instance of echo with this client id and incarnation, or has lost it so long ago. */
static inline void moved_peer_has(Harness *h, uint64_t client) {
  static const Text echo[] = {TEXT("echo")};

  core_peer_has(h->core, &(RosterEntry){{client}, client, echo, 1}, h->now_us);
}

static inline void moved_peer_lost(Harness *h, uint64_t client, uint64_t ago_us) {
  static const Text echo[] = {TEXT("echo")};

  core_peer_lost(h->core, &(RosterEntry){{client}, client, echo, 1}, ago_us, h->now_us);
}

static inline void moved_noted(Harness *h, uint64_t client) {
  core_peer_noted(h->core, (ClientId){client}, client, h->now_us);
}

/* How far back it is known who was with either broker. */
static inline uint64_t moved_known_us(const Harness *h) {
  return core_history(h->core, h->now_us).both_for_us;
}

/* --- begun and ended --- */

static inline void moved_ping(Harness *h, TestPeer *peer) {
  harness_say(h, peer, KIND_PING, (RequestId){{0}, 0}, STATUS_OK);
}

/* A broker that has a peer, of which it has heard nothing. */
static inline void moved_start_alone(Harness *h, uint64_t now_us, const CoreSink *sink) {
  CoreOptions options = core_options_default();
  CoreSink own = {.send = on_harness_send, .close = on_harness_close};

  options.has_peer = true;
  options.site = "here";
  *h = (Harness){.now_us = now_us};
  assert_int_equal(core_new(&h->core, &options, sink ? sink : &own, h->now_us), 0);
}

/* A broker whose peer is up and has told that it has nobody; client and worker (full, credit 4, noted) are there. */
static inline void moved_start(Harness *h, const CoreSink *sink) {
  moved_start_alone(h, 1000000, sink);
  harness_wait(h, MOVED_START_US - h->now_us);
  moved_peer_up(h);
  moved_peer_complete(h, (RosterHistory){MOVED_START_US - 1000000, MOVED_START_US - 1000000, 0});
  harness_instance(h, &h->worker, &(TestInstance){.name = "worker", .client = 22, .credit = 4, .is_full = true});
  moved_noted(h, 22);
  moved_client(h, &h->client, FEATURE_CONFIRM);
  harness_wait(h, 10000000);
  moved_ping(h, &h->worker);
  harness_clear(&h->worker);
  harness_clear(&h->client);
}

static inline int moved_set_up_with(void **state, void (*start)(Harness *h)) {
  Harness *h = calloc(1, sizeof *h);

  assert_non_null(h);
  start(h);
  *state = h;
  return 0;
}

static inline void moved_start_plain(Harness *h) {
  moved_start(h, NULL);
}

static inline int moved_set_up(void **state) {
  return moved_set_up_with(state, moved_start_plain);
}

static inline int moved_tear_down(void **state) {
  Harness *h = *state;

  harness_stop(h);
  free(h);
  return 0;
}

static inline void moved_restart(Harness *h) {
  harness_stop(h);
  moved_start(h, NULL);
}

/* --- requests --- */

/* Sends a request again, of which this broker knows nothing: attempt 1, MOVED_AGE_US old. */
static inline RequestId moved_ask(Harness *h, Header header) {
  header.attempt = header.attempt ? header.attempt : 1;
  header.age_us = header.age_us ? header.age_us : MOVED_AGE_US;
  header.deadline_us = header.deadline_us ? header.deadline_us : 20000000;
  return harness_request(h, &h->client, header, BYTES_NONE);
}

static inline RequestId moved_ask_once(Harness *h) {
  return moved_ask(h, (Header){.method = TEXT("once")});
}

static inline void moved_have(Harness *h, TestPeer *peer, Header header, const char *state) {
  const HaveBody have = {.state = text_of(state)};
  _cleanup_(buffer_done) Buffer body = {0};

  header.kind = KIND_HAVE;
  header.attempt = header.attempt ? header.attempt : 1;
  assert_int_equal(contract_encode(CONTRACT(HaveBody), &have, &body, NULL), 0);
  harness_give(h, peer, &header, buffer_bytes(&body));
}

static inline void moved_pass(Harness *h, TestPeer *peer, RequestId id, uint8_t hop, Status status) {
  Header header = {.kind = KIND_PASS, .id = id, .attempt = 1, .hop = hop, .status = status};

  harness_give(h, peer, &header, BYTES_NONE);
}

/* The end of what was asked for with attempt 1, and its cancel. */
static inline void moved_reply(Harness *h, TestPeer *peer, RequestId id) {
  harness_give(h, peer, &(Header){.kind = KIND_REPLY, .id = id, .attempt = 1}, BYTES_NONE);
}

static inline void moved_cancel(Harness *h, RequestId id) {
  harness_give(h, &h->client, &(Header){.kind = KIND_CANCEL, .id = id, .attempt = 1}, BYTES_NONE);
}

/* Another full instance of a service; noted. */
static inline void moved_instance(Harness *h, TestPeer *peer, const char *name, uint64_t client, const char *service) {
  harness_instance(h, peer,
                   &(TestInstance){.name = name, .client = client, .credit = 4, .service = service, .is_full = true});
  moved_noted(h, client);
}

/* Answers the last PING that the peer got, about a request with status. */
static inline void moved_pong_status(Harness *h, TestPeer *peer, Status status) {
  Heard *ping = NULL;

  for (int n = 0; harness_find(peer, KIND_PING, n); n++)
    ping = harness_find(peer, KIND_PING, n);
  assert_non_null(ping);
  harness_give(h, peer,
               &(Header){.kind = KIND_PONG,
                         .number = ping->header.number,
                         .id = ping->header.id,
                         .attempt = ping->header.attempt,
                         .status = status},
               BYTES_NONE);
}

static inline void moved_pong(Harness *h, TestPeer *peer) {
  moved_pong_status(h, peer, STATUS_OK);
}

/* The body of the n-th PROBE; the arena must outlive it. */
static inline ProbeBody moved_probe(TestPeer *peer, int n, Arena *arena) {
  Heard *heard = harness_find(peer, KIND_PROBE, n);
  ProbeBody probe;

  assert_non_null(heard);
  assert_int_equal(contract_decode(CONTRACT(ProbeBody), buffer_bytes(&heard->body), arena, &probe, NULL), 0);
  return probe;
}

#endif
