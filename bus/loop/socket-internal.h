/* What:      what the files of a socket share: its listeners, its connections, what is under way on them.
 * Owns:      see each struct.
 * May use:   base, zmtp.
 * Threading: the loop thread.
 * Spec:      socket.c */
#ifndef PONS_LOOP_SOCKET_INTERNAL_H
#define PONS_LOOP_SOCKET_INTERNAL_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "bus/base/limiter.h"
#include "bus/base/list.h"
#include "bus/base/table.h"
#include "bus/loop/address.h"
#include "bus/loop/key-internal.h"
#include "bus/loop/resolve.h"
#include "bus/loop/socket.h"
#include "bus/zmtp/zmtp.h"

enum {
  INPUT_BYTES = 65536,
  SOCKET_SEALED_BYTES = 65536, /* more is not kept for the next message */
};

/* What was read last, from one connection. Messages borrow from it, so it may outlive its socket. */
typedef struct SocketInput {
  uint32_t references;
  uint8_t bytes[INPUT_BYTES];
} SocketInput;

typedef enum ConnectionState {
  CONNECTION_CONNECTING,
  CONNECTION_GREETING, /* the peer's greeting is not whole */
  CONNECTION_SHAKING,  /* its READY has not come */
  CONNECTION_OPEN,
} ConnectionState;

/* Bytes of a message that is not whole. With room > size it is known how many it will have, and they are read to their place. */
typedef struct Held {
  uint8_t *data;
  size_t size;
  size_t room;
} Held;

typedef struct Connection {
  TableLink link; /* by number */
  List in_ready;  /* something can be read */
  List in_shaking;
  List in_halves; /* held has something */
  Socket *socket;
  LoopFd *watch;
  int fd;
  uint32_t number;
  ConnectionState state;
  bool mute; /* nothing can be written any more; what it has sent is still to be read */
  uint64_t since_us;
  Curve *curve;    /* NULL: in clear */
  uint64_t origin; /* where it comes from, as a hash */
  ZmtpReader reader;
  Held held;
  List queue; /* of Out: what the kernel had no room for */
  uint32_t queued;
  size_t queued_bytes; /* of them, with what it costs to keep them */
} Connection;

typedef struct Listener {
  List in_socket;
  Socket *socket;
  LoopFd *watch;
  int fd;
  char path[ADDRESS_PATH_BYTES]; /* to be removed; empty = none */
} Listener;

/* A DEALER's way to its one connection. */
typedef struct Connector {
  Address address;
  Resolve *resolve; /* the host is a name, and this asks for its address */
  char *endpoint;
  LoopTimer *retry;
  uint64_t wait_us; /* before the next attempt */
} Connector;

struct Socket {
  Loop *loop;
  ZmtpType type;
  uint32_t send_queue;
  size_t send_queue_bytes;
  size_t queued_bytes; /* at all connections */
  SocketHandler handler;
  LoopTask *task;
  bool *is_gone; /* while on_ready runs: to be set by socket_close */
  List listeners;
  Table connections;
  Connection *only; /* of a DEALER */
  uint32_t last_number;
  List ready;
  KeyPair *key;     /* NULL: in clear */
  PublicKey server; /* of a DEALER */
  SocketGate gate;  /* of a ROUTER */
  Limiter *failures;
  Buffer sealed; /* frames on their way out */
  List shaking;  /* the oldest first */
  LoopTimer *shaking_timer;
  List halves; /* connections with a message that is not whole, the one that waits longest first */
  size_t half_bytes;
  size_t half_max_bytes;
  Connector connector;
  SocketInput *input;
  Connection *current; /* whose bytes unread are, or NULL */
  Bytes unread;
  bool current_has_more; /* the kernel may have more of it */
  Buffer events;         /* of SocketEvent */
  size_t events_taken;   /* bytes of events that were taken */
};

/* --- socket.c --- */

/* Keeps an event for socket_next_event. */
void socket_tell(Socket *socket, SocketEventType type, uint32_t peer, int error);
/* The connection of that number, or NULL. */
Connection *socket_find(const Socket *socket, uint32_t number);

/* --- socket-connection.c --- */

/* Makes a connection around fd, which is its own from now on. Returns NULL when the descriptor can't be watched; it is closed. */
Connection *connection_new(Socket *socket, int fd, ConnectionState state);
/* Sends our greeting and READY; the handshake may take 5 s from now on. */
void connection_greet(Connection *connection);
/* Closes and frees it, and tells why. */
void connection_end(Connection *connection, int error);
/* Closes and frees it. */
void connection_destroy(Connection *connection);
/* What of the handshake lies in *in. Returns 0 when it is done; ZMTP_E_SHORT, or another ZMTP_E_* that ends it. */
int connection_shake(Connection *connection, Bytes *in, size_t *ret_want);
/* A command in the middle of messages. Returns 0, or ZMTP_E_* that ends the connection. */
int connection_command(Connection *connection, Bytes command);
/* Ends connections whose handshake takes too long. */
void on_shaking_late(void *userdata, uint64_t now_us);

/* --- socket-keys.c --- */

/* "CURVE" or "NULL". */
const char *connection_mechanism(const Connection *connection);
/* With CURVE: gives it keys of its own, and appends what a client says first. */
void connection_take_key(Connection *connection, Buffer *ret);
/* A command of the handshake. Returns 0, or ZMTP_E_* that ends the connection. */
int connection_shake_curve(Connection *connection, Bytes command);
/* Sends one message, or one command, sealed. Returns 0, or -EHOSTUNREACH when the connection is gone. */
int connection_send_sealed(Connection *connection, bool command, Bytes header, Bytes body);
/* Whether who comes from there has not failed too often. */
bool socket_may_come(const Socket *socket, uint64_t origin);
/* Its handshake has failed. */
void connection_note_failure(Connection *connection);
/* Forgets keys. */
void socket_keys_done(Socket *socket);

/* --- socket-read.c --- */

/* Takes the next message of socket->current. Returns 0; or -EAGAIN when it has no whole one, or has come to its end and is freed. */
int connection_receive(Connection *connection, SocketMessage *ret);
/* Reads once from the kernel, into socket->unread or to where the rest of a message belongs. Returns 0; or -EAGAIN when there is
   nothing, or the connection has come to its end and is freed. */
int connection_read(Connection *connection);
/* Forgets what it has of a message that is not whole. */
void connection_drop_held(Connection *connection);
void input_unref(SocketInput *input);

/* --- socket-write.c --- */

/* Sends one message as socket_send does. */
int connection_send(Connection *connection, Bytes header, Bytes body, Block *block);
/* Sends bytes that are frames already. Returns 0, or -EHOSTUNREACH when the connection is gone. */
int connection_send_frames(Connection *connection, Bytes frames);
/* The kernel has room again. */
void connection_flush(Connection *connection);
/* Waits until everything is sent, or until deadline_us. */
void connection_linger(Connection *connection, uint64_t deadline_us);
/* Forgets what waits. */
void connection_drop_queue(Connection *connection);

/* --- socket-listen.c --- */

void listener_destroy(Listener *listener);

/* --- socket-connect.c --- */

/* The connection is gone, or was never up: makes another after a while. */
void connector_retry(Socket *socket);
/* It is up: the next wait is the shortest. */
void connector_reset(Connector *connector);
/* The connection could be made, or not; error as of connect(2). */
void connector_done(Connection *connection);
void connector_stop(Connector *connector);

#endif
