/* The link between two brokers: up in both directions or not at all, down in three beats or at once, strangers not heard. */
#include "bus/broker/peerlink.h"

#include "tests/unit/bus/broker/node.h"

enum { BEAT_US = 20000, SLOW_US = 100000000 /* longer than any test waits */ };

typedef struct Stage {
  Loop *loop;
  Node node;
  char folder[64];
  char endpoint[96];
  PeerLink *link;
  bool speaks; /* as soon as the link is up */
  int ups;
  int downs;
  int refused;
  int messages;
  int beats;
  uint64_t seen;
  uint64_t worked_us;
  PairNode from;
  char kind[16];
} Stage;

static void on_up(void *userdata, uint64_t seen) {
  Stage *stage = userdata;

  stage->ups++;
  stage->seen = seen;
  if (stage->speaks)
    assert_int_equal(peerlink_send(stage->link, PAIR_B, "heard", BYTES_NONE), 0);
}

static void on_down(void *userdata, uint64_t worked_us) {
  Stage *stage = userdata;

  stage->downs++;
  stage->worked_us = worked_us;
}

static void on_refused(void *userdata, uint64_t sent_us) {
  Stage *stage = userdata;

  assert_true(sent_us <= clock_monotonic_us());
  stage->refused++;
}

static void on_message(void *userdata, PairNode from, Text kind, Bytes body) {
  Stage *stage = userdata;

  (void)body;
  stage->messages++;
  stage->from = from;
  snprintf(stage->kind, sizeof stage->kind, "%.*s", TEXT_ARG(kind));
}

static void on_beat(void *userdata, uint64_t due_us, uint64_t now_us) {
  Stage *stage = userdata;

  assert_true(due_us <= now_us);
  stage->beats++;
}

static int set_up_with(void **state, uint64_t beat_us) {
  Stage *stage = calloc(1, sizeof *stage);
  PeerLinkHandler handler = {on_up, on_down, on_refused, on_message, on_beat, stage};
  PeerLinkOptions options = {.node = PAIR_A, .broker = "own", .life = 77, .beat_us = beat_us, .vote_us = NODE_VOTE_US};
  const char *bad = "untouched";

  assert_non_null(stage);
  assert_int_equal(loop_new(&stage->loop), 0);
  snprintf(stage->folder, sizeof stage->folder, "/tmp/pons-link-XXXXXX");
  assert_non_null(mkdtemp(stage->folder));
  snprintf(stage->endpoint, sizeof stage->endpoint, "ipc://%s/a", stage->folder);
  node_init(&stage->node, stage->loop, PAIR_B);
  options.listen = stage->endpoint;
  options.peer = stage->node.endpoint;
  assert_int_equal(peerlink_new(&stage->link, stage->loop, &options, &handler, &bad), 0);
  assert_null(bad);
  node_connect(&stage->node, stage->endpoint);
  *state = stage;
  return 0;
}

static int set_up(void **state) {
  return set_up_with(state, BEAT_US);
}

static int set_up_slow(void **state) {
  return set_up_with(state, SLOW_US);
}

static int tear_down(void **state) {
  Stage *stage = *state;

  node_done(&stage->node);
  peerlink_destroy(&stage->link);
  assert_null(stage->link);
  peerlink_destroy(&stage->link);
  loop_destroy(&stage->loop);
  unlink(stage->endpoint + sizeof "ipc://" - 1);
  rmdir(stage->folder);
  free(stage);
  return 0;
}

static bool is_up(void *userdata) {
  return peerlink_is_up(((Stage *)userdata)->link);
}

static bool is_down(void *userdata) {
  return !is_up(userdata);
}

static bool is_beaten_at(void *userdata) {
  return ((Stage *)userdata)->node.beats > 2;
}

static bool is_refused(void *userdata) {
  return ((Stage *)userdata)->refused > 0;
}

static void go_up(Stage *stage) {
  node_beat_until(&stage->node, is_up, stage);
  assert_int_equal(stage->ups, 1);
}

/* Heard, and not heard: a cable that is cut one way is no link. */
static void it_is_up_when_each_hears_the_other(void **state) {
  Stage *stage = *state;

  node_wait(&stage->node, is_beaten_at, stage);
  node_beat_of_life(&stage->node, 0, 0);
  node_beat_of_life(&stage->node, 76, 0); /* what it heard was a former process */
  node_run(&stage->node, BEAT_US);
  assert_int_equal(stage->ups, 0);
  assert_string_equal(peerlink_peer(stage->link), "other");
  go_up(stage);
  assert_int_equal(stage->seen, 40);
  assert_int_equal(peerlink_peer_told(stage->link), 7);
  assert_int_equal(peerlink_peer_leads(stage->link), 0);
  node_beat_of_life(&stage->node, stage->node.beat_life, 9);
  node_run(&stage->node, 1000);
  assert_true(peerlink_peer_leads(stage->link) == 9 || stage->downs > 0);
}

static void what_was_never_said_can_not_have_been_heard(void **state) {
  Stage *stage = *state;

  node_wait(&stage->node, is_beaten_at, stage);
  stage->node.beat.number += 1000000;
  node_beat(&stage->node);
  node_run(&stage->node, BEAT_US / 4);
  assert_int_equal(stage->ups, 0);
}

static void silence_of_three_beats_is_a_loss(void **state) {
  Stage *stage = *state;
  uint64_t silent_us;

  go_up(stage);
  node_beat(&stage->node);
  silent_us = clock_monotonic_us();
  node_wait(&stage->node, is_down, stage);
  assert_int_equal(stage->downs, 1);
  assert_true(stage->worked_us <= clock_monotonic_us() - 3 * BEAT_US);
  assert_true(stage->worked_us + NODE_PATIENCE_US > silent_us);
  assert_int_equal(peerlink_peer_leads(stage->link), 0);
  node_run(&stage->node, 5 * BEAT_US);
  assert_int_equal(stage->refused, 0); /* its port is open: that proves nothing */
  node_beat_until(&stage->node, is_up, stage);
  assert_int_equal(stage->ups, 2);
}

static void a_dead_process_is_noticed_at_once_and_proved(void **state) {
  Stage *stage = *state;

  go_up(stage);
  node_die(&stage->node);
  node_wait(&stage->node, is_refused, stage);
  assert_int_equal(stage->downs, 1);
  assert_false(peerlink_is_up(stage->link));
  assert_true(peerlink_send(stage->link, PAIR_B, "heard", BYTES_NONE) < 0);
}

static bool is_told_of_the_last(void *userdata) {
  const Node *node = &((Stage *)userdata)->node;

  return node->beat.has_heard && node->beat.heard == node->number && node->beat.heard_life == node->life;
}

static bool has_heard_flags(void *userdata) {
  return strcmp(((Stage *)userdata)->node.kind, "heard") == 0;
}

static bool is_heard_of(void *userdata) {
  return ((Stage *)userdata)->node.beats > 0;
}

/* Who waits for the other's next beat keeps requests waiting: what the two must tell each other first is told once the link is up. */
static void what_the_other_waits_for_is_said_at_once(void **state) {
  Stage *stage = *state;

  node_beat_of_life(&stage->node, 0, 0);
  node_wait(&stage->node, is_told_of_the_last, stage); /* a life that was not known */
  node_beat(&stage->node);
  node_wait(&stage->node, is_told_of_the_last, stage); /* the link is up */
  assert_true(peerlink_is_up(stage->link));
  stage->node.life++;
  node_beat_of_life(&stage->node, 0, 0);
  node_wait(&stage->node, is_told_of_the_last, stage);
  assert_int_equal(stage->downs, 1);
}

/* What came first would be asked on a link that is not up for who is asked. */
static void the_beat_comes_before_all_else(void **state) {
  Stage *stage = *state;
  uint32_t beats;

  stage->speaks = true;
  node_beat_of_life(&stage->node, 0, 0);
  node_wait(&stage->node, is_told_of_the_last, stage);
  beats = stage->node.beats;
  node_beat(&stage->node);
  node_wait(&stage->node, has_heard_flags, stage);
  assert_int_equal(stage->node.beats_before, beats + 1);
}

/* What it says while nobody is there is not kept for who comes. */
static void it_speaks_once_it_is_connected(void **state) {
  Stage *stage = *state;

  node_wait(&stage->node, is_heard_of, stage);
  socket_destroy(&stage->node.router);
  stage->node.beats = 0;
  node_listen(&stage->node, stage->node.endpoint);
  node_wait(&stage->node, is_heard_of, stage);
}

static bool has_been_down(void *userdata) {
  return ((Stage *)userdata)->downs > 0;
}

static void a_new_life_is_a_loss_and_a_return(void **state) {
  Stage *stage = *state;

  go_up(stage);
  stage->node.life++;
  node_beat_until(&stage->node, has_been_down, stage);
  node_beat_until(&stage->node, is_up, stage);
  assert_true(stage->ups >= 2);
}

static void two_that_count_votes_differently_are_never_linked(void **state) {
  Stage *stage = *state;

  stage->node.vote_us++;
  node_wait(&stage->node, is_beaten_at, stage);
  for (int i = 0; i < 20; i++) {
    node_beat(&stage->node);
    node_run(&stage->node, 2000);
  }
  assert_int_equal(stage->ups, 0);
}

static void only_its_peer_is_heard(void **state) {
  Stage *stage = *state;
  Bytes rubbish = {(const uint8_t *)"x", 1};

  node_say_as(&stage->node, PAIR_A, "heard", BYTES_NONE);       /* itself */
  node_say_as(&stage->node, PAIR_WITNESS, "vote", BYTES_NONE);  /* by this door comes no witness */
  node_say_as(&stage->node, PAIR_B, "no kind at all", rubbish); /* not of the protocol */
  node_say_as(&stage->node, PAIR_B, "beat", rubbish);
  node_run(&stage->node, BEAT_US);
  assert_int_equal(stage->messages, 0);
  assert_int_equal(stage->ups, 0);
  node_say_as(&stage->node, PAIR_B, "heard", rubbish); /* what is in it is for others to judge */
  while (stage->messages == 0)
    node_run(&stage->node, 1000);
  assert_int_equal(stage->from, PAIR_B);
  assert_string_equal(stage->kind, "heard");
}

static bool has_news(void *userdata) {
  const Stage *stage = userdata;

  return stage->node.beat.seen == 12;
}

static void it_says_what_it_is_told_to(void **state) {
  Stage *stage = *state;

  peerlink_tell(stage->link, (PeerLinkNews){.seen = 12, .leads = 12, .told = 3});
  node_wait(&stage->node, has_news, stage);
  assert_int_equal(stage->node.beat.leads, 12);
  assert_int_equal(stage->node.beat.told, 3);
  assert_int_equal(stage->node.beat_life, 77);
  assert_int_equal(peerlink_send(stage->link, PAIR_B, "heard", BYTES_NONE), 0);
  node_wait(&stage->node, has_heard_flags, stage);
  assert_int_equal(peerlink_send(stage->link, PAIR_WITNESS, "vote", BYTES_NONE), -ENOTCONN); /* there is none */
  assert_int_equal(peerlink_witness_heard_us(stage->link), 0);
  assert_true(stage->beats > 0);
}

static void an_address_that_is_taken_is_named(void **state) {
  Stage *stage = *state;
  PeerLinkHandler handler = {.userdata = stage};
  PeerLinkOptions options = {.node = PAIR_WITNESS,
                             .listen = stage->node.endpoint,
                             .broker = "witness",
                             .life = 5,
                             .beat_us = BEAT_US,
                             .vote_us = NODE_VOTE_US};
  const char *bad = NULL;
  PeerLink *link = (PeerLink *)state;

  assert_int_equal(peerlink_new(&link, stage->loop, &options, &handler, &bad), -EADDRINUSE);
  assert_string_equal(bad, stage->node.endpoint);
  assert_ptr_equal(link, state);
}

int main(void) {
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(it_is_up_when_each_hears_the_other),
      cmocka_unit_test_setup_teardown(what_the_other_waits_for_is_said_at_once, set_up_slow, tear_down),
      cmocka_unit_test_setup_teardown(the_beat_comes_before_all_else, set_up_slow, tear_down),
      cmocka_unit_test_setup_teardown(it_speaks_once_it_is_connected, set_up_slow, tear_down),
      TEST(what_was_never_said_can_not_have_been_heard),
      TEST(silence_of_three_beats_is_a_loss),
      TEST(a_dead_process_is_noticed_at_once_and_proved),
      TEST(a_new_life_is_a_loss_and_a_return),
      TEST(two_that_count_votes_differently_are_never_linked),
      TEST(only_its_peer_is_heard),
      TEST(it_says_what_it_is_told_to),
      TEST(an_address_that_is_taken_is_named),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
