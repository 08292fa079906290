/* What:      a ZeroMQ ROUTER or DEALER in the loop, as messages of header and body; connections seen coming and going.
 * Owns:      its listeners, connections and what waits to be sent on them.
 * May use:   base, zmtp; sockets of the kernel.
 * Threading: the loop thread; a name is resolved on a thread of its own.
 * Spec:      docs/protocol.md, "Transport"; docs/adr/0033-zmtp-in-the-loop.md, 0034-keys-and-rights.md */
#ifndef PONS_LOOP_SOCKET_H
#define PONS_LOOP_SOCKET_H

#include "bus/base/buffer.h"
#include "bus/loop/key.h"
#include "bus/loop/loop.h"

typedef struct Socket Socket;

typedef enum SocketType { SOCKET_ROUTER, SOCKET_DEALER } SocketType;

/* A received message. header and body are borrowed until socket_message_done, which comes before the next socket_receive; a body
   of SOCKET_SHARED_BYTES or more has a block that may be kept. */
typedef struct SocketMessage {
  uint32_t peer; /* the connection that it came by: counted from 1 in this socket, never used again */
  int frames;    /* 1 or 2; 3 = more than two, which is MALFORMED and was discarded */
  Bytes header;
  Bytes body;
  Block *block;
  void *memory;              /* of header and body; freed by socket_message_done */
  struct SocketInput *input; /* or they lie in this, which socket_message_done gives back */
} SocketMessage;

enum { SOCKET_SHARED_BYTES = 8192 };

typedef enum SocketEventType {
  SOCKET_UP,     /* ROUTER: a connection was accepted; DEALER: connected, the ZMTP handshake is done */
  SOCKET_DOWN,   /* a connection is gone, and all that it brought was received; a DEALER makes another */
  SOCKET_FAILED, /* DEALER: an attempt to connect failed with error; another follows */
  SOCKET_REFUSED, /* a connection was closed because no descriptor was left for it; with error -EDQUOT: because too many from there
                     have failed to prove who they are */
  SOCKET_MISSED, /* a connection was gone before it was accepted */
} SocketEventType;

typedef struct SocketEvent {
  SocketEventType type;
  uint32_t peer; /* of SOCKET_UP and SOCKET_DOWN */
  int error; /* of SOCKET_FAILED and SOCKET_DOWN: -ECONNREFUSED, -EPROTO for what is no ZMTP of ours, -EMSGSIZE for a frame over
                    256 KiB, -ENOBUFS for half a message when all have too many, -ETIMEDOUT for a handshake over 5 s, -ENOKEY when one side has keys and the other has not, -EKEYREJECTED
                    when a key is not admitted or is not what it claims to be; 0 = the other side closed it */
} SocketEvent;

typedef struct SocketHandler {
  /* Something can be received or an event is there: take events with socket_next_event, then messages with
     socket_receive, a bounded number per call. It is called again while something is left. */
  void (*on_ready)(void *userdata);
  void *userdata;
} SocketHandler;

/* Who may connect to a ROUTER with keys. */
typedef struct SocketGate {
  /* Whether this key, whose owner has proved that it is his, is admitted. Must not call the socket. */
  bool (*admit)(void *userdata, PublicKey key);
  /* Whether one more connection of a key that is admitted may begin now. NULL: always. */
  bool (*begin)(void *userdata, PublicKey key);
  void *userdata;
} SocketGate;

/* Makes a socket and puts it into the loop. send_queue = messages that may wait per connection behind what the kernel
   takes, 0 = no bound. Returns 0 or -errno. */
int socket_new(Loop *loop, SocketType type, int send_queue, const SocketHandler *handler, Socket **ret);
/* Bounds memory by bytes too. queue_bytes: what may wait to be sent per connection; a message is taken while less waits. half_bytes:
   messages that are not whole yet, of all connections; over it the one that has waited longest for its rest is hung up on, with
   error -ENOBUFS. 0 = no bound. */
void socket_bound(Socket *socket, size_t queue_bytes, size_t half_bytes);
/* What waits at one connection, or at all of them (peer 0), with what it costs to keep it; 0 when the connection is gone. */
size_t socket_queued_bytes(const Socket *socket, uint32_t peer);
/* Has a ROUTER speak CURVE with whoever the gate admits, and with nobody else. Before socket_bind; later it changes the gate and leaves
   connections as they are. The call takes its own reference of key. */
void socket_use_gate(Socket *socket, KeyPair *key, const SocketGate *gate);
/* Has a DEALER speak CURVE, as key, with the one server that has this public key. Before socket_connect. */
void socket_use_key(Socket *socket, KeyPair *key, PublicKey server);
/* Asks the gate about each connection again and hangs up on those that are not admitted any more. */
void socket_ask_gate_again(Socket *socket);
/* Closes the socket, also from inside on_ready; what was not sent is discarded. Takes NULL, nulls the pointer. */
void socket_destroy(Socket **socket);
/* Closes it; what was not sent is given at most linger_ms to go out, for which it blocks. Takes NULL, nulls the pointer. */
void socket_close(Socket **socket, int linger_ms);
/* Listens at an endpoint: ipc://PATH, ipc://@NAME, tcp://HOST:PORT; HOST an address, an interface, a name or *, PORT a number or *
   for any free one. Of an ipc path nobody listens at any more the file is replaced; it is removed at the end. Returns 0 or
   -errno: -EADDRINUSE, -EINVAL for what is no endpoint, -ENAMETOOLONG, -ENXIO for a host that nothing here has. */
int socket_bind(Socket *socket, const char *endpoint);
/* Begins to connect a DEALER, and goes on trying, 10 to 250 ms apart; a connection that is gone is made again. Who wants nothing of the
   old one's to go by the new one takes a new socket. Returns 0, -EINVAL or -ENAMETOOLONG. */
int socket_connect(Socket *socket, const char *endpoint);
/* The endpoint that was bound last, with the port that the kernel chose for "tcp://127.0.0.1:*". Returns ret. */
const char *socket_endpoint(Socket *socket, char *ret, size_t size_bytes);

/* Takes one message. Returns 0, or -EAGAIN when none is there. From on_ready and timers. */
int socket_receive(Socket *socket, SocketMessage *ret);
/* Gives a message back, also after its socket is destroyed. Its bytes are gone, unless block was taken with TAKE (then body lives as
   long as block). */
void socket_message_done(SocketMessage *message);
/* Sends header and body as one message, without waiting; it is with the kernel on return, or queued. With a block, body points into
   it and is not copied; the call takes its own reference. A DEALER's peer is 0. Returns 0; -EAGAIN when its queue is full or the
   DEALER is not up; -EHOSTUNREACH when the connection is gone. */
int socket_send(Socket *socket, uint32_t peer, Bytes header, Bytes body, Block *block);
/* Who a connection of a ROUTER belongs to. Returns 0, or -ENOKEY when it is in clear, its handshake is not done, or it is gone. */
int socket_peer_key(const Socket *socket, uint32_t peer, PublicKey *ret);
/* Takes one connection event. Returns 0, or -EAGAIN when none is there. */
int socket_next_event(Socket *socket, SocketEvent *ret);
/* Shuts one connection down; SOCKET_DOWN follows what it still brings. Nothing happens when it is gone. */
void socket_hang_up(Socket *socket, uint32_t peer);

#endif
