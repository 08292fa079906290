/* What:      a core with peers at it, for tests: messages go in by hand, what comes out is kept and can be looked at.
 * Owns:      a Harness owns its core and what was heard.
 * May use:   base, wire, core, cmocka.
 * Threading: one thread.
 * Spec:      docs/protocol.md */
#ifndef PONS_TESTS_UNIT_CORE_HARNESS_H
#define PONS_TESTS_UNIT_CORE_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus/base/clock.h"
#include "bus/core/core.h"
#include "bus/wire/session.h"

enum { HEARD_MAX = 256 };

/* One message that the core sent to a peer; the header's texts point into header_bytes. */
typedef struct Heard {
  Buffer header_bytes;
  Buffer body;
  Header header;
} Heard;

typedef struct TestPeer {
  Session *session; /* NULL once the core has closed it */
  SessionId welcome;
  ClientId client;
  uint64_t sequence;
  Heard heard[HEARD_MAX];
  int n_heard;
} TestPeer;

typedef struct Harness {
  Core *core;
  uint64_t now_us;
  const CoreIdentity *identity; /* of who says HELLO next; NULL = none */
  TestPeer client;
  TestPeer worker; /* service echo: say and stream idempotent, once */
  TestPeer other;  /* for who wants more peers */
  TestPeer third;
} Harness;

static inline void on_harness_send(void *userdata, void *to, const Header *header, Bytes body, Block *block) {
  TestPeer *peer = to;
  Heard *heard = &peer->heard[peer->n_heard++ % HEARD_MAX];

  (void)userdata, (void)block;
  buffer_clear(&heard->header_bytes);
  buffer_clear(&heard->body);
  header_encode(header, &heard->header_bytes);
  buffer_append(&heard->body, body.data, body.size);
  assert_int_equal(header_decode(buffer_bytes(&heard->header_bytes), &heard->header), 0);
  if (header->kind == KIND_WELCOME)
    peer->welcome = header->session;
}

static inline void on_harness_close(void *userdata, void *to) {
  TestPeer *peer = to;

  (void)userdata;
  assert_non_null(peer->session);
  peer->session = NULL;
}

/* The last message that the peer got; fails the test when there is none. */
static inline Heard *harness_last(TestPeer *peer) {
  assert_true(peer->n_heard > 0);
  return &peer->heard[(peer->n_heard - 1) % HEARD_MAX];
}

/* Gives one message to the core. */
static inline void harness_give(Harness *h, TestPeer *peer, const Header *header, Bytes body) {
  _cleanup_(buffer_done) Buffer bytes = {0};

  header_encode(header, &bytes);
  core_receive(h->core, peer->session, body.size ? 2 : 1, buffer_bytes(&bytes), body, NULL, h->now_us);
  core_check(h->core, 0);
}

/* Connects and says HELLO. */
static inline void harness_hello(Harness *h, TestPeer *peer, const Hello *hello) {
  _cleanup_(buffer_done) Buffer body = {0};
  Header header = {.kind = KIND_HELLO};

  peer->client.value = hello->client;
  peer->session = core_connect(h->core, peer, h->now_us);
  if (h->identity)
    core_identify(h->core, peer->session, h->identity, h->now_us);
  assert_int_equal(contract_encode(CONTRACT(Hello), hello, &body, NULL), 0);
  harness_give(h, peer, &header, buffer_bytes(&body));
}

/* Makes it a process that only asks. */
static inline void harness_client(Harness *h, TestPeer *peer, const char *name, uint64_t client) {
  Hello hello = {.version = 1, .client = client, .agent = text_of(name), .incarnation = client};

  harness_hello(h, peer, &hello);
}

static inline void harness_credit(Harness *h, TestPeer *peer, uint32_t credit) {
  Header header = {.kind = KIND_CREDIT, .credit = credit, .session = peer->welcome};

  harness_give(h, peer, &header, BYTES_NONE);
}

/* An instance of one service; what is left out is as in HELLO: weight 100, primary, version 1, the broker's site, service
   echo with the methods say and stream (idempotent) and once. */
typedef struct TestInstance {
  const char *name;
  uint64_t client;
  uint32_t credit;
  const char *service;
  const char *version;
  const char *site;
  const char *role;
  const HelloMethod *methods;
  size_t n_methods;
  bool has_weight;
  uint64_t weight;
  bool is_full; /* answers PROBE */
} TestInstance;

static inline void harness_instance(Harness *h, TestPeer *peer, const TestInstance *about) {
  static const HelloMethod methods[] = {
      {.method = TEXT("say"), .has_flags = true, .flags = METHOD_IDEMPOTENT},
      {.method = TEXT("stream"), .has_flags = true, .flags = METHOD_IDEMPOTENT | METHOD_STREAMING},
      {.method = TEXT("once"), .has_flags = true, .flags = METHOD_ONCE}};
  HelloService service = {.service = text_of(about->service ? about->service : "echo"),
                          .has_version = about->version != NULL,
                          .version = text_of(about->version),
                          .has_role = about->role != NULL,
                          .role = text_of(about->role),
                          .has_weight = about->has_weight,
                          .weight = about->weight,
                          .methods = {methods, ELEMENTS(methods)}};
  Hello hello = {.version = 1,
                 .client = about->client,
                 .agent = text_of(about->name),
                 .incarnation = about->client,
                 .has_site = about->site != NULL,
                 .site = text_of(about->site),
                 .has_features = about->is_full,
                 .features = FEATURE_PROBE,
                 .has_services = true,
                 .services = {&service, 1}};

  if (about->methods) {
    service.methods.items = about->methods;
    service.methods.count = about->n_methods;
  }
  harness_hello(h, peer, &hello);
  if (about->credit)
    harness_credit(h, peer, about->credit);
}

/* An instance of `echo` called name with credit. */
static inline void harness_worker(Harness *h, TestPeer *peer, const char *name, uint64_t client, uint32_t credit) {
  harness_instance(h, peer, &(TestInstance){.name = name, .client = client, .credit = credit});
}

/* Asks with what is set in header; id and a deadline of a second are filled in where they are not. Returns the id. */
static inline RequestId harness_request(Harness *h, TestPeer *peer, Header header, Bytes body) {
  header.kind = KIND_REQUEST;
  if (header.id.client.value == 0)
    header.id = (RequestId){peer->client, ++peer->sequence};
  if (header.deadline_us == 0)
    header.deadline_us = 1000000;
  if (!header.service.size)
    header.service = TEXT("echo");
  if (!header.method.size)
    header.method = TEXT("say");
  harness_give(h, peer, &header, body);
  return header.id;
}

/* Asks with priority normal. */
static inline RequestId harness_ask(Harness *h, TestPeer *peer, const char *service, const char *method, Bytes body) {
  return harness_request(
      h, peer, (Header){.service = text_of(service), .method = text_of(method), .priority = PRIORITY_NORMAL}, body);
}

/* Says something short about a request. */
static inline void harness_say(Harness *h, TestPeer *peer, Kind kind, RequestId id, Status status) {
  Header header = {.kind = kind, .id = id, .status = status};

  harness_give(h, peer, &header, BYTES_NONE);
}

static inline void harness_reply(Harness *h, TestPeer *peer, RequestId id) {
  harness_say(h, peer, KIND_REPLY, id, STATUS_OK);
}

static inline void harness_chunk(Harness *h, TestPeer *peer, RequestId id, uint64_t number, uint32_t flags,
                                 Bytes body) {
  Header header = {.kind = KIND_CHUNK, .id = id, .number = number, .flags = flags};

  harness_give(h, peer, &header, body);
}

/* FORWARD to n targets. */
static inline void harness_forward(Harness *h, TestPeer *peer, RequestId id, const ForwardTarget *targets, size_t n) {
  const ForwardBody forward = {.targets = {targets, n}};
  _cleanup_(buffer_done) Buffer body = {0};
  Header header = {.kind = KIND_FORWARD, .id = id};

  assert_int_equal(contract_encode(CONTRACT(ForwardBody), &forward, &body, NULL), 0);
  harness_give(h, peer, &header, buffer_bytes(&body));
}

/* The n-th message of this kind that the peer got since it last forgot, from 0; NULL when there is none. */
static inline Heard *harness_find(TestPeer *peer, Kind kind, int n) {
  for (int i = 0; i < peer->n_heard && i < HEARD_MAX; i++)
    if (peer->heard[i].header.kind == kind && n-- == 0)
      return &peer->heard[i];
  return NULL;
}

static inline int harness_count(TestPeer *peer, Kind kind) {
  int n = 0;

  while (harness_find(peer, kind, n))
    n++;
  return n;
}

/* The peer forgets what it got. */
static inline void harness_clear(TestPeer *peer) {
  peer->n_heard = 0;
}

/* The REQUEST of this id that the peer got last; fails the test when there is none. */
static inline Heard *harness_work(TestPeer *peer, RequestId id) {
  Heard *found = NULL;

  for (int n = 0; harness_find(peer, KIND_REQUEST, n); n++)
    if (request_id_equal(harness_find(peer, KIND_REQUEST, n)->header.id, id))
      found = harness_find(peer, KIND_REQUEST, n);
  assert_non_null(found);
  return found;
}

/* How many ends the peer was told for this id; *ret is the last of them. */
static inline int harness_ends(TestPeer *peer, RequestId id, Heard **ret) {
  int n = 0;

  for (int i = 0; i < peer->n_heard && i < HEARD_MAX; i++) {
    Heard *heard = &peer->heard[i];

    if ((heard->header.kind != KIND_REPLY && heard->header.kind != KIND_ERROR) ||
        !request_id_equal(heard->header.id, id))
      continue;
    *ret = heard;
    n++;
  }
  return n;
}

/* The request ended, once, with this status. */
static inline void harness_ended(TestPeer *peer, RequestId id, Status status) {
  Heard *end = NULL;

  assert_int_equal(harness_ends(peer, id, &end), 1);
  assert_string_equal(status_name(end->header.status), status_name(status));
  assert_int_equal(end->header.kind, status == STATUS_OK ? KIND_REPLY : KIND_ERROR);
}

static inline void harness_open(TestPeer *peer, RequestId id) {
  Heard *end;

  assert_int_equal(harness_ends(peer, id, &end), 0);
}

/* The body of an ERROR as a struct. */
static inline ErrorBody harness_error_body(const Heard *heard) {
  ErrorBody error;

  assert_int_equal(contract_decode(CONTRACT(ErrorBody), buffer_bytes(&heard->body), NULL, &error, NULL), 0);
  return error;
}

/* The connection breaks. */
static inline void harness_cut(Harness *h, TestPeer *peer) {
  core_disconnect(h->core, TAKE(peer->session), h->now_us);
  core_check(h->core, 0);
}

/* Lets time pass. */
static inline void harness_wait(Harness *h, uint64_t us) {
  h->now_us += us;
  core_tick(h->core, h->now_us);
  core_check(h->core, h->now_us);
}

static inline void harness_start(Harness *h, const CoreOptions *options) {
  CoreOptions defaults = core_options_default();
  CoreSink sink = {.send = on_harness_send, .close = on_harness_close};

  *h = (Harness){.now_us = 1000000};
  assert_int_equal(core_new(&h->core, options ? options : &defaults, &sink, h->now_us), 0);
  harness_client(h, &h->client, "tester", 11);
  harness_worker(h, &h->worker, "worker", 22, 4);
}

static inline void harness_forget(TestPeer *peer) {
  for (int i = 0; i < HEARD_MAX; i++) {
    buffer_done(&peer->heard[i].header_bytes);
    buffer_done(&peer->heard[i].body);
  }
}

static inline void harness_stop(Harness *h) {
  core_destroy(&h->core);
  harness_forget(&h->client);
  harness_forget(&h->worker);
  harness_forget(&h->other);
  harness_forget(&h->third);
}

#endif
