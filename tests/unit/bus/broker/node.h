/* What:      another node of the peer link, for whom the test speaks: it hears what is said to it and says what it is told to.
 * Owns:      its two sockets, what it has heard.
 * May use:   wire, loop.
 * Threading: one thread.
 * Spec:      docs/protocol.md, "Peer link" */
#ifndef PONS_TESTS_NODE_H
#define PONS_TESTS_NODE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "bus/base/buffer.h"
#include "bus/base/clock.h"
#include "bus/core/vote.h"
#include "bus/loop/loop.h"
#include "bus/loop/socket.h"
#include "bus/wire/arena.h"
#include "bus/wire/peer.h"

enum { NODE_PATIENCE_US = 20000000, NODE_VOTE_US = 600000 };

typedef struct Node {
  Loop *loop;
  PairNode id;
  Socket *router; /* at which it hears */
  Socket *dealer; /* by which it speaks */
  char endpoint[96];
  uint64_t life;
  uint64_t vote_us;
  uint64_t number; /* of its last beat */
  PeerBeat beat;   /* the last that it has heard, without its texts */
  uint64_t beat_life;
  uint32_t beats;
  char kind[16]; /* the last message that is no beat, and how many of its kind in a row */
  uint32_t n;
  uint32_t beats_before; /* that */
  Buffer body;
  const char *want; /* the first change of this kind that it hears is kept */
  uint64_t position;
  uint64_t log_life;
  Buffer change;
} Node;

/* The log of the other: the change that is wanted. */
static inline void node_take_log(Node *node, Bytes body) {
  _cleanup_(arena_done) Arena arena = {0};
  PeerLog log;

  assert_int_equal(contract_decode(CONTRACT(PeerLog), body, &arena, &log, NULL), 0);
  for (size_t i = 0; i < log.changes.count; i++) {
    if (!node->want || node->position > 0 || !text_is(log.changes.items[i].kind, node->want))
      continue;
    node->position = log.position + i;
    node->log_life = log.life;
    buffer_append(&node->change, log.changes.items[i].body.data, log.changes.items[i].body.size);
  }
}

static inline void node_take(Node *node, const SocketMessage *message) {
  PeerHeader header;

  assert_int_equal(contract_decode(CONTRACT(PeerHeader), message->header, NULL, &header, NULL), 0);
  if (text_is(header.kind, "beat")) {
    assert_int_equal(contract_decode(CONTRACT(PeerBeat), message->body, NULL, &node->beat, NULL), 0);
    node->beat.broker = TEXT_NONE;
    node->beat_life = header.life;
    node->beats++;
    return;
  }
  node->n = text_is(header.kind, node->kind) ? node->n + 1 : 1;
  node->beats_before = node->beats;
  snprintf(node->kind, sizeof node->kind, "%.*s", TEXT_ARG(header.kind));
  buffer_clear(&node->body);
  buffer_append(&node->body, message->body.data, message->body.size);
  if (text_is(header.kind, "log"))
    node_take_log(node, message->body);
}

static inline void node_drain(Node *node, Socket *socket) {
  SocketMessage message;
  SocketEvent event;

  while (socket && socket_next_event(socket, &event) == 0)
    continue;
  while (socket && socket_receive(socket, &message) == 0) {
    node_take(node, &message);
    socket_message_done(&message);
  }
}

static inline void on_node_ready(void *userdata) {
  Node *node = userdata;

  node_drain(node, node->router);
  node_drain(node, node->dealer);
}

static inline void node_listen(Node *node, const char *endpoint) {
  SocketHandler handler = {on_node_ready, node};

  assert_int_equal(socket_new(node->loop, SOCKET_ROUTER, 0, &handler, &node->router), 0);
  assert_int_equal(socket_bind(node->router, endpoint), 0);
}

/* Listens; to whom it speaks is told by node_connect. */
static inline void node_init(Node *node, Loop *loop, PairNode id) {
  *node = (Node){.loop = loop, .id = id, .life = 1000 + (uint64_t)id, .vote_us = NODE_VOTE_US};
  node_listen(node, "tcp://127.0.0.1:*");
  socket_endpoint(node->router, node->endpoint, sizeof node->endpoint);
}

static inline void node_connect(Node *node, const char *endpoint) {
  SocketHandler handler = {on_node_ready, node};

  assert_int_equal(socket_new(node->loop, SOCKET_DEALER, 0, &handler, &node->dealer), 0);
  assert_int_equal(socket_connect(node->dealer, endpoint), 0);
}

/* Its process is dead: the port is closed. */
static inline void node_die(Node *node) {
  socket_destroy(&node->router);
  socket_destroy(&node->dealer);
}

static inline void node_done(Node *node) {
  node_die(node);
  buffer_done(&node->body);
  buffer_done(&node->change);
}

static inline bool node_never(void *userdata _unused_) {
  return false;
}

/* Turns the loop for so long. */
static inline void node_run(Node *node, uint64_t us) {
  assert_int_equal(loop_run_until(node->loop, node_never, NULL, clock_monotonic_us() + us), -ETIMEDOUT);
}

/* Says a message as the node from; until its connection is there it waits for it. */
static inline void node_say_as(Node *node, PairNode from, const char *kind, Bytes body) {
  PeerHeader header = {.kind = text_of(kind), .from = from, .life = node->life};
  _cleanup_(buffer_done) Buffer bytes = {0};
  uint64_t due_us = clock_monotonic_us() + NODE_PATIENCE_US;

  if (contract_encode(CONTRACT(PeerHeader), &header, &bytes, NULL) != 0)
    buffer_append(&bytes, kind, strlen(kind)); /* no kind: rubbish */
  while (socket_send(node->dealer, 0, buffer_bytes(&bytes), body, NULL) < 0 && clock_monotonic_us() < due_us)
    node_run(node, 1000);
}

static inline void node_say(Node *node, const char *kind, const Contract *contract, const void *value) {
  _cleanup_(buffer_done) Buffer body = {0};

  assert_int_equal(contract_encode(contract, value, &body, NULL), 0);
  node_say_as(node, node->id, kind, buffer_bytes(&body));
}

/* Says a beat that has heard the last of the other's, of that life of his. */
static inline void node_beat_of_life(Node *node, uint64_t life, uint64_t leads) {
  PeerBeat beat = {.number = ++node->number,
                   .has_heard = life > 0,
                   .heard = node->beat.number,
                   .has_heard_life = life > 0,
                   .heard_life = life,
                   .seen = 40,
                   .has_leads = leads > 0,
                   .leads = leads,
                   .has_told = true,
                   .told = 7,
                   .broker = TEXT("other"),
                   .vote_us = node->vote_us};

  node_say(node, "beat", CONTRACT(PeerBeat), &beat);
}

static inline void node_beat(Node *node) {
  node_beat_of_life(node, node->beat_life, 0);
}

/* Beats until done(userdata), or fails. */
static inline void node_beat_until(Node *node, bool (*done)(void *userdata), void *userdata) {
  uint64_t due_us = clock_monotonic_us() + NODE_PATIENCE_US;

  while (!done(userdata)) {
    assert_true(clock_monotonic_us() < due_us);
    node_beat(node);
    node_run(node, 2000);
  }
}

/* Turns the loop, without a word, until done(userdata), or fails. */
static inline void node_wait(Node *node, bool (*done)(void *userdata), void *userdata) {
  assert_int_equal(loop_run_until(node->loop, done, userdata, clock_monotonic_us() + NODE_PATIENCE_US), 0);
}

#endif
