/* One connection: made, greeted, ended. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/loop/socket-internal.h"

enum {
  SHAKING_US = 5000000,
  COMMAND_BYTES = 4096, /* the longest of a handshake, its head included */
};

static void on_event(void *userdata, int fd _unused_, uint32_t revents) {
  Connection *connection = userdata;

  if (connection->state == CONNECTION_CONNECTING) {
    connector_done(connection);
    return;
  }
  if (revents & EPOLLOUT)
    connection_flush(connection);
  if (revents & ~(uint32_t)EPOLLOUT && !list_has(&connection->in_ready)) {
    list_push(&connection->socket->ready, &connection->in_ready);
    loop_task_mark(connection->socket->task);
  }
}

Connection *connection_new(Socket *socket, int fd, ConnectionState state) {
  Connection *connection = calloc(1, sizeof *connection);
  uint32_t events = state == CONNECTION_CONNECTING ? EPOLLOUT : EPOLLIN;

  if (!connection)
    abort();
  *connection = (Connection){.socket = socket, .fd = fd, .state = state};
  list_init(&connection->queue);
  if (loop_watch_fd(socket->loop, fd, events, on_event, connection, &connection->watch) < 0) {
    close(fd);
    free(connection);
    return NULL;
  }
  connection->number = ++socket->last_number;
  table_add(&socket->connections, &connection->link, connection->number);
  if (socket->type == ZMTP_DEALER)
    socket->only = connection;
  return connection;
}

void connection_destroy(Connection *connection) {
  Socket *socket = connection->socket;

  if (socket->current == connection)
    socket->current = NULL;
  if (socket->only == connection)
    socket->only = NULL;
  list_remove(&connection->in_ready);
  list_remove(&connection->in_shaking);
  table_remove(&socket->connections, &connection->link);
  loop_fd_destroy(&connection->watch);
  close(connection->fd);
  connection_drop_queue(connection);
  connection_drop_held(connection);
  curve_destroy(&connection->curve);
  free(connection);
}

void connection_end(Connection *connection, int error) {
  Socket *socket = connection->socket;
  uint32_t number = connection->number;
  bool was_open = connection->state == CONNECTION_OPEN;

  connection_destroy(connection);
  if (socket->type == ZMTP_ROUTER || was_open)
    socket_tell(socket, SOCKET_DOWN, number, error);
  else
    socket_tell(socket, SOCKET_FAILED, 0, error ? error : -ECONNRESET);
  if (socket->type == ZMTP_DEALER)
    connector_retry(socket);
}

/* --- handshake --- */

static void watch_shaking(Socket *socket) {
  Connection *oldest = LIST_FIRST(&socket->shaking, Connection, in_shaking);

  loop_timer_set(socket->shaking_timer, oldest ? oldest->since_us + SHAKING_US : TIME_NEVER);
}

void on_shaking_late(void *userdata, uint64_t now_us) {
  Socket *socket = userdata;

  LIST_EACH (&socket->shaking, Connection, in_shaking, connection)
    if (connection->since_us + SHAKING_US <= now_us)
      connection_end(connection, -ETIMEDOUT);
  watch_shaking(socket);
}

/* Greeting and what a side says first go together: nothing of the peer's has to be waited for. */
void connection_greet(Connection *connection) {
  _cleanup_(buffer_done) Buffer frames = {0};
  Socket *socket = connection->socket;

  connection->state = CONNECTION_GREETING;
  connection->since_us = clock_monotonic_us();
  list_push(&socket->shaking, &connection->in_shaking);
  if (connection->in_shaking.previous == &socket->shaking)
    watch_shaking(socket);
  zmtp_greeting(connection_mechanism(connection), socket->key && socket->type == ZMTP_ROUTER,
                buffer_reserve(&frames, ZMTP_GREETING_BYTES));
  frames.size = ZMTP_GREETING_BYTES;
  connection_take_key(connection, &frames);
  if (!connection->curve)
    zmtp_ready(socket->type, &frames);
  connection_send_frames(connection, buffer_bytes(&frames));
}

static int greeting(Connection *connection, Bytes *in) {
  int r = zmtp_greeting_check(*in, connection_mechanism(connection));

  if (r != 0)
    return r;
  *in = (Bytes){in->data + ZMTP_GREETING_BYTES, in->size - ZMTP_GREETING_BYTES};
  connection->state = CONNECTION_SHAKING;
  return 0;
}

static void open_connection(Connection *connection) {
  Socket *socket = connection->socket;

  connection->state = CONNECTION_OPEN;
  list_remove(&connection->in_shaking);
  watch_shaking(socket);
  if (socket->type == ZMTP_DEALER) {
    connector_reset(&socket->connector);
    socket_tell(socket, SOCKET_UP, connection->number, 0);
  }
}

/* A command of the handshake. Whoever speaks here is not known yet, so it must be short. */
static int read_command(Connection *connection, Bytes *in, Bytes *ret, size_t *ret_want) {
  ZmtpMessage message;
  int r = zmtp_read(&connection->reader, in, &message, ret_want);

  if (r == ZMTP_E_COMMAND) {
    *ret = message.header;
    return 0;
  }
  return r == 0 ? ZMTP_E_MALFORMED : r == ZMTP_E_SHORT && *ret_want > COMMAND_BYTES ? ZMTP_E_TOO_LARGE : r;
}

static int shake_in_clear(Connection *connection, Bytes command) {
  Bytes metadata;

  if (zmtp_command_read(command, &metadata) != ZMTP_READY)
    return ZMTP_E_MALFORMED;
  return zmtp_ready_check(metadata, connection->socket->type);
}

int connection_shake(Connection *connection, Bytes *in, size_t *ret_want) {
  Bytes command;
  int r = 0;

  *ret_want = 0;
  if (connection->state == CONNECTION_GREETING)
    r = greeting(connection, in);
  while (r == 0 && connection->state != CONNECTION_OPEN) {
    r = read_command(connection, in, &command, ret_want);
    if (r == 0)
      r = connection->curve ? connection_shake_curve(connection, command) : shake_in_clear(connection, command);
    if (r == 0 && (!connection->curve || curve_state(connection->curve) == CURVE_OPEN))
      open_connection(connection);
  }
  return r;
}

/* A command that is a whole frame, sealed if need be. */
static void send_command(Connection *connection, Bytes frame) {
  ZmtpHead head;

  if (connection->curve && zmtp_head_decode(frame, ZMTP_FRAME_BYTES, &head) == 0)
    connection_send_sealed(connection, true, (Bytes){frame.data + head.head_bytes, head.body_bytes}, BYTES_NONE);
  else
    connection_send_frames(connection, frame);
}

/* Who has something to read already needs no further sign of life, and who reads nothing must not make us keep one for each
   PING. */
static int answer_ping(Connection *connection, Bytes context) {
  _cleanup_(buffer_done) Buffer pong = {0};
  int r = zmtp_pong(context, &pong);

  if (r == 0 && list_is_empty(&connection->queue))
    send_command(connection, buffer_bytes(&pong));
  return r;
}

int connection_command(Connection *connection, Bytes command) {
  Bytes rest;

  switch (zmtp_command_read(command, &rest)) {
  case ZMTP_PING:
    return answer_ping(connection, rest);
  case ZMTP_READY:
  case ZMTP_ERROR:
    return ZMTP_E_MALFORMED;
  case ZMTP_OTHER:
  default:
    return 0;
  }
}
