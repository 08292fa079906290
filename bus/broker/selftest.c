#include "bus/broker/selftest.h"

#include <errno.h>

#define PATIENCE_US (5 * US_PER_S)

typedef struct Try {
  Socket *socket;
  bool admitted;
  int error;
} Try;

static void on_ready(void *userdata) {
  Try *attempt = userdata;
  SocketMessage message;
  SocketEvent event;

  while (socket_receive(attempt->socket, &message) == 0) /* reading is what makes events */
    socket_message_done(&message);
  while (socket_next_event(attempt->socket, &event) == 0) {
    attempt->admitted = attempt->admitted || event.type == SOCKET_UP;
    if (event.type == SOCKET_FAILED)
      attempt->error = event.error;
  }
}

static bool is_decided(void *userdata) {
  const Try *attempt = userdata;

  return attempt->admitted || attempt->error == -EKEYREJECTED;
}

int selftest_run(Loop *loop, const char *endpoint, PublicKey server, KeyPair *stranger) {
  Try attempt = {.socket = NULL};
  SocketHandler handler = {on_ready, &attempt};
  int r = socket_new(loop, SOCKET_DEALER, 1, &handler, &attempt.socket);

  if (r < 0)
    return r;
  socket_use_key(attempt.socket, stranger, server);
  r = socket_connect(attempt.socket, endpoint);
  if (r == 0)
    r = loop_run_until(loop, is_decided, &attempt, clock_monotonic_us() + PATIENCE_US);
  socket_destroy(&attempt.socket);
  return r == 0 && attempt.admitted ? SELFTEST_E_ADMITTED : r;
}

int selftest_door(Loop *loop, Admission *admission, const char *endpoint) {
  _cleanup_(key_unref) KeyPair *stranger = NULL;

  key_new(&stranger);
  admission_expect(admission, key_public(stranger));
  return selftest_run(loop, endpoint, key_public(admission_key(admission)), stranger);
}
