/* A closed port is told, an open one and a silent one are not. */
#include "bus/broker/knock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka wants the above first */
#include <cmocka.h>

#define DEADLINE_US (20 * US_PER_S) /* for what is certain to come */

typedef struct Told {
  int n;
  uint64_t sent_us;
} Told;

static void on_refused(void *userdata, uint64_t sent_us) {
  Told *told = userdata;

  told->n++;
  told->sent_us = sent_us;
}

static bool is_told(void *userdata) {
  return ((Told *)userdata)->n > 0;
}

/* A port of 127.0.0.1 with somebody who listens; *ret_fd is closed to have it refuse. */
static unsigned listen_somewhere(int *ret_fd) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;

  *ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  assert_int_equal(bind(*ret_fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(*ret_fd, 8), 0);
  assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&address, &size), 0);
  return ntohs(address.sin_port);
}

static bool is_accepted(void *userdata) {
  int fd = accept4(*(int *)userdata, NULL, NULL, SOCK_CLOEXEC);

  if (fd >= 0)
    close(fd);
  return fd >= 0;
}

static void a_closed_port_is_told_and_an_open_one_is_not(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = NULL;
  _cleanup_(knock_destroy) Knock *knock = NULL;
  Told told = {0};
  KnockHandler handler = {on_refused, &told};
  char endpoint[64];
  uint64_t now_us;
  int fd;

  snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", listen_somewhere(&fd));
  assert_int_equal(loop_new(&loop), 0);
  assert_int_equal(knock_new(&knock, loop, endpoint, &handler), 0);
  knock_try(knock, clock_monotonic_us());
  while (!is_accepted(&fd))
    assert_int_equal(loop_turn(loop, clock_monotonic_us() + 1000), 0);
  for (int i = 0; i < 3; i++)
    assert_int_equal(loop_turn(loop, 0), 0);
  assert_int_equal(told.n, 0);
  close(fd);
  now_us = clock_monotonic_us() + US_PER_S; /* past the patience with a try that may not have ended */
  knock_try(knock, now_us);
  assert_int_equal(told.n, 0); /* not from inside */
  assert_int_equal(loop_run_until(loop, is_told, &told, clock_monotonic_us() + DEADLINE_US), 0);
  assert_int_equal(told.n, 1);
  assert_int_equal(told.sent_us, now_us);
}

static void only_numbers_are_endpoints(void **state _unused_) {
  static const char *const wrong[] = {"tcp://host:7102",       "ipc:///tmp/x",    "tcp://127.0.0.1",
                                      "tcp://127.0.0.1:70000", "tcp://[::1:7102", "tcp://1.2.3:7102"};
  static const char *const right[] = {"tcp://127.0.0.1:7102", "tcp://[::1]:7102"};
  _cleanup_(loop_destroy) Loop *loop = NULL;
  KnockHandler handler = {on_refused, NULL};
  Knock *knock = NULL;

  assert_int_equal(loop_new(&loop), 0);
  for (size_t i = 0; i < ELEMENTS(wrong); i++) {
    assert_int_equal(knock_new(&knock, loop, wrong[i], &handler), -EINVAL);
    assert_null(knock);
  }
  for (size_t i = 0; i < ELEMENTS(right); i++) {
    assert_int_equal(knock_new(&knock, loop, right[i], &handler), 0);
    knock_destroy(&knock);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_closed_port_is_told_and_an_open_one_is_not),
      cmocka_unit_test(only_numbers_are_endpoints),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
