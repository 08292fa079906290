/* Sockets that this process opens, and sockets that it was started with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/loop/listen.h"

static unsigned port_of(int fd) {
  struct sockaddr_in address;
  socklen_t size = sizeof address;

  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
  return ntohs(address.sin_port);
}

static void test_opens(void **state _unused_) {
  char again[64];
  int fd = -1;
  int other = 77;

  assert_int_equal(listen_open("tcp://127.0.0.1:*", &fd), 0);
  assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
  assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  snprintf(again, sizeof again, "tcp://127.0.0.1:%u", port_of(fd));
  assert_int_equal(listen_open(again, &other), -EADDRINUSE);
  assert_int_equal(listen_open("tcp://no.such.host.invalid:1", &other), -EADDRNOTAVAIL);
  assert_int_equal(other, 77);
  close(fd);
}

/* In a process of its own: descriptors 3 and 4 are what was handed down. */
static int inherit(void) {
  char endpoint[64];
  char pid[16];
  int fd = -1;
  int copy = -1;
  int none = 77;

  if (listen_open("tcp://127.0.0.1:*", &fd) != 0 || dup2(fd, 4) < 0)
    return 1;
  if (open("/dev/null", O_RDONLY) != 3 && dup2(open("/dev/null", O_RDONLY), 3) < 0)
    return 2;
  snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", port_of(4));
  if (listen_inherited(endpoint, &none) != LISTEN_E_NONE || none != 77)
    return 3; /* nobody has said that anything is */
  snprintf(pid, sizeof pid, "%d", (int)getpid());
  setenv("LISTEN_PID", pid, 1);
  setenv("LISTEN_FDS", "2", 1);
  if (listen_inherited(endpoint, &copy) != 0 || port_of(copy) != port_of(4))
    return 4;
  if (listen_inherited(endpoint, &copy) != 0)
    return 5;
  if (listen_inherited("tcp://127.0.0.1:1", &none) != LISTEN_E_NONE || none != 77)
    return 6;
  if (listen_inherited("tcp://no.such.host.invalid:1", &none) != -EADDRNOTAVAIL || none != 77)
    return 7;
  return 0;
}

static void test_inherits(void **state _unused_) {
  FILE *child = popen("exec /proc/$PPID/exe --inherit", "r");

  assert_non_null(child);
  assert_int_equal(pclose(child), 0);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_opens), cmocka_unit_test(test_inherits)};

  if (argc == 2 && strcmp(argv[1], "--inherit") == 0)
    return inherit();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
