/* What one broker knows of the other's instances: who may have begun what, newcomers, warming, suspicion. */
#include "tests/unit/bus/core/moved.h"

#include <stdio.h>

/* It has just started, and has heard nothing of the other. */
static void start_alone(Harness *h) {
  moved_start_alone(h, MOVED_START_US, NULL);
}

static int set_up_alone(void **state) {
  return moved_set_up_with(state, start_alone);
}

static bool has_been_given(TestPeer *peer, RequestId id) {
  for (int n = 0; harness_find(peer, KIND_REQUEST, n); n++)
    if (request_id_equal(harness_find(peer, KIND_REQUEST, n)->header.id, id))
      return true;
  return false;
}

/* What becomes of a once request that is sent again, and that worker has not begun: OK = it is handed on. */
static Status status_of_moved(Harness *h) {
  RequestId id = moved_ask_once(h);
  Heard *end = NULL;

  moved_pass(h, &h->worker, id, 0, STATUS_OK);
  if (harness_find(&h->client, KIND_PING, 0))
    moved_pong(h, &h->client);
  if (has_been_given(&h->worker, id)) {
    harness_reply(h, &h->worker, id);
    harness_ended(&h->client, id, STATUS_OK);
    return STATUS_OK;
  }
  harness_wait(h, TIME_PING_TIMEOUT_US);
  assert_int_equal(harness_ends(&h->client, id, &end), 1);
  return end->header.status;
}

/* Whoever left after the request was sent first may have begun it, however it left; who left before may not. */
static void test_who_has_left(void **state) {
  Harness *h = *state;
  TestPeer *other = &h->other;

  moved_instance(h, other, "other", 33, NULL);
  harness_cut(h, other);
  assert_int_equal(status_of_moved(h), STATUS_UNKNOWN);
  harness_wait(h, 1000000);
  assert_int_equal(status_of_moved(h), STATUS_OK);
  moved_instance(h, other, "other", 34, NULL);
  harness_say(h, other, KIND_BYE, (RequestId){{0}, 0}, STATUS_OK);
  assert_int_equal(status_of_moved(h), STATUS_UNKNOWN); /* its reply may have gone with the other broker */
}

/* One that is with the other broker alone can't be asked, until it comes. */
static void test_who_is_with_the_other_broker_alone(void **state) {
  Harness *h = *state;
  TestPeer *other = &h->other;
  RequestId id;

  moved_peer_has(h, 33);
  assert_int_equal(status_of_moved(h), STATUS_UNKNOWN);
  id = moved_ask_once(h);
  moved_pass(h, &h->worker, id, 0, STATUS_OK);
  harness_open(&h->client, id);
  moved_instance(h, other, "other", 33, NULL);
  moved_pass(h, other, id, 0, STATUS_OK);
  harness_work(&h->worker, id);
}

/* What the other broker has lost is a leaver here too, unless it is here. */
static void test_whom_the_other_broker_has_lost(void **state) {
  Harness *h = *state;

  moved_peer_has(h, 33);
  moved_peer_has(h, 22);
  moved_peer_lost(h, 22, 0);
  moved_peer_lost(h, 33, 5000000);
  assert_int_equal(status_of_moved(h), STATUS_OK); /* 5 s ago, before it was sent */
  moved_peer_has(h, 33);
  moved_peer_lost(h, 33, 100000);
  assert_int_equal(status_of_moved(h), STATUS_UNKNOWN);
}

/* The other's port is refused, again and again. */
static void stay_dead(Harness *h, uint64_t us) {
  for (uint64_t end_us = h->now_us + us; h->now_us < end_us;) {
    harness_wait(h, 100000);
    moved_peer_dead(h);
  }
}

/* With a broker that may live on, its own instances stay missing; with one that is dead they have left. */
static void test_when_the_other_broker_is_gone(void **state) {
  Harness *h = *state;

  moved_peer_has(h, 33);
  moved_peer_down(h);
  harness_wait(h, 500000);
  assert_int_equal(status_of_moved(h), STATUS_UNKNOWN);
  moved_peer_dead(h);
  assert_int_equal(status_of_moved(h), STATUS_UNKNOWN); /* left just now */
  stay_dead(h, 1000000);
  assert_int_equal(status_of_moved(h), STATUS_OK);
}

/* It is dead; but when that is seen long after the link worked last (this broker may have been frozen), a process in its place may
   have come and gone, with instances that nobody knows here. */
static void test_who_was_in_the_place_of_the_dead(void **state) {
  Harness *h = *state;

  core_peer_down(h->core, h->now_us - TIME_NEWCOMER_US / 2 + 1, h->now_us);
  moved_peer_dead(h);
  assert_int_equal(status_of_moved(h), STATUS_OK);
  harness_wait(h, TIME_NEWCOMER_US / 2);
  moved_ping(h, &h->client);
  assert_int_equal(status_of_moved(h), STATUS_UNKNOWN); /* nobody has looked for a second */
  moved_peer_dead(h);
  assert_int_equal(status_of_moved(h), STATUS_UNKNOWN); /* dead again, or still? */
  assert_int_equal(moved_known_us(h), TIME_PING_TIMEOUT_US);
  stay_dead(h, 2 * MOVED_AGE_US);
  assert_int_equal(status_of_moved(h), STATUS_OK);
  moved_restart(h);
  core_peer_down(h->core, h->now_us - TIME_NEWCOMER_US / 2, h->now_us);
  moved_peer_dead(h);
  assert_int_equal(status_of_moved(h), STATUS_UNKNOWN);
}

/* A link that was lost again before the other had told all has filled no gap. */
static void test_a_gap_stays_open(void **state) {
  Harness *h = *state;

  moved_peer_down(h);
  harness_wait(h, TIME_NEWCOMER_US / 2);
  moved_peer_up(h);
  moved_peer_down(h);
  assert_int_equal(status_of_moved(h), STATUS_UNKNOWN);
}

static void test_a_link_that_never_was_there_tells_nothing(void **state) {
  Harness *h = *state;

  harness_wait(h, 5000000);
  assert_int_equal(core_history(h->core, h->now_us).own_for_us, 5000000);
  assert_int_equal(moved_known_us(h), 0);
}

/* A cut link hides the other's newcomers; for a moment they get nothing, then nobody can vouch. */
static void test_a_cut_link_hides_newcomers(void **state) {
  Harness *h = *state;
  RosterHistory history = {.own_for_us = 50000000, .both_for_us = 50000000};

  moved_peer_down(h);
  assert_int_equal(status_of_moved(h), STATUS_OK);
  harness_wait(h, TIME_NEWCOMER_US / 2);
  assert_int_equal(status_of_moved(h), STATUS_UNKNOWN);
  moved_peer_up(h);
  assert_int_equal(status_of_moved(h), STATUS_UNKNOWN); /* it has not told all yet */
  moved_peer_complete(h, history);
  moved_noted(h, 22);
  assert_int_equal(status_of_moved(h), STATUS_OK); /* the same process: what it knows fills the gap */
}

/* What a broker that has just started knows begins with it, unless the other knows more. */
static void test_how_far_knowledge_reaches(void **state) {
  Harness *h = *state;
  RosterHistory young = {.own_for_us = 100000, .both_for_us = 100000};
  RosterHistory old = {.own_for_us = 100000, .both_for_us = 60000000};

  assert_int_equal(core_history(h->core, h->now_us).own_for_us, h->now_us - 1000000);
  assert_int_equal(core_history(h->core, h->now_us).apart_for_us, 0);
  moved_peer_down(h);
  harness_wait(h, 5000000);
  assert_int_equal(core_history(h->core, h->now_us).apart_for_us, 5000000);
  moved_ping(h, &h->client);
  moved_peer_up(h);
  moved_peer_complete(h, young); /* another process than before, and nobody knows when that one died */
  assert_int_equal(moved_known_us(h), 100000);
  assert_int_equal(status_of_moved(h), STATUS_UNKNOWN);
  moved_peer_complete(h, old);
  assert_int_equal(moved_known_us(h), 60000000);
}

/* Each broker tells all when its end of the link comes up, and once more when the other wants it. */
static void test_what_is_told_again_takes_nothing_away(void **state) {
  Harness *h = *state;
  RosterHistory young = {.own_for_us = 100000, .both_for_us = 100000};

  moved_peer_down(h);
  moved_peer_up(h);
  moved_peer_complete(h, young); /* it has started anew; what was before is known here */
  moved_peer_up(h);
  assert_int_equal(status_of_moved(h), STATUS_OK); /* between the two, too */
  moved_peer_complete(h, young);
  assert_int_equal(moved_known_us(h), h->now_us - 1000000);
  assert_int_equal(status_of_moved(h), STATUS_OK);
}

/* A broker that starts takes over what the other knows, unless the other lost sight of its former self for too long. */
static void test_what_a_broker_that_starts_learns(void **state) {
  RosterHistory apart = {.own_for_us = 90000000, .both_for_us = 60000000, .apart_for_us = 5000000};
  Harness *h = *state;

  harness_wait(h, 1000000);
  moved_peer_up(h);
  moved_peer_complete(h, apart);
  assert_int_equal(moved_known_us(h), 1000000);
  apart.apart_for_us = 1500000; /* too short for a newcomer to have been given anything */
  moved_peer_complete(h, apart);
  assert_int_equal(moved_known_us(h), 60000000);
}

static void test_a_newcomer_waits_until_it_is_noted(void **state) {
  Harness *h = *state;
  TestPeer *other = &h->other;
  RequestId once;
  RequestId idempotent;

  harness_cut(h, &h->worker);
  harness_wait(h, 1000000);
  harness_instance(h, other, &(TestInstance){.name = "other", .client = 33, .credit = 4, .is_full = true});
  once = harness_request(h, &h->client, (Header){.method = TEXT("once"), .deadline_us = 9000000}, BYTES_NONE);
  idempotent = harness_ask(h, &h->client, "echo", "say", BYTES_NONE);
  harness_work(other, idempotent);
  assert_int_equal(harness_count(other, KIND_REQUEST), 1);
  core_peer_noted(h->core, (ClientId){33}, 32, h->now_us); /* another incarnation */
  assert_int_equal(harness_count(other, KIND_REQUEST), 1);
  moved_noted(h, 33);
  moved_pong(h, &h->client);
  harness_work(other, once);
}

/* A newcomer, while the other broker can't be reached, and what it is to do. */
static RequestId ask_newcomer(Harness *h, TestPeer *newcomer, bool other_is_dead) {
  harness_cut(h, &h->worker);
  moved_peer_down(h);
  if (other_is_dead)
    moved_peer_dead(h);
  harness_instance(h, newcomer, &(TestInstance){.name = "other", .client = 33, .credit = 4, .is_full = true});
  return harness_request(h, &h->client, (Header){.method = TEXT("once"), .deadline_us = 9000000}, BYTES_NONE);
}

static void test_a_newcomer_beside_a_dead_broker_does_not_wait(void **state) {
  Harness *h = *state;
  RequestId once = ask_newcomer(h, &h->other, true);

  moved_pong(h, &h->client);
  harness_work(&h->other, once);
}

static void test_a_newcomer_does_not_wait_for_ever(void **state) {
  Harness *h = *state;
  RequestId once = ask_newcomer(h, &h->other, false);

  harness_wait(h, 900000);
  moved_ping(h, &h->other);
  harness_wait(h, TIME_NEWCOMER_US - 900000 - 1);
  moved_ping(h, &h->other);
  assert_int_equal(harness_count(&h->other, KIND_REQUEST), 0);
  harness_wait(h, 1);
  moved_pong(h, &h->client);
  harness_work(&h->other, once);
}

/* Asks for what the worker has no credit for, and then a newcomer is there: the client is asked whether it has moved. */
static RequestId ask_and_let_come(Harness *h, TestPeer *newcomer) {
  RequestId id;

  harness_credit(h, &h->worker, 0);
  id = harness_ask(h, &h->client, "echo", "once", BYTES_NONE);
  moved_instance(h, newcomer, "other", 33, NULL);
  assert_int_equal(harness_count(newcomer, KIND_REQUEST), 0);
  return id;
}

/* What a client asked before the newcomer came it may have sent again elsewhere: it is asked first. */
static void test_a_newcomer_gets_nothing_of_who_may_have_moved(void **state) {
  Harness *h = *state;
  TestPeer *other = &h->other;
  RequestId before = ask_and_let_come(h, other);
  RequestId after;
  RequestId late;

  assert_true(request_id_equal(harness_find(&h->client, KIND_PING, 0)->header.id, before));
  harness_give(h, &h->client, &(Header){.kind = KIND_PONG, .number = 1, .id = before}, BYTES_NONE); /* an older PING */
  assert_int_equal(harness_count(other, KIND_REQUEST), 0);
  moved_pong(h, &h->client);
  harness_work(other, before);
  after = harness_ask(h, &h->client, "echo", "once", BYTES_NONE); /* the client has just been heard of */
  harness_work(other, after);
  core_late(h->core, h->now_us);
  late = harness_ask(h, &h->client, "echo", "once", BYTES_NONE);
  assert_int_equal(harness_count(other, KIND_REQUEST), 2);
  moved_pong(h, &h->client);
  harness_work(other, late);
  assert_int_equal(harness_count(&h->client, KIND_PING), 2);
}

/* It has: the request is dropped without a word, for the other broker is at it. */
static void test_a_client_that_has_moved(void **state) {
  Harness *h = *state;
  RequestId id = ask_and_let_come(h, &h->other);

  moved_pong_status(h, &h->client, STATUS_STALE);
  assert_int_equal(harness_count(&h->other, KIND_REQUEST), 0);
  harness_open(&h->client, id);
  assert_true(core_is_idle(h->core));
}

/* What an instance executes goes on: the other broker may have it found. */
static void test_a_client_that_has_moved_leaves_what_is_executed(void **state) {
  Harness *h = *state;
  RequestId id = ask_and_let_come(h, &h->other);

  harness_credit(h, &h->worker, 1);
  harness_work(&h->worker, id);
  moved_pong_status(h, &h->client, STATUS_STALE);
  assert_int_equal(harness_count(&h->worker, KIND_CANCEL), 0);
  harness_reply(h, &h->worker, id);
  harness_ended(&h->client, id, STATUS_OK);
}

/* One that never moves is not asked. */
static void test_a_client_that_never_moves(void **state) {
  Harness *h = *state;
  TestPeer *other = &h->other;
  RequestId id;

  harness_cut(h, &h->client);
  moved_client(h, &h->client, 0);
  harness_credit(h, &h->worker, 0);
  id = harness_ask(h, &h->client, "echo", "once", BYTES_NONE);
  moved_instance(h, other, "other", 33, NULL);
  harness_work(other, id);
}

/* The same for one instance by name, and for each that service@* asks. */
static void test_a_newcomer_that_is_named(void **state) {
  Harness *h = *state;
  TestPeer *other = &h->other;
  RequestId named;
  RequestId all;

  moved_instance(h, other, "other", 33, NULL);
  named = harness_ask(h, &h->client, "echo@other", "once", BYTES_NONE);
  assert_int_equal(harness_count(other, KIND_REQUEST), 0);
  moved_pong(h, &h->client);
  harness_work(other, named);
  core_late(h->core, h->now_us);
  all = harness_ask(h, &h->client, "echo@*", "once", BYTES_NONE);
  assert_int_equal(harness_count(other, KIND_REQUEST), 1);
  moved_pong(h, &h->client);
  harness_work(other, all);
}

/* A turn that came late is noticed by what was due. */
static void test_a_late_turn_believes_in_nobody(void **state) {
  Harness *h = *state;
  RequestId id;

  harness_ask(h, &h->client, "echo", "say", BYTES_NONE); /* the worker is to be looked after in 50 ms */
  h->now_us += 200000;
  id = harness_ask(h, &h->client, "echo", "once", BYTES_NONE);
  assert_int_equal(harness_count(&h->worker, KIND_REQUEST), 1);
  moved_pong(h, &h->client);
  harness_work(&h->worker, id);
}

/* --- suspicion --- */

/* The only instance is of the other broker's site. */
static TestPeer *start_far(Harness *h) {
  harness_cut(h, &h->worker);
  harness_instance(h, &h->other, &(TestInstance){.name = "far", .client = 33, .credit = 4, .site = "there"});
  return &h->other;
}

static void test_a_suspect_gets_nothing_until_it_answers(void **state) {
  Harness *h = *state;
  TestPeer *far = start_far(h);
  RequestId id;

  moved_peer_down(h);
  id = harness_ask(h, &h->client, "echo", "say", BYTES_NONE);
  moved_ping(h, far); /* what was on its way proves nothing */
  assert_int_equal(harness_count(far, KIND_REQUEST), 0);
  moved_pong(h, far);
  harness_work(far, id);
}

/* A PING that was sent before the suspicion does not end it; the next one does. */
static void test_an_older_ping_does_not_end_suspicion(void **state) {
  Harness *h = *state;
  TestPeer *far = start_far(h);
  RequestId id;

  harness_ask(h, &h->client, "echo", "say", BYTES_NONE);
  harness_wait(h, TIME_PING_INTERVAL_US);
  assert_int_equal(harness_count(far, KIND_PING), 1);
  core_suspect_site(h->core, TEXT("there"), h->now_us);
  id = harness_ask(h, &h->client, "echo", "say", BYTES_NONE);
  moved_pong(h, far);
  assert_int_equal(harness_count(far, KIND_REQUEST), 1);
  assert_int_equal(harness_count(far, KIND_PING), 2);
  moved_pong(h, far);
  harness_work(far, id);
}

/* --- warming --- */

static void warm_start(Harness *h) {
  moved_start_alone(h, 1000000, NULL);
  harness_client(h, &h->client, "tester", 11);
}

static int set_up_warming(void **state) {
  return moved_set_up_with(state, warm_start);
}

static bool welcome_says_warming(TestPeer *peer) {
  _cleanup_(arena_done) Arena arena = {0};
  Welcome welcome;
  Heard *heard = harness_find(peer, KIND_WELCOME, 0);

  assert_int_equal(contract_decode(CONTRACT(Welcome), buffer_bytes(&heard->body), &arena, &welcome, NULL), 0);
  assert_int_equal(welcome.features, FEATURE_PROBE);
  return welcome.has_warming && welcome.warming;
}

static void test_warm_when_all_are_here(void **state) {
  Harness *h = *state;
  RosterHistory history = {.own_for_us = 1000000, .both_for_us = 1000000};

  assert_true(welcome_says_warming(&h->client) && core_is_warming(h->core));
  harness_ended(&h->client, harness_ask(h, &h->client, "echo", "say", BYTES_NONE), STATUS_OTHER_BROKER);
  moved_peer_up(h);
  moved_peer_has(h, 22);
  moved_peer_complete(h, history);
  harness_instance(h, &h->worker, &(TestInstance){.name = "worker", .client = 22});
  assert_int_equal(harness_count(&h->client, KIND_WARM), 0); /* it has no credit yet */
  harness_credit(h, &h->worker, 1);
  assert_int_equal(harness_count(&h->client, KIND_WARM), 1);
  assert_false(core_is_warming(h->core));
  harness_ended(&h->client, harness_ask(h, &h->client, "nobody", "say", BYTES_NONE), STATUS_NO_SERVICE);
}

static void test_warm_after_two_seconds(void **state) {
  Harness *h = *state;
  harness_wait(h, TIME_WARMING_US - 1);
  assert_int_equal(harness_count(&h->client, KIND_WARM), 0);
  harness_wait(h, 1);
  assert_int_equal(harness_count(&h->client, KIND_WARM), 1);
  harness_worker(h, &h->worker, "worker", 22, 1);
  assert_false(welcome_says_warming(&h->worker));
}

/* A request that is sent again to a broker that does not know all waits for them. */
static void test_what_is_sent_again_while_warming(void **state) {
  Harness *h = *state;
  RequestId have;
  RequestId nobody;

  have = moved_ask_once(h);
  nobody = moved_ask(h, (Header){.flags = FLAG_IDEMPOTENT, .service = TEXT("nobody")});
  harness_wait(h, TIME_WARMING_US / 2);
  harness_open(&h->client, have);
  harness_instance(h, &h->worker, &(TestInstance){.name = "worker", .client = 22, .credit = 1, .is_full = true});
  moved_have(h, &h->worker, (Header){.id = have}, "running");
  harness_reply(h, &h->worker, have);
  harness_ended(&h->client, have, STATUS_OK);
  harness_open(&h->client, nobody);
  harness_wait(h, TIME_WARMING_US);
  harness_ended(&h->client, nobody, STATUS_NO_SERVICE);
}

/* --- what is told --- */

typedef struct Told {
  uint64_t client;
  bool has_left;
  uint64_t ago_us;
  char service[16];
} Told;

static Told told[16];
static int n_told;

static void on_roster(void *userdata, const struct RosterEntry *entry, bool has_left, uint64_t ago_us) {
  Told *row = &told[n_told++];

  (void)userdata;
  assert_in_range(n_told, 1, ELEMENTS(told));
  *row = (Told){.client = entry->client.value, .has_left = has_left, .ago_us = ago_us};
  assert_int_equal(entry->n_services, 1);
  snprintf(row->service, sizeof row->service, "%.*s", TEXT_ARG(entry->services[0]));
}

static void start_telling(Harness *h) {
  const CoreSink sink = {.send = on_harness_send, .close = on_harness_close, .roster = on_roster};

  n_told = 0;
  moved_start(h, &sink);
}

static int set_up_telling(void **state) {
  return moved_set_up_with(state, start_telling);
}

static void test_what_the_other_broker_is_told(void **state) {
  Harness *h = *state;

  assert_int_equal(n_told, 1); /* not the client: it offers nothing */
  moved_instance(h, &h->other, "other", 33, NULL);
  harness_cut(h, &h->other);
  assert_int_equal(n_told, 3);
  assert_true(told[2].has_left && told[2].client == 33 && !told[1].has_left);
  harness_wait(h, 1000000);
  core_tell_roster(h->core, h->now_us);
  assert_int_equal(n_told, 5);
  assert_true(told[3].client == 22 && !told[3].has_left);
  assert_true(told[4].client == 33 && told[4].has_left && told[4].ago_us == 1000000);
  assert_string_equal(told[4].service, "echo");
}

/* A broker that has just started does not know whom the one before it had; nor has this one seen them leave. */
static void test_what_the_other_had_its_successor_is_told(void **state) {
  Harness *h = *state;

  moved_peer_has(h, 33);
  moved_peer_has(h, 22);
  moved_peer_down(h);
  core_peer_up(h->core, TEXT("pc2"), h->now_us);
  n_told = 0;
  core_tell_roster(h->core, h->now_us);
  assert_int_equal(n_told, 2);
  assert_true(told[0].client == 22 && !told[0].has_left);
  assert_true(told[1].client == 33 && told[1].has_left && told[1].ago_us == 0);
}

/* More leavers than can be remembered: only what was sent after the last that was forgotten is sure. */
static void test_too_many_leavers(void **state) {
  Harness *h = *state;

  for (uint64_t i = 0; i < 5000; i++)
    moved_peer_lost(h, 1000 + i, 2000000);
  assert_in_range(moved_known_us(h), 1, 2000000);
  assert_int_equal(status_of_moved(h), STATUS_OK);
}

/* The other broker claims to have more instances than there may be: they take up no memory, and for a while nobody is vouched for. */
static void test_more_instances_than_there_may_be(void **state) {
  static const Text others[] = {TEXT("other")};
  uint64_t most = core_options_default().limits.sessions;
  RosterEntry entry = {.incarnation = 1, .services = others, .n_services = 1};
  Harness *h = *state;

  for (entry.client.value = 1000; entry.client.value < 1000 + most; entry.client.value++)
    core_peer_has(h->core, &entry, h->now_us);
  assert_int_equal(status_of_moved(h), STATUS_OK);
  core_peer_has(h->core, &entry, h->now_us);
  assert_int_equal(status_of_moved(h), STATUS_UNKNOWN);
  moved_peer_up(h);
  moved_peer_complete(h, (RosterHistory){.own_for_us = h->now_us, .both_for_us = h->now_us});
  assert_int_equal(status_of_moved(h), STATUS_OK);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, moved_set_up, moved_tear_down)
#define ALONE(name) cmocka_unit_test_setup_teardown(name, set_up_alone, moved_tear_down)
#define WARMING(name) cmocka_unit_test_setup_teardown(name, set_up_warming, moved_tear_down)
#define TELLING(name) cmocka_unit_test_setup_teardown(name, set_up_telling, moved_tear_down)
  const struct CMUnitTest tests[] = {
      TEST(test_who_has_left),
      TEST(test_who_is_with_the_other_broker_alone),
      TEST(test_whom_the_other_broker_has_lost),
      TEST(test_when_the_other_broker_is_gone),
      TEST(test_who_was_in_the_place_of_the_dead),
      TEST(test_a_gap_stays_open),
      ALONE(test_a_link_that_never_was_there_tells_nothing),
      TEST(test_a_cut_link_hides_newcomers),
      TEST(test_how_far_knowledge_reaches),
      TEST(test_what_is_told_again_takes_nothing_away),
      ALONE(test_what_a_broker_that_starts_learns),
      TEST(test_a_newcomer_waits_until_it_is_noted),
      TEST(test_a_newcomer_does_not_wait_for_ever),
      TEST(test_a_newcomer_beside_a_dead_broker_does_not_wait),
      TEST(test_a_newcomer_gets_nothing_of_who_may_have_moved),
      TEST(test_a_client_that_has_moved),
      TEST(test_a_client_that_has_moved_leaves_what_is_executed),
      TEST(test_a_client_that_never_moves),
      TEST(test_a_newcomer_that_is_named),
      TEST(test_a_late_turn_believes_in_nobody),
      TEST(test_a_suspect_gets_nothing_until_it_answers),
      TEST(test_an_older_ping_does_not_end_suspicion),
      WARMING(test_warm_when_all_are_here),
      WARMING(test_warm_after_two_seconds),
      WARMING(test_what_is_sent_again_while_warming),
      TELLING(test_what_the_other_broker_is_told),
      TELLING(test_what_the_other_had_its_successor_is_told),
      TEST(test_too_many_leavers),
      TEST(test_more_instances_than_there_may_be),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
