/* A reply over LIMIT_BODY_BYTES: its parts are put together here, and its window opens as they come. What all requests of
   this client hold of unfinished replies is bounded together. */
#include <stdlib.h>

#include "bus/client/client-internal.h"

void parts_take(Pending *pending, Bytes body) {
  Client *client = pending->client;

  pending->number++;
  if (pending->reply.size + body.size > LIMIT_REPLY_BYTES) {
    pending_cancel(pending, STATUS_TOO_LARGE, "the reply is over 16 MiB");
  } else if (client->reply_bytes + body.size > LIMIT_REPLIES_BYTES) {
    pending_cancel(pending, STATUS_TOO_LARGE,
                   "large replies of over 64 MiB together are coming in; ask for fewer at once");
  } else {
    buffer_append(&pending->reply, body.data, body.size);
    client->reply_bytes += body.size;
  }
}

Bytes parts_join(Pending *pending, Bytes body, Block *block, Block **ret) {
  Buffer *reply = &pending->reply;
  Bytes whole;

  if (reply->size == 0) {
    *ret = block ? block_ref(block) : NULL;
    return body;
  }
  pending->client->reply_bytes -= reply->size;
  buffer_append(reply, body.data, body.size);
  whole = buffer_bytes(reply);
  *ret = block_adopt(whole, reply->data, free);
  *reply = (Buffer){0};
  return whole;
}

void parts_drop(Pending *pending) {
  pending->client->reply_bytes -= pending->reply.size;
  buffer_done(&pending->reply);
  pending->number = 0;
  pending->execution = 0;
  pending->received_bytes = 0;
  pending->consumed_bytes = 0;
  pending->granted_bytes = pending->window_bytes;
}

Status parts_missing(const Pending *pending, const char **ret_message) {
  bool is_stream = (pending->flags & FLAG_STREAM) != 0;

  *ret_message = is_stream ? "pieces of the stream are missing" : "parts of the reply were lost with a session";
  return is_stream ? STATUS_STREAM_LOST : STATUS_GONE;
}
