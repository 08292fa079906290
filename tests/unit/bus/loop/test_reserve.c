/* When no descriptor is left: the connection is closed, and the listener does not stay readable. */
#include "bus/loop/reserve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENTS = 3, NOFILE = 64 };

static int listener;
static int clients[CLIENTS];

/* Connects clients to a socket without a name in the file system. */
static void connect_all(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  socklen_t size = sizeof(sa_family_t);

  listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  assert_true(listener >= 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0); /* the kernel chooses */
  assert_int_equal(listen(listener, CLIENTS), 0);
  size = sizeof address;
  assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
  for (int i = 0; i < CLIENTS; i++) {
    clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(clients[i], (struct sockaddr *)&address, size), 0);
  }
}

static int set_nofile(rlim_t limit) {
  struct rlimit now;

  getrlimit(RLIMIT_NOFILE, &now);
  now.rlim_cur = limit;
  return setrlimit(RLIMIT_NOFILE, &now);
}

static void test_a_connection_without_a_descriptor_is_closed(void **state) {
  struct pollfd waiting = {.fd = 0, .events = POLLIN};
  struct rlimit before;
  int used[NOFILE];
  int n = 0;
  char byte;

  (void)state;
  getrlimit(RLIMIT_NOFILE, &before);
  assert_int_equal(descriptors_reserve(), 0);
  assert_int_equal(descriptors_reserve(), 0);
  connect_all();
  assert_int_equal(set_nofile(NOFILE), 0);
  while (n < NOFILE && (used[n] = dup(listener)) >= 0)
    n++;
  assert_int_equal(errno, EMFILE);
  for (int i = 0; i < CLIENTS; i++) {
    assert_int_equal(accept4(listener, NULL, NULL, SOCK_CLOEXEC), -1);
    assert_int_equal(errno, EMFILE);
    descriptors_turn_away(listener);
    assert_int_equal(read(clients[i], &byte, 1), 0);
  }
  waiting.fd = listener;
  assert_int_equal(poll(&waiting, 1, 0), 0);
  while (n > 0)
    close(used[--n]);
  setrlimit(RLIMIT_NOFILE, &before);
  assert_int_equal(accept4(listener, NULL, NULL, 0), -1);
  assert_int_equal(errno, EAGAIN);
  for (int i = 0; i < CLIENTS; i++)
    close(clients[i]);
  close(listener);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_connection_without_a_descriptor_is_closed),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
