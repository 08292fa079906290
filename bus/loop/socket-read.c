/* From the kernel to messages. */
#include <errno.h>
#include <stdlib.h>

#include "bus/loop/socket-internal.h"

/* What is held is the caller's from now on. */
static Held take_held(Connection *connection) {
  Held held = connection->held;

  list_remove(&connection->in_halves);
  connection->socket->half_bytes -= held.room;
  connection->held = (Held){NULL, 0, 0};
  return held;
}

void connection_drop_held(Connection *connection) {
  free(take_held(connection).data);
}

/* The kernel's answer to a read that brought nothing: the end, or nothing now. */
static int read_nothing(Connection *connection, ssize_t n) {
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return -EAGAIN;
  connection_end(connection, n == 0 || errno == ECONNRESET || errno == EPIPE ? 0 : -errno);
  return -EAGAIN;
}

/* A message that lacks more than it has: its rest goes to its place, what follows it into the input. */
static int read_rest(Connection *connection) {
  Socket *socket = connection->socket;
  Held *held = &connection->held;
  size_t lacking = held->room - held->size;
  struct iovec parts[] = {{held->data + held->size, lacking}, {socket->input->bytes, INPUT_BYTES}};
  ssize_t n = readv(connection->fd, parts, 2);

  if (n <= 0)
    return read_nothing(connection, n);
  socket->current_has_more = (size_t)n == lacking + INPUT_BYTES;
  held->size += min_u64((size_t)n, lacking);
  socket->unread = (Bytes){socket->input->bytes, (size_t)n - min_u64((size_t)n, lacking)};
  return held->size == held->room ? 0 : -EAGAIN;
}

/* A new input when somebody still borrows from the old one: what was taken in a callback that destroyed nothing is given back
   before the next read, so this is rare. */
static void own_input(Socket *socket) {
  SocketInput *input;

  if (socket->input->references == 1)
    return;
  input = malloc(sizeof *input);
  if (!input)
    abort();
  input->references = 1;
  input_unref(socket->input);
  socket->input = input;
}

int connection_read(Connection *connection) {
  Socket *socket = connection->socket;
  Held *held = &connection->held;
  size_t kept = held->size;
  ssize_t n;

  own_input(socket);
  if (held->room > held->size)
    return read_rest(connection);
  n = recv(connection->fd, socket->input->bytes + kept, INPUT_BYTES - kept, 0);
  if (n <= 0)
    return read_nothing(connection, n);
  socket->current_has_more = (size_t)n == INPUT_BYTES - kept;
  if (kept > 0)
    memcpy(socket->input->bytes, held->data, kept);
  connection_drop_held(connection);
  socket->unread = (Bytes){socket->input->bytes, kept + (size_t)n};
  return 0;
}

/* Who began a message and never ends it makes room for those who do. */
static void bound_halves(const Connection *connection) {
  Socket *socket = connection->socket;

  while (socket->half_max_bytes && socket->half_bytes > socket->half_max_bytes) {
    Connection *oldest = LIST_FIRST(&socket->halves, Connection, in_halves);

    if (oldest == connection)
      return;
    connection_end(oldest, -ENOBUFS);
  }
}

/* Keeps what is left of a message that is not whole; want bytes are known to make it whole, 0 = not known. */
static void hold(Connection *connection, Bytes rest, size_t want) {
  Held *held = &connection->held;
  size_t room = want >= SOCKET_SHARED_BYTES ? want : rest.size;

  if (rest.size == 0)
    return;
  *held = (Held){malloc(room), rest.size, room};
  if (!held->data)
    abort();
  memcpy(held->data, rest.data, rest.size);
  connection->socket->half_bytes += room;
  list_push(&connection->socket->halves, &connection->in_halves);
  bound_halves(connection);
}

static int error_of(int zmtp_error) {
  switch (zmtp_error) {
  case ZMTP_E_TOO_LARGE:
    return -EMSGSIZE;
  case ZMTP_E_MECHANISM:
    return -ENOKEY;
  case ZMTP_E_SEALED:
  case ZMTP_E_REFUSED:
    return -EKEYREJECTED;
  default:
    return -EPROTO;
  }
}

/* Gives a large body a block: around the memory that it was read to, or a copy. */
static void share_body(SocketMessage *message) {
  if (message->memory) {
    message->block = block_adopt(message->body, TAKE(message->memory), free);
    return;
  }
  message->block = block_copy(message->body);
  message->body = block_bytes(message->block);
}

/* The next message or command of *in, the handshake being part of what comes. Returns 0, ZMTP_E_SHORT with *ret_want, or what ends
   the connection. */
static int next(Connection *connection, Bytes *in, ZmtpMessage *ret, size_t *ret_want) {
  int r = 0;

  if (connection->state != CONNECTION_OPEN)
    r = connection_shake(connection, in, ret_want);
  while (r == 0) {
    r = connection->curve ? curve_read(connection->curve, in, ret, ret_want)
                          : zmtp_read(&connection->reader, in, ret, ret_want);
    if (r != ZMTP_E_COMMAND)
      return r;
    r = connection_command(connection, ret->header);
  }
  return r;
}

/* A message that was read to memory of its own. */
static int receive_held(Connection *connection, SocketMessage *ret, ZmtpMessage *ret_message) {
  Held whole = take_held(connection);
  Bytes in = {whole.data, whole.size};
  size_t want;
  int r;

  r = next(connection, &in, ret_message, &want);
  if (r == 0)
    ret->memory = whole.data;
  else
    free(whole.data);
  return r;
}

static int receive_unread(Connection *connection, SocketMessage *ret, ZmtpMessage *ret_message) {
  Socket *socket = connection->socket;
  size_t want = 0;
  int r = next(connection, &socket->unread, ret_message, &want);

  if (r == ZMTP_E_SHORT)
    hold(connection, socket->unread, want);
  if (r != 0)
    return r;
  ret->input = socket->input;
  ret->input->references++;
  return 0;
}

int connection_receive(Connection *connection, SocketMessage *ret) {
  ZmtpMessage message;
  int r = ZMTP_E_SHORT;

  *ret = (SocketMessage){.peer = connection->number};
  if (connection->held.size > 0)
    r = receive_held(connection, ret, &message);
  if (r == ZMTP_E_SHORT)
    r = receive_unread(connection, ret, &message);
  if (r == ZMTP_E_SHORT)
    return -EAGAIN;
  if (r != 0) {
    connection_note_failure(connection);
    connection_end(connection, error_of(r));
    return -EAGAIN;
  }
  ret->frames = message.frames;
  ret->header = message.header;
  ret->body = message.body;
  if (ret->body.size >= SOCKET_SHARED_BYTES)
    share_body(ret);
  return 0;
}
