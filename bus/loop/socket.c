/* ZMTP spoken by the loop itself, over the descriptors of its connections. libzmq has a thread of its own between the two, which
   costs three wake-ups of threads per message on its way through a process instead of one (docs/adr/0033). On the wire we are
   what libzmq is, and any ZeroMQ peer may be on the other side.

   A turn: a descriptor that can be read puts its connection into `ready`; once all have been served, the task calls on_ready, whose
   socket_receive reads from one connection after the other, 64 KiB at a time into the one input buffer of the socket, and gives out
   the messages that lie there. What is left over when on_ready has had enough is gone on with in the next turn. What
   of a message is not whole is kept with its connection: a large one in memory of its own, where the rest is read to
   directly and from where it is handed on as a block. Events and messages come in the order in which things happened.

   Sending is one sendmsg, at once; only what the kernel does not take is queued. */
#include "bus/loop/socket-internal.h"

#include <errno.h>
#include <stdlib.h>

/* Numbers are counted up, so the low bits spread by themselves. */
Connection *socket_find(const Socket *socket, uint32_t number) {
  for (TableLink *link = table_bucket(&socket->connections, number); link; link = link->next)
    if (link->hash == number)
      return CONTAINER_OF(link, Connection, link);
  return NULL;
}

static bool has_more(const Socket *socket) {
  return socket->current || !list_is_empty(&socket->ready) || socket->events_taken < socket->events.size;
}

static void on_task(void *userdata) {
  Socket *socket = userdata;
  bool is_gone = false;

  socket->is_gone = &is_gone;
  socket->handler.on_ready(socket->handler.userdata);
  if (is_gone)
    return;
  socket->is_gone = NULL;
  if (has_more(socket))
    loop_task_mark(socket->task);
}

int socket_new(Loop *loop, SocketType type, int send_queue, const SocketHandler *handler, Socket **ret) {
  _cleanup_(socket_destroy) Socket *socket = calloc(1, sizeof *socket);
  int r;

  if (!socket)
    return -ENOMEM;
  socket->loop = loop;
  socket->type = type == SOCKET_ROUTER ? ZMTP_ROUTER : ZMTP_DEALER;
  socket->send_queue = (uint32_t)send_queue;
  socket->handler = *handler;
  list_init(&socket->listeners);
  list_init(&socket->ready);
  list_init(&socket->shaking);
  list_init(&socket->halves);
  socket->input = malloc(sizeof *socket->input);
  if (!socket->input)
    return -ENOMEM;
  socket->input->references = 1;
  r = loop_task_new(loop, on_task, socket, &socket->task);
  if (r == 0)
    r = loop_timer_new(loop, on_shaking_late, socket, &socket->shaking_timer);
  if (r < 0)
    return r;
  *ret = TAKE(socket);
  return 0;
}

void socket_bound(Socket *socket, size_t queue_bytes, size_t half_bytes) {
  socket->send_queue_bytes = queue_bytes;
  socket->half_max_bytes = half_bytes;
}

size_t socket_queued_bytes(const Socket *socket, uint32_t peer) {
  const Connection *connection = peer ? socket_find(socket, peer) : NULL;

  return connection ? connection->queued_bytes : peer ? 0 : socket->queued_bytes;
}

void socket_close(Socket **p, int linger_ms) {
  Socket *socket = TAKE(*p);
  uint64_t deadline_us = clock_monotonic_us() + (uint64_t)linger_ms * US_PER_MS;

  if (!socket)
    return;
  if (socket->is_gone)
    *socket->is_gone = true;
  connector_stop(&socket->connector);
  LIST_EACH (&socket->listeners, Listener, in_socket, listener)
    listener_destroy(listener);
  TABLE_EACH (&socket->connections, Connection, link, connection) {
    connection_linger(connection, deadline_us);
    connection_destroy(connection);
  }
  table_done(&socket->connections);
  loop_timer_destroy(&socket->shaking_timer);
  loop_task_destroy(&socket->task);
  buffer_done(&socket->events);
  socket_keys_done(socket);
  if (socket->input)
    input_unref(socket->input);
  free(socket);
}

void socket_destroy(Socket **socket) {
  socket_close(socket, 0);
}

void socket_tell(Socket *socket, SocketEventType type, uint32_t peer, int error) {
  SocketEvent event = {.type = type, .peer = peer, .error = error};

  buffer_append(&socket->events, &event, sizeof event);
  loop_task_mark(socket->task);
}

int socket_next_event(Socket *socket, SocketEvent *ret) {
  if (socket->events_taken == socket->events.size)
    return -EAGAIN;
  memcpy(ret, socket->events.data + socket->events_taken, sizeof *ret);
  socket->events_taken += sizeof *ret;
  if (socket->events_taken == socket->events.size) {
    buffer_clear(&socket->events);
    socket->events_taken = 0;
  }
  return 0;
}

/* Reads from the next connection that is ready. Returns false when none is. */
static bool next_connection(Socket *socket) {
  Connection *connection;

  while ((connection = LIST_FIRST(&socket->ready, Connection, in_ready)) != NULL) {
    list_remove(&connection->in_ready);
    socket->current = connection;
    if (connection_read(connection) == 0)
      return true;
    socket->current = NULL;
  }
  return false;
}

int socket_receive(Socket *socket, SocketMessage *ret) {
  while (socket->current || next_connection(socket)) {
    if (connection_receive(socket->current, ret) == 0) {
      if (!socket->is_gone) /* not from on_ready, after which what is left is looked at */
        loop_task_mark(socket->task);
      return 0;
    }
    if (socket->current && socket->current_has_more && !list_has(&socket->current->in_ready))
      list_push(&socket->ready, &socket->current->in_ready);
    socket->current = NULL;
  }
  return -EAGAIN;
}

void input_unref(SocketInput *input) {
  if (--input->references == 0)
    free(input);
}

void socket_message_done(SocketMessage *message) {
  block_unref(&message->block);
  free(TAKE(message->memory));
  if (message->input)
    input_unref(TAKE(message->input));
}

int socket_send(Socket *socket, uint32_t peer, Bytes header, Bytes body, Block *block) {
  Connection *connection = socket->type == ZMTP_DEALER ? socket->only : socket_find(socket, peer);

  if (!connection)
    return socket->type == ZMTP_DEALER ? -EAGAIN : -EHOSTUNREACH;
  return connection->state == CONNECTION_OPEN ? connection_send(connection, header, body, block) : -EAGAIN;
}

void socket_hang_up(Socket *socket, uint32_t peer) {
  Connection *connection = socket_find(socket, peer);

  if (connection)
    shutdown(connection->fd, SHUT_RDWR);
}
