/* Another program in the place of this one: what it says at its trial, and that it has the state, the process and the
   descriptors when it is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/ctl/successor.h"

#define PATIENCE_US (60 * US_PER_S)

enum { EXIT_GOOD = 42, EXIT_BAD = 3 };

static char folder[] = "/tmp/pons-test-XXXXXX";
static char program[64];
static char self[4096];

/* --- the programs --- */

/* This one, as a successor: with the state of before, in the same process, and what it was handed is readable. */
static int be_successor(void) {
  json_t *state = NULL;
  bool trial = false;
  char word[8] = "";
  bool good;

  if (successor_take(&state, &trial) != 0 || !state || getenv("PONS_SUPERVISOR_STATE"))
    return EXIT_BAD;
  good = json_integer_value(json_object_get(state, "pid")) == getpid() && !trial &&
         read((int)json_integer_value(json_object_get(state, "fd")), word, sizeof word) == 5 &&
         strcmp(word, "bytes") == 0;
  json_decref(state);
  if (trial)
    puts(SUCCESSOR_YES);
  return trial ? 0 : good ? EXIT_GOOD : EXIT_BAD;
}

static void write_program(const char *script) {
  FILE *file = fopen(program, "w");

  assert_non_null(file);
  fputs(script, file);
  fclose(file);
  chmod(program, 0755);
}

/* --- who is to be succeeded --- */

typedef struct Scene {
  int fd; /* what the state names */
  bool busy;
  bool passed;
  char why[1024];
} Scene;

static json_t *on_save(void *userdata) {
  const Scene *scene = userdata;

  return scene->busy ? NULL : json_pack("{s:i, s:i}", "pid", (int)getpid(), "fd", scene->fd);
}

static void on_pass(void *userdata, const json_t *state, bool on) {
  Scene *scene = userdata;

  assert_int_equal(json_integer_value(json_object_get(state, "fd")), scene->fd);
  fcntl(scene->fd, F_SETFD, on ? 0 : FD_CLOEXEC);
  scene->passed |= on;
}

static void on_failed(void *userdata, const char *why) {
  Scene *scene = userdata;

  snprintf(scene->why, sizeof scene->why, "%s", why);
}

static bool has_failed(void *userdata) {
  const Scene *scene = userdata;

  return scene->why[0] != '\0';
}

static const SuccessorHandler handler = {.on_save = on_save, .on_pass = on_pass, .on_failed = on_failed};

static void expect_failure(const char *script, uint64_t patience_us, const char *why) {
  const char *const arguments[] = {"pons", "up", NULL};
  SuccessorHandler own = handler;
  Scene scene = {.fd = -1};
  Successor *successor = NULL;
  Loop *loop = NULL;

  write_program(script);
  own.userdata = &scene;
  assert_int_equal(loop_new(&loop), 0);
  assert_int_equal(successor_new(&successor, loop, program, arguments, patience_us, &own), 0);
  assert_int_equal(loop_run_until(loop, has_failed, &scene, clock_monotonic_us() + PATIENCE_US), 0);
  assert_string_equal(scene.why, why);
  assert_int_equal(scene.passed, strstr(why, "executed") != NULL); /* else nothing was touched */
  assert_null(getenv("PONS_SUPERVISOR_STATE"));
  successor_destroy(&successor);
  assert_null(successor);
  loop_destroy(&loop);
}

static void test_what_would_not_go_on(void **state _unused_) {
  expect_failure("#!/bin/sh\necho a warning\necho no library of this name >&2\nexit 3\n", PATIENCE_US,
                 "it would not go on from here: exit status 3: no library of this name");
  expect_failure("#!/bin/sh\nexit 0\n", PATIENCE_US, "it would not go on from here: exit status 0");
  expect_failure("#!/bin/sh\necho fine\n", PATIENCE_US, "it would not go on from here: exit status 0: fine");
  expect_failure("#!/bin/sh\necho slow\nexec tail -f /dev/null\n", 200 * US_PER_MS,
                 "it would not go on from here: no word in time: slow");
}

/* More than a pipe holds: warnings before its word, one line, and no end of it. */
static void test_who_says_much(void **state _unused_) {
  char why[1024] = "it would not go on from here: exit status 1: ";

  expect_failure("#!/bin/sh\nyes a warning | head -c 300000\necho\necho no library of this name >&2\nexit 3\n",
                 PATIENCE_US, "it would not go on from here: exit status 3: no library of this name");
  expect_failure("#!/bin/sh\nyes a warning | head -c 300000\necho\nrm \"$0\"\necho '" SUCCESSOR_YES "'\n", PATIENCE_US,
                 "it can't be executed: No such file or directory");
  memset(why + strlen(why), 'y', 511);
  expect_failure("#!/bin/sh\nyes | tr -d '\\n' | head -c 300000\nexit 1\n", PATIENCE_US, why);
  expect_failure("#!/bin/sh\nexec yes x\n", 200 * US_PER_MS, "it would not go on from here: no word in time: x");
}

/* It has ended, and what it started goes on saying things. */
static void test_a_word_of_somebody_else(void **state _unused_) {
  expect_failure("#!/bin/sh\necho x\nyes x &\nexit 1\n", PATIENCE_US, "it would not go on from here: exit status 1: x");
}

static void test_no_program(void **state _unused_) {
  const char *const arguments[] = {"pons", NULL};
  SuccessorHandler own = handler;
  Scene scene = {.busy = true};
  Successor *successor = NULL;
  Loop *loop = NULL;

  own.userdata = &scene;
  assert_int_equal(loop_new(&loop), 0);
  assert_int_equal(successor_new(&successor, loop, self, arguments, PATIENCE_US, &own), -EBUSY);
  scene.busy = false;
  assert_int_equal(successor_new(&successor, loop, "/nonexistent", arguments, PATIENCE_US, &own), -ENOENT);
  assert_null(successor);
  loop_destroy(&loop);
}

/* A program that is good at its trial, and gone when it is to be executed. */
static void test_gone_in_between(void **state _unused_) {
  expect_failure("#!/bin/sh\nrm \"$0\"\necho '" SUCCESSOR_YES "'\n", PATIENCE_US,
                 "it can't be executed: No such file or directory");
}

/* In a process of its own, which ends as another program. */
static void be_succeeded(void) {
  const char *const arguments[] = {self, "--successor", NULL};
  SuccessorHandler own = handler;
  Scene scene = {.fd = -1};
  Successor *successor = NULL;
  Loop *loop = NULL;
  int fds[2];

  if (pipe2(fds, O_CLOEXEC) < 0 || write(fds[1], "bytes", 5) != 5)
    _exit(EXIT_BAD);
  scene.fd = fds[0];
  own.userdata = &scene;
  if (loop_new(&loop) < 0 || successor_new(&successor, loop, self, arguments, PATIENCE_US, &own) < 0)
    _exit(EXIT_BAD);
  loop_run_until(loop, has_failed, &scene, clock_monotonic_us() + PATIENCE_US);
  _exit(EXIT_BAD);
}

static void test_succeeds(void **state _unused_) {
  int status = 0;
  pid_t pid = fork();

  if (pid == 0)
    be_succeeded();
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), EXIT_GOOD);
}

static void test_what_is_no_state(void **state _unused_) {
  static const char *const values[] = {"", "x", "1", "-4", "99999999999", "7x", "700"};
  json_t *taken = NULL;
  bool trial = true;

  assert_int_equal(successor_take(&taken, &trial), 0);
  assert_null(taken);
  assert_false(trial);
  for (size_t i = 0; i < ELEMENTS(values); i++) {
    setenv("PONS_SUPERVISOR_STATE", values[i], 1);
    assert_int_equal(successor_take(&taken, &trial), -EINVAL);
    assert_null(taken);
  }
  unsetenv("PONS_SUPERVISOR_STATE");
}

static int make_folder(void **state _unused_) {
  ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);

  assert_true(size > 0);
  assert_non_null(mkdtemp(folder));
  snprintf(program, sizeof program, "%s/program", folder);
  loop_block_signals();
  return 0;
}

static int remove_folder(void **state _unused_) {
  unlink(program);
  return rmdir(folder);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_would_not_go_on),    cmocka_unit_test(test_who_says_much),
      cmocka_unit_test(test_a_word_of_somebody_else), cmocka_unit_test(test_no_program),
      cmocka_unit_test(test_gone_in_between),         cmocka_unit_test(test_succeeds),
      cmocka_unit_test(test_what_is_no_state),
  };

  if (argc > 1 && strcmp(argv[1], "--successor") == 0)
    return be_successor();
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
