/* From messages to the kernel. A message is one sendmsg of its two frames; what the kernel has no room for is queued. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "bus/loop/socket-internal.h"

enum { PARTS = 4 }; /* head, header, head, body */

/* Bytes that wait: first those that follow inline, then, without a copy, a body. */
typedef struct Out {
  List in_queue;
  size_t sent; /* of both together */
  size_t inline_bytes;
  Bytes body;
  Block *block;
  uint8_t bytes[];
} Out;

/* What it costs to keep. A body that others keep too counts in full: they may let go of it. */
static size_t cost_bytes(const Out *out) {
  return sizeof *out + out->inline_bytes + out->body.size;
}

static void drop(Connection *connection, Out *out) {
  list_remove(&out->in_queue);
  connection->queued--;
  connection->queued_bytes -= cost_bytes(out);
  connection->socket->queued_bytes -= cost_bytes(out);
  block_unref(&out->block);
  free(out);
}

void connection_drop_queue(Connection *connection) {
  LIST_EACH (&connection->queue, Out, in_queue, out)
    drop(connection, out);
}

/* Returns the bytes sent, 0 when the kernel has no room, or -EHOSTUNREACH when the connection is gone: its end will be read. */
static ssize_t write_parts(Connection *connection, struct iovec *parts, size_t count) {
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
  ssize_t n = sendmsg(connection->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

  if (n >= 0)
    return n;
  if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM)
    return 0;
  connection->mute = true;
  connection_drop_queue(connection);
  return -EHOSTUNREACH;
}

static struct iovec part_of(const void *data, size_t size) {
  union {
    const void *from;
    void *to;
  } unconst = {.from = data}; /* sendmsg reads it only */

  return (struct iovec){unconst.to, size};
}

static void enqueue(Connection *connection, const struct iovec *parts, size_t count, size_t sent, Block *block) {
  size_t copied = block ? count - 1 : count;
  size_t bytes = 0;
  Out *out;

  for (size_t i = 0; i < copied; i++)
    bytes += parts[i].iov_len;
  out = malloc(sizeof *out + bytes);
  if (!out)
    abort();
  *out = (Out){.sent = sent, .inline_bytes = bytes};
  for (size_t i = 0, at = 0; i < copied; at += parts[i++].iov_len)
    if (parts[i].iov_len)
      memcpy(out->bytes + at, parts[i].iov_base, parts[i].iov_len);
  if (block) {
    out->block = block_ref(block);
    out->body = (Bytes){parts[count - 1].iov_base, parts[count - 1].iov_len};
  }
  list_push(&connection->queue, &out->in_queue);
  connection->queued++;
  connection->queued_bytes += cost_bytes(out);
  connection->socket->queued_bytes += cost_bytes(out);
  loop_fd_set_events(connection->watch, EPOLLIN | EPOLLOUT);
}

static int write_or_queue(Connection *connection, struct iovec *parts, size_t count, Block *block) {
  size_t bytes = 0;
  ssize_t n = 0;

  if (connection->mute)
    return -EHOSTUNREACH;
  for (size_t i = 0; i < count; i++)
    bytes += parts[i].iov_len;
  if (list_is_empty(&connection->queue))
    n = write_parts(connection, parts, count);
  if (n < 0)
    return (int)n;
  if ((size_t)n < bytes)
    enqueue(connection, parts, count, (size_t)n, block);
  return 0;
}

static bool is_full(const Connection *connection) {
  const Socket *socket = connection->socket;

  return (socket->send_queue && connection->queued >= socket->send_queue) ||
         (socket->send_queue_bytes && connection->queued_bytes >= socket->send_queue_bytes);
}

int connection_send(Connection *connection, Bytes header, Bytes body, Block *block) {
  uint8_t heads[2][ZMTP_HEAD_BYTES];
  struct iovec parts[PARTS];

  if (is_full(connection))
    return -EAGAIN;
  if (connection->curve)
    return connection_send_sealed(connection, false, header, body);
  parts[0] = part_of(heads[0], zmtp_head_encode(body.size > 0, false, header.size, heads[0]));
  parts[1] = part_of(header.data, header.size);
  if (body.size == 0)
    return write_or_queue(connection, parts, 2, NULL);
  parts[2] = part_of(heads[1], zmtp_head_encode(false, false, body.size, heads[1]));
  parts[3] = part_of(body.data, body.size);
  return write_or_queue(connection, parts, PARTS, body.size >= SOCKET_SHARED_BYTES ? block : NULL);
}

int connection_send_frames(Connection *connection, Bytes frames) {
  struct iovec part = part_of(frames.data, frames.size);

  return write_or_queue(connection, &part, 1, NULL);
}

/* Sends on with the first that waits. Returns false when the kernel has no room or nobody is there. */
static bool flush_first(Connection *connection) {
  Out *out = LIST_FIRST(&connection->queue, Out, in_queue);
  size_t from_inline = min_u64(out->sent, out->inline_bytes);
  size_t from_body = out->sent - from_inline;
  struct iovec parts[] = {part_of(out->bytes + from_inline, out->inline_bytes - from_inline),
                          part_of(out->body.data ? out->body.data + from_body : NULL, out->body.size - from_body)};
  ssize_t n = write_parts(connection, parts, 2);

  if (n <= 0)
    return false;
  out->sent += (size_t)n;
  if (out->sent < out->inline_bytes + out->body.size)
    return false;
  drop(connection, out);
  return true;
}

void connection_flush(Connection *connection) {
  while (!list_is_empty(&connection->queue) && flush_first(connection))
    continue;
  if (list_is_empty(&connection->queue))
    loop_fd_set_events(connection->watch, EPOLLIN);
}

void connection_linger(Connection *connection, uint64_t deadline_us) {
  struct pollfd wait = {.fd = connection->fd, .events = POLLOUT};
  uint64_t now_us = clock_monotonic_us();

  while (!list_is_empty(&connection->queue) && now_us < deadline_us) {
    if (poll(&wait, 1, (int)((deadline_us - now_us) / US_PER_MS) + 1) <= 0)
      return;
    connection_flush(connection);
    now_us = clock_monotonic_us();
  }
}
