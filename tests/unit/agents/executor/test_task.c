/* Which candidate is next, what travels on, and what is said at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "agents/executor/task.h"

static const ChatCandidate four[] = {
    {TEXT("a"), TEXT("Remote")}, {TEXT("b"), TEXT("Remote")}, {TEXT("c"), TEXT("Local")}, {TEXT("d"), TEXT("Remote")}};

static Buffer annotations(size_t count, uint64_t next) {
  Buffer buffer = {0};
  ChatRoute route = {.has_size = true,
                     .size = TEXT("heavy"),
                     .has_tokens = true,
                     .tokens = 77,
                     .has_candidates = true,
                     .candidates = {four, count},
                     .has_next = true,
                     .next = next};

  assert_int_equal(contract_encode(CONTRACT(ChatRoute), &route, &buffer, NULL), 0);
  return buffer;
}

static TaskStep begin(Task *task, const char *service, size_t count, uint64_t next) {
  _cleanup_(buffer_done) Buffer buffer = annotations(count, next);

  return task_begin(task, text_of(service), buffer_bytes(&buffer), TEXT("unused"));
}

static Fault fault(Cause cause, const char *message) {
  return (Fault){.cause = cause, .message = text_of(message), .code = TEXT("its_code"), .http_status = 500};
}

static void without_a_route_the_request_names_the_model(void **state) {
  Task task;

  (void)state;
  assert_int_equal(task_begin(&task, TEXT("Remote"), BYTES_NONE, TEXT("mine")), TASK_TRY);
  assert_string_equal(task.candidates[task.now].model, "mine");
  assert_int_equal(task_fail(&task, &(Fault){.cause = CAUSE_TRANSPORT}, 1, false, NULL, NULL), TASK_END);
}

static void candidates_are_tried_in_their_order(void **state) {
  Task task;
  Fault lost = fault(CAUSE_TRANSPORT, "refused");

  (void)state;
  assert_int_equal(begin(&task, "Remote", 4, 0), TASK_TRY);
  assert_string_equal(task.candidates[task.now].model, "a");
  assert_int_equal(task_fail(&task, &lost, 1, false, NULL, NULL), TASK_TRY);
  assert_string_equal(task.candidates[task.now].model, "b");
  assert_int_equal(task_fail(&task, &lost, 1, false, NULL, NULL), TASK_HAND_ON);
  assert_string_equal(task.candidates[task.now].executor, "Local");
}

static void further_ones_of_ours_come_behind(void **state) {
  Fault lost = fault(CAUSE_TRANSPORT, "refused");
  Task task;

  (void)state;
  begin(&task, "Remote", 2, 0);
  task_add(&task, TEXT("b"));
  assert_int_equal(task.n_candidates, 2);
  task_add(&task, TEXT("e"));
  assert_int_equal(task.n_candidates, 3);
  for (int i = 0; i < 2; i++)
    assert_int_equal(task_fail(&task, &lost, 1, false, NULL, NULL), TASK_TRY);
  assert_string_equal(task.candidates[task.now].model, "e");
  assert_string_equal(task.candidates[task.now].executor, "Remote");
  for (const char *name = "qrstuvwxyz"; *name; name++)
    task_add(&task, (Text){name, 1});
  assert_int_equal(task.n_candidates, TASK_CANDIDATES_MAX);
}

static void after_a_piece_nobody_else_begins(void **state) {
  Task task;
  Fault cut = fault(CAUSE_CUT, "broke off");

  (void)state;
  begin(&task, "Remote", 4, 0);
  assert_int_equal(task_fail(&task, &cut, 1, true, NULL, NULL), TASK_END);
}

static void each_cause_goes_on_as_its_table_says(void **state) {
  (void)state;
  for (Cause cause = 0; cause < CAUSE_END; cause++) {
    Task task;
    Fault failed = fault(cause, "x");
    bool goes_on = cause_next(cause) == CAUSE_NEXT_ALWAYS;

    begin(&task, "Remote", 2, 0);
    assert_int_equal(task_fail(&task, &failed, 1, false, NULL, NULL), goes_on ? TASK_TRY : TASK_END);
    assert_int_equal(cause_of_name(text_of(cause_name(cause))), cause);
    assert_true(*cause_about(cause) != '\0' && cause_http_status(cause) >= 400);
    assert_true(cause_status(cause) != STATUS_OK);
  }
  assert_int_equal(cause_of_name(TEXT("nonsense")), CAUSE_UNAVAILABLE);
  assert_false(cause_counts(CAUSE_CALLER));
  assert_true(cause_counts(CAUSE_STALL));
}

static bool is_d(void *userdata, const char *a, const char *b) {
  assert_string_equal(a, userdata);
  return strcmp(b, "d") == 0;
}

static void too_long_goes_to_a_larger_context_alone(void **state) {
  Task task;
  Fault context = fault(CAUSE_CONTEXT, "too long");

  (void)state;
  begin(&task, "Remote", 4, 0);
  assert_int_equal(task_fail(&task, &context, 1, false, is_d, "a"), TASK_TRY);
  assert_string_equal(task.candidates[task.now].model, "d");
}

static void who_was_skipped_is_named(void **state) {
  _cleanup_(buffer_done) Buffer sentence = {0};
  Task task;

  (void)state;
  assert_int_equal(begin(&task, "Local", 4, 0), TASK_TRY);
  assert_string_equal(task.candidates[task.now].model, "c");
  assert_int_equal(task.n_failures, 2);
  assert_int_equal(task.failures[1].cause, CAUSE_UNAVAILABLE);
  assert_int_equal(begin(&task, "Other", 4, 0), TASK_END);
  assert_int_equal(begin(&task, "Other", 4, 4), TASK_END);
  task_put_sentence(&task, &sentence);
  assert_true(sentence.size > 0);
}

static void what_failed_travels_on_and_the_first_cause_comes_first(void **state) {
  _cleanup_(buffer_done) Buffer travels = {0};
  _cleanup_(buffer_done) Buffer sentence = {0};
  Fault first = fault(CAUSE_AUTH, "the key is wrong");
  Fault second = fault(CAUSE_STALL, "it was silent");
  Task task;
  Task next;

  (void)state;
  begin(&task, "Remote", 4, 0);
  task_fail(&task, &first, 1, false, NULL, NULL);
  task_fail(&task, &second, 1, false, NULL, NULL);
  task_put_annotations(&task, &travels);
  assert_int_equal(task_begin(&next, TEXT("Local"), buffer_bytes(&travels), TEXT_NONE), TASK_TRY);
  assert_string_equal(next.candidates[next.now].model, "c");
  assert_string_equal(next.size, "heavy");
  assert_int_equal(next.tokens, 77);
  assert_int_equal(next.n_failures, 2);
  assert_int_equal(next.failures[0].cause, CAUSE_AUTH);
  assert_int_equal(next.failures[0].http_status, 500);
  task_put_sentence(&next, &sentence);
  assert_true(text_is((Text){(const char *)sentence.data, sentence.size},
                      "a: the key is wrong; tried after it: b: it was silent"));
  buffer_clear(&sentence);
  assert_int_equal(task_fail(&next, &(Fault){.cause = CAUSE_CALLER, .message = TEXT("no")}, 1, false, NULL, NULL),
                   TASK_END);
  task_put_sentence(&next, &sentence);
  assert_true(text_is((Text){(const char *)sentence.data, sentence.size},
                      "c: no; tried before it: a: the key is wrong; b: it was silent"));
}

static void what_travels_has_its_bound(void **state) {
  _cleanup_(buffer_done) Buffer travels = {0};
  ChatCandidate candidates[TASK_CANDIDATES_MAX];
  char model[TASK_MODEL_BYTES];
  char message[900];
  ChatRoute route = {.has_candidates = true, .candidates = {candidates, TASK_CANDIDATES_MAX}};
  _cleanup_(buffer_done) Buffer encoded = {0};
  Task task;

  (void)state;
  memset(model, 'm', sizeof model);
  memset(message, 'x', sizeof message);
  for (size_t i = 0; i < TASK_CANDIDATES_MAX; i++)
    candidates[i] = (ChatCandidate){{model, sizeof model}, TEXT("Remote")};
  assert_int_equal(contract_encode(CONTRACT(ChatRoute), &route, &encoded, NULL), 0);
  assert_int_equal(task_begin(&task, TEXT("Remote"), buffer_bytes(&encoded), TEXT_NONE), TASK_TRY);
  for (size_t i = 0; i + 1 < TASK_CANDIDATES_MAX; i++)
    task_fail(&task, &(Fault){.cause = CAUSE_STALL, .message = {message, sizeof message}}, 1, false, NULL, NULL);
  task_put_annotations(&task, &travels);
  assert_true(travels.size > 0 && travels.size <= LIMIT_ANNOTATIONS_BYTES);
}

/* The longest names there can be leave no room for all of it: it ends, fits, and the first cause is there. */
static void the_longest_names_travel(void **state) {
  _cleanup_(buffer_done) Buffer travels = {0};
  Task task;
  Task next;

  (void)state;
  begin(&task, "Remote", 1, 0);
  task.n_candidates = TASK_CANDIDATES_MAX;
  for (size_t i = 0; i < TASK_CANDIDATES_MAX; i++) {
    memset(task.candidates[i].model, 'a' + (char)i, TASK_MODEL_BYTES);
    memset(task.candidates[i].executor, 'R', LIMIT_NAME_BYTES);
    task.candidates[i].model[TASK_MODEL_BYTES] = '\0';
    task.candidates[i].executor[LIMIT_NAME_BYTES] = '\0';
  }
  for (task.now = 0; task.now < TASK_CANDIDATES_MAX - 1;)
    task_fail(&task, &(Fault){.cause = CAUSE_RATE_LIMIT, .message = TEXT("slow down"), .http_status = 429}, 1, false,
              NULL, NULL);
  task_put_annotations(&task, &travels);
  assert_in_range(travels.size, 1, LIMIT_ANNOTATIONS_BYTES);
  assert_int_equal(
      task_begin(&next, text_of(task.candidates[TASK_CANDIDATES_MAX - 1].executor), buffer_bytes(&travels), TEXT_NONE),
      TASK_TRY);
  assert_string_equal(next.candidates[next.now].model, task.candidates[TASK_CANDIDATES_MAX - 1].model);
  assert_string_equal(next.failures[0].model, task.candidates[0].model);
}

/* Whoever it is handed to may not be there: the own service is behind them, and the request ends with its first cause. */
static void it_comes_back_when_nobody_else_can(void **state) {
  _cleanup_(buffer_done) Buffer travels = {0};
  _cleanup_(buffer_done) Buffer sentence = {0};
  Fault first = fault(CAUSE_AUTH, "the key is wrong");
  Text services[LIMIT_FORWARD_TARGETS];
  Task task;
  Task back;

  (void)state;
  begin(&task, "Remote", 3, 1);
  assert_int_equal(task_fail(&task, &first, 1, false, NULL, NULL), TASK_HAND_ON);
  assert_int_equal(task_list_services(&task, services), 2);
  assert_true(text_is(services[0], "Local"));
  assert_true(text_is(services[1], "Remote"));
  task_put_annotations(&task, &travels);
  assert_int_equal(task_begin(&back, TEXT("Remote"), buffer_bytes(&travels), TEXT_NONE), TASK_END);
  task_put_sentence(&back, &sentence);
  assert_true(text_is((Text){(const char *)sentence.data, sentence.size},
                      "b: the key is wrong; tried after it: c: its executor has no instance that could begin"));
}

/* What the caller can mend decides, with the provider's own code, whatever was before. */
static void a_mistake_of_the_caller_decides(void **state) {
  Task task;
  Fault lost = fault(CAUSE_OVERLOAD, "busy");
  Fault wrong = {.cause = CAUSE_CALLER, .message = TEXT("temperature"), .code = TEXT("bad"), .http_status = 422};

  (void)state;
  begin(&task, "Remote", 2, 0);
  task_fail(&task, &lost, 1, false, NULL, NULL);
  assert_int_equal(task.deciding, 0);
  assert_int_equal(task_fail(&task, &wrong, 1, false, NULL, NULL), TASK_END);
  assert_int_equal(task.deciding, 1);
  assert_string_equal(task_deciding(&task)->code, "bad");
  assert_int_equal(task_deciding(&task)->http_status, 422);
}

/* Whoever ends it tells what the first one said, though it failed in another process. */
static void the_first_cause_keeps_its_code_and_when_to_come_again(void **state) {
  _cleanup_(buffer_done) Buffer travels = {0};
  _cleanup_(buffer_done) Buffer sentence = {0};
  Fault limited = {.cause = CAUSE_RATE_LIMIT,
                   .message = TEXT("slow down"),
                   .code = TEXT("rate_limit_exceeded"),
                   .http_status = 429,
                   .retry_after_us = 7000000};
  Task task;
  Task next;

  (void)state;
  begin(&task, "Remote", 3, 1);
  assert_int_equal(task_fail(&task, &limited, 3, false, NULL, NULL), TASK_HAND_ON);
  task_put_annotations(&task, &travels);
  assert_int_equal(task_begin(&next, TEXT("Local"), buffer_bytes(&travels), TEXT_NONE), TASK_TRY);
  assert_int_equal(
      task_fail(&next, &(Fault){.cause = CAUSE_UNAVAILABLE, .message = TEXT("no model")}, 1, false, NULL, NULL),
      TASK_END);
  assert_string_equal(task_deciding(&next)->code, "rate_limit_exceeded");
  assert_int_equal(task_deciding(&next)->cause, CAUSE_RATE_LIMIT);
  assert_int_equal(task_retry_after_us(&next), 7000000);
  task_put_sentence(&next, &sentence);
  assert_true(text_is((Text){(const char *)sentence.data, sentence.size},
                      "b: slow down (3 tries); tried after it: c: no model"));
}

static void the_soonest_says_when_to_come_again(void **state) {
  Fault busy = {.cause = CAUSE_OVERLOAD, .message = TEXT("busy")};
  Fault limited = {.cause = CAUSE_RATE_LIMIT, .message = TEXT("slow down"), .retry_after_us = 9000000};
  Task task;

  (void)state;
  begin(&task, "Remote", 4, 0);
  assert_int_equal(task_retry_after_us(&task), 0);
  assert_null(task_deciding(&task));
  task_fail(&task, &busy, 1, false, NULL, NULL);
  assert_int_equal(task_retry_after_us(&task), 0);
  task_fail(&task, &limited, 1, false, NULL, NULL);
  assert_int_equal(task_retry_after_us(&task), 9000000);
  limited.retry_after_us = 2000000;
  task_fail(&task, &limited, 1, false, NULL, NULL);
  assert_int_equal(task_retry_after_us(&task), 2000000);
  task_fail(&task, &(Fault){.cause = CAUSE_CALLER, .message = TEXT("no")}, 1, false, NULL, NULL);
  assert_int_equal(task_retry_after_us(&task), 0);
}

static void who_did_it_in_the_end_says_what_it_took(void **state) {
  ChatFailure failures[TASK_FAILURES_MAX];
  Fault busy = {.cause = CAUSE_OVERLOAD, .message = TEXT("busy"), .http_status = 503};
  Task task;

  (void)state;
  begin(&task, "Remote", 4, 0);
  assert_int_equal(task_list_failures(&task, failures), 0);
  task_note(&task, &busy, 2);
  assert_int_equal(task_list_failures(&task, failures), 1);
  assert_true(text_is(failures[0].model, "a") && text_is(failures[0].cause, "overload"));
  assert_int_equal(failures[0].tries, 2);
  assert_false(failures[0].has_code || failures[0].has_retry_after_us);
}

static void who_is_left(void **state) {
  Task task;

  (void)state;
  begin(&task, "Local", 4, 2);
  assert_true(task_has_next(&task, CAUSE_STALL, NULL, NULL));
  assert_false(task_has_next(&task, CAUSE_CALLER, NULL, NULL));
  assert_false(task_has_next(&task, CAUSE_CONTEXT, NULL, NULL));
  assert_true(task_has_next(&task, CAUSE_CONTEXT, is_d, "c"));
  begin(&task, "Remote", 4, 3);
  assert_false(task_has_next(&task, CAUSE_STALL, NULL, NULL));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_a_route_the_request_names_the_model),
      cmocka_unit_test(candidates_are_tried_in_their_order),
      cmocka_unit_test(further_ones_of_ours_come_behind),
      cmocka_unit_test(after_a_piece_nobody_else_begins),
      cmocka_unit_test(each_cause_goes_on_as_its_table_says),
      cmocka_unit_test(too_long_goes_to_a_larger_context_alone),
      cmocka_unit_test(who_was_skipped_is_named),
      cmocka_unit_test(what_failed_travels_on_and_the_first_cause_comes_first),
      cmocka_unit_test(what_travels_has_its_bound),
      cmocka_unit_test(the_longest_names_travel),
      cmocka_unit_test(it_comes_back_when_nobody_else_can),
      cmocka_unit_test(a_mistake_of_the_caller_decides),
      cmocka_unit_test(the_first_cause_keeps_its_code_and_when_to_come_again),
      cmocka_unit_test(the_soonest_says_when_to_come_again),
      cmocka_unit_test(who_did_it_in_the_end_says_what_it_took),
      cmocka_unit_test(who_is_left),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
