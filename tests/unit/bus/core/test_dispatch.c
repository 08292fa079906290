/* Who gets a request: the rules of docs/protocol.md, "Dispatch", one by one. */
#include "bus/wire/pack.h"
#include "tests/unit/bus/core/harness.h"

enum { PEERS = 24 };

/* A core with instances of its own choosing: the worker of the harness has said BYE. */
typedef struct Fleet {
  Harness h;
  TestPeer peers[PEERS];
} Fleet;

static Fleet *start(const CoreOptions *options) {
  Fleet *fleet = calloc(1, sizeof *fleet);
  Header bye = {.kind = KIND_BYE};

  assert_non_null(fleet);
  harness_start(&fleet->h, options);
  harness_give(&fleet->h, &fleet->h.worker, &bye, BYTES_NONE);
  return fleet;
}

static void stop(Fleet *fleet) {
  for (int i = 0; i < PEERS; i++)
    harness_forget(&fleet->peers[i]);
  harness_stop(&fleet->h);
  free(fleet);
}

/* Adds instance i with what is set in about. */
static void add(Fleet *fleet, int i, TestInstance about) {
  static const char *const names[PEERS] = {"i0",  "i1",  "i2",  "i3",  "i4",  "i5",  "i6",  "i7",
                                           "i8",  "i9",  "i10", "i11", "i12", "i13", "i14", "i15",
                                           "i16", "i17", "i18", "i19", "i20", "i21", "i22", "i23"};

  about.name = about.name ? about.name : names[i];
  about.client = 100 + (uint64_t)i;
  harness_instance(&fleet->h, &fleet->peers[i], &about);
}

/* Which instance has the request, or -1. */
static int place_of(Fleet *fleet, RequestId id) {
  int place = -1;

  for (int i = 0; i < PEERS; i++)
    for (int n = 0; harness_find(&fleet->peers[i], KIND_REQUEST, n); n++)
      if (request_id_equal(harness_find(&fleet->peers[i], KIND_REQUEST, n)->header.id, id))
        place = i;
  return place;
}

static int ask(Fleet *fleet, const char *target, const char *method) {
  return place_of(fleet, harness_ask(&fleet->h, &fleet->h.client, target, method, BYTES_NONE));
}

static void test_the_least_loaded_is_asked(void **state) {
  Fleet *fleet = start(NULL);
  int counts[3] = {0};

  (void)state;
  for (int i = 0; i < 3; i++)
    add(fleet, i, (TestInstance){.credit = 4});
  for (int i = 0; i < 9; i++)
    counts[ask(fleet, "echo", "say")]++;
  for (int i = 0; i < 3; i++)
    assert_int_equal(counts[i], 3);
  stop(fleet);
}

static void test_load_counts_by_weight(void **state) {
  Fleet *fleet = start(NULL);
  int counts[2] = {0};

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 8, .has_weight = true, .weight = 300});
  add(fleet, 1, (TestInstance){.credit = 8, .has_weight = true, .weight = 100});
  for (int i = 0; i < 8; i++)
    counts[ask(fleet, "echo", "say")]++;
  assert_int_equal(counts[0], 6);
  assert_int_equal(counts[1], 2);
  stop(fleet);
}

static void test_weight_0_takes_nothing_but_its_own_name(void **state) {
  Fleet *fleet = start(NULL);
  RequestId refused;

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 8, .has_weight = true, .weight = 0});
  refused = harness_ask(&fleet->h, &fleet->h.client, "echo", "say", BYTES_NONE);
  harness_ended(&fleet->h.client, refused, STATUS_NO_SERVICE);
  assert_int_equal(ask(fleet, "echo@i0", "say"), 0);
  add(fleet, 1, (TestInstance){.credit = 1});
  assert_int_equal(ask(fleet, "echo", "say"), 1);
  assert_int_equal(ask(fleet, "echo", "say"), -1); /* waits for the one with a weight */
  stop(fleet);
}

static void test_of_equal_load_the_faster_is_asked(void **state) {
  Fleet *fleet = start(NULL);
  RequestId slow;
  RequestId fast;

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 4});
  add(fleet, 1, (TestInstance){.credit = 4});
  slow = harness_ask(&fleet->h, &fleet->h.client, "echo@i0", "say", BYTES_NONE);
  fast = harness_ask(&fleet->h, &fleet->h.client, "echo@i1", "say", BYTES_NONE);
  harness_wait(&fleet->h, 1000);
  harness_reply(&fleet->h, &fleet->peers[1], fast);
  harness_wait(&fleet->h, 1000);
  harness_reply(&fleet->h, &fleet->peers[0], slow);
  assert_int_equal(ask(fleet, "echo", "say"), 1);
  stop(fleet);
}

static void test_the_average_forgets_by_eighths(void **state) {
  Fleet *fleet = start(NULL);
  RequestId id;

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 4});
  add(fleet, 1, (TestInstance){.credit = 4});
  id = harness_ask(&fleet->h, &fleet->h.client, "echo@i0", "say", BYTES_NONE);
  harness_wait(&fleet->h, 800);
  harness_reply(&fleet->h, &fleet->peers[0], id); /* 800 */
  id = harness_ask(&fleet->h, &fleet->h.client, "echo@i0", "say", BYTES_NONE);
  harness_reply(&fleet->h, &fleet->peers[0], id); /* (7 * 800 + 0) / 8 = 700 */
  id = harness_ask(&fleet->h, &fleet->h.client, "echo@i1", "say", BYTES_NONE);
  harness_wait(&fleet->h, 701);
  harness_reply(&fleet->h, &fleet->peers[1], id);
  assert_int_equal(ask(fleet, "echo", "say"), 0);
  stop(fleet);
}

/* Two instances with so much credit, of which i0 has answered within took_us and i1 somewhat later; i0 is the better choice. */
static Fleet *start_measured(uint32_t credit, uint64_t took_us) {
  Fleet *fleet = start(NULL);
  RequestId first;
  RequestId second;

  add(fleet, 0, (TestInstance){.credit = credit});
  add(fleet, 1, (TestInstance){.credit = credit});
  first = harness_ask(&fleet->h, &fleet->h.client, "echo@i0", "say", BYTES_NONE);
  second = harness_ask(&fleet->h, &fleet->h.client, "echo@i1", "say", BYTES_NONE);
  harness_wait(&fleet->h, took_us);
  harness_reply(&fleet->h, &fleet->peers[0], first);
  harness_wait(&fleet->h, 1);
  harness_reply(&fleet->h, &fleet->peers[1], second);
  return fleet;
}

/* How many of the next 128 requests of one turn go to i0 before one goes to another. */
static int length_of_run(Fleet *fleet) {
  int length = 0;

  while (length < 128 && ask(fleet, "echo", "say") == 0)
    length++;
  return length;
}

static void test_quick_instances_are_given_a_turn_in_runs(void **state) {
  static const struct {
    uint32_t credit;
    uint64_t took_us;
    int run;
  } rows[] = {{256, 300, 64}, {128, 300, 16}, {127, 300, 1}, {256, 10000, 64}, {256, 10001, 1}};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    Fleet *fleet = start_measured(rows[i].credit, rows[i].took_us);

    assert_int_equal(length_of_run(fleet), rows[i].run);
    stop(fleet);
  }
}

static void ask_in_a_pack(Fleet *fleet, int count) {
  TestPeer *client = &fleet->h.client;
  Header header = {.kind = KIND_REQUEST,
                   .service = TEXT("echo"),
                   .method = TEXT("say"),
                   .deadline_us = US_PER_S,
                   .priority = PRIORITY_NORMAL};
  _cleanup_(pack_done) Pack pack = {0};
  Bytes frame;
  Bytes body;

  for (int i = 0; i < count; i++) {
    header.id = (RequestId){client->client, ++client->sequence};
    pack_add(&pack, &header, BYTES_NONE);
  }
  pack_frames(&pack, &frame, &body);
  core_receive(fleet->h.core, client->session, 2, frame, body, NULL, fleet->h.now_us);
}

static void test_a_pack_is_not_cut_until_the_run_is_doubled(void **state) {
  Fleet *fleet = start_measured(256, 300);
  int before[2] = {harness_count(&fleet->peers[0], KIND_REQUEST), harness_count(&fleet->peers[1], KIND_REQUEST)};

  (void)state;
  ask_in_a_pack(fleet, 60);
  ask_in_a_pack(fleet, 50);
  assert_int_equal(harness_count(&fleet->peers[0], KIND_REQUEST) - before[0], 110);
  ask_in_a_pack(fleet, 2); /* the run is over, and both stay together */
  assert_int_equal(harness_count(&fleet->peers[1], KIND_REQUEST) - before[1], 2);
  ask_in_a_pack(fleet, 130);
  assert_int_equal(harness_count(&fleet->peers[1], KIND_REQUEST) - before[1], 128);
  assert_int_equal(harness_count(&fleet->peers[0], KIND_REQUEST) - before[0], 114);
  stop(fleet);
}

static void test_a_run_ends_with_its_turn(void **state) {
  Fleet *fleet = start_measured(256, 300);

  (void)state;
  assert_int_equal(ask(fleet, "echo", "say"), 0);
  assert_int_equal(ask(fleet, "echo", "say"), 0);
  harness_wait(&fleet->h, 1);
  assert_int_equal(ask(fleet, "echo", "say"), 1);
  stop(fleet);
}

static void test_no_run_before_an_answer_has_come(void **state) {
  Fleet *fleet = start(NULL);

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 256});
  add(fleet, 1, (TestInstance){.credit = 256});
  assert_int_equal(ask(fleet, "echo", "say"), 0);
  assert_int_equal(ask(fleet, "echo", "say"), 1);
  stop(fleet);
}

static void test_a_run_ends_with_its_instance(void **state) {
  Fleet *fleet = start_measured(256, 300);
  Header bye = {.kind = KIND_BYE};

  (void)state;
  assert_int_equal(ask(fleet, "echo", "say"), 0);
  harness_give(&fleet->h, &fleet->peers[0], &bye, BYTES_NONE);
  assert_int_equal(ask(fleet, "echo", "say"), 1);
  stop(fleet);
}

static void test_no_run_for_a_standby_or_another_site(void **state) {
  static const TestInstance rows[] = {{.credit = 256, .site = "elsewhere"}, {.credit = 256, .role = "standby"}};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    Fleet *fleet = start(NULL);
    RequestId held;

    add(fleet, 0, rows[i]);
    add(fleet, 1, (TestInstance){.credit = 1, .site = "local"});
    held = harness_ask(&fleet->h, &fleet->h.client, "echo@i0", "say", BYTES_NONE);
    harness_wait(&fleet->h, 300);
    harness_reply(&fleet->h, &fleet->peers[0], held);
    held = harness_ask(&fleet->h, &fleet->h.client, "echo", "say", BYTES_NONE);
    assert_int_equal(place_of(fleet, held), 1);
    assert_int_equal(ask(fleet, "echo", "say"), 0);
    harness_reply(&fleet->h, &fleet->peers[1], held);
    assert_int_equal(ask(fleet, "echo", "say"), 1);
    stop(fleet);
  }
}

static void test_the_own_site_goes_first_until_it_has_no_credit(void **state) {
  Fleet *fleet = start(NULL);

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 9, .site = "elsewhere"});
  add(fleet, 1, (TestInstance){.credit = 2, .site = "local"});
  assert_int_equal(ask(fleet, "echo", "say"), 1);
  assert_int_equal(ask(fleet, "echo", "say"), 1);
  assert_int_equal(ask(fleet, "echo", "say"), 0);
  stop(fleet);
}

/* Also among more than are all compared, and each of the own ones gets some of it. */
static void test_the_own_site_goes_first_among_many(void **state) {
  Fleet *fleet = start(NULL);
  int counts[PEERS] = {0};

  (void)state;
  for (int i = 0; i < PEERS; i++)
    add(fleet, i, (TestInstance){.credit = 20, .site = i % 2 ? "elsewhere" : "local"});
  for (int i = 0; i < PEERS * 5; i++)
    counts[ask(fleet, "echo", "say")]++;
  for (int i = 0; i < PEERS; i++) {
    assert_int_equal(i % 2 ? counts[i] : 0, 0);
    assert_true(i % 2 || (counts[i] >= 5 && counts[i] <= 15));
  }
  harness_give(&fleet->h, &fleet->peers[0], &(Header){.kind = KIND_BYE}, BYTES_NONE);
  harness_give(&fleet->h, &fleet->peers[1], &(Header){.kind = KIND_BYE}, BYTES_NONE);
  for (int i = 0; i < PEERS * 2; i++)
    assert_int_equal(ask(fleet, "echo", "say") % 2, 0);
  stop(fleet);
}

static void test_a_standby_works_only_when_no_primary_has_credit(void **state) {
  Fleet *fleet = start(NULL);
  RequestId first;

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 9, .role = "standby", .site = "local"});
  add(fleet, 1, (TestInstance){.credit = 1, .role = "primary", .site = "elsewhere"});
  first = harness_ask(&fleet->h, &fleet->h.client, "echo", "say", BYTES_NONE);
  assert_int_equal(place_of(fleet, first), 1);
  assert_int_equal(ask(fleet, "echo", "say"), 0);
  harness_reply(&fleet->h, &fleet->peers[1], first);
  assert_int_equal(ask(fleet, "echo", "say"), 1);
  stop(fleet);
}

static void test_no_credit_is_ever_exceeded_and_a_reply_makes_room(void **state) {
  Fleet *fleet = start(NULL);
  RequestId first;
  RequestId third;

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 2});
  first = harness_ask(&fleet->h, &fleet->h.client, "echo", "say", BYTES_NONE);
  assert_int_equal(ask(fleet, "echo", "say"), 0);
  third = harness_ask(&fleet->h, &fleet->h.client, "echo", "say", BYTES_NONE);
  assert_int_equal(place_of(fleet, third), -1);
  harness_reply(&fleet->h, &fleet->peers[0], first);
  assert_int_equal(place_of(fleet, third), 0);
  stop(fleet);
}

static void test_credit_is_set_and_not_added(void **state) {
  Fleet *fleet = start(NULL);

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 1});
  harness_credit(&fleet->h, &fleet->peers[0], 1);
  assert_int_equal(ask(fleet, "echo", "say"), 0);
  assert_int_equal(ask(fleet, "echo", "say"), -1);
  harness_credit(&fleet->h, &fleet->peers[0], 2);
  assert_int_equal(harness_count(&fleet->peers[0], KIND_REQUEST), 2);
  stop(fleet);
}

static void test_an_instance_counts_from_its_first_credit(void **state) {
  Fleet *fleet = start(NULL);
  RequestId id;

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 0});
  id = harness_ask(&fleet->h, &fleet->h.client, "echo", "say", BYTES_NONE);
  assert_int_equal(place_of(fleet, id), -1);
  harness_open(&fleet->h.client, id);
  harness_credit(&fleet->h, &fleet->peers[0], 1);
  assert_int_equal(place_of(fleet, id), 0);
  stop(fleet);
}

static void test_of_many_two_that_can_take_it_are_compared(void **state) {
  Fleet *fleet = start(NULL);
  int counts[PEERS] = {0};

  (void)state;
  for (int i = 0; i < PEERS; i++)
    add(fleet, i, (TestInstance){.credit = 4});
  for (int i = 0; i < 4 * PEERS; i++)
    counts[ask(fleet, "echo", "say")]++; /* -1 would be out of bounds: as long as there is credit, it is found */
  for (int i = 0; i < PEERS; i++)
    assert_int_equal(counts[i], 4);
  assert_int_equal(ask(fleet, "echo", "say"), -1);
  stop(fleet);
}

static void test_of_many_the_only_one_with_credit_is_found(void **state) {
  Fleet *fleet = start(NULL);

  (void)state;
  for (int i = 0; i < PEERS; i++)
    add(fleet, i, (TestInstance){.credit = i == 13 ? 3 : 0});
  for (int i = 0; i < 3; i++)
    assert_int_equal(ask(fleet, "echo", "say"), 13);
  stop(fleet);
}

static const RouteVersion versions[] = {{"1", 9}, {"2", 1}};
static const Route routes[] = {{"echo", versions, 2}};

static CoreOptions routed(void) {
  CoreOptions options = core_options_default();

  options.routes = routes;
  options.n_routes = 1;
  return options;
}

static void test_versions_are_drawn_by_their_weight(void **state) {
  CoreOptions options = routed();
  Fleet *fleet = start(&options);
  int counts[2] = {0};

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 9, .version = "1.4"});
  add(fleet, 1, (TestInstance){.credit = 9, .version = "2"});
  for (int i = 0; i < 400; i++) {
    RequestId id = harness_ask(&fleet->h, &fleet->h.client, "echo", "say", BYTES_NONE);
    int place = place_of(fleet, id);

    counts[place]++;
    harness_reply(&fleet->h, &fleet->peers[place], id);
    harness_clear(&fleet->peers[place]);
    harness_clear(&fleet->h.client);
  }
  assert_in_range(counts[1], 15, 75); /* 40 on average, six standard deviations */
  stop(fleet);
}

static void test_a_version_that_nobody_offers_is_not_drawn(void **state) {
  CoreOptions options = routed();
  Fleet *fleet = start(&options);

  (void)state;
  add(fleet, 1, (TestInstance){.credit = 100, .version = "2"});
  for (int i = 0; i < 50; i++)
    assert_int_equal(ask(fleet, "echo", "say"), 1);
  stop(fleet);
}

static void test_a_version_that_left_is_drawn_anew(void **state) {
  CoreOptions options = routed();
  Fleet *fleet = start(&options);
  Header bye = {.kind = KIND_BYE};
  RequestId waiting[8];

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 1, .version = "1"});
  add(fleet, 1, (TestInstance){.credit = 9, .version = "2"});
  for (int i = 0; i < 8; i++)
    waiting[i] = harness_ask(&fleet->h, &fleet->h.client, "echo", "say", BYTES_NONE);
  harness_give(&fleet->h, &fleet->peers[0], &bye, BYTES_NONE);
  for (int i = 0; i < 8; i++)
    assert_int_equal(place_of(fleet, waiting[i]), 1);
  stop(fleet);
}

static RequestId ask_sticky(Fleet *fleet, const char *key) {
  _cleanup_(buffer_done) Buffer annotations = {0};

  msgpack_put_map(&annotations, 2);
  msgpack_put_text(&annotations, TEXT("other"));
  msgpack_put_uint(&annotations, 1);
  msgpack_put_text(&annotations, TEXT("sticky"));
  msgpack_put_text(&annotations, text_of(key));
  return harness_request(&fleet->h, &fleet->h.client, (Header){.annotations = buffer_bytes(&annotations)}, BYTES_NONE);
}

static void test_a_sticky_key_stays_with_one_version(void **state) {
  static const char *const keys[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"};
  static const RouteVersion halves[] = {{"1", 1}, {"2", 1}};
  static const Route route[] = {{"echo", halves, 2}};
  CoreOptions options = core_options_default();
  int seen[2] = {0};
  Fleet *fleet;

  (void)state;
  options.routes = route;
  options.n_routes = 1;
  fleet = start(&options);
  add(fleet, 0, (TestInstance){.credit = 200, .version = "1"});
  add(fleet, 1, (TestInstance){.credit = 200, .version = "2"});
  for (size_t i = 0; i < ELEMENTS(keys); i++) {
    int place = place_of(fleet, ask_sticky(fleet, keys[i]));

    seen[place]++;
    for (int n = 0; n < 3; n++)
      assert_int_equal(place_of(fleet, ask_sticky(fleet, keys[i])), place);
  }
  assert_true(seen[0] > 0 && seen[1] > 0);
  stop(fleet);
}

static void test_at_an_instance_by_agent_or_by_its_own_name(void **state) {
  Fleet *fleet = start(NULL);
  RequestId nobody;
  RequestId without;

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 4});
  add(fleet, 1, (TestInstance){.credit = 4});
  assert_int_equal(ask(fleet, "echo@i1", "say"), 1);
  assert_int_equal(ask(fleet, "echo@i0:0000000000000064", "say"), 0);
  assert_int_equal(ask(fleet, "echo@i0:000000", "say"), 0);
  nobody = harness_ask(&fleet->h, &fleet->h.client, "echo@i0:0000000000000065", "say", BYTES_NONE);
  harness_ended(&fleet->h.client, nobody, STATUS_NO_SERVICE);
  without = harness_ask(&fleet->h, &fleet->h.client, "echo@i0", "sing", BYTES_NONE);
  harness_ended(&fleet->h.client, without, STATUS_NO_METHOD);
  stop(fleet);
}

static void test_at_an_agent_of_several_processes_one_that_works_is_asked(void **state) {
  Fleet *fleet = start(NULL);
  Header drain = {.kind = KIND_DRAIN};

  (void)state;
  add(fleet, 0, (TestInstance){.name = "twin", .credit = 4});
  add(fleet, 1, (TestInstance){.name = "twin", .credit = 4});
  harness_give(&fleet->h, &fleet->peers[0], &drain, BYTES_NONE);
  assert_int_equal(ask(fleet, "echo@twin", "say"), 1);
  stop(fleet);
}

static void test_what_waits_for_one_instance_goes_to_no_other(void **state) {
  Fleet *fleet = start(NULL);
  RequestId first;
  RequestId second;

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 1});
  add(fleet, 1, (TestInstance){.credit = 9});
  first = harness_ask(&fleet->h, &fleet->h.client, "echo@i0", "say", BYTES_NONE);
  second = harness_ask(&fleet->h, &fleet->h.client, "echo@i0", "say", BYTES_NONE);
  assert_int_equal(place_of(fleet, second), -1);
  harness_reply(&fleet->h, &fleet->peers[0], first);
  assert_int_equal(place_of(fleet, second), 0);
  stop(fleet);
}

static void test_what_waits_for_one_instance_ends_with_it(void **state) {
  Fleet *fleet = start(NULL);
  Header drain = {.kind = KIND_DRAIN};
  RequestId drained;
  RequestId gone;

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 0});
  add(fleet, 1, (TestInstance){.credit = 0});
  drained = harness_ask(&fleet->h, &fleet->h.client, "echo@i0", "say", BYTES_NONE);
  gone = harness_ask(&fleet->h, &fleet->h.client, "echo@i1", "say", BYTES_NONE);
  harness_give(&fleet->h, &fleet->peers[0], &drain, BYTES_NONE);
  harness_ended(&fleet->h.client, drained, STATUS_DRAINING);
  harness_cut(&fleet->h, &fleet->peers[1]);
  harness_ended(&fleet->h.client, gone, STATUS_NO_SERVICE);
  stop(fleet);
}

/* Instances of one service that offer different methods. */
static void add_with(Fleet *fleet, int i, uint32_t credit, const char *method) {
  HelloMethod row = {.method = text_of(method), .has_flags = true, .flags = METHOD_IDEMPOTENT};

  add(fleet, i, (TestInstance){.credit = credit, .methods = &row, .n_methods = 1});
}

static void test_a_head_that_must_wait_stops_no_other_client(void **state) {
  Fleet *fleet = start(NULL);
  TestPeer *other = &fleet->peers[PEERS - 1];
  RequestId mine;
  RequestId theirs;

  (void)state;
  add_with(fleet, 0, 1, "slow");
  add_with(fleet, 1, 0, "quick");
  harness_client(&fleet->h, other, "other", 900);
  assert_int_equal(ask(fleet, "echo", "slow"), 0);
  assert_int_equal(ask(fleet, "echo", "slow"), -1);
  mine = harness_ask(&fleet->h, &fleet->h.client, "echo", "quick", BYTES_NONE);
  theirs = harness_ask(&fleet->h, other, "echo", "quick", BYTES_NONE);
  harness_credit(&fleet->h, &fleet->peers[1], 4);
  assert_int_equal(place_of(fleet, theirs), 1);
  assert_int_equal(place_of(fleet, mine), -1); /* of one client and band nothing overtakes */
  stop(fleet);
}

static void test_a_method_that_left_with_its_instance_is_told(void **state) {
  Fleet *fleet = start(NULL);
  RequestId waiting;
  RequestId later;

  (void)state;
  add_with(fleet, 0, 0, "slow");
  add_with(fleet, 1, 1, "quick");
  waiting = harness_ask(&fleet->h, &fleet->h.client, "echo", "slow", BYTES_NONE);
  later = harness_ask(&fleet->h, &fleet->h.client, "echo", "quick", BYTES_NONE);
  assert_int_equal(place_of(fleet, later), -1);
  harness_cut(&fleet->h, &fleet->peers[0]);
  harness_ended(&fleet->h.client, waiting, STATUS_NO_SERVICE);
  assert_int_equal(place_of(fleet, later), 1);
  stop(fleet);
}

static void test_a_flood_for_one_instance_does_not_starve_its_service(void **state) {
  Fleet *fleet = start(NULL);
  RequestId running;
  RequestId first;
  RequestId pinned;

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 1});
  running = harness_ask(&fleet->h, &fleet->h.client, "echo", "say", BYTES_NONE);
  first = harness_ask(&fleet->h, &fleet->h.client, "echo", "say", BYTES_NONE);
  harness_wait(&fleet->h, 1);
  pinned = harness_ask(&fleet->h, &fleet->h.client, "echo@i0", "say", BYTES_NONE);
  harness_reply(&fleet->h, &fleet->peers[0], running);
  assert_int_equal(place_of(fleet, first), 0);
  assert_int_equal(place_of(fleet, pinned), -1);
  stop(fleet);
}

static void test_once_work_goes_to_nobody_that_was_silent_for_over_a_second(void **state) {
  Fleet *fleet = start(NULL);
  Header pong = {.kind = KIND_PONG};
  RequestId once;

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 4});
  harness_wait(&fleet->h, TIME_SILENT_ONCE_US);
  assert_int_equal(ask(fleet, "echo", "once"), 0); /* exactly a second is not over */
  harness_clear(&fleet->peers[0]);
  harness_give(&fleet->h, &fleet->peers[0], &pong, BYTES_NONE);
  fleet->h.now_us += TIME_SILENT_ONCE_US + 1;
  once = harness_ask(&fleet->h, &fleet->h.client, "echo", "once", BYTES_NONE);
  assert_int_equal(place_of(fleet, once), -1);
  assert_int_equal(harness_count(&fleet->peers[0], KIND_PING), 1);
  assert_int_equal(ask(fleet, "echo@i0", "say"), 0); /* idempotent work does not wait */
  harness_give(&fleet->h, &fleet->peers[0], &pong, BYTES_NONE);
  assert_int_equal(place_of(fleet, once), 0);
  stop(fleet);
}

static void test_the_first_word_after_a_silence_may_be_bye(void **state) {
  Fleet *fleet = start(NULL);
  Header bye = {.kind = KIND_BYE};
  RequestId once;

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 4});
  fleet->h.now_us += TIME_SILENT_ONCE_US + 1;
  once = harness_ask(&fleet->h, &fleet->h.client, "echo", "once", BYTES_NONE);
  harness_give(&fleet->h, &fleet->peers[0], &bye, BYTES_NONE);
  harness_ended(&fleet->h.client, once, STATUS_NO_SERVICE); /* it was never begun, and that can be known */
  stop(fleet);
}

static void test_draining_instances_get_nothing_new(void **state) {
  Fleet *fleet = start(NULL);
  Header drain = {.kind = KIND_DRAIN};

  (void)state;
  add(fleet, 0, (TestInstance){.credit = 9});
  add(fleet, 1, (TestInstance){.credit = 1});
  harness_give(&fleet->h, &fleet->peers[0], &drain, BYTES_NONE);
  assert_int_equal(harness_last(&fleet->peers[0])->header.kind, KIND_DRAIN); /* the echo */
  assert_int_equal(ask(fleet, "echo", "say"), 1);
  assert_int_equal(ask(fleet, "echo", "say"), -1);
  stop(fleet);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_least_loaded_is_asked),
      cmocka_unit_test(test_load_counts_by_weight),
      cmocka_unit_test(test_weight_0_takes_nothing_but_its_own_name),
      cmocka_unit_test(test_of_equal_load_the_faster_is_asked),
      cmocka_unit_test(test_the_average_forgets_by_eighths),
      cmocka_unit_test(test_quick_instances_are_given_a_turn_in_runs),
      cmocka_unit_test(test_a_pack_is_not_cut_until_the_run_is_doubled),
      cmocka_unit_test(test_a_run_ends_with_its_turn),
      cmocka_unit_test(test_no_run_before_an_answer_has_come),
      cmocka_unit_test(test_a_run_ends_with_its_instance),
      cmocka_unit_test(test_no_run_for_a_standby_or_another_site),
      cmocka_unit_test(test_the_own_site_goes_first_until_it_has_no_credit),
      cmocka_unit_test(test_the_own_site_goes_first_among_many),
      cmocka_unit_test(test_a_standby_works_only_when_no_primary_has_credit),
      cmocka_unit_test(test_no_credit_is_ever_exceeded_and_a_reply_makes_room),
      cmocka_unit_test(test_credit_is_set_and_not_added),
      cmocka_unit_test(test_an_instance_counts_from_its_first_credit),
      cmocka_unit_test(test_of_many_two_that_can_take_it_are_compared),
      cmocka_unit_test(test_of_many_the_only_one_with_credit_is_found),
      cmocka_unit_test(test_versions_are_drawn_by_their_weight),
      cmocka_unit_test(test_a_version_that_nobody_offers_is_not_drawn),
      cmocka_unit_test(test_a_version_that_left_is_drawn_anew),
      cmocka_unit_test(test_a_sticky_key_stays_with_one_version),
      cmocka_unit_test(test_at_an_instance_by_agent_or_by_its_own_name),
      cmocka_unit_test(test_at_an_agent_of_several_processes_one_that_works_is_asked),
      cmocka_unit_test(test_what_waits_for_one_instance_goes_to_no_other),
      cmocka_unit_test(test_what_waits_for_one_instance_ends_with_it),
      cmocka_unit_test(test_a_head_that_must_wait_stops_no_other_client),
      cmocka_unit_test(test_a_method_that_left_with_its_instance_is_told),
      cmocka_unit_test(test_a_flood_for_one_instance_does_not_starve_its_service),
      cmocka_unit_test(test_once_work_goes_to_nobody_that_was_silent_for_over_a_second),
      cmocka_unit_test(test_the_first_word_after_a_silence_may_be_bye),
      cmocka_unit_test(test_draining_instances_get_nothing_new),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
