/* How messages leave: small ones of a turn are packed, large ones go alone and uncopied, in the order of link_send. What
   the socket has no room for waits here and is tried again every millisecond. */
#include <errno.h>
#include <stdlib.h>

#include "bus/client/client-internal.h"

enum {
  AGAIN_US = 1000,
  ANSWERS_MAX_BYTES = LIMIT_CLIENT_BYTES * 2, /* what an instance answers, besides request bodies that are kept */
};

typedef struct Out {
  List in_link;
  Block *block;
  Bytes header;
  Bytes body;
  uint8_t bytes[];
} Out;

static void free_out(Link *link, Out *out) {
  list_remove(&out->in_link);
  link->outbox_bytes -= out->header.size + out->body.size;
  block_unref(&out->block);
  free(out);
}

void link_drop_outbox(Link *link) {
  LIST_EACH (&link->outbox, Out, in_link, out)
    free_out(link, out);
  timer_stop(link->client, &link->again);
}

static void on_again(Client *client, ClientTimer *timer, uint64_t now_us) {
  Link *link = CONTAINER_OF(timer, Link, again);

  (void)now_us;
  if (link->outbox_bytes > client_kept_max_bytes(client) + ANSWERS_MAX_BYTES)
    link_lose(link, STATUS_UNAVAILABLE, "the broker does not read");
  else
    link_flush(link);
}

static void put_aside(Link *link, Bytes header, Bytes body, Block *block) {
  size_t copied = block ? 0 : body.size;
  Out *out = malloc(sizeof *out + header.size + copied);

  if (!out)
    abort();
  *out = (Out){.block = block ? block_ref(block) : NULL, .header = {out->bytes, header.size}, .body = body};
  memcpy(out->bytes, header.data, header.size);
  if (copied) {
    memcpy(out->bytes + header.size, body.data, copied);
    out->body.data = out->bytes + header.size;
  }
  list_push(&link->outbox, &out->in_link);
  link->outbox_bytes += header.size + body.size;
  link->again.on_due = on_again;
  if (!heap_has(&link->again.entry))
    timer_set(link->client, &link->again, clock_monotonic_us() + AGAIN_US);
}

static void emit(Link *link, Bytes header, Bytes body, Block *block) {
  if (!link->socket)
    return;
  if (!list_is_empty(&link->outbox) || socket_send(link->socket, 0, header, body, block) == -EAGAIN)
    put_aside(link, header, body, block);
}

static void flush_pack(Link *link) {
  Bytes header;
  Bytes body;

  if (link->pack.count == 0)
    return;
  pack_frames(&link->pack, &header, &body);
  emit(link, header, body, NULL);
  pack_clear(&link->pack);
}

void link_send(Link *link, const Header *header, Bytes body, Block *block) {
  if (pack_takes(body.size)) {
    if (pack_is_due(&link->pack) || !pack_has_room(&link->pack, body.size))
      flush_pack(link);
    pack_add(&link->pack, header, body);
    return;
  }
  flush_pack(link);
  buffer_clear(&link->scratch);
  header_encode(header, &link->scratch);
  emit(link, buffer_bytes(&link->scratch), body, block);
}

void link_flush(Link *link) {
  LIST_EACH (&link->outbox, Out, in_link, out) {
    if (!link->socket || socket_send(link->socket, 0, out->header, out->body, out->block) == -EAGAIN) {
      if (!heap_has(&link->again.entry))
        timer_set(link->client, &link->again, clock_monotonic_us() + AGAIN_US);
      break;
    }
    free_out(link, out);
  }
  flush_pack(link);
  pack_end_turn(&link->pack);
}
