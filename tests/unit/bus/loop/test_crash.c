/* Children that crash in each way leave a record that says where; a clean exit leaves nothing. */
#include "bus/loop/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include "bus/loop/crash-internal.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED /* crashes are the sanitizer's there */
#endif
#endif

static char folder[] = "/tmp/pons-crash-XXXXXX";
static char path[64], old_path[80];

static int make_folder(void **state _unused_) {
  if (!mkdtemp(folder))
    return -1;
  snprintf(path, sizeof path, "%s/record", folder);
  snprintf(old_path, sizeof old_path, "%s.old", path);
  return 0;
}

static int drop_records(void **state _unused_) {
  unlink(path);
  unlink(old_path);
  return 0;
}

static int drop_folder(void **state _unused_) {
  return rmdir(folder);
}

static void print_refuses_what_is_no_record(void **state _unused_) {
  FILE *file = fopen(path, "w");

  assert_int_equal(crash_print(stdout, "/nonexistent/record"), -ENOENT);
  fputs("hello\n", file);
  fclose(file);
  assert_int_equal(crash_print(stdout, path), -EBADMSG);
}

static void print_copies_a_record_and_says_when_it_is_cut(void **state _unused_) {
  char text[512] = {0};
  FILE *file = fopen(path, "w");
  FILE *out = fmemopen(text, sizeof text, "w");

  fputs("pons-crash 1\nprogram x\nframe 0 0x10 0x10 /nonexistent/$(touch x)\nframe 1 0x10\n", file);
  fclose(file);
  assert_int_equal(crash_print(out, path), 0);
  fclose(out);
  assert_string_equal(text, "program x\nframe 0 0x10 0x10 /nonexistent/$(touch x)\nframe 1 0x10\n"
                            "(the record ends here: the handler was stopped)\n");
}

static void the_beginning_of_a_record_is_read(void **state _unused_) {
  CrashHead head = {.time_us = 7};
  FILE *file;

  assert_int_equal(crash_read_head("/nonexistent/record", &head), -ENOENT);
  file = fopen(path, "w");
  fputs("pons-crash 10\n", file);
  fclose(file);
  assert_int_equal(crash_read_head(path, &head), -EBADMSG);
  assert_int_equal(head.time_us, 7);
  file = fopen(path, "w");
  fputs("pons-crash 1\nprogram x y\nversion 1\ntime_us 12\nsignal 11 SIGSEGV\nsignal 6 SIGABRT\n", file);
  fclose(file);
  assert_int_equal(crash_read_head(path, &head), 0);
  assert_string_equal(head.program, "x y");
  assert_string_equal(head.signal, "SIGSEGV");
  assert_int_equal(head.time_us, 12);
}

static void bad_memory_is_read_without_a_fault(void **state _unused_) {
  uint64_t good = 42, copy = 0;

  assert_true(crash_memory_read((uintptr_t)&good, &copy, sizeof copy));
  assert_int_equal(copy, 42);
  assert_false(crash_memory_read(16, &copy, sizeof copy));
  assert_int_equal(copy, 42);
}

/* Three made-up frames, the last of which points nowhere. */
static void frame_pointers_are_followed_until_they_lead_nowhere(void **state _unused_) {
  uintptr_t stack[6];
  uintptr_t addresses[8] = {0};

  stack[0] = (uintptr_t)&stack[2];
  stack[1] = 0x1001;
  stack[2] = (uintptr_t)&stack[4];
  stack[3] = 0x1002;
  stack[4] = (uintptr_t)&stack[0]; /* down again: the end */
  stack[5] = 0x1003;
  assert_int_equal(crash_frame_pointer_walk((uintptr_t)stack, addresses, 8), 3);
  assert_int_equal(addresses[2], 0x1003);
  assert_int_equal(crash_frame_pointer_walk((uintptr_t)stack, addresses, 2), 2);
  assert_int_equal(crash_frame_pointer_walk(24, addresses, 8), 0);
  assert_int_equal(crash_frame_pointer_walk((uintptr_t)stack + 1, addresses, 8), 0);
}

#ifndef SANITIZED

static const char *read_file(const char *name) {
  static char text[65536];
  FILE *file = fopen(name, "r");

  assert_non_null(file);
  text[fread(text, 1, sizeof text - 1, file)] = '\0';
  fclose(file);
  return text;
}

static volatile unsigned depth_left = 1U << 30;
static volatile int *volatile nowhere;

__attribute__((noinline)) static void crash_by_null(void) {
  *nowhere = 1;
}

/* volatile and the work after the call keep each frame on the stack */
__attribute__((noinline)) static int crash_by_recursion(volatile char *above) {
  volatile char frame[4096];

  frame[0] = above ? above[0] : 0;
  if (--depth_left == 0)
    return 0;
  return crash_by_recursion(frame) + frame[0];
}

static void crash_by_overflow(void) {
  exit(crash_by_recursion(NULL));
}

static void crash_by_abort(void) {
  abort();
}

/* A call to nowhere: no unwind table and no module, only the frame pointer of the caller. */
static void crash_by_jump(void) {
  void (*volatile call)(void) = (void (*)(void))(uintptr_t)16;

  call();
  nowhere = NULL; /* no tail call */
}

static void *overflow_run(void *userdata _unused_) {
  crash_thread_enter();
  crash_by_overflow();
  return NULL;
}

static void crash_in_a_thread(void) {
  pthread_t thread;

  pthread_create(&thread, NULL, overflow_run, NULL);
  pthread_join(thread, NULL);
}

static void *second_run(void *userdata) {
  char data;

  while (read(*(int *)userdata, &data, 1) > 0)
    ;
  crash_by_null(); /* over its descriptor that is gone */
  return NULL;
}

static void crash_with_a_second_one_right_after(void) {
  static int ends[2];
  pthread_t thread;

  if (pipe2(ends, O_CLOEXEC) == 0 && pthread_create(&thread, NULL, second_run, &ends[0]) == 0)
    crash_by_null();
}

/* Runs crash in a child with a pipe open to us; returns its signal. */
static int crash_in_child(void (*how)(void), bool record) {
  struct rlimit no_core = {0, 0};
  int ends[2], status;
  char data;

  assert_int_equal(pipe(ends), 0);
  pid_t pid = fork();
  if (pid == 0) {
    setrlimit(RLIMIT_CORE, &no_core);
    if (crash_setup("crasher", record ? path : NULL) < 0)
      _exit(99);
    crash_clock_set(5000000);
    for (uint64_t i = 1; i <= 40; i++)
      crash_note("step", i);
    crash_request_set((RequestId){{0xabcd}, 0x17});
    how();
    exit(0);
  }
  assert_true(pid > 0);
  close(ends[1]);
  assert_int_equal(read(ends[0], &data, 1), 0);
  close(ends[0]);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void assert_says(const char *text, const char *line) {
  if (!strstr(text, line))
    fail_msg("the record lacks \"%s\":\n%s", line, text);
}

/* Text of the record as people see it. */
static const char *printed(void) {
  static char text[131072];
  FILE *out = fmemopen(text, sizeof text, "w");

  assert_int_equal(crash_print(out, path), 0);
  fclose(out);
  return text;
}

static void a_bad_write_is_recorded(void **state _unused_) {
  assert_int_equal(crash_in_child(crash_by_null, true), SIGSEGV);
  const char *text = read_file(path);
  assert_memory_equal(text, "pons-crash 1\nprogram crasher\n", 29);
  assert_says(text, "\nsignal 11 SIGSEGV\naddress 0x0\n");
  assert_says(text, "\nrequest 000000000000abcd-0x17\n");
  assert_says(text, "\nnote -0 step 9\n");
  assert_says(text, "\nnote -0 step 40\n");
  assert_null(strstr(text, "step 8\n"));
  assert_says(text, "test_crash\n");
  assert_null(strstr(text, "unwind by"));
  assert_string_equal(text + strlen(text) - 5, "\nend\n");
  text = printed();
  assert_says(text, "crash_by_null");
  assert_says(text, "a_bad_write_is_recorded");
}

static void a_stack_overflow_is_recorded(void **state _unused_) {
  assert_int_equal(crash_in_child(crash_by_overflow, true), SIGSEGV);
  assert_says(read_file(path), "\nframe 63 ");
  assert_says(printed(), "crash_by_recursion");
}

static void a_stack_overflow_of_a_thread_is_recorded(void **state _unused_) {
  assert_int_equal(crash_in_child(crash_in_a_thread, true), SIGSEGV);
  assert_says(printed(), "crash_by_recursion");
}

static void an_abort_is_recorded(void **state _unused_) {
  assert_int_equal(crash_in_child(crash_by_abort, true), SIGABRT);
  assert_says(read_file(path), "\nsignal 6 SIGABRT\nsender_pid ");
  assert_says(printed(), "crash_by_abort");
}

static void a_call_to_nowhere_is_recorded(void **state _unused_) {
  assert_int_equal(crash_in_child(crash_by_jump, true), SIGSEGV);
  assert_says(read_file(path), "\naddress 0x10\n");
  assert_says(printed(), "crash_by_jump");
}

static void a_second_crash_waits_for_the_record_of_the_first(void **state _unused_) {
  assert_int_equal(crash_in_child(crash_with_a_second_one_right_after, true), SIGSEGV);
  assert_says(read_file(path), "\nend\n");
}

static void without_a_path_it_goes_to_standard_error(void **state _unused_) {
  int real = dup(STDERR_FILENO);
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

  dup2(file, STDERR_FILENO);
  close(file);
  int signo = crash_in_child(crash_by_null, false);
  dup2(real, STDERR_FILENO);
  close(real);
  assert_int_equal(signo, SIGSEGV);
  assert_says(read_file(path), "\nend\n");
}

static void nothing(void) {
}

static void a_clean_exit_leaves_no_record_and_keeps_the_last(void **state _unused_) {
  assert_int_equal(crash_in_child(crash_by_null, true), SIGSEGV);
  assert_int_equal(crash_in_child(nothing, true), 0);
  assert_int_equal(access(path, F_OK), -1);
  assert_says(read_file(old_path), "\nend\n");
}

static void crash_in_a_fork(void) {
  pid_t pid = fork();
  int status;

  if (pid == 0)
    crash_by_null();
  _exit(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV ? 0 : 1);
}

static void a_forked_child_stays_out_of_the_record(void **state _unused_) {
  assert_int_equal(crash_in_child(crash_in_a_fork, true), 0);
  assert_string_equal(read_file(path), "");
}

/* In a child, where a second try says that it is set up already; a record that can't be made goes to standard error. */
static void assert_setup(const char *record, int error) {
  int status;
  pid_t pid = fork();

  if (pid == 0) {
    if (crash_setup("x", record) != error)
      _exit(1);
    if (crash_setup("x", path) != -EALREADY)
      _exit(2);
    exit(0);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}

static void setup_names_what_is_wrong(void **state _unused_) {
  char long_path[1000];

  memset(long_path, 'x', sizeof long_path - 1);
  long_path[sizeof long_path - 1] = '\0';
  assert_setup("/nonexistent/record", -ENOENT);
  assert_setup(long_path, -ENAMETOOLONG);
  assert_setup(path, 0);
  assert_int_equal(access(path, F_OK), -1); /* nothing happened */
}

/* Who was started beside another has the same path: neither takes the other's record away. */
static void crash_beside_a_successor(void) {
  int status;
  pid_t pid = fork();

  if (pid == 0) {
    char *const arguments[] = {"sh", "-c", "rm \"$0\" && echo successor >\"$0\"", path, NULL};

    execv("/bin/sh", arguments);
    _exit(1);
  }
  waitpid(pid, &status, 0);
}

static void an_end_leaves_the_record_of_a_successor(void **state _unused_) {
  assert_int_equal(crash_in_child(crash_beside_a_successor, true), 0);
  assert_string_equal(read_file(path), "successor\n");
}

/* What an earlier crash has left is kept; an empty record is none and does not take its place. */
static void an_earlier_record_is_kept(void **state _unused_) {
  FILE *file;

  assert_int_equal(crash_in_child(crash_by_null, true), SIGSEGV);
  assert_setup(path, 0);
  assert_memory_equal(read_file(old_path), "pons-crash 1\n", 13);
  file = fopen(path, "we");
  assert_non_null(file);
  fclose(file);
  assert_setup(path, 0);
  assert_memory_equal(read_file(old_path), "pons-crash 1\n", 13);
}

#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(print_refuses_what_is_no_record, drop_records),
      cmocka_unit_test_teardown(print_copies_a_record_and_says_when_it_is_cut, drop_records),
      cmocka_unit_test_teardown(the_beginning_of_a_record_is_read, drop_records),
      cmocka_unit_test(bad_memory_is_read_without_a_fault),
      cmocka_unit_test(frame_pointers_are_followed_until_they_lead_nowhere),
#ifndef SANITIZED
      cmocka_unit_test_teardown(a_bad_write_is_recorded, drop_records),
      cmocka_unit_test_teardown(a_stack_overflow_is_recorded, drop_records),
      cmocka_unit_test_teardown(a_stack_overflow_of_a_thread_is_recorded, drop_records),
      cmocka_unit_test_teardown(an_abort_is_recorded, drop_records),
      cmocka_unit_test_teardown(a_call_to_nowhere_is_recorded, drop_records),
      cmocka_unit_test_teardown(a_second_crash_waits_for_the_record_of_the_first, drop_records),
      cmocka_unit_test_teardown(without_a_path_it_goes_to_standard_error, drop_records),
      cmocka_unit_test_teardown(a_clean_exit_leaves_no_record_and_keeps_the_last, drop_records),
      cmocka_unit_test_teardown(a_forked_child_stays_out_of_the_record, drop_records),
      cmocka_unit_test_teardown(setup_names_what_is_wrong, drop_records),
      cmocka_unit_test_teardown(an_end_leaves_the_record_of_a_successor, drop_records),
      cmocka_unit_test_teardown(an_earlier_record_is_kept, drop_records),
#endif
  };

  return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
