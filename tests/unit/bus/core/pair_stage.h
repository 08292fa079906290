/* What:      one node of the authority machine, with a clock and a disk of the test's own.
 * Owns:      a Stage its machine, until pair_destroy.
 * May use:   bus/core.
 * Threading: one thread.
 * Spec:      - */
#ifndef PONS_TESTS_PAIR_STAGE_H
#define PONS_TESTS_PAIR_STAGE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus/core/pair.h"

enum { KINDS = PAIR_DO_ANSWER + 1, SAYS = PAIR_SAY_HAND_OVER + 1 };

/* One node, what it did last of each kind, and how often. */
typedef struct Stage {
  Pair *pair;
  uint64_t now_us;
  uint64_t vote_us;
  int n[KINDS];
  PairAction last[KINDS];
  int said[SAYS];
  PairMessage message[SAYS];
  Lease lease;
} Stage;

static inline void on_act(void *userdata, const PairAction *action) {
  Stage *s = userdata;

  s->n[action->kind]++;
  s->last[action->kind] = *action;
  if (action->message) {
    s->said[action->message->kind]++;
    s->message[action->message->kind] = *action->message;
  }
  if (action->lease)
    s->lease = *action->lease;
}

static inline void give(Stage *s, PairEvent event) {
  pair_step(s->pair, &event, s->now_us);
}

static inline void hear(Stage *s, PairNode from, PairMessage message) {
  pair_receive(s->pair, from, &message, s->now_us);
}

static inline void sync_disk(Stage *s) {
  give(s, (PairEvent){.kind = PAIR_ON_PERSISTED, .serial = s->last[PAIR_DO_PERSIST].serial});
}

static inline void pass(Stage *s, uint64_t us) {
  for (uint64_t end = s->now_us + us; s->now_us < end;) {
    s->now_us = min_u64(end, max_u64(s->now_us, pair_next_us(s->pair)));
    pair_tick(s->pair, s->now_us);
  }
}

static inline void start_with(Stage *s, const PairOptions *options, PairRecord disk) {
  PairSink sink = {on_act, s};

  *s = (Stage){.now_us = 1000, .vote_us = options->vote_us};
  assert_int_equal(pair_new(&s->pair, options, &sink), 0);
  give(s, (PairEvent){.kind = PAIR_ON_STARTED, .record = disk, .life = 7});
}

static inline void start(Stage *s, PairNode node, bool witness) {
  PairOptions options = pair_options_default(node, witness);

  start_with(s, &options, (PairRecord){0});
}

/* A broker that leads with its peer's vote: it has waited out its start, asked, and was given it. */
static inline void start_leader(Stage *s) {
  start(s, PAIR_A, false);
  give(s, (PairEvent){.kind = PAIR_ON_PEER_UP});
  pass(s, s->vote_us);
  assert_int_equal(pair_state(s->pair), PAIR_CANDIDATE);
  PairMessage vote = s->message[PAIR_SAY_ASK];
  vote.kind = PAIR_SAY_GIVE;
  hear(s, PAIR_B, vote);
  sync_disk(s);
  assert_int_equal(pair_state(s->pair), PAIR_LEADER);
}

static inline void ask(Stage *s, PairEventKind kind, const char *name, uint64_t holder, LeaseToken token,
                       bool may_double) {
  LeaseAsk lease = {text_of(name), {holder}, token, US_PER_S, may_double};

  give(s, (PairEvent){.kind = kind, .lease = &lease});
}

static inline void expect_refused(Stage *s, LeaseRefusal refusal) {
  assert_int_equal(s->last[PAIR_DO_REFUSE].refusal, refusal);
  s->last[PAIR_DO_REFUSE].refusal = (LeaseRefusal)99;
}

/* A follower that has the leader's table with one lease in it, of holder 1. */
static inline void start_follower(Stage *s, bool witness) {
  PairMessage change = {.kind = PAIR_SAY_REPLICATE, .epoch = 2, .position = 1, .change = PAIR_CLEAR};

  start(s, PAIR_B, witness);
  pass(s, 3 * s->vote_us / 100);
  hear(s, PAIR_A, (PairMessage){.kind = PAIR_SAY_ASK, .epoch = 2, .leading = true});
  sync_disk(s);
  give(s, (PairEvent){.kind = PAIR_ON_PEER_UP, .seen = 2});
  hear(s, PAIR_A, change);
  change.position = 2;
  change.change = PAIR_PUT;
  change.lease = (Lease){.name = "hub", .holder = {1}, .token = {2, 1}, .duration_us = US_PER_S};
  hear(s, PAIR_A, change);
  assert_int_equal(s->message[PAIR_SAY_HAVE].position, 2);
  s->now_us += 1000;
}

#endif
