/* What:      a ZeroMQ ROUTER or DEALER in the loop, as messages of header and body; connections seen coming and going.
 * Owns:      the zmq socket, its monitor, and the process's one zmq context.
 * May use:   base; libzmq. This is the one file that names zmq sockets.
 * Threading: the loop thread.
 * Spec:      docs/protocol.md, "Transport"; traps of libzmq 4.3.4: docs/adr/0004-zeromq-traps.md */
#ifndef PONS_LOOP_SOCKET_H
#define PONS_LOOP_SOCKET_H

#include "bus/base/buffer.h"
#include "bus/loop/loop.h"

typedef struct Socket Socket;

typedef enum SocketType { SOCKET_ROUTER, SOCKET_DEALER } SocketType;

/* A received message. header and body are borrowed until socket_message_done; a body of SOCKET_SHARED_BYTES or more has
   a block that may be kept. */
typedef struct SocketMessage {
  uint32_t peer; /* ROUTER: whose it is, libzmq's own routing id, see socket_has_named; DEALER: 0 */
  int fd;        /* of the connection that it came by; -1 when unknown */
  int frames;    /* 1 or 2; 3 = more than two, which is MALFORMED and was discarded */
  Bytes header;
  Bytes body;
  Block *block;
  void *parts[16]; /* two zmq_msg_t */
} SocketMessage;

enum { SOCKET_SHARED_BYTES = 8192 };

typedef enum SocketEventType {
  SOCKET_UP,      /* ROUTER: a connection was accepted; DEALER: connected, the ZMTP handshake is done */
  SOCKET_DOWN,    /* the connection of fd is gone */
  SOCKET_REFUSED, /* a connection was closed because no descriptor was left for it */
  SOCKET_MISSED,  /* a connection was gone before it was accepted */
} SocketEventType;

typedef struct SocketEvent {
  SocketEventType type;
  int fd;
} SocketEvent;

typedef struct SocketHandler {
  /* Something can be received or an event is there: take events with socket_next_event, then messages with
     socket_receive, a bounded number per call. */
  void (*on_ready)(void *userdata);
  void *userdata;
} SocketHandler;

/* Makes a socket and puts it into the loop. send_queue = messages that libzmq may hold per peer (its high-water mark).
   Returns 0 or -errno. */
int socket_new(Loop *loop, SocketType type, int send_queue, const SocketHandler *handler, Socket **ret);
/* Closes the socket; what was not sent is discarded. Takes NULL, nulls the pointer. */
void socket_destroy(Socket **socket);
/* Closes it; what was not sent goes out in the background for at most linger_ms. Takes NULL, nulls the pointer. */
void socket_close(Socket **socket, int linger_ms);
/* Binds or connects; endpoint as in zmq_ipc(7), zmq_tcp(7). Returns 0 or -errno. */
int socket_bind(Socket *socket, const char *endpoint);
int socket_connect(Socket *socket, const char *endpoint);
/* The endpoint really bound, with the port that the kernel chose for "tcp://127.0.0.1:*". Returns ret. */
const char *socket_endpoint(Socket *socket, char *ret, size_t size_bytes);

/* Takes one message. Returns 0, or -EAGAIN when none is there or when the rest waits for the next call of on_ready. From
   on_ready only. */
int socket_receive(Socket *socket, SocketMessage *ret);
/* Gives a message back. Its bytes are gone, unless block was taken with TAKE (then body lives as long as block). */
void socket_message_done(SocketMessage *message);
/* Sends header and body as one message, without waiting. With a block, body points into it and is not copied; the call
   takes its own reference. Returns 0; -EAGAIN when the peer's queue is full; -EHOSTUNREACH when the peer is gone. */
int socket_send(Socket *socket, uint32_t peer, Bytes header, Bytes body, Block *block);
/* Takes one connection event. Returns 0, or -EAGAIN when none is there: what libzmq has told the loop of, and after a message was
   taken whatever had happened before that. From on_ready only. */
int socket_next_event(Socket *socket, SocketEvent *ret);
/* Whether a ROUTER may have given this number to a connection. libzmq counts them up from a random one; a peer that speaks
   ZMTP itself can call itself what it likes, and is not to be taken for another. */
bool socket_has_named(const Socket *socket, uint32_t peer);
/* Shuts one connection of a ROUTER down, by the fd of a message or event that belongs to it; SOCKET_DOWN follows. */
void socket_hang_up(Socket *socket, int fd);

/* Ends the zmq context; call after the last socket is destroyed. */
void socket_library_stop(void);

#endif
