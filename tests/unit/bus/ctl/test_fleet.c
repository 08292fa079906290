/* The supervisor with real processes: this program itself, started in a child's part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bus/base/log.h"
#include "bus/ctl/catalog.h"
#include "bus/ctl/control.h"
#include "bus/ctl/fleet.h"

#define DEADLINE_US (60 * US_PER_S)

/* --- the children's part --- */

static void say(const char *text) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  snprintf(address.sun_path, sizeof address.sun_path, "%s", getenv("NOTIFY_SOCKET"));
  if (sendto(fd, text, strlen(text), 0, (const struct sockaddr *)&address, sizeof address) < 0)
    perror("sendto");
  close(fd);
}

static void wait_for_term(void) {
  sigset_t term;
  int signo;

  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigprocmask(SIG_BLOCK, &term, NULL);
  say("READY=1\nSTATUS=at work");
  sigwait(&term, &signo);
}

/* Leaves a child of its own behind, which holds the lock of a file for as long as it lives. */
static void leave_a_child(const char *path) {
  int fd = open(path, O_RDWR | O_CLOEXEC);
  int told[2];
  char byte;

  if (fd < 0 || pipe(told) < 0)
    exit(9);
  if (fork() == 0) {
    int mine = open(path, O_RDWR | O_CLOEXEC);

    signal(SIGTERM, SIG_IGN);
    if (mine < 0 || flock(mine, LOCK_EX) < 0 || write(told[1], "x", 1) != 1)
      exit(9);
    for (;;)
      pause();
  }
  if (read(told[0], &byte, 1) != 1)
    exit(9);
  exit(7);
}

static int be_child(const char *part) {
  printf("part %s\n", part);
  fflush(stdout);
  if (strcmp(part, "good") == 0) {
    wait_for_term();
    say("STOPPING=1");
    return 0;
  }
  if (strcmp(part, "crash") == 0)
    return 3;
  if (part[0] == '/')
    leave_a_child(part);
  if (strcmp(part, "deaf") == 0) {
    signal(SIGTERM, SIG_IGN);
    say("READY=1");
  }
  if (strcmp(part, "silent") == 0)
    say("READY=1");
  for (;;) /* "mute" says nothing at all */
    pause();
}

/* --- a fleet of them --- */

static char folder[] = "/tmp/pons-test-XXXXXX";
static char self[4096];

typedef struct Scene {
  Loop *loop;
  Config *config;
  Plan *plan;
  Fleet *fleet;
  Buffer output;
  json_t *replaced;
  int settled;
  int ended;
} Scene;

static const char *in_folder(const char *name) {
  static char path[4][128];
  static int next;

  next = (next + 1) % 4;
  snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
  return path[next];
}

static void write_file(const char *name, mode_t mode, const char *format, ...) {
  FILE *file = fopen(in_folder(name), "w");
  va_list arguments;

  assert_non_null(file);
  va_start(arguments, format);
  vfprintf(file, format, arguments);
  va_end(arguments);
  assert_int_equal(fclose(file), 0);
  assert_int_equal(chmod(in_folder(name), mode), 0);
}

static void no_log(LogLevel level _unused_, const char *event _unused_, const char *text _unused_) {
}

static int make_folder(void **state _unused_) {
  ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);

  assert_true(size > 0);
  assert_non_null(mkdtemp(folder));
  setenv("PATH", folder, 1);
  log_setup(LOG_LEVEL_ERROR, no_log);
  loop_block_signals();
  return 0;
}

static int remove_folder(void **state _unused_) {
  unlink(in_folder("pons.yaml"));
  unlink(in_folder("pons-broker"));
  unlink(in_folder("notify.sock"));
  return rmdir(folder);
}

static void on_output(void *userdata, Bytes lines) {
  Scene *scene = userdata;

  buffer_append(&scene->output, lines.data, lines.size);
}

static void on_settled(void *userdata) {
  Scene *scene = userdata;

  scene->settled++;
}

static void on_replaced(void *userdata, json_t *result) {
  Scene *scene = userdata;

  json_decref(scene->replaced);
  scene->replaced = json_incref(result);
}

static void on_ended(void *userdata) {
  Scene *scene = userdata;

  scene->ended++;
}

/* A fleet of a broker that plays broker_part and one agent that plays part, with more keys. */
static void open_scene(Scene *scene, const char *broker_part, const char *part, const char *keys) {
  const FleetHandler handler = {on_output, on_settled, on_replaced, on_ended, scene};
  _cleanup_(buffer_done) Buffer errors = {0};

  *scene = (Scene){0};
  write_file("pons-broker", 0755, "#!/bin/sh\nexec %s --child %s\n", self, broker_part);
  write_file("pons.yaml", 0644,
             "runtime_dir: %s\nstate_dir: %s\nprofile: test\nprofiles: [{name: test, agents: [agent]}]\n"
             "agents:\n  - name: agent\n    program: %s\n    arguments: [--child, %s]\n%s",
             folder, folder, self, part, keys);
  if (config_load(in_folder("pons.yaml"), &scene->config, &errors) ||
      plan_new(&scene->plan, scene->config, catalog_rows(), NULL, &errors))
    fail_msg("%.*s", (int)errors.size, (const char *)errors.data);
  assert_int_equal(loop_new(&scene->loop), 0);
  assert_int_equal(fleet_new(&scene->fleet, scene->loop, scene->plan, &handler, NULL), 0);
}

static void close_scene(Scene *scene) {
  fleet_destroy(&scene->fleet);
  assert_null(scene->fleet);
  loop_destroy(&scene->loop);
  plan_destroy(&scene->plan);
  config_destroy(&scene->config);
  buffer_done(&scene->output);
  json_decref(scene->replaced);
}

static bool has_settled(void *userdata) {
  const Scene *scene = userdata;

  return scene->settled > 0;
}

static bool has_ended(void *userdata) {
  const Scene *scene = userdata;

  return scene->ended > 0;
}

static void await(Scene *scene, bool (*done)(void *userdata)) {
  assert_int_equal(loop_run_until(scene->loop, done, scene, clock_monotonic_us() + DEADLINE_US), 0);
}

/* A fact of one process; borrowed until the next call. */
static const json_t *fact(const Scene *scene, size_t index, const char *key) {
  static json_t *description;

  json_decref(description);
  description = scene ? fleet_describe(scene->fleet) : NULL;
  return json_object_get(json_array_get(json_object_get(description, "processes"), index), key);
}

static const char *text_fact(const Scene *scene, size_t index, const char *key) {
  return json_string_value(fact(scene, index, key));
}

static pid_t pid_of(const Scene *scene, size_t index) {
  return (pid_t)json_integer_value(fact(scene, index, "pid"));
}

static void expect_objection(json_t *state, const Plan *plan, const char *expected) {
  Buffer errors = {0};

  assert_int_equal(fleet_state_check(state, plan, &errors), *expected ? FLEET_E_STATE : 0);
  buffer_append(&errors, "", 1);
  assert_string_equal((const char *)errors.data, expected);
  buffer_done(&errors);
}

/* A program that takes this one's place finds each process again by its name. */
static void test_who_can_go_on(void **state _unused_) {
  Scene scene;
  json_t *saved;
  json_t *children;

  open_scene(&scene, "good", "good", "");
  fleet_start(scene.fleet);
  assert_string_equal(fleet_busy(scene.fleet), "the fleet is still starting");
  await(&scene, has_settled);
  assert_null(fleet_busy(scene.fleet));
  saved = fleet_save(scene.fleet);
  expect_objection(saved, scene.plan, "");
  children = json_object_get(saved, "children");
  json_object_set_new(json_array_get(children, 1), "name", json_string("other"));
  expect_objection(saved, scene.plan,
                   "pons.yaml has the process agent, which the running fleet has not\n"
                   "the running fleet has the process other, which pons.yaml has not any more\n");
  json_object_set_new(saved, "format", json_integer(99));
  expect_objection(saved, scene.plan,
                   "this program can't take over from that one; `pons down` and `pons up` will do\n");
  json_decref(saved);
  fleet_stop(scene.fleet);
  assert_string_equal(fleet_busy(scene.fleet), "the fleet is being stopped");
  await(&scene, has_ended);
  close_scene(&scene);
}

static void test_up_and_down(void **state _unused_) {
  Scene scene;
  json_t *description;

  open_scene(&scene, "good", "good", "");
  fleet_start(scene.fleet);
  assert_false(fleet_has_broker(scene.fleet));
  await(&scene, has_settled);
  assert_true(fleet_is_ready(scene.fleet));
  assert_true(fleet_has_broker(scene.fleet));
  description = fleet_describe(scene.fleet);
  assert_string_equal(json_string_value(json_object_get(description, "state")), "ready");
  json_decref(description);
  assert_string_equal(text_fact(&scene, 0, "name"), "broker");
  assert_string_equal(text_fact(&scene, 1, "state"), "ready");
  assert_string_equal(text_fact(&scene, 1, "says"), "at work");
  assert_true(pid_of(&scene, 1) > 0);
  fleet_stop(scene.fleet);
  await(&scene, has_ended);
  assert_int_equal(pid_of(&scene, 0), 0);
  assert_string_equal(text_fact(&scene, 0, "state"), "stopped");
  assert_string_equal(text_fact(&scene, 0, "last_end"), "exit status 0");
  buffer_append(&scene.output, "", 1);
  assert_non_null(strstr((const char *)scene.output.data, "broker | part good\n"));
  assert_non_null(strstr((const char *)scene.output.data, "agent  | part good\n"));
  assert_int_equal(scene.settled, 1);
  close_scene(&scene);
}

static void test_a_crash_loop_ends_degraded(void **state _unused_) {
  Scene scene;

  open_scene(&scene, "good", "crash", "    restart: {burst: 2, within_ms: 60000, delay_ms: 1, delay_max_ms: 4}\n");
  fleet_start(scene.fleet);
  await(&scene, has_settled);
  assert_false(fleet_is_ready(scene.fleet));
  assert_true(fleet_has_broker(scene.fleet));
  assert_string_equal(text_fact(&scene, 1, "state"), "degraded");
  assert_int_equal(json_integer_value(fact(&scene, 1, "restarts")), 2);
  assert_string_equal(text_fact(&scene, 1, "last_end"), "exit status 3");
  fleet_stop(scene.fleet);
  await(&scene, has_ended);
  close_scene(&scene);
}

static void test_a_broker_that_does_not_start(void **state _unused_) {
  Scene scene;

  open_scene(&scene, "crash", "good", "");
  fleet_start(scene.fleet);
  await(&scene, has_settled);
  assert_false(fleet_has_broker(scene.fleet));
  assert_string_equal(text_fact(&scene, 1, "state"), "stopped");
  fleet_stop(scene.fleet);
  await(&scene, has_ended);
  close_scene(&scene);
}

static bool agent_is_back(void *userdata) {
  const Scene *scene = userdata;

  return json_integer_value(fact(scene, 1, "restarts")) > 0 && fleet_is_ready(scene->fleet);
}

static void test_a_killed_agent_comes_back(void **state _unused_) {
  Scene scene;
  pid_t before;

  open_scene(&scene, "good", "good", "    restart: {delay_ms: 1}\n");
  fleet_start(scene.fleet);
  await(&scene, has_settled);
  before = pid_of(&scene, 1);
  assert_int_equal(kill(before, SIGKILL), 0);
  await(&scene, agent_is_back);
  assert_int_not_equal(pid_of(&scene, 1), before);
  assert_string_equal(text_fact(&scene, 1, "last_end"), "killed by signal 9 (Killed)");
  fleet_stop(scene.fleet);
  await(&scene, has_ended);
  close_scene(&scene);
}

static bool agent_was_aborted(void *userdata) {
  const Scene *scene = userdata;

  return strcmp(text_fact(scene, 1, "state"), "degraded") == 0;
}

static void test_a_silent_watchdog(void **state _unused_) {
  Scene scene;

  open_scene(&scene, "good", "silent", "    watchdog_ms: 50\n    restart: {burst: 0}\n");
  fleet_start(scene.fleet);
  await(&scene, agent_was_aborted);
  assert_non_null(strstr(text_fact(&scene, 1, "last_end"), "signal 6 (Aborted)"));
  assert_non_null(strstr(text_fact(&scene, 1, "last_end"), "its watchdog was silent"));
  fleet_stop(scene.fleet);
  await(&scene, has_ended);
  close_scene(&scene);
}

static void test_an_agent_that_never_gets_ready(void **state _unused_) {
  Scene scene;

  open_scene(&scene, "good", "mute", "    start_timeout_ms: 50\n    restart: {burst: 0}\n");
  fleet_start(scene.fleet);
  await(&scene, has_settled);
  assert_non_null(strstr(text_fact(&scene, 1, "last_end"), "it was not ready in time"));
  fleet_stop(scene.fleet);
  await(&scene, has_ended);
  close_scene(&scene);
}

static void test_an_agent_that_does_not_stop(void **state _unused_) {
  Scene scene;

  open_scene(&scene, "good", "deaf", "    stop_timeout_ms: 50\n");
  fleet_start(scene.fleet);
  await(&scene, has_settled);
  fleet_stop(scene.fleet);
  await(&scene, has_ended);
  assert_string_equal(text_fact(&scene, 1, "last_end"), "killed by signal 9 (Killed), it did not stop in time");
  assert_string_equal(text_fact(&scene, 0, "last_end"), "exit status 0");
  close_scene(&scene);
}

/* What an agent has started goes with it. The lock is free again only when the grandchild is gone. */
static void test_nothing_is_left_of_an_agent(void **state _unused_) {
  char path[128];
  Scene scene;
  int fd;

  snprintf(path, sizeof path, "%s", in_folder("lock"));
  fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  open_scene(&scene, "good", path, "    restart: {burst: 0}\n");
  fleet_start(scene.fleet);
  await(&scene, has_settled);
  assert_string_equal(text_fact(&scene, 1, "last_end"), "exit status 7");
  alarm(60); /* ends the test when the lock is never free */
  assert_int_equal(flock(fd, LOCK_EX), 0);
  alarm(0);
  close(fd);
  unlink(path);
  fleet_stop(scene.fleet);
  await(&scene, has_ended);
  close_scene(&scene);
}

static void test_kill_ends_at_once(void **state _unused_) {
  Scene scene;

  open_scene(&scene, "deaf", "deaf", "");
  fleet_start(scene.fleet);
  await(&scene, has_settled);
  fleet_stop(scene.fleet);
  fleet_kill(scene.fleet);
  await(&scene, has_ended);
  assert_string_equal(text_fact(&scene, 0, "last_end"), "killed by signal 9 (Killed)");
  close_scene(&scene);
}

static bool is_replaced(void *userdata) {
  const Scene *scene = userdata;

  return scene->replaced != NULL;
}

/* Replaces a process and holds the end to what is expected; why NULL = it goes well. */
static void replace(Scene *scene, size_t index, const char *program, const char *how, const char *why) {
  pid_t before = pid_of(scene, index);
  const json_t *ok;

  json_decref(scene->replaced);
  scene->replaced = fleet_replace(scene->fleet, index ? "agent" : "broker", before, program);
  await(scene, is_replaced);
  ok = json_object_get(scene->replaced, "ok");
  assert_int_equal(json_is_true(ok), why == NULL);
  assert_string_equal(json_string_value(json_object_get(scene->replaced, "how")), how);
  if (why)
    assert_non_null(strstr(json_string_value(json_object_get(scene->replaced, "why")), why));
  assert_int_equal(json_integer_value(json_object_get(scene->replaced, "before_pid")), *how ? before : 0);
}

static void test_replaced_beside(void **state _unused_) {
  Scene scene;
  pid_t before;

  open_scene(&scene, "good", "good", "    stop_timeout_ms: 60000\n");
  replace(&scene, 1, self, "", "it has not been started yet");
  fleet_start(scene.fleet);
  await(&scene, has_settled);
  before = pid_of(&scene, 1);
  replace(&scene, 1, self, "beside", NULL);
  assert_int_not_equal(pid_of(&scene, 1), before);
  assert_int_equal(kill(before, 0), -1);
  assert_int_equal(json_integer_value(fact(&scene, 1, "restarts")), 0);
  before = pid_of(&scene, 1);
  replace(&scene, 1, "/bin/false", "beside", "the new one did not come up: exit status 1");
  replace(&scene, 1, in_folder("nothing"), "beside", "the new one did not come up: not started: No such file");
  assert_int_equal(pid_of(&scene, 1), before);
  assert_string_equal(text_fact(&scene, 1, "state"), "ready");
  fleet_stop(scene.fleet);
  await(&scene, has_ended);
  replace(&scene, 1, self, "", "the fleet is being stopped");
  close_scene(&scene);
}

static void test_replaced_in_place(void **state _unused_) {
  Scene scene;
  pid_t before;

  open_scene(&scene, "good", "good", "");
  fleet_start(scene.fleet);
  await(&scene, has_settled);
  before = pid_of(&scene, 0);
  replace(&scene, 0, in_folder("pons-broker"), "restart", NULL);
  assert_int_not_equal(pid_of(&scene, 0), before);
  replace(&scene, 0, "/bin/false", "restart", "exit status 1; the program of before runs again");
  assert_true(fleet_is_ready(scene.fleet));
  fleet_stop(scene.fleet);
  await(&scene, has_ended);
  close_scene(&scene);
}

/* Neither the new program nor the one of before can be started. */
static void test_no_way_back(void **state _unused_) {
  Scene scene;

  open_scene(&scene, "good", "good", "    beside: false\n    restart: {burst: 1, delay_ms: 1}\n");
  fleet_start(scene.fleet);
  await(&scene, has_settled);
  write_file("other", 0755, "#!/bin/sh\nexec %s --child good\n", self);
  replace(&scene, 1, in_folder("other"), "restart", NULL);
  unlink(in_folder("other"));
  replace(&scene, 1, "/bin/false", "restart", "; nor does the program of before: not started: No such file");
  assert_string_equal(text_fact(&scene, 1, "state"), "degraded");
  replace(&scene, 1, self, "restart", NULL);
  unlink(in_folder("other"));
  fleet_stop(scene.fleet);
  await(&scene, has_ended);
  close_scene(&scene);
}

static void test_budget_is_spent(void **state _unused_) {
  Scene scene;

  open_scene(&scene, "good", "good", "    beside: false\n    restart: {burst: 0}\n");
  fleet_start(scene.fleet);
  await(&scene, has_settled);
  replace(&scene, 1, "/bin/false", "restart",
          "; its restart budget is spent, so that the program of before has to wait");
  fleet_stop(scene.fleet);
  await(&scene, has_ended);
  close_scene(&scene);
}

static void test_neither_comes_nor_goes(void **state _unused_) {
  Scene scene;

  open_scene(&scene, "good", "deaf", "    stop_timeout_ms: 50\n    start_timeout_ms: 3000\n");
  fleet_start(scene.fleet);
  await(&scene, has_settled);
  replace(&scene, 1, self, "beside", NULL);
  assert_string_equal(json_string_value(json_object_get(scene.replaced, "why")), "the old one did not stop in time; ");
  write_file("other", 0755, "#!/bin/sh\nexec /usr/bin/tail -f /dev/null\n");
  replace(&scene, 1, in_folder("other"), "beside", "it was not ready in time; the new one did not come up: killed by");
  unlink(in_folder("other"));
  fleet_kill(scene.fleet);
  await(&scene, has_ended);
  close_scene(&scene);
}

static bool is_never(void *userdata _unused_) {
  return false;
}

/* Only one at a time; who asks for the same once more waits with the first; and the fleet's end ends it. */
static void test_one_at_a_time(void **state _unused_) {
  Scene scene;
  json_t *refused;
  pid_t pid;

  open_scene(&scene, "good", "good", "");
  fleet_start(scene.fleet);
  await(&scene, has_settled);
  pid = pid_of(&scene, 1);
  refused = fleet_replace(scene.fleet, "nobody", 0, self);
  assert_string_equal(json_string_value(json_object_get(refused, "why")), "the fleet has no such process");
  json_decref(refused);
  refused = fleet_replace(scene.fleet, "agent", pid + 1, self);
  assert_string_equal(json_string_value(json_object_get(refused, "why")), "its process is another one by now");
  json_decref(refused);
  write_file("other", 0755, "#!/bin/sh\nexec /usr/bin/tail -f /dev/null\n");
  assert_null(fleet_replace(scene.fleet, "agent", pid, in_folder("other")));
  assert_null(fleet_replace(scene.fleet, "agent", pid, in_folder("other")));
  refused = fleet_replace(scene.fleet, "broker", pid_of(&scene, 0), self);
  assert_string_equal(json_string_value(json_object_get(refused, "why")), "another process is being replaced");
  json_decref(refused);
  loop_run_until(scene.loop, is_never, NULL, clock_monotonic_us() + 20 * US_PER_MS);
  fleet_stop(scene.fleet);
  await(&scene, has_ended);
  assert_string_equal(json_string_value(json_object_get(scene.replaced, "why")), "the fleet is being stopped");
  unlink(in_folder("other"));
  close_scene(&scene);
}

static void test_destroy_leaves_nobody(void **state _unused_) {
  Scene scene;
  pid_t broker;

  open_scene(&scene, "deaf", "deaf", "");
  fleet_start(scene.fleet);
  await(&scene, has_settled);
  broker = pid_of(&scene, 0);
  close_scene(&scene);
  assert_int_equal(kill(broker, 0), -1);
  fact(NULL, 0, "");
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_who_can_go_on),
      cmocka_unit_test(test_up_and_down),
      cmocka_unit_test(test_a_crash_loop_ends_degraded),
      cmocka_unit_test(test_a_broker_that_does_not_start),
      cmocka_unit_test(test_a_killed_agent_comes_back),
      cmocka_unit_test(test_a_silent_watchdog),
      cmocka_unit_test(test_an_agent_that_never_gets_ready),
      cmocka_unit_test(test_an_agent_that_does_not_stop),
      cmocka_unit_test(test_nothing_is_left_of_an_agent),
      cmocka_unit_test(test_kill_ends_at_once),
      cmocka_unit_test(test_replaced_beside),
      cmocka_unit_test(test_replaced_in_place),
      cmocka_unit_test(test_no_way_back),
      cmocka_unit_test(test_budget_is_spent),
      cmocka_unit_test(test_neither_comes_nor_goes),
      cmocka_unit_test(test_one_at_a_time),
      cmocka_unit_test(test_destroy_leaves_nobody),
  };

  if (argc == 3 && strcmp(argv[1], "--child") == 0)
    return be_child(argv[2]);
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
