/* CURVE on a socket: which key it has, who is admitted, who has failed too often. libzmq asks a ZAP handler over a socket of its own;
   here a table in this process is asked by a call, so nobody is admitted by a list that is no longer in force, and a
   revoked key's connections are found and closed. */
#include <errno.h>
#include <stdlib.h>

#include "bus/base/clock.h"
#include "bus/loop/socket-internal.h"

enum {
  FAILURES = 64,           /* of one address at once, */
  FAILURE_BACK_US = 62500, /* and so often on the long run: 16 in a second */
};

static void set_key(Socket *socket, KeyPair *key) {
  key_unref(&socket->key);
  socket->key = key_ref(key);
}

void socket_use_gate(Socket *socket, KeyPair *key, const SocketGate *gate) {
  set_key(socket, key);
  socket->gate = *gate;
  if (!socket->failures)
    socket->failures = limiter_new(FAILURES, FAILURE_BACK_US);
}

void socket_use_key(Socket *socket, KeyPair *key, PublicKey server) {
  set_key(socket, key);
  socket->server = server;
}

void socket_keys_done(Socket *socket) {
  key_unref(&socket->key);
  limiter_destroy(&socket->failures);
  buffer_done(&socket->sealed);
}

const char *connection_mechanism(const Connection *connection) {
  return connection->socket->key ? "CURVE" : "NULL";
}

void connection_take_key(Connection *connection, Buffer *ret) {
  const Socket *socket = connection->socket;
  bool is_server = socket->type == ZMTP_ROUTER;
  uint8_t fresh[CURVE_FRESH_BYTES];

  if (!socket->key)
    return;
  curve_random(fresh, sizeof fresh);
  connection->curve = curve_new(&socket->key->keys, is_server ? NULL : socket->server.bytes, socket->type, fresh);
  curve_wipe(fresh, sizeof fresh);
  if (!is_server)
    curve_hello(connection->curve, ret);
}

static PublicKey peer_key(const Connection *connection) {
  PublicKey key;

  memcpy(key.bytes, curve_peer(connection->curve), sizeof key.bytes);
  return key;
}

/* The word is with the client's server now, which is us. */
static int judge(Connection *connection, Buffer *answer) {
  const SocketGate *gate = &connection->socket->gate;
  PublicKey key = peer_key(connection);

  if (gate->admit(gate->userdata, key) && (!gate->begin || gate->begin(gate->userdata, key))) {
    curve_admit(connection->curve, answer);
    return 0;
  }
  curve_refuse(connection->curve, answer);
  return ZMTP_E_REFUSED;
}

int connection_shake_curve(Connection *connection, Bytes command) {
  _cleanup_(buffer_done) Buffer answer = {0};
  int r = curve_step(connection->curve, command, &answer);

  if (r == 0 && curve_state(connection->curve) == CURVE_ASKING)
    r = judge(connection, &answer);
  else if (r == ZMTP_E_SEALED && connection->socket->type == ZMTP_ROUTER)
    curve_refuse(connection->curve, &answer); /* so that who has a wrong key of ours need not guess */
  if (answer.size > 0)
    connection_send_frames(connection, buffer_bytes(&answer));
  return r;
}

int connection_send_sealed(Connection *connection, bool command, Bytes header, Bytes body) {
  Buffer *frames = &connection->socket->sealed;
  int r;

  if (connection->mute)
    return -EHOSTUNREACH; /* nothing is sealed for nobody */
  buffer_clear(frames);
  curve_seal(connection->curve, body.size > 0, command, header, frames);
  if (body.size > 0)
    curve_seal(connection->curve, false, false, body, frames);
  r = connection_send_frames(connection, buffer_bytes(frames));
  if (frames->room > SOCKET_SEALED_BYTES)
    buffer_done(frames);
  return r;
}

/* --- who has failed --- */

bool socket_may_come(const Socket *socket, uint64_t origin) {
  return !socket->failures || limiter_may(socket->failures, origin, clock_monotonic_us());
}

void connection_note_failure(Connection *connection) {
  const Socket *socket = connection->socket;

  if (socket->failures && connection->state != CONNECTION_OPEN)
    limiter_take(socket->failures, connection->origin, clock_monotonic_us());
}

/* --- who is there --- */

int socket_peer_key(const Socket *socket, uint32_t peer, PublicKey *ret) {
  const Connection *connection = socket_find(socket, peer);

  if (!connection || !connection->curve || connection->state != CONNECTION_OPEN)
    return -ENOKEY;
  *ret = peer_key(connection);
  return 0;
}

void socket_ask_gate_again(Socket *socket) {
  TABLE_EACH (&socket->connections, Connection, link, connection)
    if (connection->curve && connection->state == CONNECTION_OPEN &&
        !socket->gate.admit(socket->gate.userdata, peer_key(connection)))
      shutdown(connection->fd, SHUT_RDWR);
}
