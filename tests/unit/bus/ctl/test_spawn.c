/* Child processes: what they get, how they end, and that they end with their parent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/buffer.h"
#include "bus/ctl/spawn.h"

enum { DEADLINE_MS = 20000 };

static const char *const empty_environment[] = {NULL};

/* Starts /bin/sh -c SCRIPT; its output comes on *ret_output. */
static pid_t start_shell(const char *script, const char *const *environment, int *ret_output) {
  const char *arguments[] = {"sh", "-c", script, NULL};
  int fds[2];
  pid_t pid = -1;
  Spawn spawn = {.program = "/bin/sh",
                 .arguments = (char *const *)(uintptr_t)arguments,
                 .environment = (char *const *)(uintptr_t)environment,
                 .output_fd = -1};

  assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
  spawn.output_fd = fds[1];
  assert_int_equal(spawn_process(&spawn, &pid), 0);
  close(fds[1]);
  *ret_output = fds[0];
  return pid;
}

/* Reads until the end; what was written, as a string. */
static void read_all(int fd, Buffer *ret) {
  struct pollfd ready = {.fd = fd, .events = POLLIN};

  for (;;) {
    ssize_t size;

    assert_int_equal(poll(&ready, 1, DEADLINE_MS), 1);
    size = read(fd, buffer_reserve(ret, 4096), 4096);
    assert_true(size >= 0);
    if (size == 0)
      break;
    ret->size += (size_t)size;
  }
  buffer_append(ret, "", 1);
  close(fd);
}

static void assert_ends(pid_t pid, const char *expected) {
  char text[64];
  int status;

  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_string_equal(spawn_describe_end(status, text, sizeof text), expected);
}

static void test_output_and_environment(void **state _unused_) {
  const char *environment[] = {"A=one", "B=two", NULL};
  _cleanup_(buffer_done) Buffer got = {0};
  int output;
  pid_t pid = start_shell("echo \"$A $B $HOME\"; echo err >&2; cat; exit 3", environment, &output);

  read_all(output, &got);
  assert_string_equal((const char *)got.data, "one two \nerr\n");
  assert_ends(pid, "exit status 3");
}

static void test_own_group_and_clean_signals(void **state _unused_) {
  _cleanup_(buffer_done) Buffer got = {0};
  struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
  sigset_t block, old;
  int output;
  pid_t pid;

  sigaction(SIGPIPE, &ignore, &before);
  sigemptyset(&block);
  sigaddset(&block, SIGTERM);
  sigprocmask(SIG_BLOCK, &block, &old);
  pid =
      start_shell("while read name value; do case $name in SigBlk:|SigIgn:) echo $value;; esac; done < /proc/$$/status",
                  empty_environment, &output);
  sigprocmask(SIG_SETMASK, &old, NULL);
  sigaction(SIGPIPE, &before, NULL);
  assert_int_equal(getpgid(pid), pid);
  read_all(output, &got);
  assert_string_equal((const char *)got.data, "0000000000000000\n0000000000000000\n");
  assert_ends(pid, "exit status 0");
}

static void test_signal_reaches_the_whole_group(void **state _unused_) {
  _cleanup_(buffer_done) Buffer got = {0};
  char first[6] = "";
  int output;
  /* The grandchild holds the pipe open; its end shows that it ended too. */
  pid_t pid = start_shell("sh -c 'echo ready; read x < /dev/tty || sleep 1000' & wait", empty_environment, &output);

  assert_int_equal(read(output, first, 5), 5);
  spawn_signal(pid, SIGKILL);
  read_all(output, &got);
  assert_ends(pid, "killed by signal 9 (Killed)");
}

static void test_program_that_can_not_be_started(void **state _unused_) {
  const char *arguments[] = {"x", NULL};
  Spawn spawn = {.program = "/nonexistent",
                 .arguments = (char *const *)(uintptr_t)arguments,
                 .environment = (char *const *)(uintptr_t)empty_environment,
                 .output_fd = 2};
  pid_t pid = 77;

  assert_int_equal(spawn_process(&spawn, &pid), -ENOENT);
  spawn.program = "/etc/passwd";
  assert_int_equal(spawn_process(&spawn, &pid), -EACCES);
  assert_int_equal(pid, 77);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
  assert_int_equal(errno, ECHILD);
}

/* A middle process starts a child and is killed; the child must end, which closes its pipe. */
static void test_child_dies_with_its_parent(void **state _unused_) {
  _cleanup_(buffer_done) Buffer got = {0};
  int fds[2];
  char word[4];
  pid_t middle;

  assert_int_equal(pipe(fds), 0);
  middle = fork();
  if (middle == 0) {
    const char *arguments[] = {"sh", "-c", "echo up; exec sleep 1000", NULL};
    const char *environment[] = {"PATH=/bin:/usr/bin", NULL};
    Spawn spawn = {.program = "/bin/sh",
                   .arguments = (char *const *)(uintptr_t)arguments,
                   .environment = (char *const *)(uintptr_t)environment,
                   .output_fd = fds[1]};
    pid_t pid;

    fcntl(fds[1], F_SETFD, FD_CLOEXEC);
    if (spawn_process(&spawn, &pid) < 0)
      _exit(1);
    close(fds[1]);
    pause();
    _exit(0);
  }
  close(fds[1]);
  assert_int_equal(read(fds[0], word, 3), 3);
  kill(middle, SIGKILL);
  read_all(fds[0], &got);
  assert_ends(middle, "killed by signal 9 (Killed)");
}

static void test_find_program(void **state _unused_) {
  char path[4096] = "left alone";

  assert_int_equal(spawn_find_program("no-such-program-of-pons", path, sizeof path), -ENOENT);
  assert_int_equal(spawn_find_program("/no/such", path, sizeof path), -ENOENT);
  assert_int_equal(spawn_find_program("/bin/sh", path, 4), -ENAMETOOLONG);
  assert_string_equal(path, "left alone");
  assert_int_equal(spawn_find_program("/bin/sh", path, sizeof path), 0);
  assert_string_equal(path, "/bin/sh");
  assert_int_equal(setenv("PATH", "/nonexistent::/bin:/usr/bin", 1), 0);
  assert_int_equal(spawn_find_program("sh", path, sizeof path), 0);
  assert_string_equal(path, "/bin/sh");
  assert_int_equal(spawn_find_program("unit-bus-ctl-test_spawn", path, sizeof path), 0);
  assert_non_null(strstr(path, "/tests/unit-bus-ctl-test_spawn"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_output_and_environment),         cmocka_unit_test(test_own_group_and_clean_signals),
      cmocka_unit_test(test_signal_reaches_the_whole_group), cmocka_unit_test(test_program_that_can_not_be_started),
      cmocka_unit_test(test_child_dies_with_its_parent),     cmocka_unit_test(test_find_program),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
