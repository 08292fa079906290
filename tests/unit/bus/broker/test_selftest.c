/* A door that refuses, one that admits everybody, one behind which nobody is. */
#include "bus/broker/selftest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <unistd.h>

static Loop *loop;
static KeyPair *server, *stranger;

static bool admit_as_told(void *userdata, PublicKey key _unused_) {
  return *(bool *)userdata;
}

static void ignore(void *userdata) {
  Socket **socket = userdata;
  SocketMessage message;
  SocketEvent event;

  while (socket_next_event(*socket, &event) == 0)
    continue;
  while (socket_receive(*socket, &message) == 0)
    socket_message_done(&message);
}

static int set_up(void **state _unused_) {
  key_new(&server);
  key_new(&stranger);
  return loop_new(&loop);
}

static int tear_down(void **state _unused_) {
  loop_destroy(&loop);
  key_unref(&server);
  key_unref(&stranger);
  return 0;
}

/* How the test of a ROUTER at that endpoint ends. */
static int try_door(const char *endpoint, bool admits) {
  Socket *router = NULL;
  SocketHandler handler = {ignore, &router};
  SocketGate gate = {.admit = admit_as_told, .userdata = &admits};
  char bound[256];
  int r;

  assert_int_equal(socket_new(loop, SOCKET_ROUTER, 10, &handler, &router), 0);
  socket_use_gate(router, server, &gate);
  assert_int_equal(socket_bind(router, endpoint), 0);
  r = selftest_run(loop, socket_endpoint(router, bound, sizeof bound), key_public(server), stranger);
  socket_destroy(&router);
  return r;
}

static void a_door_is_tried(void **state _unused_) {
  char path[64];

  snprintf(path, sizeof path, "ipc:///tmp/pons-selftest-%d", (int)getpid());
  assert_int_equal(try_door("tcp://127.0.0.1:*", false), 0);
  assert_int_equal(try_door(path, false), 0);
  assert_int_equal(try_door("tcp://*:*", false), 0);
  assert_int_equal(try_door("tcp://127.0.0.1:*", true), SELFTEST_E_ADMITTED);
  assert_int_equal(try_door(path, true), SELFTEST_E_ADMITTED);
}

static void what_is_no_endpoint_is_said(void **state _unused_) {
  assert_int_equal(selftest_run(loop, "nowhere", key_public(server), stranger), -EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_door_is_tried, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_is_no_endpoint_is_said, set_up, tear_down),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
