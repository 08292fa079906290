/* The way out to one peer. Normal case: messages gather in a pack, which goes out at the end of the turn. When libzmq's
   queue for the peer is full, whole messages wait in the backlog, in order; the backlog is bounded, and among the events
   in it the oldest make room for new ones. */
#include "bus/broker/peer.h"

#include <errno.h>
#include <stdlib.h>

/* A whole message that waits. */
typedef struct Waiting {
  List in_backlog;
  bool is_event;
  size_t header_bytes;
  Block *body;
  uint8_t header[];
} Waiting;

Peer *peer_new(uint32_t routing_id, int fd) {
  Peer *peer = calloc(1, sizeof *peer);

  if (!peer)
    abort();
  peer->routing_id = routing_id;
  peer->fd = fd;
  list_init(&peer->backlog);
  return peer;
}

static void drop_waiting(Peer *peer, Waiting *waiting) {
  list_remove(&waiting->in_backlog);
  peer->backlog_bytes -= waiting->header_bytes + block_bytes(waiting->body).size;
  peer->backlog_events -= waiting->is_event;
  block_unref(&waiting->body);
  free(waiting);
}

void peer_destroy(Peer **peer) {
  Peer *gone = TAKE(*peer);

  if (!gone)
    return;
  LIST_EACH (&gone->backlog, Waiting, in_backlog, waiting)
    drop_waiting(gone, waiting);
  list_remove(&gone->in_dirty);
  list_remove(&gone->in_blocked);
  list_remove(&gone->in_closing);
  list_remove(&gone->in_ended);
  pack_done(&gone->pack);
  free(gone);
}

static void drop_oldest_event(Peer *peer) {
  LIST_EACH (&peer->backlog, Waiting, in_backlog, waiting) {
    if (!waiting->is_event)
      continue;
    drop_waiting(peer, waiting);
    peer->events_lost++;
    return;
  }
}

static int push_backlog(Peer *peer, Bytes header, Bytes body, Block *block, bool is_event) {
  Waiting *waiting;

  if (is_event && peer->backlog_events >= LIMIT_OUTBOX_EVENTS)
    drop_oldest_event(peer);
  if (peer->backlog_bytes + header.size + body.size > LIMIT_OUTBOX_BYTES)
    return PEER_E_FULL;
  waiting = malloc(sizeof *waiting + header.size);
  if (!waiting)
    abort();
  *waiting = (Waiting){.is_event = is_event, .header_bytes = header.size};
  memcpy(waiting->header, header.data, header.size);
  if (body.size > 0)
    waiting->body = block ? block_ref(block) : block_copy(body);
  list_push(&peer->backlog, &waiting->in_backlog);
  peer->backlog_bytes += header.size + body.size;
  peer->backlog_events += is_event;
  return 0;
}

int peer_flush(Peer *peer, Socket *socket) {
  Bytes header;
  Bytes body;
  int r = 0;

  if (peer->pack.count == 0)
    return 0;
  pack_frames(&peer->pack, &header, &body);
  r = list_is_empty(&peer->backlog) ? socket_send(socket, peer->routing_id, header, body, NULL) : -EAGAIN;
  if (r == -EAGAIN)
    r = push_backlog(peer, header, body, NULL, false);
  pack_clear(&peer->pack);
  return r;
}

/* Encodes one message and sends it by itself, behind what is in the pack. */
static int push_alone(Peer *peer, Socket *socket, const Header *header, Bytes body, Block *block) {
  _cleanup_(buffer_done) Buffer encoded = {0};
  int r = peer_flush(peer, socket);

  if (r != 0)
    return r;
  header_encode(header, &encoded);
  r = list_is_empty(&peer->backlog) ? socket_send(socket, peer->routing_id, buffer_bytes(&encoded), body, block)
                                    : -EAGAIN;
  if (r == -EAGAIN)
    r = push_backlog(peer, buffer_bytes(&encoded), body, block, header->kind == KIND_EVENT);
  return r;
}

int peer_push(Peer *peer, Socket *socket, const Header *header, Bytes body, Block *block) {
  int r;

  if (!list_is_empty(&peer->backlog) || !pack_takes(body.size))
    return push_alone(peer, socket, header, body, block);
  if (!pack_has_room(&peer->pack, body.size)) {
    r = peer_flush(peer, socket);
    if (r != 0)
      return r;
  }
  pack_add(&peer->pack, header, body);
  return 0;
}

int peer_retry(Peer *peer, Socket *socket) {
  int r = 0;

  LIST_EACH (&peer->backlog, Waiting, in_backlog, waiting) {
    Bytes header = {waiting->header, waiting->header_bytes};

    r = socket_send(socket, peer->routing_id, header, block_bytes(waiting->body), waiting->body);
    if (r < 0)
      return r;
    drop_waiting(peer, waiting);
  }
  return r;
}
