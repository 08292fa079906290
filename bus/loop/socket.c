/* Traps of libzmq 4.3.4 that this file steers around: ZMTP heartbeats abort the process at a connector that reads slowly,
   so they are off and life signs are ours; a ROUTER drops silently unless it is MANDATORY, and blocks unless it is told
   DONTWAIT; a DEALER queues towards a dead end unless it is IMMEDIATE; a frame may be of any size unless MAXMSGSIZE is
   set; the metadata of a message is reliable on payload frames only, not on the routing id. */
#include "bus/loop/socket.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <zmq.h>

#include "bus/loop/loop-internal.h"
#include "bus/loop/reserve.h"

enum {
  FRAME_BYTES = 262144,
  ROUTING_ID_BYTES = 5, /* a zero byte and libzmq's own 32-bit number */
  HANDSHAKE_MS = 5000,
  RECONNECT_MS = 10,
  RECONNECT_MAX_MS = 250,
  BACKLOG = 4096,
  RECEIVE_QUEUE = 256, /* messages of one peer that wait inside libzmq */
  LONE_AFTER = 8,
  SOCKETS_MAX =
      64, /* of a process: two per socket of ours, some on their way out; libzmq touches memory for each that may be */
};

struct Socket {
  SocketType type;
  SocketHandler handler;
  void *zmq;
  void *monitor;
  LoopSocket *watch;
  LoopSocket *monitor_watch;
  bool events_due;      /* the monitor has, or may have, an event */
  unsigned taken;       /* messages since on_ready was called last */
  uint32_t named_first; /* ROUTER: the first routing id that libzmq gave; connections have the next ones */
  uint64_t accepted;    /* ROUTER: connections, each of which has taken one at most */
  unsigned lone_rounds; /* how often in a row there was one message and no more, up to LONE_AFTER */
};

static void *context;
static unsigned monitors; /* names their inproc endpoints */

static void *get_context(void) {
  if (!context) {
    context = zmq_ctx_new();
    if (context)
      zmq_ctx_set(context, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
  }
  return context;
}

void socket_library_stop(void) {
  void *gone = TAKE(context);

  if (gone)
    zmq_ctx_term(gone);
}

static int set_option(void *zmq, int option, int value) {
  return zmq_setsockopt(zmq, option, &value, sizeof value) < 0 ? -zmq_errno() : 0;
}

static int set_options(Socket *socket, int send_queue) {
  static const struct {
    SocketType type;
    int option;
    int value;
  } rows[] = {
      {SOCKET_ROUTER, ZMQ_ROUTER_MANDATORY, 1},         {SOCKET_ROUTER, ZMQ_BACKLOG, BACKLOG},
      {SOCKET_ROUTER, ZMQ_RCVHWM, RECEIVE_QUEUE},       {SOCKET_DEALER, ZMQ_IMMEDIATE, 1},
      {SOCKET_DEALER, ZMQ_RECONNECT_IVL, RECONNECT_MS}, {SOCKET_DEALER, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS},
  };
  int64_t frame_bytes = FRAME_BYTES;
  int r = 0;

  if (zmq_setsockopt(socket->zmq, ZMQ_MAXMSGSIZE, &frame_bytes, sizeof frame_bytes) < 0)
    return -zmq_errno();
  for (size_t i = 0; i < ELEMENTS(rows) && r == 0; i++)
    if (rows[i].type == socket->type)
      r = set_option(socket->zmq, rows[i].option, rows[i].value);
  if (r == 0)
    r = set_option(socket->zmq, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
  if (r == 0)
    r = set_option(socket->zmq, ZMQ_LINGER, 0);
  return r == 0 ? set_option(socket->zmq, ZMQ_SNDHWM, send_queue) : r;
}

/* A receive that finds nothing costs two system calls inside libzmq, and so does the loop's look before it sleeps. Where messages come
   one by one, the first of the two is left out: socket_receive says -EAGAIN after one message, and the look finds what
   there is against expectation, which ends this. */
static void count_round(Socket *socket) {
  if (socket->taken > 1 || loop_socket_found_by_look(socket->watch))
    socket->lone_rounds = 0;
  else if (socket->taken == 1 && socket->lone_rounds < LONE_AFTER)
    socket->lone_rounds++;
  socket->taken = 0;
}

static void on_ready(void *userdata) {
  Socket *socket = userdata;

  count_round(socket);
  socket->handler.on_ready(socket->handler.userdata);
}

static void on_monitor_ready(void *userdata) {
  Socket *socket = userdata;

  socket->events_due = true;
  socket->taken = 0;
  socket->handler.on_ready(socket->handler.userdata);
}

/* Opens the monitor: a PAIR inside the process on which libzmq tells of connections. */
static int open_monitor(Loop *loop, Socket *socket) {
  int events = socket->type == SOCKET_ROUTER ? ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_ACCEPT_FAILED | ZMQ_EVENT_DISCONNECTED
                                             : ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED;
  char endpoint[64];

  snprintf(endpoint, sizeof endpoint, "inproc://pons-monitor-%u", ++monitors);
  if (zmq_socket_monitor(socket->zmq, endpoint, events) < 0)
    return -zmq_errno();
  socket->monitor = zmq_socket(get_context(), ZMQ_PAIR);
  if (!socket->monitor)
    return -zmq_errno();
  /* Without a limit: libzmq's I/O thread would block on a full one, with a lock in its hand that ending the monitor needs. */
  if (set_option(socket->monitor, ZMQ_LINGER, 0) < 0 || set_option(socket->monitor, ZMQ_RCVHWM, 0) < 0 ||
      zmq_connect(socket->monitor, endpoint) < 0)
    return -zmq_errno();
  int r = loop_watch_socket(loop, socket->monitor, on_monitor_ready, socket, &socket->monitor_watch);
  if (r == 0)
    loop_socket_receive_only(socket->monitor_watch);
  return r;
}

/* The number in a routing id of libzmq's own. */
static uint32_t id_number(const uint8_t *id) {
  uint32_t big;

  memcpy(&big, id + 1, sizeof big);
  return be32toh(big);
}

/* Has the ROUTER name a connection of our own, to know where it begins to count. */
static int learn_first_name(Socket *socket) {
  char endpoint[64];
  void *dealer = zmq_socket(context, ZMQ_DEALER);
  uint8_t id[ROUTING_ID_BYTES];
  int r = 0;

  if (!dealer)
    return -zmq_errno();
  snprintf(endpoint, sizeof endpoint, "inproc://pons-first-%u", ++monitors);
  if (zmq_bind(socket->zmq, endpoint) < 0 || zmq_connect(dealer, endpoint) < 0 || zmq_send(dealer, "", 0, 0) < 0 ||
      zmq_recv(socket->zmq, id, sizeof id, 0) != sizeof id || zmq_recv(socket->zmq, NULL, 0, 0) < 0 ||
      zmq_unbind(socket->zmq, endpoint) < 0)
    r = -zmq_errno();
  else
    socket->named_first = id_number(id);
  zmq_close(dealer);
  return r;
}

int socket_new(Loop *loop, SocketType type, int send_queue, const SocketHandler *handler, Socket **ret) {
  _cleanup_(socket_destroy) Socket *socket = calloc(1, sizeof *socket);
  int r;

  if (!socket)
    return -ENOMEM;
  if (!get_context())
    return -zmq_errno();
  socket->type = type;
  socket->handler = *handler;
  socket->zmq = zmq_socket(context, type == SOCKET_ROUTER ? ZMQ_ROUTER : ZMQ_DEALER);
  if (!socket->zmq)
    return -zmq_errno();
  r = set_options(socket, send_queue);
  if (r == 0 && type == SOCKET_ROUTER)
    r = learn_first_name(socket);
  if (r == 0)
    r = open_monitor(loop, socket);
  if (r == 0)
    r = loop_watch_socket(loop, socket->zmq, on_ready, socket, &socket->watch);
  if (r < 0)
    return r;
  *ret = TAKE(socket);
  return 0;
}

void socket_close(Socket **socket, int linger_ms) {
  Socket *gone = TAKE(*socket);

  if (!gone)
    return;
  loop_socket_destroy(&gone->watch);
  loop_socket_destroy(&gone->monitor_watch);
  if (gone->zmq) {
    zmq_socket_monitor(gone->zmq, NULL, 0);
    set_option(gone->zmq, ZMQ_LINGER, linger_ms);
    zmq_close(gone->zmq);
  }
  if (gone->monitor)
    zmq_close(gone->monitor);
  free(gone);
}

void socket_destroy(Socket **socket) {
  socket_close(socket, 0);
}

int socket_bind(Socket *socket, const char *endpoint) {
  return zmq_bind(socket->zmq, endpoint) < 0 ? -zmq_errno() : 0;
}

int socket_connect(Socket *socket, const char *endpoint) {
  return zmq_connect(socket->zmq, endpoint) < 0 ? -zmq_errno() : 0;
}

const char *socket_endpoint(Socket *socket, char *ret, size_t size_bytes) {
  size_t size = size_bytes;

  if (zmq_getsockopt(socket->zmq, ZMQ_LAST_ENDPOINT, ret, &size) < 0)
    ret[0] = '\0';
  return ret;
}

/* --- receiving --- */

static zmq_msg_t *part(SocketMessage *message, int i) {
  return (zmq_msg_t *)(void *)message->parts + i;
}

static Bytes frame_bytes(zmq_msg_t *frame) {
  return (Bytes){zmq_msg_data(frame), zmq_msg_size(frame)};
}

static void release_frame(void *owner) {
  zmq_msg_close(owner);
  free(owner);
}

/* Moves a large body into a block of its own, so that it can be kept and sent on without a copy. */
static void share_body(SocketMessage *message) {
  zmq_msg_t *owner = malloc(sizeof *owner);

  if (!owner)
    abort();
  zmq_msg_init(owner);
  zmq_msg_move(owner, part(message, 1));
  message->body = frame_bytes(owner);
  message->block = block_adopt(message->body, owner, release_frame);
}

/* Throws away what follows the second frame. */
static void discard_rest(Socket *socket) {
  int more = 1;

  while (more) {
    zmq_msg_t frame;

    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, socket->zmq, ZMQ_DONTWAIT) < 0)
      more = 0;
    else
      more = zmq_msg_more(&frame);
    zmq_msg_close(&frame);
  }
}

/* Reads the routing id that the ROUTER puts in front. */
static int receive_peer(Socket *socket, uint32_t *ret) {
  zmq_msg_t frame;
  int r = 0;

  zmq_msg_init(&frame);
  if (zmq_msg_recv(&frame, socket->zmq, ZMQ_DONTWAIT) < 0)
    r = -zmq_errno();
  else if (zmq_msg_size(&frame) == ROUTING_ID_BYTES && *(const uint8_t *)zmq_msg_data(&frame) == 0)
    *ret = id_number(zmq_msg_data(&frame));
  else
    *ret = socket->named_first; /* a peer that named itself, which the protocol forbids: answered by nobody */
  zmq_msg_close(&frame);
  return r;
}

int socket_receive(Socket *socket, SocketMessage *ret) {
  int r;

  ret->peer = 0;
  ret->block = NULL;
  ret->body = BYTES_NONE;
  ret->frames = 1;
  if (socket->taken > 0 && socket->lone_rounds == LONE_AFTER)
    return -EAGAIN;
  if (socket->type == SOCKET_ROUTER) {
    r = receive_peer(socket, &ret->peer);
    if (r < 0)
      return r;
  }
  zmq_msg_init(part(ret, 0));
  if (zmq_msg_recv(part(ret, 0), socket->zmq, ZMQ_DONTWAIT) < 0)
    return -zmq_errno();
  zmq_msg_init(part(ret, 1));
  socket->taken++;
  ret->header = frame_bytes(part(ret, 0));
  ret->fd = zmq_msg_get(part(ret, 0), ZMQ_SRCFD);
  if (!zmq_msg_more(part(ret, 0)))
    return 0;
  ret->frames = 2;
  if (zmq_msg_recv(part(ret, 1), socket->zmq, ZMQ_DONTWAIT) < 0)
    return 0; /* libzmq delivers messages whole; this is not reached */
  if (zmq_msg_more(part(ret, 1))) {
    ret->frames = 3;
    discard_rest(socket);
  }
  ret->body = frame_bytes(part(ret, 1));
  if (ret->body.size >= SOCKET_SHARED_BYTES)
    share_body(ret);
  return 0;
}

void socket_message_done(SocketMessage *message) {
  zmq_msg_close(part(message, 0));
  zmq_msg_close(part(message, 1));
  block_unref(&message->block);
}

/* --- sending --- */

static void on_sent(void *data, void *hint) {
  Block *block = hint;

  (void)data;
  block_unref(&block);
}

/* Sends one frame; on failure nothing of it is left. */
static int send_frame(Socket *socket, Bytes bytes, Block *block, bool more) {
  zmq_msg_t frame;
  int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);

  if (block && bytes.size >= SOCKET_SHARED_BYTES) {
    union {
      const uint8_t *from;
      void *to;
    } unconst = {.from = bytes.data}; /* libzmq reads it only */

    zmq_msg_init_data(&frame, unconst.to, bytes.size, on_sent, block_ref(block));
  } else {
    if (zmq_msg_init_size(&frame, bytes.size) < 0)
      return -zmq_errno();
    if (bytes.size)
      memcpy(zmq_msg_data(&frame), bytes.data, bytes.size);
  }
  if (zmq_msg_send(&frame, socket->zmq, flags) >= 0)
    return 0;
  flags = -zmq_errno();
  zmq_msg_close(&frame);
  return flags;
}

int socket_send(Socket *socket, uint32_t peer, Bytes header, Bytes body, Block *block) {
  int r;

  if (socket->type == SOCKET_ROUTER) {
    uint8_t id[ROUTING_ID_BYTES] = {0};
    uint32_t big = htobe32(peer);

    memcpy(id + 1, &big, sizeof big);
    r = send_frame(socket, (Bytes){id, sizeof id}, NULL, true);
    if (r < 0)
      return r;
  }
  r = send_frame(socket, header, NULL, body.size > 0);
  if (r < 0 || body.size == 0)
    return r;
  return send_frame(socket, body, block, false);
}

/* --- connections --- */

static int receive_event(Socket *socket, uint16_t *ret_event, uint32_t *ret_value) {
  zmq_msg_t frame;
  int r = -EAGAIN;

  zmq_msg_init(&frame);
  if (zmq_msg_recv(&frame, socket->monitor, ZMQ_DONTWAIT) >= 0) {
    const uint8_t *data = zmq_msg_data(&frame);

    memcpy(ret_event, data, sizeof *ret_event);
    memcpy(ret_value, data + sizeof *ret_event, sizeof *ret_value);
    r = 0;
    zmq_msg_recv(&frame, socket->monitor, ZMQ_DONTWAIT); /* the endpoint's address */
  }
  zmq_msg_close(&frame);
  return r;
}

int socket_next_event(Socket *socket, SocketEvent *ret) {
  uint16_t event;
  uint32_t value;

  if (!socket->events_due && socket->taken == 0)
    return -EAGAIN;
  loop_socket_look_again(socket->monitor_watch);
  if (receive_event(socket, &event, &value) < 0) {
    socket->events_due = false;
    return -EAGAIN;
  }
  socket->lone_rounds = 0; /* what a connection that is gone has sent is to be received to its end */
  socket->accepted += event == ZMQ_EVENT_ACCEPTED;
  ret->fd = (int)value;
  ret->type = event == ZMQ_EVENT_DISCONNECTED    ? SOCKET_DOWN
              : event != ZMQ_EVENT_ACCEPT_FAILED ? SOCKET_UP
              : value == RESERVE_TURNED_AWAY     ? SOCKET_REFUSED
                                                 : SOCKET_MISSED;
  return 0;
}

bool socket_has_named(const Socket *socket, uint32_t peer) {
  uint32_t place = peer - socket->named_first;

  return place > 0 && place <= socket->accepted;
}

void socket_hang_up(Socket *socket, int fd) {
  (void)socket;
  if (fd >= 0)
    shutdown(fd, SHUT_RDWR);
}
