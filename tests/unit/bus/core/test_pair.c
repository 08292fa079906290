/* The authority machine, rule by rule, with a clock and a disk of the test's own. Random histories: tests/sim/pairs.c. */
#include "bus/core/pair-internal.h"
#include "tests/unit/bus/core/pair_stage.h"

/* Static: no cell is empty, and what is ignored says why. */
static void test_the_table_is_full(void **state) {
  int rows[PAIR_EVENTS] = {0}, handled = 0;

  (void)state;
#define ROW(event, ...) rows[PAIR_ON_##event]++;
#include "bus/core/pair.def"
#undef ROW
  for (int event = 0; event < PAIR_EVENTS; event++) {
    assert_int_equal(rows[event], 1);
    for (int at = 0; at < PAIR_STATES; at++) {
      const char *reason = pair_ignored((PairState)at, (PairEventKind)event);
      handled += !reason;
      assert_true(!reason || strlen(reason) > 10);
    }
  }
  assert_true(handled > 80);
  assert_string_equal(pair_state_name(PAIR_CARETAKER), "CARETAKER");
  assert_string_equal(pair_event_name(PAIR_ON_TIMER), "TIMER");
}

static void test_options_that_cannot_work_are_refused(void **state) {
  PairOptions options = pair_options_default(PAIR_A, true);

  (void)state;
  assert_int_equal(pair_options_check(&options), PAIR_E_NONE);
  options.takeover = PAIR_AFTER_LEASE;
  assert_int_equal(pair_options_check(&options), PAIR_E_AFTER_LEASE);
  options.has_witness = false;
  options.renew_us = options.vote_us / 2;
  assert_int_equal(pair_options_check(&options), PAIR_E_TIMES);
  assert_non_null(strstr(pair_error_text(PAIR_E_AFTER_LEASE), "remove the witness"));
  options = pair_options_default(PAIR_A, true);
  options.alone = true;
  assert_int_equal(pair_options_check(&options), PAIR_E_ALONE);
}

static void test_epochs_and_margins(void **state) {
  (void)state;
  assert_int_equal(epoch_next(0, PAIR_A), 2);
  assert_int_equal(epoch_next(0, PAIR_B), 1);
  assert_int_equal(epoch_next(2, PAIR_A), 4);
  assert_false(epoch_is_of(2, PAIR_B) || epoch_is_of(0, PAIR_A) || epoch_is_of(EPOCH_HIGHEST + 1, PAIR_B));
  /* A candidate's clock 1 % slow, the voter's 1 % fast: the vote is over for the candidate first. */
  assert_true(vote_counted_us(1000000) * 101 <= UINT64_C(1000000) * 99);
  assert_true(lease_holder_until_us(0, 1000000) * 101 < UINT64_C(1000000) * 99);
}

static void test_a_vote_is_on_disk_before_it_is_given(void **state) {
  Stage s;

  (void)state;
  start(&s, PAIR_WITNESS, true);
  pass(&s, s.vote_us);
  hear(&s, PAIR_A, (PairMessage){.kind = PAIR_SAY_ASK, .epoch = 2, .ask_us = 5, .life = 9});
  assert_int_equal(s.n[PAIR_DO_PERSIST], 1);
  assert_int_equal(s.last[PAIR_DO_PERSIST].record.vote_epoch, 2);
  assert_int_equal(s.said[PAIR_SAY_GIVE], 0);
  sync_disk(&s);
  assert_int_equal(s.said[PAIR_SAY_GIVE], 1);
  assert_int_equal(s.message[PAIR_SAY_GIVE].ask_us, 5);
  /* To nobody else until it has run out; to the same again without the disk. */
  hear(&s, PAIR_B, (PairMessage){.kind = PAIR_SAY_ASK, .epoch = 3});
  sync_disk(&s);
  assert_int_equal(s.said[PAIR_SAY_DENY], 1);
  hear(&s, PAIR_A, (PairMessage){.kind = PAIR_SAY_ASK, .epoch = 2, .leading = true});
  assert_int_equal(s.said[PAIR_SAY_GIVE], 2);
  pass(&s, s.vote_us);
  hear(&s, PAIR_B, (PairMessage){.kind = PAIR_SAY_ASK, .epoch = 3});
  sync_disk(&s);
  assert_int_equal(s.message[PAIR_SAY_GIVE].epoch, 3);
  pair_destroy(&s.pair);
}

static void test_a_restarted_voter_keeps_its_promise(void **state) {
  PairOptions options = pair_options_default(PAIR_WITNESS, true);
  Stage s;

  (void)state;
  start_with(&s, &options, (PairRecord){.seen = 4, .vote_epoch = 4, .vote_for = PAIR_A});
  hear(&s, PAIR_B, (PairMessage){.kind = PAIR_SAY_ASK, .epoch = 5});
  sync_disk(&s);
  assert_int_equal(s.said[PAIR_SAY_DENY], 1);
  hear(&s, PAIR_B, (PairMessage){.kind = PAIR_SAY_ASK, .epoch = 3});
  assert_int_equal(s.message[PAIR_SAY_DENY].seen, 5);
  hear(&s, PAIR_A, (PairMessage){.kind = PAIR_SAY_ASK, .epoch = 4, .leading = true});
  assert_int_equal(s.said[PAIR_SAY_GIVE], 1);
  pair_destroy(&s.pair);
}

static void test_a_leader_needs_its_own_vote_on_disk_and_a_second(void **state) {
  Stage s;

  (void)state;
  start(&s, PAIR_A, true);
  pass(&s, s.vote_us - 1);
  assert_int_equal(pair_state(s.pair), PAIR_FOLLOWER);
  pass(&s, 1);
  PairMessage vote = s.message[PAIR_SAY_ASK];
  vote.kind = PAIR_SAY_GIVE;
  vote.life = 6; /* of a former life */
  hear(&s, PAIR_WITNESS, vote);
  assert_int_equal(s.n[PAIR_DO_PERSIST], 0);
  vote.life = 7;
  hear(&s, PAIR_WITNESS, vote);
  assert_int_equal(pair_state(s.pair), PAIR_CANDIDATE);
  sync_disk(&s);
  assert_int_equal(pair_state(s.pair), PAIR_LEADER);
  assert_int_equal(pair_until_us(s.pair), vote.ask_us + vote_counted_us(s.vote_us));
  pass(&s, s.vote_us);
  assert_int_equal(s.last[PAIR_DO_STEP_DOWN].reason, PAIR_VOTES_OVER);
  assert_int_equal(pair_until_us(s.pair), 0);
  pair_destroy(&s.pair);
}

static void test_a_leader_gives_up(void **state) {
  Stage s;

  (void)state;
  start_leader(&s);
  give(&s, (PairEvent){.kind = PAIR_ON_LATE, .late_us = 250000});
  assert_int_equal(pair_state(s.pair), PAIR_LEADER);
  give(&s, (PairEvent){.kind = PAIR_ON_LATE, .late_us = 250001});
  assert_int_equal(s.last[PAIR_DO_STEP_DOWN].reason, PAIR_WAS_LATE);
  pair_destroy(&s.pair);

  start_leader(&s);
  give(&s, (PairEvent){.kind = PAIR_ON_HIGHER_EPOCH, .seen = EPOCH_HIGHEST + 2});
  assert_int_equal(pair_state(s.pair), PAIR_LEADER);
  hear(&s, PAIR_B, (PairMessage){.kind = PAIR_SAY_ANNOUNCE, .epoch = 1});
  assert_int_equal(pair_state(s.pair), PAIR_LEADER);
  hear(&s, PAIR_B, (PairMessage){.kind = PAIR_SAY_ANNOUNCE, .epoch = 9});
  assert_int_equal(s.last[PAIR_DO_STEP_DOWN].reason, PAIR_HIGHER_EPOCH);
  assert_int_equal(pair_seen(s.pair), 9);
  pair_destroy(&s.pair);

  start_leader(&s);
  give(&s, (PairEvent){.kind = PAIR_ON_PERSIST_FAILED});
  assert_int_equal(s.last[PAIR_DO_STEP_DOWN].reason, PAIR_DISK_FAILED);
  hear(&s, PAIR_B, (PairMessage){.kind = PAIR_SAY_ASK, .epoch = 9});
  assert_int_equal(s.said[PAIR_SAY_GIVE] + s.said[PAIR_SAY_DENY], 0);
  give(&s, (PairEvent){.kind = PAIR_ON_OPERATOR_LEAD});
  assert_int_equal(s.last[PAIR_DO_ANSWER].error, PAIR_E_NO_DISK);
  pair_destroy(&s.pair);
}

/* A loop that was a little late finds what would have prolonged its authority behind the end of it. */
static void test_what_is_due_comes_first(void **state) {
  Stage s;

  (void)state;
  start_leader(&s);
  pass(&s, 500000); /* it asks anew; the answer is late */
  PairMessage vote = s.message[PAIR_SAY_ASK];
  vote.kind = PAIR_SAY_GIVE;
  s.now_us = pair_until_us(s.pair) + 1000; /* nothing was done meanwhile */
  hear(&s, PAIR_WITNESS, vote);
  assert_int_equal(s.last[PAIR_DO_STEP_DOWN].reason, PAIR_VOTES_OVER);
  assert_int_equal(pair_until_us(s.pair), 0);
  pair_destroy(&s.pair);
}

static void test_leases(void **state) {
  Stage s;

  (void)state;
  start_leader(&s);
  ask(&s, PAIR_ON_LEASE_REQUESTED, "hub", 1, (LeaseToken){0}, false);
  assert_int_equal(s.n[PAIR_DO_GRANT], 1);
  LeaseToken first = s.lease.token;
  assert_int_equal(first.epoch, pair_epoch(s.pair));
  assert_int_equal(s.message[PAIR_SAY_REPLICATE].change, PAIR_PUT);
  ask(&s, PAIR_ON_LEASE_REQUESTED, "hub", 2, (LeaseToken){0}, false);
  expect_refused(&s, LEASE_HELD);
  ask(&s, PAIR_ON_LEASE_RENEWED, "hub", 2, first, false);
  expect_refused(&s, LEASE_LOST);
  ask(&s, PAIR_ON_LEASE_RENEWED, "hub", 1, (LeaseToken){first.epoch, 99}, false);
  expect_refused(&s, LEASE_LOST);
  ask(&s, PAIR_ON_LEASE_RENEWED, "hub", 1, first, false);
  assert_int_equal(s.n[PAIR_DO_GRANT], 2);
  ask(&s, PAIR_ON_LEASE_RELEASED, "hub", 1, first, false);
  assert_int_equal(s.n[PAIR_DO_RELEASED], 1);
  ask(&s, PAIR_ON_LEASE_REQUESTED, "hub", 2, (LeaseToken){0}, false);
  assert_true(token_compare(s.lease.token, first) > 0);
  assert_true(s.lease.until_us <= pair_until_us(s.pair));
  pass(&s, US_PER_S);
  assert_int_equal(s.n[PAIR_DO_LEASE_OVER], 1);
  pair_destroy(&s.pair);
}

static void test_a_renewal_never_shortens(void **state) {
  LeaseAsk lease = {TEXT("hub"), {1}, {0, 0}, 900000, false};
  Stage s;

  (void)state;
  start_leader(&s);
  give(&s, (PairEvent){.kind = PAIR_ON_LEASE_REQUESTED, .lease = &lease});
  uint64_t until_us = s.lease.until_us;
  lease.token = s.lease.token;
  lease.duration_us = 1000;
  give(&s, (PairEvent){.kind = PAIR_ON_LEASE_RENEWED, .lease = &lease});
  assert_int_equal(s.lease.duration_us, 1000);
  assert_int_equal(s.lease.until_us, until_us);
  pair_destroy(&s.pair);
}

static void test_the_table_of_leases_is_bounded(void **state) {
  char name[16];
  Stage s;

  (void)state;
  start_leader(&s);
  for (int i = 0; i <= LEASES_MAX; i++) {
    snprintf(name, sizeof name, "n%d", i);
    ask(&s, PAIR_ON_LEASE_REQUESTED, name, 1, (LeaseToken){0}, false);
  }
  assert_int_equal(s.n[PAIR_DO_GRANT], LEASES_MAX);
  expect_refused(&s, LEASE_FULL);
  pair_destroy(&s.pair);
}

static void test_a_refused_port_is_consent(void **state) {
  Stage s;

  (void)state;
  start_follower(&s, false);
  give(&s, (PairEvent){.kind = PAIR_ON_PEER_REFUSED, .sent_us = s.now_us}); /* while the link is up: of former times */
  assert_int_equal(pair_state(s.pair), PAIR_FOLLOWER);
  give(&s, (PairEvent){.kind = PAIR_ON_PEER_DOWN});
  give(&s, (PairEvent){.kind = PAIR_ON_PEER_REFUSED, .sent_us = s.now_us});
  sync_disk(&s);
  assert_int_equal(pair_state(s.pair), PAIR_LEADER);
  assert_int_equal(pair_epoch(s.pair), 3);
  /* It keeps what it has copied, for whoever has the token, and grants nothing else. */
  ask(&s, PAIR_ON_LEASE_RENEWED, "hub", 1, (LeaseToken){2, 1}, false);
  assert_int_equal(s.n[PAIR_DO_GRANT], 1);
  ask(&s, PAIR_ON_LEASE_REQUESTED, "hub", 1, (LeaseToken){0}, false);
  expect_refused(&s, LEASE_WAITING);
  ask(&s, PAIR_ON_LEASE_REQUESTED, "other", 1, (LeaseToken){0}, false);
  expect_refused(&s, LEASE_WAITING);
  pair_destroy(&s.pair);
}

static void test_with_a_witness_a_refused_port_needs_its_word(void **state) {
  Stage s;

  (void)state;
  start_follower(&s, true);
  give(&s, (PairEvent){.kind = PAIR_ON_PEER_DOWN});
  give(&s, (PairEvent){.kind = PAIR_ON_PEER_REFUSED, .sent_us = s.now_us});
  sync_disk(&s);
  assert_int_equal(pair_state(s.pair), PAIR_CANDIDATE);
  PairMessage answer = s.message[PAIR_SAY_ASK];
  answer.kind = PAIR_SAY_DENY;
  answer.seen = 6; /* the peer has led in 6 without this node */
  hear(&s, PAIR_WITNESS, answer);
  sync_disk(&s);
  assert_int_equal(pair_state(s.pair), PAIR_CANDIDATE);
  answer = s.message[PAIR_SAY_ASK];
  assert_int_equal(answer.epoch, 7);
  answer.kind = PAIR_SAY_DENY;
  answer.seen = 7;
  hear(&s, PAIR_WITNESS, answer);
  sync_disk(&s);
  assert_int_equal(pair_state(s.pair), PAIR_LEADER);
  pair_destroy(&s.pair);
}

static void test_without_a_witness_only_what_may_double_moves(void **state) {
  PairOptions options = pair_options_default(PAIR_B, false);
  Stage s;

  (void)state;
  start_with(&s, &options, (PairRecord){.seen = 2, .vote_epoch = 2, .vote_for = PAIR_A});
  pass(&s, s.vote_us + 2 * options.retry_us);
  assert_int_equal(pair_state(s.pair), PAIR_CARETAKER);
  ask(&s, PAIR_ON_LEASE_REQUESTED, "hub", 1, (LeaseToken){0}, true);
  expect_refused(&s, LEASE_NOT_LEADER); /* its epoch is not on disk */
  sync_disk(&s);
  assert_int_equal(s.n[PAIR_DO_TAKE_CARE], 1);
  ask(&s, PAIR_ON_LEASE_REQUESTED, "hub", 1, (LeaseToken){0}, true);
  assert_int_equal(s.n[PAIR_DO_GRANT], 1);
  ask(&s, PAIR_ON_LEASE_REQUESTED, "ledger", 1, (LeaseToken){0}, false);
  expect_refused(&s, LEASE_NOT_LEADER);
  give(&s, (PairEvent){.kind = PAIR_ON_OPERATOR_LEAD});
  assert_int_equal(s.last[PAIR_DO_ANSWER].error, PAIR_E_NONE);
  sync_disk(&s);
  assert_int_equal(pair_until_us(s.pair), TIME_NEVER);
  pair_destroy(&s.pair);

  options.takeover = PAIR_MANUAL;
  start_with(&s, &options, (PairRecord){0});
  pass(&s, 10 * s.vote_us);
  assert_int_equal(pair_state(s.pair), PAIR_CANDIDATE);
  pair_destroy(&s.pair);
}

static void expect_answer(Stage *s, PairEventKind kind, PairError error) {
  give(s, (PairEvent){.kind = kind});
  assert_int_equal(s->last[PAIR_DO_ANSWER].error, error);
  assert_true(strlen(pair_error_text(error)) > 3);
}

static void test_operators_are_told_why_not(void **state) {
  Stage s;

  (void)state;
  start(&s, PAIR_WITNESS, true);
  expect_answer(&s, PAIR_ON_OPERATOR_LEAD, PAIR_E_IS_WITNESS);
  pair_destroy(&s.pair);
  start(&s, PAIR_B, true);
  expect_answer(&s, PAIR_ON_OPERATOR_LEAD, PAIR_E_HAS_WITNESS);
  expect_answer(&s, PAIR_ON_OPERATOR_YIELD, PAIR_E_FOLLOWER);
  pair_destroy(&s.pair);
  start_leader(&s);
  expect_answer(&s, PAIR_ON_OPERATOR_LEAD, PAIR_E_ALREADY);
  expect_answer(&s, PAIR_ON_OPERATOR_YIELD, PAIR_E_NONE);
  expect_answer(&s, PAIR_ON_OPERATOR_YIELD, PAIR_E_MOVING);
  give(&s, (PairEvent){.kind = PAIR_ON_PEER_DOWN});
  expect_answer(&s, PAIR_ON_OPERATOR_YIELD, PAIR_E_NO_PEER);
  pair_destroy(&s.pair);
}

static void test_a_planned_handover_waits_for_the_copy(void **state) {
  Stage s;

  (void)state;
  start_leader(&s);
  expect_answer(&s, PAIR_ON_OPERATOR_YIELD, PAIR_E_NONE);
  ask(&s, PAIR_ON_LEASE_REQUESTED, "hub", 1, (LeaseToken){0}, false);
  expect_refused(&s, LEASE_MOVING);
  PairMessage have = s.message[PAIR_SAY_REPLICATE];
  have.kind = PAIR_SAY_HAVE;
  hear(&s, PAIR_B, have);
  assert_int_equal(s.last[PAIR_DO_STEP_DOWN].reason, PAIR_HANDED_OVER);
  assert_int_equal(s.said[PAIR_SAY_HAND_OVER], 0);
  sync_disk(&s);
  assert_int_equal(s.said[PAIR_SAY_HAND_OVER], 1);
  assert_int_equal(s.message[PAIR_SAY_HAND_OVER].wait_us, 0);
  hear(&s, PAIR_B, (PairMessage){.kind = PAIR_SAY_ASK, .epoch = 3});
  sync_disk(&s);
  assert_int_equal(s.said[PAIR_SAY_GIVE], 1);
  pair_destroy(&s.pair);

  /* The other side: at once, and with the leases. */
  start_follower(&s, true);
  hear(&s, PAIR_A, (PairMessage){.kind = PAIR_SAY_HAND_OVER, .epoch = 2, .position = 1});
  assert_int_equal(pair_state(s.pair), PAIR_FOLLOWER); /* its copy is of another position */
  hear(&s, PAIR_A, (PairMessage){.kind = PAIR_SAY_HAND_OVER, .epoch = 2, .position = 2});
  PairMessage vote = s.message[PAIR_SAY_ASK];
  vote.kind = PAIR_SAY_GIVE;
  hear(&s, PAIR_A, vote);
  sync_disk(&s);
  assert_int_equal(pair_state(s.pair), PAIR_LEADER);
  ask(&s, PAIR_ON_LEASE_REQUESTED, "other", 2, (LeaseToken){0}, false);
  assert_int_equal(s.n[PAIR_DO_GRANT], 1);
  ask(&s, PAIR_ON_LEASE_REQUESTED, "hub", 2, (LeaseToken){0}, false);
  expect_refused(&s, LEASE_HELD);
  pair_destroy(&s.pair);
}

static void test_alone_it_leads_with_its_own_vote(void **state) {
  PairOptions options = pair_options_default(PAIR_A, false);
  Stage s;

  (void)state;
  options.alone = true;
  start_with(&s, &options, (PairRecord){.seen = 6, .vote_epoch = 6, .vote_for = PAIR_A});
  pass(&s, s.vote_us - 1);
  assert_int_equal(pair_state(s.pair), PAIR_FOLLOWER); /* leases of its former life may be out */
  assert_int_equal(pair_barred_us(s.pair, s.now_us), 1);
  pass(&s, 1);
  assert_int_equal(s.n[PAIR_DO_LEAD], 0);
  sync_disk(&s);
  assert_int_equal(pair_state(s.pair), PAIR_LEADER);
  assert_int_equal(pair_epoch(s.pair), 8);
  assert_int_equal(pair_barred_us(s.pair, s.now_us), 0);
  pass(&s, 10 * s.vote_us);
  assert_int_equal(pair_state(s.pair), PAIR_LEADER);
  ask(&s, PAIR_ON_LEASE_REQUESTED, "hub", 1, (LeaseToken){0}, false);
  assert_int_equal(s.n[PAIR_DO_GRANT], 1);
  assert_true(s.lease.duration_us <= s.vote_us);
  give(&s, (PairEvent){.kind = PAIR_ON_LATE, .late_us = options.late_us + 1});
  assert_int_equal(s.n[PAIR_DO_STEP_DOWN], 1);
  pass(&s, s.vote_us);
  sync_disk(&s);
  assert_int_equal(pair_state(s.pair), PAIR_LEADER);
  assert_int_equal(pair_epoch(s.pair), 10);
  pair_destroy(&s.pair);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_table_is_full),
      cmocka_unit_test(test_options_that_cannot_work_are_refused),
      cmocka_unit_test(test_epochs_and_margins),
      cmocka_unit_test(test_a_vote_is_on_disk_before_it_is_given),
      cmocka_unit_test(test_a_restarted_voter_keeps_its_promise),
      cmocka_unit_test(test_a_leader_needs_its_own_vote_on_disk_and_a_second),
      cmocka_unit_test(test_a_leader_gives_up),
      cmocka_unit_test(test_alone_it_leads_with_its_own_vote),
      cmocka_unit_test(test_what_is_due_comes_first),
      cmocka_unit_test(test_leases),
      cmocka_unit_test(test_a_renewal_never_shortens),
      cmocka_unit_test(test_the_table_of_leases_is_bounded),
      cmocka_unit_test(test_a_refused_port_is_consent),
      cmocka_unit_test(test_with_a_witness_a_refused_port_needs_its_word),
      cmocka_unit_test(test_without_a_witness_only_what_may_double_moves),
      cmocka_unit_test(test_operators_are_told_why_not),
      cmocka_unit_test(test_a_planned_handover_waits_for_the_copy),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
