/* What is said to NOTIFY_SOCKET, and that the watchdog is fed by a turning loop only. */
#include "bus/loop/notify.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
/* cmocka wants the above first */
#include <cmocka.h>

static int listener;
static char folder[] = "/tmp/pons-notify-XXXXXX";
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static int open_listener(void **state _unused_) {
  struct timeval limit = {10, 0};

  if (!mkdtemp(folder))
    return -1;
  snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", folder);
  listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setenv("NOTIFY_SOCKET", address.sun_path, 1);
  return bind(listener, (struct sockaddr *)&address, sizeof address);
}

static int close_listener(void **state _unused_) {
  close(listener);
  unlink(address.sun_path);
  return rmdir(folder);
}

static const char *heard(int flags) {
  static char text[512];
  ssize_t size = recv(listener, text, sizeof text - 1, flags);

  text[size < 0 ? 0 : size] = '\0';
  return text;
}

static void says_ready_status_and_stopping(void **state _unused_) {
  notify_ready("serving on 7100\nMAINPID=1");
  assert_string_equal(heard(0), "READY=1\nSTATUS=serving on 7100");
  notify_ready(NULL);
  assert_string_equal(heard(0), "READY=1");
  notify_status("%d agents", 3);
  assert_string_equal(heard(0), "STATUS=3 agents");
  notify_stopping();
  assert_string_equal(heard(0), "STOPPING=1");
}

static void nobody_listens_without_the_variable(void **state _unused_) {
  unsetenv("NOTIFY_SOCKET");
  notify_ready("x");
  notify_stopping();
  setenv("NOTIFY_SOCKET", address.sun_path, 1);
  assert_string_equal(heard(MSG_DONTWAIT), "");
}

static bool never(void *userdata _unused_) {
  return false;
}

static void the_watchdog_is_fed_at_half_its_time(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = NULL;

  assert_int_equal(loop_new(&loop), 0);
  setenv("WATCHDOG_USEC", "20000", 1);
  assert_int_equal(watchdog_start(loop), 0);
  assert_int_equal(watchdog_start(loop), -EALREADY);
  assert_string_equal(heard(MSG_DONTWAIT), ""); /* the loop has not turned yet */
  assert_int_equal(loop_run_until(loop, never, NULL, clock_monotonic_us() + 50 * US_PER_MS), -ETIMEDOUT);
  assert_string_equal(heard(0), "WATCHDOG=1");
  assert_string_equal(heard(0), "WATCHDOG=1");
  while (*heard(MSG_DONTWAIT))
    ;
}

static void no_watchdog_or_a_bad_one(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = NULL;

  assert_int_equal(loop_new(&loop), 0);
  unsetenv("WATCHDOG_USEC");
  assert_int_equal(watchdog_start(loop), 0);
  setenv("WATCHDOG_USEC", "soon", 1);
  assert_int_equal(watchdog_start(loop), -EINVAL);
  unsetenv("WATCHDOG_USEC");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(says_ready_status_and_stopping),
      cmocka_unit_test(nobody_listens_without_the_variable),
      cmocka_unit_test(the_watchdog_is_fed_at_half_its_time),
      cmocka_unit_test(no_watchdog_or_a_bad_one),
  };

  return cmocka_run_group_tests(tests, open_listener, close_listener);
}
