/* What:      a core with peers at it, for tests: messages go in by hand, what comes out is kept and can be looked at.
 * Owns:      a Harness owns its core and what was heard.
 * May use:   base, wire, core, cmocka.
 * Threading: one thread.
 * Spec:      docs/protocol.md */
#ifndef PONS_TESTS_UNIT_CORE_HARNESS_H
#define PONS_TESTS_UNIT_CORE_HARNESS_H

#include <stdlib.h>

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
  TestPeer client;
  TestPeer worker; /* service echo: say and stream idempotent, once */
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
  assert_int_equal(contract_encode(CONTRACT(Hello), hello, &body, NULL), 0);
  harness_give(h, peer, &header, buffer_bytes(&body));
}

static inline void harness_credit(Harness *h, TestPeer *peer, uint32_t credit) {
  Header header = {.kind = KIND_CREDIT, .credit = credit, .session = peer->welcome};

  harness_give(h, peer, &header, BYTES_NONE);
}

/* An instance of `echo` called name with credit. */
static inline void harness_worker(Harness *h, TestPeer *peer, const char *name, uint64_t client, uint32_t credit) {
  static const HelloMethod methods[] = {{.method = TEXT("say"), .has_flags = true, .flags = METHOD_IDEMPOTENT},
                                        {.method = TEXT("stream"), .has_flags = true, .flags = METHOD_IDEMPOTENT},
                                        {.method = TEXT("once"), .has_flags = true, .flags = METHOD_ONCE}};
  static const HelloService services[] = {{.service = TEXT("echo"), .methods = {methods, 3}}};
  Hello hello = {.version = 1, .client = client, .agent = text_of(name), .incarnation = client};

  hello.has_services = true;
  hello.services.items = services;
  hello.services.count = 1;
  harness_hello(h, peer, &hello);
  harness_credit(h, peer, credit);
}

/* Asks with a deadline of a second and the next id of the peer, which is returned. */
static inline RequestId harness_ask(Harness *h, TestPeer *peer, const char *service, const char *method, Bytes body) {
  Header header = {.kind = KIND_REQUEST, .id = {peer->client, ++peer->sequence}, .service = text_of(service),
                   .method = text_of(method), .deadline_us = 1000000};

  harness_give(h, peer, &header, body);
  return header.id;
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
  Hello hello = {.version = 1, .client = 11, .agent = TEXT("tester"), .incarnation = 1};

  *h = (Harness){.now_us = 1000000};
  assert_int_equal(core_new(&h->core, options ? options : &defaults, &sink, h->now_us), 0);
  harness_hello(h, &h->client, &hello);
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
}

#endif
