/* Durable requests: the table of one, when it is tried again and given up, what a leader may do and a follower may not, what two brokers
   tell each other. */
#include "tests/unit/bus/core/durable_box.h"

static int set_up(void **state) {
  Box *box = calloc(1, sizeof *box);

  box->options = durable_options_default();
  box->now_us = BOX_START;
  box_open(box, (ClientId){11});
  *state = box;
  return 0;
}

static int tear_down(void **state) {
  box_done(*state);
  free(*state);
  return 0;
}

/* --- the table --- */

static void no_cell_brings_back_what_is_over(void **state _unused_) {
  for (int change = 0; change < DURABLE_CHANGES; change++) {
    assert_int_equal(durable_next(DURABLE_DONE, (DurableChange)change), DURABLE_DONE);
    assert_int_equal(durable_next(DURABLE_DROPPED, (DurableChange)change), DURABLE_DROPPED);
    assert_string_not_equal(durable_change_name((DurableChange)change), "?");
  }
  assert_int_equal(durable_next(DURABLE_DEAD, DURABLE_ON_REQUEUED), DURABLE_WAITING);
  assert_int_equal(durable_next(DURABLE_DEAD, DURABLE_ON_SUCCEEDED), DURABLE_DONE); /* it was not dead after all */
  assert_int_equal(durable_next(DURABLE_WAITING, DURABLE_ON_DROP), DURABLE_WAITING);
  assert_string_equal(durable_state_name(DURABLE_DEAD), "DEAD");
  assert_string_equal(durable_state_name(DURABLE_STATES), "?");
  assert_string_equal(durable_change_name(DURABLE_CHANGES), "?");
}

/* Whatever the answer, a once request that may have been begun is not delivered again. */
static void outcomes(void **state _unused_) {
  for (int status = 1; status < STATUS_END; status++) {
    DurableChange once = durable_outcome((Status)status, false);
    Retry retry = status_retry((Status)status);

    if (once == DURABLE_ON_UNTOUCHED)
      assert_true(retry == RETRY_KNOWN || retry == RETRY_LATER);
    assert_int_not_equal(once, DURABLE_ON_FAILED);
    assert_int_not_equal(once, DURABLE_ON_SUCCEEDED);
    assert_int_not_equal(durable_outcome((Status)status, true), DURABLE_ON_DOUBTFUL);
  }
  assert_int_equal(durable_outcome(STATUS_OK, false), DURABLE_ON_SUCCEEDED);
  assert_int_equal(durable_outcome(STATUS_NO_SERVICE, false), DURABLE_ON_UNTOUCHED);
  assert_int_equal(durable_outcome(STATUS_OVERLOADED, true), DURABLE_ON_UNTOUCHED);
  assert_int_equal(durable_outcome(STATUS_WORKER_LOST, true), DURABLE_ON_FAILED);
  assert_int_equal(durable_outcome(STATUS_WORKER_LOST, false), DURABLE_ON_DOUBTFUL);
  assert_int_equal(durable_outcome(STATUS_INTERNAL, true), DURABLE_ON_FAILED);
  assert_int_equal(durable_outcome(STATUS_INTERNAL, false), DURABLE_ON_REFUSED);
  assert_int_equal(durable_outcome(STATUS_INVALID, true), DURABLE_ON_REFUSED);
}

static void each_change_is_further(void **state _unused_) {
  DurableEntry entry = {.state = DURABLE_WAITING};
  uint64_t last = durable_version(&entry);
  static const struct {
    DurableState state;
    uint32_t round;
    uint32_t tries;
  } steps[] = {{DURABLE_BEGUN, 0, 0},   {DURABLE_WAITING, 0, 1}, {DURABLE_BEGUN, 0, 1}, {DURABLE_DEAD, 0, 2},
               {DURABLE_WAITING, 1, 2}, {DURABLE_BEGUN, 1, 2},   {DURABLE_DEAD, 1, 3},  {DURABLE_DONE, 0, 0}};

  assert_true(last > 0);
  for (size_t i = 0; i < ELEMENTS(steps); i++) {
    entry.state = steps[i].state;
    entry.round = steps[i].round;
    entry.tries = steps[i].tries;
    assert_true(durable_version(&entry) > last);
    last = durable_version(&entry);
  }
}

/* --- one broker --- */

static void it_is_on_disk_before_anybody_hears_of_it(void **state) {
  Box *box = *state;
  DurableEntry wish = box_wish(1, true);

  durable_lead(box->durable, 2, box->now_us);
  assert_int_equal(durable_accept(box->durable, &wish, box->now_us), 0);
  durable_tick(box->durable, box->now_us);
  assert_int_equal(box->kept, 0);
  assert_int_equal(box->delivered, 0);
  assert_int_equal(durable_copies(box->durable, (RequestId){{7}, 1}), 0);
  box_sync(box);
  assert_int_equal(box->kept, 1);
  assert_int_equal(box->copies, 1);
  assert_int_equal(box->delivered, 1);
  assert_int_equal(box->attempt, 0); /* nobody else can have begun it */
  assert_int_equal(box->deadline_us, box->options.attempt_us);
  assert_true(durable_waits(box->durable, box->delivery, 0));
  assert_false(durable_waits(box->durable, box->delivery, 1));
  durable_answered(box->durable, box->delivery, STATUS_OK, TEXT_NONE, (Bytes){(const uint8_t *)"yes", 3},
                   TEXT("text/plain"), box->now_us);
  assert_int_equal(box->ended, 0);
  box_sync(box);
  assert_int_equal(box->ended, 1);
  assert_true(durable_has_ended(box->durable, (RequestId){{7}, 1}));
  assert_int_equal(durable_find(box->durable, (RequestId){{7}, 1})->reply_bytes, 3);
  assert_int_equal(durable_find(box->durable, (RequestId){{7}, 1})->body_bytes, 0);
  assert_null(durable_find(box->durable, (RequestId){{7}, 1})->reply); /* the disk has it */
}

static void of_two_that_are_written_only_the_first_is_on_disk(void **state) {
  Box *box = *state;
  DurableEntry first = box_wish(1, true);
  DurableEntry second = box_wish(2, true);

  durable_lead(box->durable, 2, box->now_us);
  assert_int_equal(durable_accept(box->durable, &first, box->now_us), 0);
  assert_int_equal(durable_accept(box->durable, &second, box->now_us), 0);
  assert_int_equal(box->n_writes, 2);
  durable_written(box->durable, box->serial - 1, box->now_us);
  assert_int_equal(box->kept, 1);
  durable_written(box->durable, box->serial, box->now_us);
  assert_int_equal(box->kept, 2);
}

static void it_is_forgotten_after_a_time(void **state) {
  Box *box = *state;
  RequestId id;

  durable_lead(box->durable, 2, box->now_us);
  id = box_accept(box, 1, true);
  box_answer(box, STATUS_OK, "yes");
  box_tick(box, box->options.keep_us - 1);
  assert_non_null(durable_find(box->durable, id));
  box_tick(box, 1);
  assert_null(durable_find(box->durable, id));
  assert_int_equal(box->n_disk, 0);
  assert_int_equal(durable_stats(box->durable).bytes, 0);
}

static void a_follower_delivers_nothing(void **state) {
  Box *box = *state;

  box_accept(box, 1, true);
  box_tick(box, 7200 * US_PER_S);
  assert_int_equal(box->delivered, 0);
  assert_int_equal(durable_find(box->durable, (RequestId){{7}, 1})->state,
                   DURABLE_WAITING); /* it judges nothing either */
}

static void failures_back_off_and_end_as_a_dead_letter(void **state) {
  Box *box = *state;
  uint64_t wait_us = box->options.backoff_us;
  RequestId id;
  RequestId first;

  durable_lead(box->durable, 2, box->now_us);
  id = box_accept(box, 1, true);
  first = box->delivery;
  for (uint32_t i = 1; i < box->options.attempts; i++) {
    box_answer(box, STATUS_WORKER_LOST, "it went away");
    assert_int_equal(durable_find(box->durable, id)->attempts, i);
    assert_int_equal(box->delivered, i);
    box_tick(box, wait_us * 3 / 4 - 1);
    assert_int_equal(box->delivered, i);
    box_tick(box, wait_us / 4 + 1);
    assert_int_equal(box->delivered, i + 1);
    assert_int_equal(box->delivery.sequence, first.sequence + i); /* each try has an id of its own */
    wait_us = min_u64(wait_us * 2, box->options.backoff_longest_us);
  }
  box_answer(box, STATUS_INTERNAL, "on fire");
  assert_int_equal(durable_find(box->durable, id)->state, DURABLE_DEAD);
  assert_int_equal(box->ended, 1);
  assert_int_equal(box->status, STATUS_INTERNAL);
  assert_string_equal(durable_find(box->durable, id)->message, "on fire");
  assert_int_equal(durable_find(box->durable, id)->body_bytes, 4);
  box_tick(box, 30 * box->options.keep_us);
  assert_non_null(durable_find(box->durable, id)); /* a person has to look at it */
}

static void who_finds_nobody_goes_on_until_its_deadline(void **state) {
  Box *box = *state;
  RequestId id;

  durable_lead(box->durable, 2, box->now_us);
  id = box_accept(box, 1, true);
  for (int i = 0; i < 20; i++) {
    box_answer(box, STATUS_NO_SERVICE, "nobody");
    box_tick(box, box->options.backoff_longest_us);
  }
  assert_int_equal(durable_find(box->durable, id)->attempts, 0);
  assert_int_equal(durable_find(box->durable, id)->tries, 20);
  box_answer(box, STATUS_NO_SERVICE, "nobody");
  box_tick(box, 3600 * US_PER_S);
  assert_int_equal(durable_find(box->durable, id)->state, DURABLE_DEAD);
  assert_int_equal(box->status, STATUS_DEADLINE);
  assert_non_null(strstr(durable_find(box->durable, id)->message, "NO_SERVICE: nobody"));
}

static void once_is_on_disk_as_begun_before_it_is_delivered(void **state) {
  Box *box = *state;
  DurableEntry wish = box_wish(1, false);
  RequestId id = wish.id;

  durable_lead(box->durable, 2, box->now_us);
  assert_int_equal(durable_accept(box->durable, &wish, box->now_us), 0);
  while (box->n_writes > 0) {
    assert_int_equal(box->delivered, 0);
    box_sync(box);
  }
  assert_int_equal(box->delivered, 1);
  assert_int_equal(box_on_disk(box, id)->state, DURABLE_BEGUN);
  box_answer(box, STATUS_WORKER_LOST, "it went away");
  assert_int_equal(durable_find(box->durable, id)->state, DURABLE_DEAD);
  assert_int_equal(box->status, STATUS_UNKNOWN);
  box_tick(box, 30 * box->options.keep_us);
  assert_int_equal(box->delivered, 1);
}

static void once_that_was_not_taken_is_tried_again(void **state) {
  Box *box = *state;
  RequestId id;

  durable_lead(box->durable, 2, box->now_us);
  id = box_accept(box, 1, false);
  box_answer(box, STATUS_OVERLOADED, "later");
  assert_int_equal(box_on_disk(box, id)->state, DURABLE_WAITING);
  box_tick(box, box->options.backoff_us);
  assert_int_equal(box->delivered, 2);
  assert_int_equal(box->attempt, 0);
}

static void a_restart_asks_who_has_it(void **state) {
  Box *box = *state;
  RequestId first;

  durable_lead(box->durable, 2, box->now_us);
  box_accept(box, 1, true);
  first = box->delivery;
  box->now_us += 5 * US_PER_S;
  box_crash(box, 0);
  box_open(box, (ClientId){11});
  durable_tick(box->durable, box->now_us);
  assert_int_equal(box->delivered, 1);
  durable_lead(box->durable, 4, box->now_us);
  assert_int_equal(box->delivered, 2);
  assert_true(request_id_equal(box->delivery, first));
  assert_int_equal(box->attempt, 4); /* above all of earlier leaders */
  assert_true(box->age_us >= 5 * US_PER_S);
  box_answer(box, STATUS_OK, "yes");
  assert_int_equal(box->ended, 1);
}

static void a_once_request_that_was_not_begun_is_not_asked_for(void **state) {
  Box *box = *state;

  box_accept(box, 1, false);
  box->now_us += 900 * US_PER_S;
  box_crash(box, 0);
  box_open(box, (ClientId){11});
  durable_lead(box->durable, 4, box->now_us);
  box_sync(box);
  assert_int_equal(box->delivered, 1);
  assert_int_equal(box->attempt, 0);
}

static void who_leads_no_more_believes_a_success_alone(void **state) {
  Box *box = *state;
  RequestId id;

  durable_lead(box->durable, 2, box->now_us);
  id = box_accept(box, 1, true);
  durable_step_down(box->durable);
  assert_false(durable_waits(box->durable, box->delivery, 0));
  box_answer(box, STATUS_WORKER_LOST, "gone");
  assert_int_equal(durable_find(box->durable, id)->tries, 0);
  box_answer(box, STATUS_OK, "done");
  assert_int_equal(durable_find(box->durable, id)->state, DURABLE_DONE);
}

static void bounds_are_named(void **state) {
  Box *box = *state;
  DurableEntry wish = box_wish(1, true);
  DurableEntry copy = box_wish(1, true);

  box->options.rows = 2;
  box_crash(box, 0);
  box_open(box, (ClientId){11});
  assert_int_equal(durable_accept(box->durable, &wish, box->now_us), 0);
  assert_int_equal(durable_accept(box->durable, &copy, box->now_us), DURABLE_E_KNOWN);
  assert_null(copy.body); /* taken over all the same */
  box_accept(box, 2, true);
  wish = box_wish(3, true);
  assert_int_equal(durable_accept(box->durable, &wish, box->now_us), DURABLE_E_FULL);
  assert_int_equal(durable_drop(box->durable, (RequestId){{7}, 9}, box->now_us), DURABLE_E_UNKNOWN);
  assert_int_equal(durable_requeue(box->durable, (RequestId){{7}, 1}, box->now_us), DURABLE_E_NOT_DEAD);
  assert_int_equal(durable_stats(box->durable).rows, 2);
}

static void bytes_are_bounded(void **state) {
  Box *box = *state;
  DurableEntry wish = box_wish(1, true);

  box->options.bytes = durable_size(&wish) + 1;
  box_crash(box, 0);
  box_open(box, (ClientId){11});
  assert_int_equal(durable_accept(box->durable, &wish, box->now_us), 0);
  wish = box_wish(2, true);
  assert_int_equal(durable_accept(box->durable, &wish, box->now_us), DURABLE_E_FULL);
}

/* What was acknowledged stays; what was not is refused, and is not there when the disk is well again. */
static void a_full_disk_refuses_by_name(void **state) {
  Box *box = *state;
  DurableEntry wish = box_wish(2, true);

  durable_lead(box->durable, 2, box->now_us);
  box_accept(box, 1, true);
  assert_int_equal(durable_accept(box->durable, &wish, box->now_us), 0);
  durable_disk(box->durable, false, box->now_us);
  assert_int_equal(box->unkept, 1);
  assert_null(durable_find(box->durable, (RequestId){{7}, 2}));
  assert_non_null(durable_find(box->durable, (RequestId){{7}, 1}));
  wish = box_wish(3, true);
  assert_int_equal(durable_accept(box->durable, &wish, box->now_us), DURABLE_E_NO_DISK);
  box_sync(box);
  assert_int_equal(box->n_disk, 1);
  durable_disk(box->durable, true, box->now_us);
  wish = box_wish(3, true);
  assert_int_equal(durable_accept(box->durable, &wish, box->now_us), 0);
}

static void a_store_that_is_behind_refuses_and_is_asked_again(void **state) {
  Box *box = *state;
  DurableEntry wish = box_wish(2, true);
  RequestId id;

  durable_lead(box->durable, 2, box->now_us);
  id = box_accept(box, 1, true);
  box->refuses = true;
  assert_int_equal(durable_accept(box->durable, &wish, box->now_us), DURABLE_E_NO_DISK);
  box_answer(box, STATUS_OK, "yes");
  assert_int_equal(box->ended, 0);
  assert_true(durable_next_us(box->durable) != TIME_NEVER);
  box->refuses = false;
  box->now_us = durable_next_us(box->durable);
  box_tick(box, 0);
  assert_int_equal(box->ended, 1);
  assert_int_equal(box_on_disk(box, id)->state, DURABLE_DONE);
}

static void a_person_requeues_and_drops(void **state) {
  Box *box = *state;
  RequestId id;

  durable_lead(box->durable, 2, box->now_us);
  id = box_accept(box, 1, true);
  box_answer(box, STATUS_INVALID, "no");
  assert_int_equal(durable_find(box->durable, id)->state, DURABLE_DEAD);
  assert_int_equal(durable_requeue(box->durable, id, box->now_us), 0);
  box_sync(box);
  assert_int_equal(box->delivered, 2);
  assert_int_equal(durable_find(box->durable, id)->round, 1);
  box_answer(box, STATUS_INVALID, "no");
  assert_int_equal(durable_drop(box->durable, id, box->now_us), 0);
  box_sync(box);
  assert_int_equal(box_on_disk(box, id)->state, DURABLE_DROPPED);
  assert_false(durable_has_ended(box->durable, id));
}

static void a_reply_that_is_too_large_is_said_to_be_gone(void **state) {
  Box *box = *state;
  uint8_t *large = calloc(1, LIMIT_DURABLE_BYTES + 1);

  durable_lead(box->durable, 2, box->now_us);
  box_accept(box, 1, true);
  durable_answered(box->durable, box->delivery, STATUS_OK, TEXT_NONE, (Bytes){large, LIMIT_DURABLE_BYTES + 1},
                   TEXT_NONE, box->now_us);
  free(large);
  box_sync(box);
  assert_int_equal(box->status, STATUS_GONE);
}

/* A message is cut between two characters, since what is kept must be UTF-8. */
static void a_long_message_is_cut(void **state) {
  Box *box = *state;
  char text[400];
  RequestId id;

  for (size_t i = 0; i < sizeof text - 1; i += 3)
    memcpy(text + i, "\xe2\x82\xac", 3);
  text[sizeof text - 1] = '\0';
  durable_lead(box->durable, 2, box->now_us);
  id = box_accept(box, 1, true);
  box_answer(box, STATUS_INVALID, text);
  assert_int_equal(strlen(durable_find(box->durable, id)->message) % 3, 0);
  assert_true(strlen(durable_find(box->durable, id)->message) > 200);
}

/* --- two brokers --- */

typedef struct Two {
  Box a;
  Box b;
} Two;

static int set_up_two(void **state) {
  Two *two = calloc(1, sizeof *two);

  two->a.options = two->b.options = durable_options_default();
  two->a.options.has_peer = two->b.options.has_peer = true;
  two->a.now_us = two->b.now_us = BOX_START;
  box_open(&two->a, (ClientId){11});
  box_open(&two->b, (ClientId){12});
  box_link(&two->a, true);
  box_link(&two->b, true);
  box_exchange(&two->a, &two->b);
  *state = two;
  return 0;
}

static int tear_down_two(void **state) {
  Two *two = *state;

  box_done(&two->a);
  box_done(&two->b);
  free(two);
  return 0;
}

static void link_both(Two *two, bool is_up) {
  box_link(&two->a, is_up);
  box_link(&two->b, is_up);
  if (is_up)
    box_exchange(&two->a, &two->b);
}

static void tick_both(Two *two, uint64_t us) {
  box_tick(&two->a, us);
  box_tick(&two->b, us);
  box_exchange(&two->a, &two->b);
}

static void the_acknowledgement_says_on_how_many_disks(void **state) {
  Two *two = *state;

  box_accept(&two->a, 1, true);
  assert_int_equal(two->a.kept, 0);
  box_exchange(&two->a, &two->b);
  assert_int_equal(two->a.kept, 1);
  assert_int_equal(two->a.copies, 2);
  assert_int_equal(two->b.kept, 0);
  assert_int_equal(two->b.n_disk, 1);
  assert_int_equal(durable_stats(two->a.durable).uncopied, 0);
  link_both(two, false);
  box_accept(&two->a, 2, true);
  assert_int_equal(two->a.copies, 1);
}

static void a_copy_that_does_not_come_is_not_waited_for_for_ever(void **state) {
  Two *two = *state;

  box_accept(&two->a, 1, true);
  box_tick(&two->a, two->a.options.copy_us - 1);
  assert_int_equal(two->a.kept, 0);
  box_tick(&two->a, 1);
  assert_int_equal(two->a.copies, 1);
  two->b.now_us = two->a.now_us;
  box_exchange(&two->a, &two->b); /* it was sent again */
  assert_int_equal(durable_stats(two->a.durable).uncopied, 0);
}

static void only_the_leader_delivers_whoever_accepted(void **state) {
  Two *two = *state;

  durable_lead(two->a.durable, 2, two->a.now_us);
  box_accept(&two->b, 1, true);
  box_exchange(&two->a, &two->b);
  tick_both(two, US_PER_S);
  assert_int_equal(two->a.delivered, 1);
  assert_int_equal(two->b.delivered, 0);
  assert_int_equal(two->a.delivery.client.value, 12); /* under the ids of who accepted it */
  box_answer(&two->a, STATUS_OK, "yes");
  box_exchange(&two->a, &two->b);
  assert_int_equal(two->b.ended, 1);
  assert_int_equal(two->b.status, STATUS_OK);
}

static void a_new_leader_sends_the_same_try_with_a_higher_attempt(void **state) {
  Two *two = *state;
  RequestId delivery;

  durable_lead(two->a.durable, 2, two->a.now_us);
  box_accept(&two->a, 1, false);
  box_exchange(&two->a, &two->b);
  assert_int_equal(two->a.delivered, 1);
  delivery = two->a.delivery;
  box_crash(&two->a, 0);
  box_link(&two->b, false);
  durable_lead(two->b.durable, 5, two->b.now_us);
  box_sync(&two->b);
  assert_int_equal(two->b.delivered, 1);
  assert_true(request_id_equal(two->b.delivery, delivery));
  assert_int_equal(two->b.attempt, 5);
}

/* What the other ended meanwhile is not delivered again. */
static void a_returner_takes_the_completions_first(void **state) {
  Two *two = *state;

  box_accept(&two->a, 1, true);
  box_exchange(&two->a, &two->b);
  box_crash(&two->a, 0);
  box_link(&two->b, false);
  durable_lead(two->b.durable, 3, two->b.now_us);
  box_answer(&two->b, STATUS_OK, "yes");
  durable_step_down(two->b.durable);
  box_open(&two->a, (ClientId){11});
  box_link(&two->a, true);
  box_link(&two->b, true);
  durable_lead(two->a.durable, 4, two->a.now_us);
  assert_int_equal(two->a.delivered, 0);
  box_exchange(&two->a, &two->b);
  tick_both(two, US_PER_S);
  assert_int_equal(two->a.delivered, 0);
  assert_int_equal(two->a.behind, 1);
  assert_int_equal(durable_find(two->a.durable, (RequestId){{7}, 1})->state, DURABLE_DONE);
  assert_true(durable_stats(two->a.durable).level);
}

static void who_says_nothing_is_not_waited_for_for_ever(void **state) {
  Two *two = *state;

  box_accept(&two->a, 1, true);
  box_crash(&two->a, 1);
  box_open(&two->a, (ClientId){11});
  box_link(&two->a, true);
  durable_lead(two->a.durable, 4, two->a.now_us);
  box_tick(&two->a, two->a.options.copy_us + 1);
  assert_int_equal(two->a.delivered, 0);
  box_tick(&two->a, two->a.options.level_us);
  box_tick(&two->a, two->a.options.copy_us);
  assert_int_equal(two->a.delivered, 1);
  assert_int_equal(two->a.attempt, 4);
}

static void a_lost_file_comes_back(void **state) {
  Two *two = *state;

  for (uint64_t i = 1; i <= 5; i++)
    box_accept(&two->a, i, true);
  box_exchange(&two->a, &two->b);
  box_done(&two->b);
  box_open(&two->b, (ClientId){13});
  box_link(&two->a, false);
  link_both(two, true);
  assert_int_equal(two->b.n_disk, 5);
  assert_int_equal(two->b.behind, 5);
}

/* Each has ended one that the other still has to do: nothing but ends is left. */
static void copies_merge_by_id(void **state) {
  Two *two = *state;

  box_accept(&two->a, 1, true);
  box_accept(&two->b, 2, true);
  box_exchange(&two->a, &two->b);
  link_both(two, false);
  durable_lead(two->a.durable, 2, two->a.now_us);
  two->a.delivery = durable_delivery(durable_find(two->a.durable, (RequestId){{7}, 1}));
  box_answer(&two->a, STATUS_OK, "a");
  durable_step_down(two->a.durable);
  durable_lead(two->b.durable, 3, two->b.now_us);
  two->b.delivery = durable_delivery(durable_find(two->b.durable, (RequestId){{7}, 2}));
  box_answer(&two->b, STATUS_INVALID, "b");
  durable_step_down(two->b.durable);
  link_both(two, true);
  for (int i = 0; i < 2; i++) {
    Box *box = i == 0 ? &two->a : &two->b;

    assert_int_equal(durable_find(box->durable, (RequestId){{7}, 1})->state, DURABLE_DONE);
    assert_int_equal(durable_find(box->durable, (RequestId){{7}, 2})->state, DURABLE_DEAD);
  }
}

/* It is remembered until the other knows of its end; then both forget, and neither brings it back. */
static void what_is_over_is_remembered_for_the_other(void **state) {
  Two *two = *state;
  RequestId id;

  durable_lead(two->a.durable, 2, two->a.now_us);
  id = box_accept(&two->a, 1, true);
  box_exchange(&two->a, &two->b);
  link_both(two, false);
  box_answer(&two->a, STATUS_OK, "yes");
  two->a.now_us += 2 * two->a.options.keep_us;
  box_tick(&two->a, 0);
  assert_non_null(durable_find(two->a.durable, id));
  two->b.now_us = two->a.now_us;
  link_both(two, true);
  tick_both(two, 1);
  assert_null(durable_find(two->a.durable, id));
  assert_null(durable_find(two->b.durable, id));
  tick_both(two, US_PER_S);
  assert_int_equal(two->a.n_disk + two->b.n_disk, 0);
}

static DurableEntry further_wish(uint64_t number) {
  DurableEntry wish = box_wish(number, true);

  wish.delivery = (RequestId){{99}, number * DURABLE_TRIES_KEPT};
  return wish;
}

/* What the log has before it is level, the other had while the link was down. */
static void what_comes_before_it_is_level_was_missed(void **state) {
  Two *two = *state;
  DurableEntry entry = further_wish(1);

  link_both(two, false);
  box_link(&two->b, true);
  durable_take(two->b.durable, &entry, 9, two->b.now_us);
  box_sync(&two->b);
  assert_int_equal(two->b.behind, 0);
  assert_false(durable_stats(two->b.durable).level);
  durable_take_level(two->b.durable, two->b.now_us);
  assert_int_equal(two->b.behind, 1);
  assert_true(durable_stats(two->b.durable).level);
  entry = further_wish(2);
  durable_take(two->b.durable, &entry, 11, two->b.now_us);
  durable_take_level(two->b.durable, two->b.now_us);
  assert_int_equal(two->b.behind, 1);
}

static void who_is_told_of_more_than_it_has_is_not_level(void **state) {
  Two *two = *state;
  DurableHave have = {{{7}, 1}, 1};

  link_both(two, false);
  durable_take_level(two->a.durable, two->a.now_us); /* of a link that is lost */
  box_link(&two->a, true);
  durable_take_versions(two->a.durable, &(DurableVersions){&have, 1}, two->a.now_us);
  durable_take_level(two->a.durable, two->a.now_us);
  assert_int_equal(two->a.behind, 1);
  assert_false(durable_stats(two->a.durable).level);
  durable_take_snapshot(two->a.durable, two->a.now_us); /* it has forgotten it */
  durable_take_level(two->a.durable, two->a.now_us);
  assert_true(durable_stats(two->a.durable).level);
}

/* A position is acknowledged when all of it is on disk. */
static void what_is_taken_is_done_when_it_is_on_disk(void **state) {
  Two *two = *state;
  DurableEntry entry = further_wish(1);

  assert_int_equal(durable_done(two->a.durable, 8), 8);
  durable_take(two->a.durable, &entry, 9, two->a.now_us);
  entry = further_wish(2);
  durable_take(two->a.durable, &entry, 10, two->a.now_us);
  entry = further_wish(1);
  durable_take(two->a.durable, &entry, 11, two->a.now_us);
  assert_int_equal(durable_done(two->a.durable, 12), 8);
  box_sync(&two->a);
  assert_int_equal(durable_done(two->a.durable, 12), 12);
  entry = further_wish(1);
  durable_take(two->a.durable, &entry, 13, two->a.now_us); /* it is there already */
  assert_int_equal(durable_done(two->a.durable, 13), 13);
  two->a.refuses = true;
  entry = further_wish(3);
  durable_take(two->a.durable, &entry, 14, two->a.now_us);
  assert_int_equal(durable_done(two->a.durable, 20), 13);
  durable_take_snapshot(two->a.durable, two->a.now_us);
  assert_int_equal(durable_done(two->a.durable, 20), 20);
}

static void what_has_no_room_is_never_done(void **state) {
  Two *two = *state;
  DurableEntry entry;

  box_crash(&two->a, 0);
  two->a.options.rows = 1;
  box_open(&two->a, (ClientId){11});
  for (uint64_t i = 1; i <= 3; i++) {
    entry = further_wish(i);
    durable_take(two->a.durable, &entry, i, two->a.now_us);
  }
  box_sync(&two->a);
  assert_int_equal(two->a.n_disk, 2);
  assert_int_equal(durable_done(two->a.durable, 9), 2);
}

/* The copy of a request that is refused here, for want of a disk, is refused too. */
static void what_never_gets_to_the_disk_is_never_done(void **state) {
  Two *two = *state;
  DurableEntry wish = box_wish(1, true);
  DurableEntry entry = further_wish(1);

  assert_int_equal(durable_accept(two->a.durable, &wish, two->a.now_us), 0);
  durable_take(two->a.durable, &entry, 5, two->a.now_us);
  durable_disk(two->a.durable, false, two->a.now_us);
  assert_int_equal(two->a.unkept, 1);
  assert_int_equal(durable_done(two->a.durable, 9), 4);
}

/* While it is delivered the other broker tells that this try has ended elsewhere: its answer counts for nothing, and the next one begins. */
static void test_a_dead_letter_elsewhere_is_one_here(void **state) {
  Box box = {.options = durable_options_default(), .now_us = BOX_START};
  DurableEntry further;
  RequestId id;

  (void)state;
  box_open(&box, (ClientId){5});
  durable_lead(box.durable, 2, box.now_us);
  id = box_accept(&box, 1, false);
  box_tick(&box, 5 * US_PER_S);
  assert_int_equal(box.delivered, 1);
  further = box_copy(durable_find(box.durable, id));
  further.state = DURABLE_DEAD;
  further.status = STATUS_UNKNOWN;
  durable_take(box.durable, &further, 1, box.now_us);
  assert_int_equal(durable_requeue(box.durable, id, box.now_us), 0);
  for (int i = 0; i < 10; i++)
    box_tick(&box, US_PER_S);
  assert_int_equal(box.delivered, 2);
  box_done(&box);
}

static void test_a_try_that_has_ended_elsewhere(void **state) {
  Box box = {.options = durable_options_default(), .now_us = BOX_START};
  DurableEntry further;
  RequestId id;

  (void)state;
  box_open(&box, (ClientId){5});
  durable_lead(box.durable, 2, box.now_us);
  id = box_accept(&box, 1, true);
  box_tick(&box, 5 * US_PER_S);
  assert_int_equal(box.delivered, 1);
  further = box_copy(durable_find(box.durable, id));
  further.tries++;
  durable_take(box.durable, &further, 1, box.now_us);
  box_answer(&box, STATUS_NO_SERVICE, "");
  for (int i = 0; i < 10; i++)
    box_tick(&box, US_PER_S);
  assert_true(box.delivered >= 2);
  box_done(&box);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TWO(name) cmocka_unit_test_setup_teardown(name, set_up_two, tear_down_two)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_cell_brings_back_what_is_over),
      cmocka_unit_test(outcomes),
      cmocka_unit_test(each_change_is_further),
      cmocka_unit_test(test_a_dead_letter_elsewhere_is_one_here),
      cmocka_unit_test(test_a_try_that_has_ended_elsewhere),
      TEST(it_is_on_disk_before_anybody_hears_of_it),
      TEST(of_two_that_are_written_only_the_first_is_on_disk),
      TEST(it_is_forgotten_after_a_time),
      TEST(a_follower_delivers_nothing),
      TEST(failures_back_off_and_end_as_a_dead_letter),
      TEST(who_finds_nobody_goes_on_until_its_deadline),
      TEST(once_is_on_disk_as_begun_before_it_is_delivered),
      TEST(once_that_was_not_taken_is_tried_again),
      TEST(a_restart_asks_who_has_it),
      TEST(a_once_request_that_was_not_begun_is_not_asked_for),
      TEST(who_leads_no_more_believes_a_success_alone),
      TEST(bounds_are_named),
      TEST(bytes_are_bounded),
      TEST(a_full_disk_refuses_by_name),
      TEST(a_store_that_is_behind_refuses_and_is_asked_again),
      TEST(a_person_requeues_and_drops),
      TEST(a_reply_that_is_too_large_is_said_to_be_gone),
      TEST(a_long_message_is_cut),
      TWO(the_acknowledgement_says_on_how_many_disks),
      TWO(a_copy_that_does_not_come_is_not_waited_for_for_ever),
      TWO(only_the_leader_delivers_whoever_accepted),
      TWO(a_new_leader_sends_the_same_try_with_a_higher_attempt),
      TWO(a_returner_takes_the_completions_first),
      TWO(who_says_nothing_is_not_waited_for_for_ever),
      TWO(a_lost_file_comes_back),
      TWO(copies_merge_by_id),
      TWO(what_is_over_is_remembered_for_the_other),
      TWO(what_comes_before_it_is_level_was_missed),
      TWO(who_is_told_of_more_than_it_has_is_not_level),
      TWO(what_is_taken_is_done_when_it_is_on_disk),
      TWO(what_has_no_room_is_never_done),
      TWO(what_never_gets_to_the_disk_is_never_done),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
