/* What:      a small broker for tests, in the same loop as what is tested: welcomes, answers PING, keeps every other message
 *            until the test takes it, sends what the test says.
 * Owns:      its ROUTER, its folder, the messages that were not taken.
 * May use:   loop, wire.
 * Threading: the loop thread.
 * Spec:      docs/protocol.md */
#ifndef PONS_TESTS_FAKE_H
#define PONS_TESTS_FAKE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "bus/base/list.h"
#include "bus/loop/loop.h"
#include "bus/loop/socket.h"
#include "bus/wire/pack.h"
#include "bus/wire/session.h"

enum { FAKE_PATIENCE_US = 10000000 };

/* A message as it came. */
typedef struct Taken {
  List in_fake;
  Header header; /* borrows from bytes */
  Bytes body;
  uint8_t bytes[];
} Taken;

typedef struct Fake {
  Loop *loop;
  Socket *socket;
  char folder[64];
  char endpoint[128];
  uint32_t peer; /* who spoke last */

  uint64_t incarnation;
  uint64_t session;
  uint32_t hellos;
  uint32_t pings;
  uint32_t frames; /* ZeroMQ messages */
  uint32_t ping_interval_us;
  uint32_t ping_timeout_us;
  Status refuse;           /* HELLO is answered with this; OK = WELCOME */
  bool mute;               /* answers no PING */
  bool deaf;               /* answers no HELLO */
  bool warming;            /* says so in WELCOME */
  uint64_t kept_max_bytes; /* in WELCOME; 0: it says none */
  uint32_t features;
  uint32_t mismatches;
  Kind wanted;
  List taken;
} Fake;

/* Sends one message to whoever spoke last. */
static inline void fake_send(Fake *fake, const Header *header, Bytes body) {
  _cleanup_(buffer_done) Buffer buffer = {0};

  header_encode(header, &buffer);
  assert_int_equal(socket_send(fake->socket, fake->peer, buffer_bytes(&buffer), body, NULL), 0);
}

static inline void fake_welcome(Fake *fake) {
  _cleanup_(buffer_done) Buffer body = {0};
  Header header = {.kind = KIND_WELCOME, .session = {++fake->session}};
  Mismatch mismatch = {
      .service = TEXT("echo"), .method = TEXT("say"), .caller = TEXT("me"), .caller_hash = 1, .callee_hash = 2};
  Welcome welcome = {
      .version = 1,
      .session = fake->session,
      .broker = TEXT("fake"),
      .site = TEXT("here"),
      .incarnation = fake->incarnation,
      .ping_interval_us = fake->ping_interval_us,
      .ping_timeout_us = fake->ping_timeout_us,
      .idle_interval_us = TIME_IDLE_INTERVAL_US,
      .body_max_bytes = LIMIT_BODY_BYTES,
      .outstanding_max = LIMIT_CLIENT_REQUESTS,
      .has_kept_max_bytes = fake->kept_max_bytes > 0,
      .kept_max_bytes = fake->kept_max_bytes,
      .has_features = fake->features > 0,
      .features = fake->features,
      .has_warming = true,
      .warming = fake->warming,
      .has_mismatches = fake->mismatches > 0,
      .mismatches = {&mismatch, fake->mismatches},
  };

  assert_int_equal(contract_encode(CONTRACT(Welcome), &welcome, &body, NULL), 0);
  fake_send(fake, &header, buffer_bytes(&body));
}

/* Sends ERROR with a sentence. */
static inline void fake_error(Fake *fake, RequestId id, Status status, const char *message, uint64_t retry_after_us) {
  _cleanup_(buffer_done) Buffer buffer = {0};
  Header header = {.kind = KIND_ERROR, .id = id, .status = status};
  ErrorBody body = {
      .message = text_of(message), .has_retry_after_us = retry_after_us > 0, .retry_after_us = retry_after_us};

  assert_int_equal(contract_encode(CONTRACT(ErrorBody), &body, &buffer, NULL), 0);
  fake_send(fake, &header, buffer_bytes(&buffer));
}

static inline void fake_keep(Fake *fake, Bytes header, Bytes body) {
  Taken *taken = malloc(sizeof *taken + header.size + body.size);

  assert_non_null(taken);
  *taken = (Taken){.body = {taken->bytes + header.size, body.size}};
  memcpy(taken->bytes, header.data, header.size);
  if (body.size)
    memcpy(taken->bytes + header.size, body.data, body.size);
  assert_int_equal(header_decode((Bytes){taken->bytes, header.size}, &taken->header), 0);
  list_push(&fake->taken, &taken->in_fake);
}

static inline void fake_message(Fake *fake, Bytes bytes, Bytes body) {
  Header header;
  Header pong = {.kind = KIND_PONG};

  assert_int_equal(header_decode(bytes, &header), 0);
  switch (header.kind) {
  case KIND_PACK:
    for (Bytes rest = body, at; pack_next(&rest, &at, &body) == 0;)
      fake_message(fake, at, body);
    break;
  case KIND_HELLO:
    fake->hellos++;
    fake_keep(fake, bytes, body);
    if (fake->refuse != STATUS_OK)
      fake_error(fake, (RequestId){{0}, 0}, fake->refuse, "refused for the test", 0);
    else if (!fake->deaf)
      fake_welcome(fake);
    break;
  case KIND_PING:
    fake->pings++;
    pong.number = header.number;
    if (!fake->mute)
      fake_send(fake, &pong, BYTES_NONE);
    break;
  default:
    fake_keep(fake, bytes, body);
    break;
  }
}

static inline void on_fake_ready(void *userdata) {
  Fake *fake = userdata;
  SocketMessage in;
  SocketEvent event;

  while (socket_next_event(fake->socket, &event) == 0)
    continue;
  while (socket_receive(fake->socket, &in) == 0) {
    fake->peer = in.peer;
    fake->frames++;
    fake_message(fake, in.header, in.body);
    socket_message_done(&in);
  }
}

/* Binds, anew after fake_stop: then it is another process of the same broker. */
static inline void fake_start(Fake *fake) {
  SocketHandler handler = {on_fake_ready, fake};

  fake->incarnation++;
  assert_int_equal(socket_new(fake->loop, SOCKET_ROUTER, 0, &handler, &fake->socket), 0);
  assert_int_equal(socket_bind(fake->socket, fake->endpoint), 0);
}

static inline void fake_stop(Fake *fake) {
  socket_destroy(&fake->socket);
}

/* Makes its folder and endpoint; binds when there is a loop, else after the test has set one, by fake_start. */
static inline void fake_init(Fake *fake, Loop *loop) {
  *fake = (Fake){.loop = loop, .incarnation = 1000, .ping_interval_us = 1000000, .ping_timeout_us = 1000000};
  list_init(&fake->taken);
  snprintf(fake->folder, sizeof fake->folder, "/tmp/pons-fake-XXXXXX");
  assert_non_null(mkdtemp(fake->folder));
  snprintf(fake->endpoint, sizeof fake->endpoint, "ipc://%s/bus", fake->folder);
  if (loop)
    fake_start(fake);
}

static inline void fake_done(Fake *fake) {
  LIST_EACH (&fake->taken, Taken, in_fake, taken) {
    list_remove(&taken->in_fake);
    free(taken);
  }
  fake_stop(fake);
  unlink(fake->endpoint + sizeof "ipc://" - 1);
  rmdir(fake->folder);
}

static inline bool fake_has(void *userdata) {
  Fake *fake = userdata;

  LIST_EACH (&fake->taken, Taken, in_fake, taken) {
    if (taken->header.kind == fake->wanted)
      return true;
  }
  return false;
}

/* Turns the loop until a message of that kind is there, and takes the first. The caller frees it. */
static inline Taken *fake_take(Fake *fake, Kind kind) {
  fake->wanted = kind;
  if (loop_run_until(fake->loop, fake_has, fake, clock_monotonic_us() + FAKE_PATIENCE_US) != 0)
    fail_msg("no %s came", kind_name(kind));
  LIST_EACH (&fake->taken, Taken, in_fake, taken) {
    if (taken->header.kind == kind) {
      list_remove(&taken->in_fake);
      return taken;
    }
  }
  return NULL;
}

/* How many messages of that kind have come and were not taken. */
static inline uint32_t fake_count(const Fake *fake, Kind kind) {
  uint32_t n = 0;

  LIST_EACH (&fake->taken, Taken, in_fake, taken)
    n += taken->header.kind == kind;
  return n;
}

/* Turns the loop for so long. */
static inline bool fake_never(void *userdata) {
  (void)userdata;
  return false;
}

static inline void fake_run(Fake *fake, uint64_t us) {
  assert_int_equal(loop_run_until(fake->loop, fake_never, NULL, clock_monotonic_us() + us), -ETIMEDOUT);
}

/* Turns the loop until done(userdata). */
static inline void fake_until(Fake *fake, bool (*done)(void *userdata), void *userdata) {
  assert_int_equal(loop_run_until(fake->loop, done, userdata, clock_monotonic_us() + FAKE_PATIENCE_US), 0);
}

/* Answers a request with body. */
static inline void fake_reply(Fake *fake, RequestId id, Bytes body) {
  Header header = {.kind = KIND_REPLY, .id = id};

  fake_send(fake, &header, body);
}

#endif
