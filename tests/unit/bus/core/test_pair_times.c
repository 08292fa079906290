/* The authority machine's times: when who waits for a lease or a vote may have it, and what a suspended machine believes. */
#include "tests/unit/bus/core/pair_stage.h"

/* Its leader has died, and its port refuses. */
static void lose_leader(Stage *s) {
  give(s, (PairEvent){.kind = PAIR_ON_PEER_DOWN});
  give(s, (PairEvent){.kind = PAIR_ON_PEER_REFUSED, .sent_us = s->now_us});
}

static uint64_t again_us(const Stage *s, LeaseRefusal refusal) {
  return pair_ask_again_us(s->pair, refusal, NULL, s->now_us);
}

/* Not a vote from each of its refusals, or who waits would wait for ever. */
static void test_leases_of_the_dead_are_waited_for_once(void **state) {
  LeaseAsk ask_ = {.name = TEXT("other"), .holder = {1}, .duration_us = US_PER_S};
  uint64_t died_us;
  Stage s;

  (void)state;
  start_follower(&s, false);
  died_us = s.now_us;
  lose_leader(&s);
  for (int i = 0; i < 3; i++) { /* its disk takes its time */
    s.now_us += 100 * US_PER_MS;
    give(&s, (PairEvent){.kind = PAIR_ON_PEER_REFUSED, .sent_us = s.now_us});
  }
  sync_disk(&s);
  assert_int_equal(pair_state(s.pair), PAIR_LEADER);
  ask(&s, PAIR_ON_LEASE_REQUESTED, "other", 1, (LeaseToken){0}, false);
  expect_refused(&s, LEASE_WAITING);
  assert_int_equal(again_us(&s, LEASE_WAITING), died_us + s.vote_us - s.now_us);
  s.now_us += again_us(&s, LEASE_WAITING) - 1;
  give(&s, (PairEvent){.kind = PAIR_ON_PEER_REFUSED, .sent_us = s.now_us});
  give(&s, (PairEvent){.kind = PAIR_ON_LEASE_REQUESTED, .lease = &ask_});
  assert_int_equal(s.n[PAIR_DO_GRANT], 0);
  s.now_us++;
  give(&s, (PairEvent){.kind = PAIR_ON_LEASE_REQUESTED, .lease = &ask_});
  assert_int_equal(s.n[PAIR_DO_GRANT], 1);
  pair_destroy(&s.pair);
}

/* It may have been started anew and have led, after the first death was proved. */
static void test_a_second_death_is_waited_for_anew(void **state) {
  Stage s;

  (void)state;
  start_follower(&s, false);
  lose_leader(&s);
  s.now_us += vote_counted_us(s.vote_us);
  give(&s, (PairEvent){.kind = PAIR_ON_PEER_REFUSED, .sent_us = s.now_us});
  sync_disk(&s);
  assert_int_equal(pair_state(s.pair), PAIR_LEADER);
  assert_int_equal(again_us(&s, LEASE_WAITING), s.vote_us);
  pair_destroy(&s.pair);
}

static void test_who_is_refused_hears_when_to_ask_again(void **state) {
  PairOptions options = pair_options_default(PAIR_B, true);
  Lease row = {.until_us = 0};
  Stage s;

  (void)state;
  start_with(&s, &options, (PairRecord){0});
  assert_int_equal(again_us(&s, LEASE_NOT_LEADER), options.retry_us); /* nothing is known sooner */
  assert_int_equal(again_us(&s, LEASE_MOVING), options.retry_us);
  row.until_us = s.now_us + 5;
  assert_int_equal(pair_ask_again_us(s.pair, LEASE_HELD, &row, s.now_us), 5);
  assert_int_equal(pair_ask_again_us(s.pair, LEASE_HELD, &row, s.now_us + 6), 0);
  pass(&s, s.vote_us + options.retry_us - 10 * US_PER_MS);
  assert_int_equal(again_us(&s, LEASE_NOT_LEADER), 10 * US_PER_MS); /* when it stands */
  pass(&s, 10 * US_PER_MS);
  assert_int_equal(pair_state(s.pair), PAIR_CANDIDATE);
  assert_int_equal(again_us(&s, LEASE_NOT_LEADER), options.retry_us / 20); /* it may lead in a moment */
  pass(&s, 30 * US_PER_MS);
  assert_int_equal(again_us(&s, LEASE_NOT_LEADER), 30 * US_PER_MS);
  pass(&s, s.vote_us);
  assert_int_equal(again_us(&s, LEASE_NOT_LEADER), options.retry_us); /* it stands in vain */
  pair_destroy(&s.pair);
}

/* What a follower has promised to its leader ends for the leader first, so nobody stands with it. */
static void test_a_follower_stands_when_its_promise_is_over(void **state) {
  uint64_t promised_us;
  Stage s;

  (void)state;
  start_follower(&s, true);
  hear(&s, PAIR_A, (PairMessage){.kind = PAIR_SAY_ASK, .epoch = 2, .leading = true});
  promised_us = s.now_us;
  give(&s, (PairEvent){.kind = PAIR_ON_PEER_DOWN});
  pass(&s, s.vote_us - 1);
  assert_int_equal(pair_state(s.pair), PAIR_FOLLOWER);
  pass(&s, 1);
  assert_int_equal(s.now_us, promised_us + s.vote_us);
  assert_int_equal(pair_state(s.pair), PAIR_CANDIDATE);
  pair_destroy(&s.pair);
}

static void test_a_vote_is_asked_for_when_it_is_free(void **state) {
  PairMessage no;
  Stage s;
  int asked;

  (void)state;
  start(&s, PAIR_A, true);
  pass(&s, s.vote_us);
  no = s.message[PAIR_SAY_ASK];
  no.kind = PAIR_SAY_DENY;
  no.wait_us = 30 * US_PER_MS;
  hear(&s, PAIR_WITNESS, no);
  asked = s.said[PAIR_SAY_ASK];
  pass(&s, no.wait_us - 1);
  assert_int_equal(s.said[PAIR_SAY_ASK], asked);
  pass(&s, 1);
  assert_int_equal(s.said[PAIR_SAY_ASK], asked + 2); /* of the peer and of the witness */
  no = s.message[PAIR_SAY_ASK];
  no.kind = PAIR_SAY_DENY;
  for (int i = 0; i < 2; i++) { /* not later than without a word, and not in a whirl */
    no.wait_us = i ? 1 : UINT64_MAX;
    hear(&s, PAIR_WITNESS, no);
    assert_true(pair_next_us(s.pair) >= s.now_us + US_PER_MS && pair_next_us(s.pair) <= s.now_us + 100 * US_PER_MS);
  }
  pair_destroy(&s.pair);
}

static void test_who_denies_says_for_how_long(void **state) {
  Stage s;

  (void)state;
  start(&s, PAIR_WITNESS, true);
  pass(&s, s.vote_us);
  hear(&s, PAIR_A, (PairMessage){.kind = PAIR_SAY_ASK, .epoch = 2});
  pass(&s, US_PER_S);
  hear(&s, PAIR_B, (PairMessage){.kind = PAIR_SAY_ASK, .epoch = 3});
  sync_disk(&s);
  assert_int_equal(s.message[PAIR_SAY_GIVE].wait_us, 0);
  assert_int_equal(s.message[PAIR_SAY_DENY].wait_us, s.vote_us - US_PER_S);
  pair_destroy(&s.pair);

  start_leader(&s); /* its own vote is its own for as long as it leads */
  hear(&s, PAIR_B, (PairMessage){.kind = PAIR_SAY_ASK, .epoch = 3});
  sync_disk(&s);
  assert_int_equal(s.said[PAIR_SAY_DENY], 1);
  assert_int_equal(s.message[PAIR_SAY_DENY].wait_us, 0);
  pair_destroy(&s.pair);
}

static void test_a_suspended_machine_believes_nothing(void **state) {
  PairOptions options = pair_options_default(PAIR_A, false);
  PairMessage vote;
  Stage s;

  (void)state;
  start_leader(&s);
  give(&s, (PairEvent){.kind = PAIR_ON_SLEPT});
  assert_int_equal(s.last[PAIR_DO_STEP_DOWN].reason, PAIR_SLEPT);
  pair_destroy(&s.pair);

  start(&s, PAIR_A, true); /* a candidate that has all but its disk */
  pass(&s, s.vote_us);
  vote = s.message[PAIR_SAY_ASK];
  vote.kind = PAIR_SAY_GIVE;
  hear(&s, PAIR_WITNESS, vote);
  give(&s, (PairEvent){.kind = PAIR_ON_SLEPT});
  sync_disk(&s);
  assert_int_equal(pair_state(s.pair), PAIR_CANDIDATE);
  pass(&s, options.retry_us);
  vote = s.message[PAIR_SAY_ASK];
  vote.kind = PAIR_SAY_GIVE;
  hear(&s, PAIR_WITNESS, vote);
  assert_int_equal(pair_state(s.pair), PAIR_LEADER);
  pair_destroy(&s.pair);

  start_follower(&s, false); /* who was dead when it fell asleep may have been started since */
  lose_leader(&s);
  give(&s, (PairEvent){.kind = PAIR_ON_SLEPT});
  sync_disk(&s);
  assert_int_equal(pair_state(s.pair), PAIR_CANDIDATE);
  pair_destroy(&s.pair);

  options.alone = true; /* nobody else counts */
  start_with(&s, &options, (PairRecord){0});
  pass(&s, s.vote_us);
  sync_disk(&s);
  give(&s, (PairEvent){.kind = PAIR_ON_SLEPT});
  assert_int_equal(pair_state(s.pair), PAIR_LEADER);
  pair_destroy(&s.pair);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_leases_of_the_dead_are_waited_for_once),
      cmocka_unit_test(test_a_second_death_is_waited_for_anew),
      cmocka_unit_test(test_who_is_refused_hears_when_to_ask_again),
      cmocka_unit_test(test_a_follower_stands_when_its_promise_is_over),
      cmocka_unit_test(test_a_vote_is_asked_for_when_it_is_free),
      cmocka_unit_test(test_who_denies_says_for_how_long),
      cmocka_unit_test(test_a_suspended_machine_believes_nothing),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
