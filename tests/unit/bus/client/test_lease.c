/* A lease from its holder's side, against a broker that the test speaks for: taken, renewed, lost, given back. */
#include "bus/client/lease.h"

#include "agents/contracts/contracts.h"
#include "tests/unit/bus/client/scene.h"
#include "tests/unit/suspend.h"

enum { LONG_US = 60000000, SHORT_US = 600000 };

typedef struct Holder {
  Scene *scene;
  ClientLease *lease;
  int held;
  int lost;
  LeaseToken token;
  Taken *asked;
} Holder;

static void on_held(void *userdata, LeaseToken token) {
  Holder *holder = userdata;

  holder->held++;
  holder->token = token;
}

static void on_lost(void *userdata, const char *why) {
  Holder *holder = userdata;

  assert_non_null(why);
  holder->lost++;
  assert_false(client_lease_check(holder->lease, NULL));
}

static void begin(Holder *holder, Scene *scene, bool may_double) {
  ClientLeaseOptions options = {
      .name = TEXT("hub"), .may_double = may_double, .on_held = on_held, .on_lost = on_lost, .userdata = holder};

  *holder = (Holder){.scene = scene};
  scene_connect(scene);
  assert_int_equal(client_lease_new(scene->client, &options, &holder->lease), 0);
}

static void end(Holder *holder) {
  free(holder->asked);
  client_lease_destroy(&holder->lease);
}

/* Takes the next question, which must be of that method. */
static RequestId expect(Holder *holder, const char *method) {
  free(holder->asked);
  holder->asked = fake_take(&holder->scene->fake, KIND_REQUEST);
  assert_true(text_is(holder->asked->header.service, "pons.lease"));
  if (!text_is(holder->asked->header.method, method))
    fail_msg("%.*s instead of %s", TEXT_ARG(holder->asked->header.method), method);
  return holder->asked->header.id;
}

static void give(Holder *holder, RequestId id, uint64_t counter, uint64_t duration_us) {
  _cleanup_(buffer_done) Buffer body = {0};
  LeaseGiven given = {.name = TEXT("hub"), .epoch = 2, .counter = counter, .duration_us = duration_us};

  assert_int_equal(contract_encode(CONTRACT(LeaseGiven), &given, &body, NULL), 0);
  fake_reply(&holder->scene->fake, id, buffer_bytes(&body));
}

static bool is_held(void *userdata) {
  return client_lease_check(((Holder *)userdata)->lease, NULL);
}

static bool is_lost(void *userdata) {
  return ((Holder *)userdata)->lost > 0;
}

static void take(Holder *holder, uint64_t duration_us) {
  give(holder, expect(holder, "acquire"), 1, duration_us);
  fake_until(&holder->scene->fake, is_held, holder);
}

static void it_is_asked_for_until_it_is_given(void **state) {
  LeaseToken token = {0, 0};
  LeaseWish wish;
  RequestId id;
  Holder holder;

  begin(&holder, *state, true);
  id = expect(&holder, "acquire");
  assert_int_equal(contract_decode(CONTRACT(LeaseWish), holder.asked->body, NULL, &wish, NULL), 0);
  assert_true(wish.may_double);
  assert_true(text_is(wish.name, "hub"));
  assert_false(client_lease_check(holder.lease, &token));
  assert_int_equal(token.epoch, 0);
  fake_error(&holder.scene->fake, id, STATUS_REFUSED, "another has it", 10000);
  fake_error(&holder.scene->fake, expect(&holder, "acquire"), STATUS_UNAVAILABLE, "nobody leads", 0);
  take(&holder, LONG_US);
  assert_int_equal(holder.held, 1);
  assert_true(client_lease_check(holder.lease, &token));
  assert_true(token.epoch == 2 && token.counter == 1 && token_compare(token, holder.token) == 0);
  end(&holder);
}

static void it_is_renewed_in_time_under_its_token(void **state) {
  LeaseKeep keep;
  Holder holder;

  begin(&holder, *state, false);
  take(&holder, SHORT_US * 10);
  for (int i = 0; i < 3; i++) {
    RequestId id = expect(&holder, "renew");

    assert_int_equal(contract_decode(CONTRACT(LeaseKeep), holder.asked->body, NULL, &keep, NULL), 0);
    assert_true(keep.epoch == 2 && keep.counter == 1);
    assert_true(is_held(&holder));
    give(&holder, id, 1, i < 2 ? SHORT_US : LONG_US);
  }
  assert_int_equal(holder.held, 1);
  assert_int_equal(holder.lost, 0);
  end(&holder);
}

/* 0.8 of the time from when it was asked for, not from when the answer came. */
static void it_is_lost_when_its_time_is_over(void **state) {
  uint64_t asked_us;
  uint64_t over_us;
  RequestId id;
  Holder holder;

  begin(&holder, *state, false);
  id = expect(&holder, "acquire");
  asked_us = clock_monotonic_us(); /* or a little earlier */
  fake_run(&holder.scene->fake, SHORT_US / 4);
  give(&holder, id, 1, SHORT_US);
  fake_until(&holder.scene->fake, is_lost, &holder);
  over_us = clock_monotonic_us();
  assert_true(over_us >= asked_us + SHORT_US / 10 * 7); /* not long before */
  assert_int_equal(holder.held, 1);
  id = expect(&holder, "renew");
  give(&holder, id, 1, LONG_US); /* too late: another may have it */
  take(&holder, LONG_US);
  assert_int_equal(holder.held, 2);
  end(&holder);
}

/* As a holder that was frozen sees it: the callback has not run, and what it asks says no all the same. */
static void the_clock_decides_and_not_the_callback(void **state) {
  uint64_t until_us;
  Holder holder;

  begin(&holder, *state, false);
  take(&holder, SHORT_US);
  until_us = clock_monotonic_us() + SHORT_US;
  while (clock_monotonic_us() < until_us)
    continue; /* the loop does not turn */
  assert_int_equal(holder.lost, 0);
  assert_false(client_lease_check(holder.lease, NULL));
  end(&holder);
}

/* The machine was suspended: its monotonic clock stood still, and the broker's went on. */
static void what_passes_while_the_machine_is_suspended_counts(void **state) {
  Holder holder;
  RequestId id;

  begin(&holder, *state, false);
  take(&holder, SHORT_US * 3);
  assert_true(is_held(&holder));
  suspend_for(SHORT_US * 3);
  assert_false(is_held(&holder));  /* at once, in every thread that asks */
  id = expect(&holder, "acquire"); /* and no renewal */
  assert_int_equal(holder.lost, 1);
  suspend_for(LONG_US);
  give(&holder, id, 2, LONG_US); /* asked for before, so its time is over */
  take(&holder, LONG_US);
  assert_int_equal(holder.held, 2);
  end(&holder);
}

static void what_is_given_too_late_is_not_held(void **state) {
  RequestId id;
  Holder holder;

  begin(&holder, *state, false);
  id = expect(&holder, "acquire");
  fake_run(&holder.scene->fake, SHORT_US);
  give(&holder, id, 1, SHORT_US);
  expect(&holder, "acquire");
  assert_int_equal(holder.held, 0);
  end(&holder);
}

static void a_token_that_is_not_in_force_ends_it_at_once(void **state) {
  Holder holder;

  begin(&holder, *state, false);
  take(&holder, SHORT_US * 3);
  fake_error(&holder.scene->fake, expect(&holder, "renew"), STATUS_UNAVAILABLE, "nobody leads", 0);
  fake_error(&holder.scene->fake, expect(&holder, "renew"), STATUS_REFUSED, "not in force", 0);
  expect(&holder, "acquire");
  assert_int_equal(holder.lost, 1);
  end(&holder);
}

static void it_is_given_back_and_taken_anew(void **state) {
  LeaseBack back;
  RequestId id;
  Holder holder;

  begin(&holder, *state, false);
  take(&holder, LONG_US);
  client_lease_want(holder.lease, false);
  assert_false(is_held(&holder));
  expect(&holder, "release");
  assert_int_equal(contract_decode(CONTRACT(LeaseBack), holder.asked->body, NULL, &back, NULL), 0);
  assert_true(back.epoch == 2 && back.counter == 1);
  client_lease_want(holder.lease, true);
  id = expect(&holder, "acquire");
  client_lease_want(holder.lease, false);
  give(&holder, id, 7, LONG_US); /* it is not wanted any more */
  expect(&holder, "release");
  assert_int_equal(contract_decode(CONTRACT(LeaseBack), holder.asked->body, NULL, &back, NULL), 0);
  assert_int_equal(back.counter, 7);
  assert_int_equal(holder.held, 1);
  assert_int_equal(holder.lost, 0);
  end(&holder);
}

static void destroyed_while_it_asks_it_gives_back_what_comes(void **state) {
  RequestId id;
  Holder holder;

  begin(&holder, *state, false);
  id = expect(&holder, "acquire");
  client_lease_destroy(&holder.lease);
  assert_null(holder.lease);
  give(&holder, id, 1, LONG_US);
  expect(&holder, "release");
  end(&holder);
  client_lease_destroy(&holder.lease);
}

static void a_name_that_is_none(void **state) {
  ClientLease *lease = (ClientLease *)state;
  Holder holder;

  begin(&holder, *state, false);
  assert_int_equal(client_lease_new(holder.scene->client, &(ClientLeaseOptions){.name = TEXT("no name")}, &lease),
                   -EINVAL);
  assert_ptr_equal(lease, state);
  end(&holder);
}

int main(void) {
#define TEST(test) cmocka_unit_test_setup_teardown(test, scene_set_up, scene_tear_down)
  const struct CMUnitTest tests[] = {
      TEST(it_is_asked_for_until_it_is_given),
      TEST(it_is_renewed_in_time_under_its_token),
      TEST(it_is_lost_when_its_time_is_over),
      TEST(the_clock_decides_and_not_the_callback),
      TEST(what_passes_while_the_machine_is_suspended_counts),
      TEST(what_is_given_too_late_is_not_held),
      TEST(a_token_that_is_not_in_force_ends_it_at_once),
      TEST(it_is_given_back_and_taken_anew),
      TEST(destroyed_while_it_asks_it_gives_back_what_comes),
      TEST(a_name_that_is_none),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
