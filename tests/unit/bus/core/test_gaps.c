/* Whoever is first after another left the queue is looked at in the same step: nobody waits whom somebody can take. */
#include "bus/core/core-internal.h"
#include "tests/unit/bus/core/harness.h"

static const HelloMethod slow[] = {{.method = TEXT("slow"), .has_flags = true, .flags = METHOD_IDEMPOTENT}};
static const HelloMethod quick[] = {{.method = TEXT("quick"), .has_flags = true, .flags = METHOD_IDEMPOTENT}};

/* Of the service `mixed`, one instance does `slow` alone and one `quick` alone. */
typedef struct Pair {
  Harness h;
  TestPeer slow;
  TestPeer quick;
  RequestId running; /* at slow, whose credit is 1 */
} Pair;

static RequestId ask(Pair *pair, const char *method, uint64_t deadline_us) {
  return harness_request(
      &pair->h, &pair->h.client,
      (Header){
          .service = TEXT("mixed"), .method = text_of(method), .priority = PRIORITY_NORMAL, .deadline_us = deadline_us},
      BYTES_NONE);
}

static Pair *start(void) {
  Pair *pair = calloc(1, sizeof *pair);

  assert_non_null(pair);
  harness_start(&pair->h, NULL);
  harness_instance(
      &pair->h, &pair->slow,
      &(TestInstance){.name = "a", .client = 33, .credit = 1, .service = "mixed", .methods = slow, .n_methods = 1});
  harness_instance(
      &pair->h, &pair->quick,
      &(TestInstance){.name = "b", .client = 44, .credit = 4, .service = "mixed", .methods = quick, .n_methods = 1});
  pair->running = ask(pair, "slow", 0);
  return pair;
}

static void stop(Pair *pair) {
  harness_forget(&pair->slow);
  harness_forget(&pair->quick);
  harness_stop(&pair->h);
  free(pair);
}

/* Of one client and band the order is kept: the quick one waits behind the slow one although its instance is idle. */
static void test_after_the_first_was_handed_on(void **state) {
  Pair *pair = start();
  RequestId first = ask(pair, "slow", 0);
  RequestId second = ask(pair, "quick", 0);

  (void)state;
  assert_int_equal(harness_count(&pair->quick, KIND_REQUEST), 0);
  harness_reply(&pair->h, &pair->slow, pair->running);
  harness_work(&pair->slow, first);
  harness_work(&pair->quick, second);
  stop(pair);
}

static void test_after_the_first_was_cancelled(void **state) {
  Pair *pair = start();
  RequestId first = ask(pair, "slow", 0);
  RequestId second = ask(pair, "quick", 0);

  (void)state;
  harness_say(&pair->h, &pair->h.client, KIND_CANCEL, first, STATUS_OK);
  harness_work(&pair->quick, second);
  stop(pair);
}

static void test_after_the_first_reached_its_deadline(void **state) {
  Pair *pair = start();
  RequestId first = ask(pair, "slow", 1000);
  RequestId second = ask(pair, "quick", 0);

  (void)state;
  harness_wait(&pair->h, 1001);
  harness_ended(&pair->h.client, first, STATUS_DEADLINE);
  harness_work(&pair->quick, second);
  stop(pair);
}

/* The last of a service may go with its request. */
static void test_after_everybody_has_gone(void **state) {
  Pair *pair = start();
  RequestId first = ask(pair, "slow", 0);
  RequestId second = ask(pair, "quick", 0);
  Header bye = {.kind = KIND_BYE};

  (void)state;
  harness_give(&pair->h, &pair->quick, &bye, BYTES_NONE);
  harness_ended(&pair->h.client, second, STATUS_NO_SERVICE);
  harness_give(&pair->h, &pair->slow, &bye, BYTES_NONE);
  harness_ended(&pair->h.client, first, STATUS_NO_SERVICE);
  assert_null(registry_find(pair->h.core, TEXT("mixed")));
  stop(pair);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_after_the_first_was_handed_on),
      cmocka_unit_test(test_after_the_first_was_cancelled),
      cmocka_unit_test(test_after_the_first_reached_its_deadline),
      cmocka_unit_test(test_after_everybody_has_gone),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
