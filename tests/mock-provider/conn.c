/* One driver, conn_work, for all states: send what is there, then take the next request or tell the next part, until
   nothing can go on without an event. Each part of a stream is a send of its own, as from a real provider. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "tests/mock-provider/server-internal.h"

enum { RECEIVE_BYTES = 16 << 10, PIPELINE_BYTES = 64 << 10, KEEP_BYTES = 64 << 10, PARTS_PER_TURN = 16 };

void conn_new(Server *server, int fd) {
  Conn *conn = calloc(1, sizeof *conn);

  if (!conn)
    abort();
  conn->server = server;
  conn->fd = fd;
  conn->gate = SIZE_MAX;
  server->stats.connections_open++;
  server->stats.connections_total++;
  list_push(&server->conns, &conn->link);
  server_watch(conn, EPOLLIN);
}

static bool is_telling(const Conn *conn) {
  return conn->state == STATE_DELAYED || conn->state == STATE_HEAD || conn->state == STATE_PARTS ||
         conn->state == STATE_STALLED || (conn->out.size && conn->state == STATE_READING);
}

void conn_destroy(Conn *conn) {
  Server *server = conn->server;

  if (is_telling(conn)) {
    server->stats.cancelled++;
    server->stats.cancelled_at_us = server->now_us;
    server->stats.cancelled_chunks = conn->chunk;
  }
  if (conn->answer.streams)
    server->stats.streams_running--;
  server->stats.connections_open--;
  list_remove(&conn->link);
  list_remove(&conn->ready);
  heap_remove(&server->timers, &conn->timer);
  answer_done(&conn->answer);
  buffer_done(&conn->in);
  buffer_done(&conn->out);
  close(conn->fd);
  free(conn);
  server_hear(server);
}

static void forget_sent(Conn *conn) {
  buffer_clear(&conn->out);
  conn->out_at = 0;
  if (conn->out.room > KEEP_BYTES)
    buffer_done(&conn->out);
}

/* Sends what may be sent. False when the peer is gone. */
static bool flush(Conn *conn) {
  size_t until = conn->gate < conn->out.size ? conn->gate : conn->out.size;

  while (conn->out_at < until) {
    ssize_t n = send(conn->fd, conn->out.data + conn->out_at, until - conn->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno == EAGAIN;
    conn->out_at += (size_t)n;
    conn->server->stats.bytes_out += (uint64_t)n;
    if (conn->out_at < until)
      return true;
  }
  if (conn->out_at == conn->out.size)
    forget_sent(conn);
  return true;
}

static void drop_request(Conn *conn, size_t size) {
  memmove(conn->in.data, conn->in.data + size, conn->in.size - size);
  conn->in.size -= size;
  if (!conn->in.size && conn->in.room > KEEP_BYTES)
    buffer_done(&conn->in);
  conn->request = (HttpRequest){0};
  conn->continued = false;
}

/* Takes one request from what has come. False when there is no whole one, or the state has changed to CLOSING. */
static bool take_request(Conn *conn) {
  static const char GO_ON[] = "HTTP/1.1 100 Continue\r\n\r\n";
  const char *why = NULL;
  size_t size = 0;
  int r;

  if (!conn->in.size)
    return false;
  r = http_step(&conn->request, &conn->in, &size, &why);
  if (r == HTTP_DONE) {
    tell_begin(conn);
    drop_request(conn, size);
    return true;
  }
  if (r != HTTP_MORE) {
    tell_refusal(conn, (unsigned)r, why);
  } else if (conn->request.expects && !conn->continued && conn->in.size == conn->request.head_size) {
    buffer_append(&conn->out, GO_ON, sizeof GO_ON - 1);
    conn->continued = true;
  }
  return false;
}

/* All is sent: says so to the peer and waits until it has closed too, so that no reset takes the answer away from it. */
static void drain(Conn *conn) {
  conn->state = STATE_DRAIN;
  shutdown(conn->fd, SHUT_WR);
  buffer_clear(&conn->in);
  heap_set(&conn->server->timers, &conn->timer, conn->server->now_us + US_PER_S);
}

/* One step of what can go on with nothing left to send. False when nothing can. */
static bool step(Conn *conn, unsigned *parts) {
  bool progress = false;

  if (conn->state == STATE_PARTS && conn->due_us <= conn->server->now_us) {
    if (++*parts > PARTS_PER_TURN) {
      if (!list_has(&conn->ready))
        list_push(&conn->server->ready, &conn->ready);
      return false;
    }
    tell_part(conn);
    return true;
  }
  if (conn->state == STATE_PARTS)
    heap_set(&conn->server->timers, &conn->timer, conn->due_us);
  while (conn->state == STATE_READING && conn->out.size < PIPELINE_BYTES && take_request(conn))
    progress = true;
  return progress || conn->out.size || conn->state == STATE_CLOSING;
}

void conn_work(Conn *conn) {
  unsigned parts = 0;
  bool reading;

  do {
    if (!flush(conn) || (conn->state == STATE_CLOSING && !conn->out.size && conn->abrupt)) {
      conn_destroy(conn);
      return;
    }
    if (conn->state == STATE_CLOSING && !conn->out.size)
      drain(conn);
  } while (!conn->out.size && step(conn, &parts));
  reading =
      (conn->state == STATE_READING && !conn->out.size) || conn->state == STATE_DRAIN || conn->in.size < KEEP_BYTES;
  server_watch(conn, (reading ? EPOLLIN : EPOLLRDHUP) |
                         (conn->out.size && conn->out_at < conn->gate ? (uint32_t)EPOLLOUT : 0));
}

/* False when the peer is gone. */
static bool receive(Conn *conn) {
  uint8_t *to = buffer_reserve(&conn->in, RECEIVE_BYTES);
  ssize_t n = recv(conn->fd, to, RECEIVE_BYTES, MSG_DONTWAIT);

  if (n <= 0)
    return n < 0 && (errno == EAGAIN || errno == EINTR);
  conn->server->stats.bytes_in += (uint64_t)n;
  conn->in.size += conn->state == STATE_DRAIN ? 0 : (size_t)n;
  return true;
}

void conn_on_events(Conn *conn, uint32_t events) {
  bool gone = !(conn->events & EPOLLIN) && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));

  if ((conn->events & EPOLLIN) && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
    gone = !receive(conn);
  if (gone)
    conn_destroy(conn);
  else
    conn_work(conn);
}
