/* The way out to one peer. Normal case: messages gather in a pack, which goes out at the end of the turn. When the socket's
   queue for the peer is full, whole messages wait in the backlog, in order; the backlog is bounded, and the oldest events
   in it make room for what is new. Before the backlog's head is tried it is packed too: a peer that was held up for some
   milliseconds must not be behind for ever because each message then goes by itself. */
#include "bus/broker/peer.h"

#include <errno.h>
#include <stdlib.h>

/* A whole message that waits. */
typedef struct Waiting {
  List in_backlog;
  List in_events; /* an event that may be lost */
  bool is_pack;
  size_t header_bytes;
  Block *body;
  uint8_t header[];
} Waiting;

Peer *peer_new(uint32_t number) {
  Peer *peer = calloc(1, sizeof *peer);

  if (!peer)
    abort();
  peer->number = number;
  list_init(&peer->backlog);
  list_init(&peer->events);
  return peer;
}

/* What it costs to keep, not only what it carries: small messages would come to several times their bound. */
static size_t cost_bytes(size_t header_bytes, size_t body_bytes) {
  return sizeof(Waiting) + header_bytes + (body_bytes ? sizeof(Block) + body_bytes : 0);
}

static void drop_waiting(Peer *peer, Waiting *waiting) {
  list_remove(&waiting->in_backlog);
  if (list_has(&waiting->in_events))
    peer->backlog_events--;
  list_remove(&waiting->in_events);
  peer->backlog_bytes -= cost_bytes(waiting->header_bytes, block_bytes(waiting->body).size);
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
  list_remove(&gone->in_silent);
  pack_done(&gone->pack);
  free(gone);
}

/* The oldest events go until bytes more have room, and one event more if it is one. */
static void make_room(Peer *peer, size_t bytes, bool for_event) {
  while (peer->backlog_events > 0 && (peer->backlog_bytes + bytes > LIMIT_OUTBOX_BYTES ||
                                      (for_event && peer->backlog_events >= LIMIT_OUTBOX_EVENTS))) {
    drop_waiting(peer, LIST_FIRST(&peer->events, Waiting, in_events));
    peer->events_lost++;
  }
}

/* Makes a message that waits; it is in no list yet. */
static Waiting *keep(Peer *peer, Bytes header, Bytes body, Block *block) {
  Waiting *waiting = malloc(sizeof *waiting + header.size);

  if (!waiting)
    abort();
  *waiting = (Waiting){.header_bytes = header.size};
  memcpy(waiting->header, header.data, header.size);
  if (body.size > 0)
    waiting->body = block ? block_ref(block) : block_copy(body);
  peer->backlog_bytes += cost_bytes(header.size, body.size);
  return waiting;
}

static int push_backlog(Peer *peer, Bytes header, Bytes body, Block *block, Kind kind) {
  size_t bytes = cost_bytes(header.size, body.size);
  Waiting *waiting;

  make_room(peer, bytes, kind == KIND_EVENT);
  if (peer->backlog_bytes + bytes > LIMIT_OUTBOX_BYTES)
    return PEER_E_FULL;
  waiting = keep(peer, header, body, block);
  waiting->is_pack = kind == KIND_PACK;
  list_push(&peer->backlog, &waiting->in_backlog);
  if (kind == KIND_EVENT) {
    list_push(&peer->events, &waiting->in_events);
    peer->backlog_events++;
  }
  return 0;
}

int peer_flush(Peer *peer, Socket *socket) {
  Bytes header;
  Bytes body;
  int r = 0;

  if (peer->pack.count == 0)
    return 0;
  pack_frames(&peer->pack, &header, &body);
  r = list_is_empty(&peer->backlog) ? socket_send(socket, peer->number, header, body, NULL) : -EAGAIN;
  if (r == -EAGAIN)
    r = push_backlog(peer, header, body, NULL, KIND_PACK); /* also a lone one: it is as it is to be sent */
  pack_clear(&peer->pack);
  return r;
}

/* Encodes one message and sends it by itself, behind what is in the pack. An event tells how many were lost before it,
   also those that make room for it. */
static int push_alone(Peer *peer, Socket *socket, const Header *header, Bytes body, Block *block) {
  _cleanup_(buffer_done) Buffer encoded = {0};
  Header told = *header;
  int r = peer_flush(peer, socket);

  if (r != 0)
    return r;
  if (header->kind == KIND_EVENT && !list_is_empty(&peer->backlog)) {
    make_room(peer, cost_bytes(LIMIT_HEADER_BYTES, body.size), true);
    told.number = peer->events_lost;
  }
  header_encode(&told, &encoded);
  r = list_is_empty(&peer->backlog) ? socket_send(socket, peer->number, buffer_bytes(&encoded), body, block) : -EAGAIN;
  if (r == -EAGAIN)
    r = push_backlog(peer, buffer_bytes(&encoded), body, block, header->kind);
  return r;
}

int peer_push(Peer *peer, Socket *socket, const Header *header, Bytes body, Block *block) {
  Header told;
  int r;

  if (header->kind == KIND_EVENT && peer->events_lost > 0) {
    told = *header;
    told.number = peer->events_lost;
    header = &told;
  }
  if (!list_is_empty(&peer->backlog) || !pack_takes(body.size))
    return push_alone(peer, socket, header, body, block);
  if (pack_is_due(&peer->pack) || !pack_has_room(&peer->pack, body.size)) {
    r = peer_flush(peer, socket);
    if (r != 0)
      return r;
  }
  pack_add(&peer->pack, header, body);
  return 0;
}

/* True when a message can be put into the pack behind what is in it. */
static bool can_pack(const Pack *pack, const Waiting *waiting) {
  size_t body_bytes = block_bytes(waiting->body).size;

  return !waiting->is_pack && pack_takes(body_bytes) && pack_has_room(pack, body_bytes);
}

/* Makes one PACK of the small messages at the head of the backlog, in their place. */
static void pack_head(Peer *peer) {
  _cleanup_(pack_done) Pack pack = {0};
  Waiting *waiting = LIST_FIRST(&peer->backlog, Waiting, in_backlog);
  Bytes header;
  Bytes body;

  if (waiting->in_backlog.next == &peer->backlog || !can_pack(&pack, waiting) ||
      !can_pack(&pack, CONTAINER_OF(waiting->in_backlog.next, Waiting, in_backlog)))
    return;
  while (waiting && can_pack(&pack, waiting)) {
    pack_add_encoded(&pack, (Bytes){waiting->header, waiting->header_bytes}, block_bytes(waiting->body));
    drop_waiting(peer, waiting);
    waiting = LIST_FIRST(&peer->backlog, Waiting, in_backlog);
  }
  pack_frames(&pack, &header, &body);
  waiting = keep(peer, header, body, NULL);
  waiting->is_pack = true;
  list_push_front(&peer->backlog, &waiting->in_backlog);
}

int peer_retry(Peer *peer, Socket *socket) {
  while (!list_is_empty(&peer->backlog)) {
    Waiting *waiting;
    int r;

    pack_head(peer);
    waiting = LIST_FIRST(&peer->backlog, Waiting, in_backlog);
    r = socket_send(socket, peer->number, (Bytes){waiting->header, waiting->header_bytes}, block_bytes(waiting->body),
                    waiting->body);
    if (r < 0)
      return r;
    drop_waiting(peer, waiting);
  }
  return 0;
}
