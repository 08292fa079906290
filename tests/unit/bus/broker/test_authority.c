/* Authority on its bus and on its link: what clients ask of it, and what another node, for whom the test speaks, says to it. */
#include "bus/broker/authority.h"

#include "tests/unit/bus/broker/node.h"
#include "tests/unit/bus/broker/scene.h"
#include "tests/unit/suspend.h"

enum { BEAT_US = 20000 };

typedef struct Stage {
  Loop *loop;
  Scene scene;
  Node node;
  Authority *authority;
  char folder[64];
  char endpoint[96];
  char path[96];
  bool has_node;
  uint64_t leads; /* what the node says of itself */
} Stage;

static void on_turn_end(void *userdata) {
  Stage *stage = userdata;

  while (authority_turn(stage->authority))
    continue;
}

static AuthorityOptions options_of(Stage *stage, PairNode id) {
  AuthorityOptions options = {.pair = pair_options_default(id, id == PAIR_WITNESS),
                              .site = id == PAIR_WITNESS ? NULL : "here",
                              .broker = "own",
                              .path = stage->path,
                              .life = 77,
                              .beat_us = BEAT_US};

  options.pair.vote_us = NODE_VOTE_US;
  options.pair.renew_us = NODE_VOTE_US / 4;
  options.pair.retry_us = NODE_VOTE_US / 15;
  options.pair.late_us = 10 * US_PER_S; /* this machine may be busy */
  return options;
}

static void begin(Stage *stage) {
  assert_int_equal(loop_new(&stage->loop), 0);
  snprintf(stage->folder, sizeof stage->folder, "/tmp/pons-authority-XXXXXX");
  assert_non_null(mkdtemp(stage->folder));
  snprintf(stage->endpoint, sizeof stage->endpoint, "ipc://%s/a", stage->folder);
  snprintf(stage->path, sizeof stage->path, "%s/a.db", stage->folder);
}

static void start(Stage *stage, const AuthorityOptions *options) {
  const char *bad = NULL;

  assert_int_equal(authority_new(&stage->authority, stage->loop, options, &bad), 0);
  if (options->pair.node == PAIR_WITNESS)
    return;
  scene_init(&stage->scene, options->peer != NULL, clock_monotonic_us());
  authority_enter(stage->authority, stage->scene.core, &stage->scene.insides);
  assert_int_equal(loop_on_turn_end(stage->loop, on_turn_end, stage), 0);
}

/* Broker a of a pair without a witness, whose other broker is the node. */
static void start_pair(Stage *stage) {
  AuthorityOptions options;

  begin(stage);
  node_init(&stage->node, stage->loop, PAIR_B);
  stage->has_node = true;
  options = options_of(stage, PAIR_A);
  options.listen = stage->endpoint;
  options.peer = stage->node.endpoint;
  start(stage, &options);
  node_connect(&stage->node, stage->endpoint);
}

static void end(Stage *stage) {
  char command[128];

  loop_remove_turn_end(stage->loop, on_turn_end, stage);
  if (stage->scene.core)
    scene_done(&stage->scene);
  authority_destroy(&stage->authority);
  assert_null(stage->authority);
  authority_destroy(&stage->authority);
  if (stage->has_node)
    node_done(&stage->node);
  loop_destroy(&stage->loop);
  snprintf(command, sizeof command, "rm -rf '%s'", stage->folder);
  assert_int_equal(system(command), 0);
}

/* --- the bus --- */

static RequestId ask(Stage *stage, const char *service, const char *method, const Contract *contract,
                     const void *request) {
  return scene_ask(&stage->scene, service, method, contract, request, clock_monotonic_us());
}

static bool is_answered(void *userdata) {
  return ((Stage *)userdata)->scene.answers > 0;
}

/* Waits for the answer while the node beats as it does. */
static Status wait_answer(Stage *stage) {
  uint64_t due_us = clock_monotonic_us() + NODE_PATIENCE_US;

  while (!is_answered(stage)) {
    assert_true(clock_monotonic_us() < due_us);
    if (stage->has_node && stage->node.dealer)
      node_beat_of_life(&stage->node, stage->node.beat_life, stage->leads);
    loop_run_until(stage->loop, is_answered, stage, clock_monotonic_us() + BEAT_US / 4);
  }
  return stage->scene.status;
}

static Status call(Stage *stage, const char *service, const char *method, const Contract *contract,
                   const void *request) {
  ask(stage, service, method, contract, request);
  return wait_answer(stage);
}

static void expect_code(Stage *stage, const char *code) {
  ErrorBody body;

  assert_int_equal(contract_decode(CONTRACT(ErrorBody), buffer_bytes(&stage->scene.body), NULL, &body, NULL), 0);
  if (!text_is(body.code, code))
    fail_msg("%.*s instead of %s", TEXT_ARG(body.code), code);
}

static const FlagWrite dark = {.name = {"dark", 4}, .value = {"on", 2}};
static const FlagAsk dark_name = {.name = {"dark", 4}};

static Status set_flag(Stage *stage) {
  return call(stage, "pons.flags", "set", CONTRACT(FlagWrite), &dark);
}

static uint64_t copies(Stage *stage) {
  FlagWritten written;

  assert_int_equal(contract_decode(CONTRACT(FlagWritten), buffer_bytes(&stage->scene.body), NULL, &written, NULL), 0);
  return written.copies;
}

/* Asks until it leads. */
static void wait_leads(Stage *stage) {
  uint64_t due_us = clock_monotonic_us() + NODE_PATIENCE_US;

  while (set_flag(stage) != STATUS_OK) {
    expect_code(stage, "no_leader");
    assert_true(clock_monotonic_us() < due_us);
  }
}

/* Whether the answer says that authority is on its way: nobody leads yet (also who was held up for longer than a vote gives up, and leads
   again), or who does waits for the leases of who led before. */
static bool is_coming(Stage *stage, Status status) {
  ErrorBody body;

  if (status != STATUS_UNAVAILABLE)
    return false;
  assert_int_equal(contract_decode(CONTRACT(ErrorBody), buffer_bytes(&stage->scene.body), NULL, &body, NULL), 0);
  assert_true(body.has_retry_after_us);
  return text_is(body.code, "no_leader") || text_is(body.code, "lease_waiting");
}

/* Asks until the leader has answered. */
static Status call_leader(Stage *stage, const char *service, const char *method, const Contract *contract,
                          const void *request) {
  uint64_t due_us = clock_monotonic_us() + NODE_PATIENCE_US;
  Status status = call(stage, service, method, contract, request);

  while (is_coming(stage, status) && clock_monotonic_us() < due_us)
    status = call(stage, service, method, contract, request);
  return status;
}

/* --- alone --- */

static void alone_it_leads_by_itself(void **state _unused_) {
  LeaseWish wish = {.name = TEXT("hub"), .duration_us = 60 * US_PER_S};
  Stage stage = {0};
  AuthorityOptions options;
  LeaseGiven given;

  begin(&stage);
  options = options_of(&stage, PAIR_A);
  options.pair.alone = true;
  start(&stage, &options);
  wait_leads(&stage);
  assert_int_equal(copies(&stage), 1);
  assert_int_equal(call(&stage, "pons.flags", "get", CONTRACT(FlagAsk), &dark_name), STATUS_OK);
  assert_int_equal(call_leader(&stage, "pons.flags", "unset", CONTRACT(FlagAsk), &dark_name), STATUS_OK);
  assert_int_equal(call(&stage, "pons.flags", "get", CONTRACT(FlagAsk), &dark_name), STATUS_REFUSED);
  expect_code(&stage, "flag_unknown");
  assert_int_equal(call_leader(&stage, "pons.lease", "acquire", CONTRACT(LeaseWish), &wish), STATUS_OK);
  assert_int_equal(contract_decode(CONTRACT(LeaseGiven), buffer_bytes(&stage.scene.body), NULL, &given, NULL), 0);
  assert_true(given.duration_us > 0 && given.duration_us <= NODE_VOTE_US); /* never longer than its own authority */
  assert_int_equal(call_leader(&stage, "pons.authority", "yield", CONTRACT(PonsNothing), &(PonsNothing){0}),
                   STATUS_REFUSED);
  expect_code(&stage, "not_moved");
  end(&stage);
}

static void what_does_not_fit_its_contract_is_named(void **state _unused_) {
  Stage stage = {0};
  AuthorityOptions options;
  ErrorBody body;

  begin(&stage);
  options = options_of(&stage, PAIR_A);
  options.pair.alone = true;
  start(&stage, &options);
  assert_int_equal(call(&stage, "pons.flags", "get", CONTRACT(PonsNothing), &(PonsNothing){0}), STATUS_INVALID);
  assert_int_equal(contract_decode(CONTRACT(ErrorBody), buffer_bytes(&stage.scene.body), NULL, &body, NULL), 0);
  assert_non_null(memmem(body.message.data, body.message.size, "name", 4));
  assert_int_equal(call(&stage, "pons.flags", "nonsense", CONTRACT(PonsNothing), &(PonsNothing){0}), STATUS_NO_METHOD);
  end(&stage);
}

/* --- the witness --- */

static void vote_ask(Node *node, uint64_t epoch) {
  PeerVote vote = {.say = TEXT("ask"),
                   .epoch = epoch,
                   .has_life = true,
                   .life = node->life,
                   .has_ask_us = true,
                   .ask_us = clock_monotonic_us()};

  node_say(node, "vote", CONTRACT(PeerVote), &vote);
}

/* What it was told last about votes; none = "". */
static const char *heard_vote(Node *node, char text[16]) {
  PeerVote vote;

  text[0] = '\0';
  if (strcmp(node->kind, "vote") == 0 &&
      contract_decode(CONTRACT(PeerVote), buffer_bytes(&node->body), NULL, &vote, NULL) == 0)
    snprintf(text, 16, "%.*s", TEXT_ARG(vote.say));
  return text;
}

static void a_witness_votes_for_one_at_a_time(void **state _unused_) {
  uint64_t due_us = clock_monotonic_us() + NODE_PATIENCE_US;
  Stage stage = {0};
  AuthorityOptions options;
  Node other;
  char text[16];

  begin(&stage);
  options = options_of(&stage, PAIR_WITNESS);
  options.listen = stage.endpoint;
  start(&stage, &options);
  node_init(&stage.node, stage.loop, PAIR_A);
  stage.has_node = true;
  node_connect(&stage.node, stage.endpoint);
  node_init(&other, stage.loop, PAIR_B);
  node_connect(&other, stage.endpoint);
  while (strcmp(heard_vote(&stage.node, text), "give") != 0) {
    assert_true(clock_monotonic_us() < due_us);
    vote_ask(&stage.node, 2);
    node_run(&stage.node, 10000);
  }
  vote_ask(&other, 3);
  while (other.n == 0)
    node_run(&other, 1000);
  assert_string_equal(heard_vote(&other, text), "deny");
  while (strcmp(heard_vote(&other, text), "give") != 0) { /* the first does not renew: its vote runs out */
    assert_true(clock_monotonic_us() < due_us);
    vote_ask(&other, 5);
    node_run(&other, 10000);
  }
  node_done(&other);
  end(&stage);
}

/* --- a pair --- */

/* Gives the vote that was asked for, if one was. */
static void vote_for_it(Stage *stage) {
  PeerVote ask_;
  PeerVote give;

  if (strcmp(stage->node.kind, "vote") != 0 ||
      contract_decode(CONTRACT(PeerVote), buffer_bytes(&stage->node.body), NULL, &ask_, NULL) != 0 ||
      !text_is(ask_.say, "ask"))
    return;
  give = ask_;
  give.say = TEXT("give");
  give.has_seen = true;
  give.seen = ask_.epoch;
  give.has_leading = false;
  node_say(&stage->node, "vote", CONTRACT(PeerVote), &give);
}

static void lead_by_the_nodes_vote(Stage *stage) {
  uint64_t due_us = clock_monotonic_us() + NODE_PATIENCE_US;
  AuthorityStatus status;

  do {
    assert_true(clock_monotonic_us() < due_us);
    vote_for_it(stage);
    assert_int_equal(call(stage, "pons.authority", "status", CONTRACT(PonsNothing), &(PonsNothing){0}), STATUS_OK);
    assert_int_equal(contract_decode(CONTRACT(AuthorityStatus), buffer_bytes(&stage->scene.body), NULL, &status, NULL),
                     0);
  } while (!text_is(status.state, "leader"));
  assert_true(text_is(status.leader, "own"));
  assert_true(status.linked);
  assert_true(text_is(status.peer, "other"));
  node_say(&stage->node, "heard", CONTRACT(PeerHeard), &(PeerHeard){0}); /* nothing yet, as who has just been started */
}

static bool has_heard(Node *node, const char *kind) {
  return strcmp(node->kind, kind) == 0;
}

/* Until the node has heard a message of that kind; it votes meanwhile, or it would lead for nothing. */
static void wait_heard(Stage *stage, const char *kind) {
  uint64_t due_us = clock_monotonic_us() + NODE_PATIENCE_US;

  while (!has_heard(&stage->node, kind)) {
    if (clock_monotonic_us() > due_us)
      fail_msg("no %s", kind);
    vote_for_it(stage);
    node_beat_of_life(&stage->node, stage->node.beat_life, stage->leads);
    node_run(&stage->node, 1000);
  }
}

/* Until the node has heard a change of that kind in the log. */
static void wait_change(Stage *stage, const char *kind) {
  uint64_t due_us = clock_monotonic_us() + NODE_PATIENCE_US;

  stage->node.want = kind;
  while (stage->node.position == 0) {
    if (clock_monotonic_us() > due_us)
      fail_msg("no %s", kind);
    vote_for_it(stage);
    node_beat_of_life(&stage->node, stage->node.beat_life, stage->leads);
    node_run(&stage->node, 1000);
  }
}

static AuthorityStatus status_of(Stage *stage) {
  AuthorityStatus status;

  assert_int_equal(call(stage, "pons.authority", "status", CONTRACT(PonsNothing), &(PonsNothing){0}), STATUS_OK);
  assert_int_equal(contract_decode(CONTRACT(AuthorityStatus), buffer_bytes(&stage->scene.body), NULL, &status, NULL),
                   0);
  return status;
}

static void a_flag_is_acknowledged_with_its_copies(void **state _unused_) {
  Stage stage = {0};
  PeerHeard heard = {0};
  PeerFlag flag;

  start_pair(&stage);
  lead_by_the_nodes_vote(&stage);
  ask(&stage, "pons.flags", "set", CONTRACT(FlagWrite), &dark);
  wait_change(&stage, "flag");
  assert_false(is_answered(&stage)); /* the peer's disk is waited for */
  assert_int_equal(contract_decode(CONTRACT(PeerFlag), buffer_bytes(&stage.node.change), NULL, &flag, NULL), 0);
  assert_true(text_is(flag.name, "dark") && text_is(flag.value, "on"));
  heard = (PeerHeard){.life = stage.node.log_life, .position = stage.node.position};
  node_say(&stage.node, "heard", CONTRACT(PeerHeard), &heard);
  assert_int_equal(wait_answer(&stage), STATUS_OK);
  assert_int_equal(copies(&stage), 2);
  end(&stage);
}

/* What the peer has heard is no copy before it is on its disk; and it is behind as long. */
static void a_flag_that_is_only_heard_is_no_copy(void **state _unused_) {
  Stage stage = {0};
  PeerHeard heard = {0};
  AuthorityStatus status;

  start_pair(&stage);
  lead_by_the_nodes_vote(&stage);
  ask(&stage, "pons.flags", "set", CONTRACT(FlagWrite), &dark);
  wait_change(&stage, "flag");
  heard = (PeerHeard){.life = stage.node.log_life, .position = stage.node.position, .has_flag = true, .flag = 0};
  node_say(&stage.node, "heard", CONTRACT(PeerHeard), &heard);
  assert_int_equal(wait_answer(&stage), STATUS_OK);
  assert_int_equal(copies(&stage), 1);
  status = status_of(&stage);
  assert_true(status.log >= stage.node.position);
  assert_true(status.peer_behind > 0 && status.peer_behind_us > 0);
  end(&stage);
}

static void say_changes(Stage *stage, uint64_t position, const PeerChange *rows, size_t n) {
  PeerLog log = {.life = stage->node.life, .position = position, .changes = {(PeerChange *)rows, n}};

  node_say(&stage->node, "log", CONTRACT(PeerLog), &log);
}

static PeerChange change_of_flag(const PeerFlag *row, Buffer *room) {
  buffer_clear(room);
  assert_int_equal(contract_encode(CONTRACT(PeerFlag), row, room, NULL), 0);
  return (PeerChange){TEXT("flag"), buffer_bytes(room)};
}

/* Until it says that it has heard the node's log that far, and has its flags on disk. */
static void wait_acknowledged(Stage *stage, uint64_t position) {
  uint64_t due_us = clock_monotonic_us() + NODE_PATIENCE_US;
  PeerHeard heard = {0};

  while (heard.position != position || heard.has_flag) {
    assert_true(clock_monotonic_us() < due_us);
    node_beat_of_life(&stage->node, stage->node.beat_life, stage->leads);
    node_run(&stage->node, 1000);
    if (has_heard(&stage->node, "heard"))
      assert_int_equal(contract_decode(CONTRACT(PeerHeard), buffer_bytes(&stage->node.body), NULL, &heard, NULL), 0);
  }
  assert_int_equal(heard.life, stage->node.life);
}

/* A flag of the peer that is newer is taken over, in the order of its log; a kind of a later version counts too; after a gap nothing does. */
static void the_newer_flag_of_a_peer_is_taken(void **state _unused_) {
  _cleanup_(buffer_done) Buffer begins = {0};
  _cleanup_(buffer_done) Buffer room = {0};
  Stage stage = {0};
  PeerFlag row = {.name = TEXT("dark"), .value = TEXT("theirs"), .epoch = 3, .counter = 1};
  PeerChange rows[2];
  FlagRow found;

  start_pair(&stage);
  stage.leads = 3;
  wait_heard(&stage, "heard");
  assert_int_equal(contract_encode(CONTRACT(PeerBegins), &(PeerBegins){TEXT("there")}, &begins, NULL), 0);
  rows[0] = (PeerChange){TEXT("snapshot"), buffer_bytes(&begins)};
  rows[1] = change_of_flag(&row, &room);
  say_changes(&stage, 5, rows, 2);
  wait_acknowledged(&stage, 6);
  assert_int_equal(call(&stage, "pons.flags", "get", CONTRACT(FlagAsk), &dark_name), STATUS_OK);
  assert_int_equal(contract_decode(CONTRACT(FlagRow), buffer_bytes(&stage.scene.body), NULL, &found, NULL), 0);
  assert_true(text_is(found.value, "theirs"));
  assert_int_equal(status_of(&stage).heard, 6);
  row.value = TEXT("older");
  row.epoch = 2;
  rows[0] = change_of_flag(&row, &room);
  rows[1] = (PeerChange){TEXT("of_a_later_version"), BYTES_NONE};
  say_changes(&stage, 7, rows, 2);
  wait_acknowledged(&stage, 8);
  row = (PeerFlag){
      .name = TEXT("dark"), .value = TEXT(""), .epoch = 3, .counter = 2, .has_removed = true, .removed = true};
  rows[0] = change_of_flag(&row, &room);
  say_changes(&stage, 10, rows, 1); /* 9 is missing */
  assert_int_equal(status_of(&stage).heard, 8);
  say_changes(&stage, 9, rows, 1);
  wait_acknowledged(&stage, 9);
  assert_int_equal(call(&stage, "pons.flags", "get", CONTRACT(FlagAsk), &dark_name), STATUS_REFUSED);
  expect_code(&stage, "flag_unknown");
  end(&stage);
}

static void a_follower_passes_questions_on(void **state _unused_) {
  _cleanup_(buffer_done) Buffer body = {0};
  FlagWritten written = {.name = TEXT("dark"), .epoch = 9, .counter = 1, .copies = 2};
  PeerAnswer answer = {.status = STATUS_OK};
  Stage stage = {0};
  PeerAsk passed;

  start_pair(&stage);
  stage.leads = 9;
  for (int i = 0; i < 50 && !has_heard(&stage.node, "heard") && !has_heard(&stage.node, "log"); i++) {
    node_beat_of_life(&stage.node, stage.node.beat_life, 9);
    node_run(&stage.node, BEAT_US / 4);
  }
  node_beat_of_life(&stage.node, stage.node.beat_life, 9);
  ask(&stage, "pons.flags", "set", CONTRACT(FlagWrite), &dark);
  wait_heard(&stage, "ask");
  assert_int_equal(contract_decode(CONTRACT(PeerAsk), buffer_bytes(&stage.node.body), NULL, &passed, NULL), 0);
  assert_true(text_is(passed.service, "pons.flags") && text_is(passed.method, "set"));
  assert_int_equal(passed.client, 4711);
  assert_int_equal(contract_encode(CONTRACT(FlagWritten), &written, &body, NULL), 0);
  answer.number = passed.number;
  answer.body = buffer_bytes(&body);
  node_say(&stage.node, "answer", CONTRACT(PeerAnswer), &answer);
  assert_int_equal(wait_answer(&stage), STATUS_OK);
  assert_int_equal(copies(&stage), 2);
  ask(&stage, "pons.flags", "set", CONTRACT(FlagWrite), &dark);
  wait_heard(&stage, "ask");
  node_die(&stage.node); /* what waits for its answer ends with the link */
  assert_int_equal(wait_answer(&stage), STATUS_UNAVAILABLE);
  expect_code(&stage, "no_leader");
  end(&stage);
}

static void who_asks_for_a_lease_that_is_held_hears_for_how_long(void **state _unused_) {
  LeaseWish wish = {.name = TEXT("hub"), .duration_us = 60 * US_PER_S};
  _cleanup_(buffer_done) Buffer body = {0};
  PeerAsk passed = {.number = 1, .service = TEXT("pons.lease"), .method = TEXT("acquire"), .client = 99};
  PeerAnswer answer;
  ErrorBody error;
  Stage stage = {0};

  start_pair(&stage);
  lead_by_the_nodes_vote(&stage);
  assert_int_equal(call_leader(&stage, "pons.lease", "acquire", CONTRACT(LeaseWish), &wish), STATUS_OK);
  assert_int_equal(contract_encode(CONTRACT(LeaseWish), &wish, &body, NULL), 0);
  passed.body = buffer_bytes(&body);
  node_say(&stage.node, "ask", CONTRACT(PeerAsk), &passed); /* of a client at the other broker */
  wait_heard(&stage, "answer");
  assert_int_equal(contract_decode(CONTRACT(PeerAnswer), buffer_bytes(&stage.node.body), NULL, &answer, NULL), 0);
  assert_int_equal(answer.status, STATUS_REFUSED);
  assert_int_equal(contract_decode(CONTRACT(ErrorBody), answer.body, NULL, &error, NULL), 0);
  assert_true(text_is(error.code, "lease_held"));
  assert_true(error.retry_after_us > 0 && error.retry_after_us <= NODE_VOTE_US);
  end(&stage);
}

static bool is_leader(Stage *stage, uint64_t *ret_late) {
  AuthorityStatus status;

  assert_int_equal(call(stage, "pons.authority", "status", CONTRACT(PonsNothing), &(PonsNothing){0}), STATUS_OK);
  assert_int_equal(contract_decode(CONTRACT(AuthorityStatus), buffer_bytes(&stage->scene.body), NULL, &status, NULL),
                   0);
  *ret_late = status.late;
  return text_is(status.state, "leader");
}

/* Before it answers the first question after it woke up. */
static void a_suspended_machine_gives_up_what_it_leads(void **state _unused_) {
  LeaseWish wish = {.name = TEXT("hub"), .duration_us = 60 * US_PER_S};
  Stage stage = {0};
  uint64_t late;

  start_pair(&stage);
  lead_by_the_nodes_vote(&stage);
  assert_int_equal(call_leader(&stage, "pons.lease", "acquire", CONTRACT(LeaseWish), &wish), STATUS_OK);
  suspend_for(US_PER_S);
  assert_int_equal(call(&stage, "pons.lease", "acquire", CONTRACT(LeaseWish), &wish), STATUS_UNAVAILABLE);
  expect_code(&stage, "no_leader");
  assert_false(is_leader(&stage, &late));
  assert_int_equal(late, 1);
  lead_by_the_nodes_vote(&stage); /* the link is found to work, and its vote is asked for anew */
  end(&stage);
}

static void an_event_is_relayed_and_a_kept_one_told_again(void **state _unused_) {
  Header publish = {.kind = KIND_PUBLISH, .id = {{4711}, 1}, .service = TEXT("gpu.load"), .flags = FLAG_RETAIN};
  Stage stage = {0};
  PeerKept kept;

  start_pair(&stage);
  scene_give(&stage.scene, &publish, (Bytes){(const uint8_t *)"\x5d", 1}, clock_monotonic_us());
  wait_heard(&stage, "kept"); /* it was kept before the link was up */
  assert_int_equal(contract_decode(CONTRACT(PeerKept), buffer_bytes(&stage.node.body), NULL, &kept, NULL), 0);
  assert_true(text_is(kept.topic, "gpu.load"));
  assert_int_equal(kept.publisher, 4711);
  end(&stage);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(alone_it_leads_by_itself),
      cmocka_unit_test(what_does_not_fit_its_contract_is_named),
      cmocka_unit_test(a_witness_votes_for_one_at_a_time),
      cmocka_unit_test(a_flag_is_acknowledged_with_its_copies),
      cmocka_unit_test(a_flag_that_is_only_heard_is_no_copy),
      cmocka_unit_test(the_newer_flag_of_a_peer_is_taken),
      cmocka_unit_test(a_follower_passes_questions_on),
      cmocka_unit_test(who_asks_for_a_lease_that_is_held_hears_for_how_long),
      cmocka_unit_test(a_suspended_machine_gives_up_what_it_leads),
      cmocka_unit_test(an_event_is_relayed_and_a_kept_one_told_again),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
