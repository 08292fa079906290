/* Sockets that the supervisor holds for an agent, and how a process gets them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/ctl/doors.h"

static char endpoint[64];

/* A port that was free a moment ago. */
static void choose_port(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
  snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", ntohs(address.sin_port));
  close(fd);
}

static void test_open_and_close(void **state _unused_) {
  char *endpoints[] = {endpoint, (char[]){"tcp://127.0.0.1:*"}};
  char *twice[] = {endpoint, endpoint};
  Doors doors = {.count = 0};
  Doors other = {.count = 0};
  Buffer errors = {0};

  choose_port();
  assert_int_equal(doors_open(&doors, endpoints, 2, &errors), 0);
  assert_int_equal(doors.count, 1); /* any port is the agent's own matter */
  assert_true(doors.fds[0] >= SPAWN_FD_LEAST);
  assert_int_equal(doors_open(&doors, endpoints, 2, &errors), 0);
  assert_int_equal(errors.size, 0);
  assert_int_equal(doors_open(&other, endpoints, 1, &errors), DOORS_E_LISTEN);
  buffer_append(&errors, "", 1);
  assert_non_null(strstr((const char *)errors.data, " can't be listened at: Address already in use\n"));
  assert_int_equal(other.count, 0);
  doors_close(&doors);
  assert_int_equal(doors.count, 0);
  assert_int_equal(doors_open(&other, twice, 2, &errors), DOORS_E_LISTEN);
  assert_int_equal(other.count, 0); /* the first of both was closed */
  buffer_done(&errors);
}

static void test_handed_down(void **state _unused_) {
  char *endpoints[] = {endpoint};
  char *arguments[] = {(char[]){"sh"}, (char[]){"-c"},
                       (char[]){"test $LISTEN_PID = $$ && test $LISTEN_FDS = 1 && test -S /dev/fd/3"}, NULL};
  _cleanup_(environment_done) Environment environment = {0};
  Spawn spawn = {.program = "/bin/sh", .arguments = arguments, .output_fd = STDERR_FILENO};
  Doors doors = {.count = 0};
  Buffer errors = {0};
  pid_t pid;
  int status;

  environment_set(&environment, "PATH", "/usr/bin:/bin");
  spawn.environment = environment.variables;
  doors_hand_down(&doors, &environment, &spawn); /* nothing */
  assert_null(environment_find(&environment, "LISTEN_FDS"));
  choose_port();
  assert_int_equal(doors_open(&doors, endpoints, 1, &errors), 0);
  doors_hand_down(&doors, &environment, &spawn);
  assert_int_equal(spawn_process(&spawn, &pid), 0);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  doors_close(&doors);
  buffer_done(&errors);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_open_and_close), cmocka_unit_test(test_handed_down)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
