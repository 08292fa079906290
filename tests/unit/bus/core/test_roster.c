/* What one broker knows of the other's instances: who may have begun what, newcomers, warming, suspicion. */
#include "tests/unit/bus/core/moved.h"

#include <stdio.h>

static const Text echo[] = {TEXT("echo")};

static RosterEntry entry_of(uint64_t client) {
  return (RosterEntry){.client = {client}, .incarnation = client, .services = echo, .n_services = 1};
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
  TestPeer other = {0};
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  moved_instance(&h, &other, "other", 33, NULL);
  harness_cut(&h, &other);
  assert_int_equal(status_of_moved(&h), STATUS_UNKNOWN);
  harness_wait(&h, 1000000);
  assert_int_equal(status_of_moved(&h), STATUS_OK);
  moved_instance(&h, &other, "other", 34, NULL);
  harness_say(&h, &other, KIND_BYE, (RequestId){{0}, 0}, STATUS_OK);
  assert_int_equal(status_of_moved(&h), STATUS_UNKNOWN); /* its reply may have gone with the other broker */
  harness_stop(&h);
  harness_forget(&other);
}

/* One that is with the other broker alone can't be asked, until it comes. */
static void test_who_is_with_the_other_broker_alone(void **state) {
  TestPeer other = {0};
  RosterEntry entry = entry_of(33);
  RequestId id;
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  core_peer_has(h.core, &entry, h.now_us);
  assert_int_equal(status_of_moved(&h), STATUS_UNKNOWN);
  id = moved_ask_once(&h);
  moved_pass(&h, &h.worker, id, 0, STATUS_OK);
  harness_open(&h.client, id);
  moved_instance(&h, &other, "other", 33, NULL);
  moved_pass(&h, &other, id, 0, STATUS_OK);
  harness_work(&h.worker, id);
  harness_stop(&h);
  harness_forget(&other);
}

/* What the other broker has lost is a leaver here too, unless it is here. */
static void test_whom_the_other_broker_has_lost(void **state) {
  RosterEntry gone = entry_of(33);
  RosterEntry here = entry_of(22);
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  core_peer_has(h.core, &gone, h.now_us);
  core_peer_has(h.core, &here, h.now_us);
  core_peer_lost(h.core, &here, 0, h.now_us);
  core_peer_lost(h.core, &gone, 5000000, h.now_us);
  assert_int_equal(status_of_moved(&h), STATUS_OK); /* 5 s ago, before it was sent */
  core_peer_has(h.core, &gone, h.now_us);
  core_peer_lost(h.core, &gone, 100000, h.now_us);
  assert_int_equal(status_of_moved(&h), STATUS_UNKNOWN);
  harness_stop(&h);
}

/* The other's port is refused, again and again. */
static void stay_dead(Harness *h, uint64_t us) {
  for (uint64_t end_us = h->now_us + us; h->now_us < end_us;) {
    harness_wait(h, 100000);
    core_peer_dead(h->core, h->now_us, h->now_us);
  }
}

/* With a broker that may live on, its own instances stay missing; with one that is dead they have left. */
static void test_when_the_other_broker_is_gone(void **state) {
  RosterEntry entry = entry_of(33);
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  core_peer_has(h.core, &entry, h.now_us);
  core_peer_down(h.core, h.now_us, h.now_us);
  harness_wait(&h, 500000);
  assert_int_equal(status_of_moved(&h), STATUS_UNKNOWN);
  core_peer_dead(h.core, h.now_us, h.now_us);
  assert_int_equal(status_of_moved(&h), STATUS_UNKNOWN); /* left just now */
  stay_dead(&h, 1000000);
  assert_int_equal(status_of_moved(&h), STATUS_OK);
  harness_stop(&h);
}

/* It is dead; but when that is seen long after the link worked last (this broker may have been frozen), a process in its place may
   have come and gone, with instances that nobody knows here. */
static void test_who_was_in_the_place_of_the_dead(void **state) {
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  core_peer_down(h.core, h.now_us - TIME_NEWCOMER_US / 2 + 1, h.now_us);
  core_peer_dead(h.core, h.now_us, h.now_us);
  assert_int_equal(status_of_moved(&h), STATUS_OK);
  harness_wait(&h, TIME_NEWCOMER_US / 2);
  harness_say(&h, &h.client, KIND_PING, (RequestId){{0}, 0}, STATUS_OK);
  assert_int_equal(status_of_moved(&h), STATUS_UNKNOWN); /* nobody has looked for a second */
  core_peer_dead(h.core, h.now_us, h.now_us);
  assert_int_equal(status_of_moved(&h), STATUS_UNKNOWN); /* dead again, or still? */
  assert_int_equal(core_history(h.core, h.now_us).both_for_us, TIME_PING_TIMEOUT_US);
  stay_dead(&h, 2 * MOVED_AGE_US);
  assert_int_equal(status_of_moved(&h), STATUS_OK);
  harness_stop(&h);
  moved_start(&h, NULL);
  core_peer_down(h.core, h.now_us - TIME_NEWCOMER_US / 2, h.now_us);
  core_peer_dead(h.core, h.now_us, h.now_us);
  assert_int_equal(status_of_moved(&h), STATUS_UNKNOWN);
  harness_stop(&h);
}

/* A link that was lost again before the other had told all has filled no gap, and one that never was there tells nothing. */
static void test_a_gap_stays_open(void **state) {
  CoreOptions options = core_options_default();
  CoreSink sink = {.send = on_harness_send, .close = on_harness_close};
  Harness young = {.now_us = 1000000};
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  core_peer_down(h.core, h.now_us, h.now_us);
  harness_wait(&h, TIME_NEWCOMER_US / 2);
  core_peer_up(h.core, TEXT("there"), h.now_us);
  core_peer_down(h.core, h.now_us, h.now_us);
  assert_int_equal(status_of_moved(&h), STATUS_UNKNOWN);
  harness_stop(&h);
  options.has_peer = true;
  assert_int_equal(core_new(&young.core, &options, &sink, young.now_us), 0);
  harness_wait(&young, 5000000);
  assert_int_equal(core_history(young.core, young.now_us).own_for_us, 5000000);
  assert_int_equal(core_history(young.core, young.now_us).both_for_us, 0);
  harness_stop(&young);
}

/* A cut link hides the other's newcomers; for a moment they get nothing, then nobody can vouch. */
static void test_a_cut_link_hides_newcomers(void **state) {
  RosterHistory history = {.own_for_us = 50000000, .both_for_us = 50000000};
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  core_peer_down(h.core, h.now_us, h.now_us);
  assert_int_equal(status_of_moved(&h), STATUS_OK);
  harness_wait(&h, TIME_NEWCOMER_US / 2);
  assert_int_equal(status_of_moved(&h), STATUS_UNKNOWN);
  core_peer_up(h.core, TEXT("there"), h.now_us);
  assert_int_equal(status_of_moved(&h), STATUS_UNKNOWN); /* it has not told all yet */
  core_peer_complete(h.core, &history, h.now_us);
  core_peer_noted(h.core, (ClientId){22}, 22, h.now_us);
  assert_int_equal(status_of_moved(&h), STATUS_OK); /* the same process: what it knows fills the gap */
  harness_stop(&h);
}

/* What a broker that has just started knows begins with it, unless the other knows more. */
static void test_how_far_knowledge_reaches(void **state) {
  RosterHistory young = {.own_for_us = 100000, .both_for_us = 100000};
  RosterHistory old = {.own_for_us = 100000, .both_for_us = 60000000};
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  assert_int_equal(core_history(h.core, h.now_us).own_for_us, h.now_us - 1000000);
  assert_int_equal(core_history(h.core, h.now_us).apart_for_us, 0);
  core_peer_down(h.core, h.now_us, h.now_us);
  harness_wait(&h, 5000000);
  assert_int_equal(core_history(h.core, h.now_us).apart_for_us, 5000000);
  harness_say(&h, &h.client, KIND_PING, (RequestId){{0}, 0}, STATUS_OK);
  core_peer_up(h.core, TEXT("there"), h.now_us);
  core_peer_complete(h.core, &young, h.now_us); /* another process than before, and nobody knows when that one died */
  assert_int_equal(core_history(h.core, h.now_us).both_for_us, 100000);
  assert_int_equal(status_of_moved(&h), STATUS_UNKNOWN);
  core_peer_complete(h.core, &old, h.now_us);
  assert_int_equal(core_history(h.core, h.now_us).both_for_us, 60000000);
  harness_stop(&h);
}

/* A broker that starts takes over what the other knows, unless the other lost sight of its former self for too long. */
/* Each broker tells all when its end of the link comes up, and once more when the other wants it. */
static void test_what_is_told_again_takes_nothing_away(void **state) {
  RosterHistory young = {.own_for_us = 100000, .both_for_us = 100000};
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  core_peer_down(h.core, h.now_us, h.now_us);
  core_peer_up(h.core, TEXT("there"), h.now_us);
  core_peer_complete(h.core, &young, h.now_us); /* it has started anew; what was before is known here */
  core_peer_up(h.core, TEXT("there"), h.now_us);
  assert_int_equal(status_of_moved(&h), STATUS_OK); /* between the two, too */
  core_peer_complete(h.core, &young, h.now_us);
  assert_int_equal(core_history(h.core, h.now_us).both_for_us, h.now_us - 1000000);
  assert_int_equal(status_of_moved(&h), STATUS_OK);
  harness_stop(&h);
}

static void test_what_a_broker_that_starts_learns(void **state) {
  RosterHistory apart = {.own_for_us = 90000000, .both_for_us = 60000000, .apart_for_us = 5000000};
  CoreOptions options = core_options_default();
  CoreSink sink = {.send = on_harness_send, .close = on_harness_close};
  Harness h = {.now_us = 100000000};

  (void)state;
  options.has_peer = true;
  assert_int_equal(core_new(&h.core, &options, &sink, h.now_us), 0);
  harness_wait(&h, 1000000);
  core_peer_up(h.core, TEXT("there"), h.now_us);
  core_peer_complete(h.core, &apart, h.now_us);
  assert_int_equal(core_history(h.core, h.now_us).both_for_us, 1000000);
  apart.apart_for_us = 1500000; /* too short for a newcomer to have been given anything */
  core_peer_complete(h.core, &apart, h.now_us);
  assert_int_equal(core_history(h.core, h.now_us).both_for_us, 60000000);
  harness_stop(&h);
}

static void test_a_newcomer_waits_until_it_is_noted(void **state) {
  TestPeer other = {0};
  RequestId once;
  RequestId idempotent;
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  harness_cut(&h, &h.worker);
  harness_wait(&h, 1000000);
  harness_instance(&h, &other, &(TestInstance){.name = "other", .client = 33, .credit = 4, .is_full = true});
  once = harness_request(&h, &h.client, (Header){.method = TEXT("once"), .deadline_us = 9000000}, BYTES_NONE);
  idempotent = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_work(&other, idempotent);
  assert_int_equal(harness_count(&other, KIND_REQUEST), 1);
  core_peer_noted(h.core, (ClientId){33}, 32, h.now_us); /* another incarnation */
  assert_int_equal(harness_count(&other, KIND_REQUEST), 1);
  core_peer_noted(h.core, (ClientId){33}, 33, h.now_us);
  moved_pong(&h, &h.client);
  harness_work(&other, once);
  harness_stop(&h);
  harness_forget(&other);
}

static void test_a_newcomer_does_not_wait_for_ever(void **state) {
  for (int is_dead = 0; is_dead <= 1; is_dead++) {
    TestPeer other = {0};
    RequestId once;
    Harness h;

    (void)state;
    moved_start(&h, NULL);
    harness_cut(&h, &h.worker);
    core_peer_down(h.core, h.now_us, h.now_us);
    if (is_dead)
      core_peer_dead(h.core, h.now_us, h.now_us);
    harness_instance(&h, &other, &(TestInstance){.name = "other", .client = 33, .credit = 4, .is_full = true});
    once = harness_request(&h, &h.client, (Header){.method = TEXT("once"), .deadline_us = 9000000}, BYTES_NONE);
    if (!is_dead) {
      harness_wait(&h, 900000);
      harness_say(&h, &other, KIND_PING, (RequestId){{0}, 0}, STATUS_OK);
      harness_wait(&h, TIME_NEWCOMER_US - 900000 - 1);
      harness_say(&h, &other, KIND_PING, (RequestId){{0}, 0}, STATUS_OK);
      assert_int_equal(harness_count(&other, KIND_REQUEST), 0);
      harness_wait(&h, 1);
    }
    moved_pong(&h, &h.client);
    harness_work(&other, once);
    harness_stop(&h);
    harness_forget(&other);
  }
}

/* What a client asked before the newcomer came it may have sent again elsewhere: it is asked first. */
static void test_a_newcomer_gets_nothing_of_who_may_have_moved(void **state) {
  TestPeer other = {0};
  RequestId before;
  RequestId after;
  RequestId late;
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  harness_credit(&h, &h.worker, 0);
  before = harness_ask(&h, &h.client, "echo", "once", BYTES_NONE);
  moved_instance(&h, &other, "other", 33, NULL);
  assert_int_equal(harness_count(&other, KIND_REQUEST), 0);
  assert_true(request_id_equal(harness_find(&h.client, KIND_PING, 0)->header.id, before));
  harness_give(&h, &h.client, &(Header){.kind = KIND_PONG, .number = 1, .id = before}, BYTES_NONE); /* an older PING */
  assert_int_equal(harness_count(&other, KIND_REQUEST), 0);
  moved_pong(&h, &h.client);
  harness_work(&other, before);
  after = harness_ask(&h, &h.client, "echo", "once", BYTES_NONE); /* the client has just been heard of */
  harness_work(&other, after);
  core_late(h.core, h.now_us);
  late = harness_ask(&h, &h.client, "echo", "once", BYTES_NONE);
  assert_int_equal(harness_count(&other, KIND_REQUEST), 2);
  moved_pong(&h, &h.client);
  harness_work(&other, late);
  assert_int_equal(harness_count(&h.client, KIND_PING), 2);
  harness_stop(&h);
  harness_forget(&other);
}

/* It has: the request is dropped without a word, for the other broker is at it. */
/* What an instance executes goes on: the other broker may have it found. */
static void test_a_client_that_has_moved_leaves_what_is_executed(void **state) {
  TestPeer other = {0};
  RequestId id;
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  harness_credit(&h, &h.worker, 0);
  id = harness_ask(&h, &h.client, "echo", "once", BYTES_NONE);
  moved_instance(&h, &other, "other", 33, NULL);
  harness_credit(&h, &h.worker, 1);
  harness_work(&h.worker, id);
  moved_pong_status(&h, &h.client, STATUS_STALE);
  assert_int_equal(harness_count(&h.worker, KIND_CANCEL), 0);
  harness_reply(&h, &h.worker, id);
  harness_ended(&h.client, id, STATUS_OK);
  harness_stop(&h);
  harness_forget(&other);
}

static void test_a_client_that_has_moved(void **state) {
  TestPeer other = {0};
  RequestId id;
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  harness_credit(&h, &h.worker, 0);
  id = harness_ask(&h, &h.client, "echo", "once", BYTES_NONE);
  moved_instance(&h, &other, "other", 33, NULL);
  moved_pong_status(&h, &h.client, STATUS_STALE);
  assert_int_equal(harness_count(&other, KIND_REQUEST), 0);
  harness_open(&h.client, id);
  assert_true(core_is_idle(h.core));
  harness_stop(&h);
  harness_forget(&other);
}

/* One that never moves is not asked. */
static void test_a_client_that_never_moves(void **state) {
  TestPeer other = {0};
  RequestId id;
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  harness_cut(&h, &h.client);
  moved_client(&h, &h.client, 0);
  harness_credit(&h, &h.worker, 0);
  id = harness_ask(&h, &h.client, "echo", "once", BYTES_NONE);
  moved_instance(&h, &other, "other", 33, NULL);
  harness_work(&other, id);
  harness_stop(&h);
  harness_forget(&other);
}

/* The same for one instance by name, and for each that service@* asks. */
static void test_a_newcomer_that_is_named(void **state) {
  TestPeer other = {0};
  RequestId named;
  RequestId all;
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  moved_instance(&h, &other, "other", 33, NULL);
  named = harness_ask(&h, &h.client, "echo@other", "once", BYTES_NONE);
  assert_int_equal(harness_count(&other, KIND_REQUEST), 0);
  moved_pong(&h, &h.client);
  harness_work(&other, named);
  core_late(h.core, h.now_us);
  all = harness_ask(&h, &h.client, "echo@*", "once", BYTES_NONE);
  assert_int_equal(harness_count(&other, KIND_REQUEST), 1);
  moved_pong(&h, &h.client);
  harness_work(&other, all);
  harness_stop(&h);
  harness_forget(&other);
}

/* A turn that came late is noticed by what was due. */
static void test_a_late_turn_believes_in_nobody(void **state) {
  RequestId id;
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  harness_ask(&h, &h.client, "echo", "say", BYTES_NONE); /* the worker is to be looked after in 50 ms */
  h.now_us += 200000;
  id = harness_ask(&h, &h.client, "echo", "once", BYTES_NONE);
  assert_int_equal(harness_count(&h.worker, KIND_REQUEST), 1);
  moved_pong(&h, &h.client);
  harness_work(&h.worker, id);
  harness_stop(&h);
}

/* --- suspicion --- */

static void test_a_suspect_gets_nothing_until_it_answers(void **state) {
  TestPeer far = {0};
  RequestId id;
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  harness_cut(&h, &h.worker);
  harness_instance(&h, &far, &(TestInstance){.name = "far", .client = 33, .credit = 4, .site = "there"});
  core_peer_down(h.core, h.now_us, h.now_us);
  id = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_say(&h, &far, KIND_PING, (RequestId){{0}, 0}, STATUS_OK); /* what was on its way proves nothing */
  assert_int_equal(harness_count(&far, KIND_REQUEST), 0);
  moved_pong(&h, &far);
  harness_work(&far, id);
  harness_stop(&h);
  harness_forget(&far);
}

/* A PING that was sent before the suspicion does not end it; the next one does. */
static void test_an_older_ping_does_not_end_suspicion(void **state) {
  TestPeer far = {0};
  RequestId id;
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  harness_cut(&h, &h.worker);
  harness_instance(&h, &far, &(TestInstance){.name = "far", .client = 33, .credit = 4, .site = "there"});
  harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_wait(&h, TIME_PING_INTERVAL_US);
  assert_int_equal(harness_count(&far, KIND_PING), 1);
  core_suspect_site(h.core, TEXT("there"), h.now_us);
  id = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  moved_pong(&h, &far);
  assert_int_equal(harness_count(&far, KIND_REQUEST), 1);
  assert_int_equal(harness_count(&far, KIND_PING), 2);
  moved_pong(&h, &far);
  harness_work(&far, id);
  harness_stop(&h);
  harness_forget(&far);
}

/* --- warming --- */

static void warm_start(Harness *h) {
  CoreOptions options = core_options_default();
  CoreSink sink = {.send = on_harness_send, .close = on_harness_close};

  options.has_peer = true;
  *h = (Harness){.now_us = 1000000};
  assert_int_equal(core_new(&h->core, &options, &sink, h->now_us), 0);
  harness_client(h, &h->client, "tester", 11);
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
  RosterHistory history = {.own_for_us = 1000000, .both_for_us = 1000000};
  RosterEntry entry = entry_of(22);
  Harness h;

  (void)state;
  warm_start(&h);
  assert_true(welcome_says_warming(&h.client) && core_is_warming(h.core));
  harness_ended(&h.client, harness_ask(&h, &h.client, "echo", "say", BYTES_NONE), STATUS_OTHER_BROKER);
  core_peer_up(h.core, TEXT("there"), h.now_us);
  core_peer_has(h.core, &entry, h.now_us);
  core_peer_complete(h.core, &history, h.now_us);
  harness_instance(&h, &h.worker, &(TestInstance){.name = "worker", .client = 22});
  assert_int_equal(harness_count(&h.client, KIND_WARM), 0); /* it has no credit yet */
  harness_credit(&h, &h.worker, 1);
  assert_int_equal(harness_count(&h.client, KIND_WARM), 1);
  assert_false(core_is_warming(h.core));
  harness_ended(&h.client, harness_ask(&h, &h.client, "nobody", "say", BYTES_NONE), STATUS_NO_SERVICE);
  harness_stop(&h);
}

static void test_warm_after_two_seconds(void **state) {
  Harness h;

  (void)state;
  warm_start(&h);
  harness_wait(&h, TIME_WARMING_US - 1);
  assert_int_equal(harness_count(&h.client, KIND_WARM), 0);
  harness_wait(&h, 1);
  assert_int_equal(harness_count(&h.client, KIND_WARM), 1);
  harness_worker(&h, &h.worker, "worker", 22, 1);
  assert_false(welcome_says_warming(&h.worker));
  harness_stop(&h);
}

/* A request that is sent again to a broker that does not know all waits for them. */
static void test_what_is_sent_again_while_warming(void **state) {
  RequestId have;
  RequestId nobody;
  Harness h;

  (void)state;
  warm_start(&h);
  have = moved_ask_once(&h);
  nobody = moved_ask(&h, (Header){.flags = FLAG_IDEMPOTENT, .service = TEXT("nobody")});
  harness_wait(&h, TIME_WARMING_US / 2);
  harness_open(&h.client, have);
  harness_instance(&h, &h.worker, &(TestInstance){.name = "worker", .client = 22, .credit = 1, .is_full = true});
  moved_have(&h, &h.worker, (Header){.id = have}, "running");
  harness_reply(&h, &h.worker, have);
  harness_ended(&h.client, have, STATUS_OK);
  harness_open(&h.client, nobody);
  harness_wait(&h, TIME_WARMING_US);
  harness_ended(&h.client, nobody, STATUS_NO_SERVICE);
  harness_stop(&h);
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

static void test_what_the_other_broker_is_told(void **state) {
  CoreSink sink = {.send = on_harness_send, .close = on_harness_close, .roster = on_roster};
  TestPeer other = {0};
  Harness h;

  (void)state;
  n_told = 0;
  moved_start(&h, &sink);
  assert_int_equal(n_told, 1); /* not the client: it offers nothing */
  moved_instance(&h, &other, "other", 33, NULL);
  harness_cut(&h, &other);
  assert_int_equal(n_told, 3);
  assert_true(told[2].has_left && told[2].client == 33 && !told[1].has_left);
  harness_wait(&h, 1000000);
  core_tell_roster(h.core, h.now_us);
  assert_int_equal(n_told, 5);
  assert_true(told[3].client == 22 && !told[3].has_left);
  assert_true(told[4].client == 33 && told[4].has_left && told[4].ago_us == 1000000);
  assert_string_equal(told[4].service, "echo");
  harness_stop(&h);
  harness_forget(&other);
}

/* A broker that has just started does not know whom the one before it had; nor has this one seen them leave. */
static void test_what_the_other_had_its_successor_is_told(void **state) {
  CoreSink sink = {.send = on_harness_send, .close = on_harness_close, .roster = on_roster};
  RosterEntry gone = entry_of(33);
  RosterEntry here = entry_of(22);
  Harness h;

  (void)state;
  moved_start(&h, &sink);
  core_peer_has(h.core, &gone, h.now_us);
  core_peer_has(h.core, &here, h.now_us);
  core_peer_down(h.core, h.now_us, h.now_us);
  core_peer_up(h.core, TEXT("pc2"), h.now_us);
  n_told = 0;
  core_tell_roster(h.core, h.now_us);
  assert_int_equal(n_told, 2);
  assert_true(told[0].client == 22 && !told[0].has_left);
  assert_true(told[1].client == 33 && told[1].has_left && told[1].ago_us == 0);
  harness_stop(&h);
}

/* More leavers than can be remembered: only what was sent after the last that was forgotten is sure. */
static void test_too_many_leavers(void **state) {
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  for (uint64_t i = 0; i < 5000; i++) {
    RosterEntry entry = entry_of(1000 + i);

    core_peer_lost(h.core, &entry, 2000000, h.now_us);
  }
  assert_in_range(core_history(h.core, h.now_us).both_for_us, 1, 2000000);
  assert_int_equal(status_of_moved(&h), STATUS_OK);
  harness_stop(&h);
}

/* The other broker claims to have more instances than there may be: they take up no memory, and for a while nobody is vouched for. */
static void test_more_instances_than_there_may_be(void **state) {
  static const Text others[] = {TEXT("other")};
  uint64_t most = core_options_default().limits.sessions;
  RosterEntry entry = {.incarnation = 1, .services = others, .n_services = 1};
  Harness h;

  (void)state;
  moved_start(&h, NULL);
  for (entry.client.value = 1000; entry.client.value < 1000 + most; entry.client.value++)
    core_peer_has(h.core, &entry, h.now_us);
  assert_int_equal(status_of_moved(&h), STATUS_OK);
  core_peer_has(h.core, &entry, h.now_us);
  assert_int_equal(status_of_moved(&h), STATUS_UNKNOWN);
  core_peer_up(h.core, TEXT("pc2"), h.now_us);
  core_peer_complete(h.core, &(RosterHistory){.own_for_us = h.now_us, .both_for_us = h.now_us}, h.now_us);
  assert_int_equal(status_of_moved(&h), STATUS_OK);
  harness_stop(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_who_has_left),
      cmocka_unit_test(test_who_is_with_the_other_broker_alone),
      cmocka_unit_test(test_whom_the_other_broker_has_lost),
      cmocka_unit_test(test_when_the_other_broker_is_gone),
      cmocka_unit_test(test_who_was_in_the_place_of_the_dead),
      cmocka_unit_test(test_a_gap_stays_open),
      cmocka_unit_test(test_a_cut_link_hides_newcomers),
      cmocka_unit_test(test_how_far_knowledge_reaches),
      cmocka_unit_test(test_what_is_told_again_takes_nothing_away),
      cmocka_unit_test(test_what_a_broker_that_starts_learns),
      cmocka_unit_test(test_a_newcomer_waits_until_it_is_noted),
      cmocka_unit_test(test_a_newcomer_does_not_wait_for_ever),
      cmocka_unit_test(test_a_newcomer_gets_nothing_of_who_may_have_moved),
      cmocka_unit_test(test_a_client_that_has_moved),
      cmocka_unit_test(test_a_client_that_has_moved_leaves_what_is_executed),
      cmocka_unit_test(test_a_client_that_never_moves),
      cmocka_unit_test(test_a_newcomer_that_is_named),
      cmocka_unit_test(test_a_late_turn_believes_in_nobody),
      cmocka_unit_test(test_a_suspect_gets_nothing_until_it_answers),
      cmocka_unit_test(test_an_older_ping_does_not_end_suspicion),
      cmocka_unit_test(test_warm_when_all_are_here),
      cmocka_unit_test(test_warm_after_two_seconds),
      cmocka_unit_test(test_what_is_sent_again_while_warming),
      cmocka_unit_test(test_what_the_other_broker_is_told),
      cmocka_unit_test(test_what_the_other_had_its_successor_is_told),
      cmocka_unit_test(test_too_many_leavers),
      cmocka_unit_test(test_more_instances_than_there_may_be),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
