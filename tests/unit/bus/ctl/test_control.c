/* The control socket: a word in, a line of JSON out; the asker in a thread, the supervisor's loop in this one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bus/ctl/control.h"

#define DEADLINE_US (60 * US_PER_S)
enum { TIMEOUT_MS = 60000, BIG_BYTES = 2 << 20 };

static char folder[] = "/tmp/pons-test-XXXXXX";
static char path[64];

static int make_folder(void **state _unused_) {
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/ctl.sock", folder);
  return 0;
}

static int remove_folder(void **state _unused_) {
  unlink(path);
  return rmdir(folder);
}

static json_t *answer(void *userdata _unused_, const char *word) {
  if (strcmp(word, "later") == 0)
    return json_null();
  if (strcmp(word, "status") == 0)
    return json_pack("{s:s}", "state", "ready");
  if (strcmp(word, "big") == 0) {
    char *text = calloc(1, BIG_BYTES + 1);
    json_t *json;

    memset(text, 'x', BIG_BYTES);
    json = json_pack("{s:s}", "text", text);
    free(text);
    return json;
  }
  return NULL;
}

typedef struct Asker {
  pthread_t thread;
  const char *word;
  bool until_end;
  uint64_t timeout_ms;
  int result;
  json_t *json;
  _Atomic bool done;
} Asker;

static void *ask(void *userdata) {
  Asker *asker = userdata;

  asker->result = control_ask(path, asker->word, asker->until_end, asker->timeout_ms, &asker->json);
  asker->done = true;
  return NULL;
}

static bool is_done(void *userdata) {
  Asker *asker = userdata;

  return asker->done;
}

static bool never(void *userdata _unused_) {
  return false;
}

/* Turns the loop until the asker has its answer. */
static void serve(Loop *loop, Asker *asker) {
  uint64_t deadline_us = clock_monotonic_us() + DEADLINE_US;

  while (!is_done(asker) && clock_monotonic_us() < deadline_us)
    loop_run_until(loop, never, NULL, clock_monotonic_us() + 2 * US_PER_MS);
  pthread_join(asker->thread, NULL);
}

static void start(Asker *asker) {
  assert_int_equal(pthread_create(&asker->thread, NULL, ask, asker), 0);
}

static void test_answers(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = NULL;
  Control *control = NULL;
  Asker asker = {.word = "status", .timeout_ms = TIMEOUT_MS};
  Asker unknown = {.word = "dance", .timeout_ms = TIMEOUT_MS};
  Asker big = {.word = "big", .timeout_ms = TIMEOUT_MS};
  struct stat status;

  assert_int_equal(loop_new(&loop), 0);
  assert_int_equal(control_new(&control, loop, path, -1, answer, NULL), 0);
  assert_int_equal(stat(path, &status), 0);
  assert_int_equal(status.st_mode & 0777, 0600);
  start(&asker);
  serve(loop, &asker);
  assert_int_equal(asker.result, 0);
  assert_string_equal(json_string_value(json_object_get(asker.json, "state")), "ready");
  json_decref(asker.json);
  start(&unknown);
  serve(loop, &unknown);
  assert_string_equal(json_string_value(json_object_get(unknown.json, "error")), "unknown word");
  json_decref(unknown.json);
  start(&big);
  serve(loop, &big);
  assert_int_equal(big.result, 0);
  assert_int_equal(json_string_length(json_object_get(big.json, "text")), BIG_BYTES);
  json_decref(big.json);
  control_destroy(&control);
  assert_int_equal(access(path, F_OK), -1);
}

static void test_waits_for_the_end(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = NULL;
  Control *control = NULL;
  Asker asker = {.word = "status", .until_end = true, .timeout_ms = TIMEOUT_MS};

  assert_int_equal(loop_new(&loop), 0);
  assert_int_equal(control_new(&control, loop, path, -1, answer, NULL), 0);
  start(&asker);
  loop_run_until(loop, is_done, &asker, clock_monotonic_us() + 100 * US_PER_MS);
  assert_false(is_done(&asker));
  control_destroy(&control);
  pthread_join(asker.thread, NULL);
  assert_int_equal(asker.result, 0);
  json_decref(asker.json);
}

/* What takes its time is answered when it is done; others are answered meanwhile. */
static void test_answers_later(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = NULL;
  Control *control = NULL;
  Asker slow = {.word = "later", .timeout_ms = TIMEOUT_MS};
  Asker quick = {.word = "status", .timeout_ms = TIMEOUT_MS};

  assert_int_equal(loop_new(&loop), 0);
  assert_int_equal(control_new(&control, loop, path, -1, answer, NULL), 0);
  start(&slow);
  loop_run_until(loop, is_done, &slow, clock_monotonic_us() + 50 * US_PER_MS);
  start(&quick);
  serve(loop, &quick);
  assert_int_equal(quick.result, 0);
  json_decref(quick.json);
  assert_false(is_done(&slow));
  control_answer(control, json_pack("{s:s}", "state", "done"));
  serve(loop, &slow);
  assert_int_equal(slow.result, 0);
  assert_string_equal(json_string_value(json_object_get(slow.json, "state")), "done");
  json_decref(slow.json);
  control_answer(control, json_pack("{s:s}", "state", "nobody waits"));
  control_destroy(&control);
}

static void test_nobody_there(void **state _unused_) {
  json_t *untouched = (json_t *)path;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  char big[200];

  assert_int_equal(control_ask(path, "status", false, TIMEOUT_MS, &untouched), CONTROL_E_NOBODY);
  memcpy(address.sun_path, path, strlen(path) + 1);
  assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(control_ask(path, "status", false, TIMEOUT_MS, &untouched), CONTROL_E_NOBODY);
  assert_int_equal(listen(fd, 1), 0);
  assert_int_equal(control_ask(path, "status", false, 20, &untouched), CONTROL_E_TIMEOUT);
  memset(big, 'x', sizeof big - 1);
  big[sizeof big - 1] = '\0';
  assert_int_equal(control_ask(big, "status", false, 20, &untouched), -ENAMETOOLONG);
  assert_ptr_equal(untouched, path);
  close(fd);
}

/* A supervisor of another kind, or none: it answers what is no JSON. */
static void *answer_rubbish(void *userdata) {
  int fd = accept(*(int *)userdata, NULL, NULL);

  assert_int_equal(send(fd, "hello\n", 6, MSG_NOSIGNAL), 6);
  close(fd);
  return NULL;
}

static void test_rubbish(void **state _unused_) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  json_t *untouched = (json_t *)path;
  pthread_t thread;

  unlink(path);
  memcpy(address.sun_path, path, strlen(path) + 1);
  assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(fd, 1), 0);
  assert_int_equal(pthread_create(&thread, NULL, answer_rubbish, &fd), 0);
  assert_int_equal(control_ask(path, "status", false, TIMEOUT_MS, &untouched), CONTROL_E_GARBLED);
  assert_ptr_equal(untouched, path);
  pthread_join(thread, NULL);
  close(fd);
}

typedef struct Curt {
  int fd;
  int cuts; /* so many are hung up on, the next is answered */
} Curt;

static void *hang_up(void *userdata) {
  Curt *curt = userdata;

  for (int i = 0; i < 3; i++) {
    int fd = accept(curt->fd, NULL, NULL);
    char word[16];

    if (i < curt->cuts)
      assert_true(close(fd) == 0);
    else if (recv(fd, word, sizeof word, 0) > 0 && send(fd, "[]\n", 3, MSG_NOSIGNAL) == 3)
      return close(fd) == 0 ? userdata : NULL;
  }
  return NULL;
}

/* A connection that is lost is no supervisor that has ended: it is asked again, three times in all. */
static void test_hung_up(void **state _unused_) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};

  memcpy(address.sun_path, path, strlen(path) + 1);
  for (int cuts = 2; cuts <= 3; cuts++) {
    Curt curt = {socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), cuts};
    json_t *answer = NULL;
    pthread_t thread;

    unlink(path);
    assert_int_equal(bind(curt.fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(curt.fd, 1), 0);
    assert_int_equal(pthread_create(&thread, NULL, hang_up, &curt), 0);
    assert_int_equal(control_ask(path, "status", false, TIMEOUT_MS, &answer), cuts == 2 ? 0 : CONTROL_E_CUT);
    assert_int_equal(answer != NULL, cuts == 2);
    json_decref(answer);
    pthread_join(thread, NULL);
    close(curt.fd);
  }
}

/* Who sends a word without an end, or too many connections, costs nobody else anything. */
static void test_bad_peers(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = NULL;
  Control *control = NULL;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  Asker asker = {.word = "status", .timeout_ms = TIMEOUT_MS};
  char word[CONTROL_WORD_BYTES + 100];
  char byte;
  int fd;

  memset(word, 'a', sizeof word);
  assert_int_equal(loop_new(&loop), 0);
  assert_int_equal(control_new(&control, loop, path, -1, answer, NULL), 0);
  memcpy(address.sun_path, path, strlen(path) + 1);
  fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(send(fd, word, sizeof word, MSG_NOSIGNAL), sizeof word);
  start(&asker);
  serve(loop, &asker);
  assert_int_equal(asker.result, 0);
  json_decref(asker.json);
  assert_true(recv(fd, &byte, 1, 0) <= 0);
  close(fd);
  control_destroy(&control);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_answers),           cmocka_unit_test(test_answers_later),
      cmocka_unit_test(test_waits_for_the_end), cmocka_unit_test(test_nobody_there),
      cmocka_unit_test(test_rubbish),           cmocka_unit_test(test_hung_up),
      cmocka_unit_test(test_bad_peers),
  };

  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
