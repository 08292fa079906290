/* A reply over LIMIT_BODY_BYTES: CHUNKs with PART as far as the window goes, then the REPLY with the last part. What waits for
   its window is bounded, for all calls of the process together. */
#include <stdlib.h>

#include "bus/agent/agent-internal.h"

bool parts_fit(Call *call, size_t bytes) {
  Pool *pool = &call->runtime->pool;
  bool has_window;

  if (bytes <= LIMIT_BODY_BYTES)
    return true;
  pthread_mutex_lock(&pool->mutex);
  has_window = call->window_bytes > 0;
  pthread_mutex_unlock(&pool->mutex);
  return has_window && bytes <= LIMIT_REPLY_BYTES;
}

/* Takes what a buffer holds into a block. */
static Block *adopt(Buffer *buffer) {
  Block *block = block_adopt(buffer_bytes(buffer), buffer->data, free);

  *buffer = (Buffer){0};
  return block;
}

/* Makes the body the call's own, without a copy where it can be. */
static void own_body(Call *call) {
  Buffer *scratch = &call->runtime->scratch;

  if (call->out_block)
    return;
  if (call->out_body.data == call->out_bytes.data)
    call->out_block = adopt(&call->out_bytes);
  else if (call->out_body.data == scratch->data)
    call->out_block = adopt(scratch);
  else
    call->out_block = block_copy(call->out_body);
  call->out_body = block_bytes(call->out_block);
}

static void put_status(Call *call, Status status, const char *message) {
  call_put_error(call, &(CallFault){.status = status, .message = text_of(message)});
  call_send_end(call);
}

void parts_begin(Call *call) {
  Runtime *runtime = call->runtime;

  if (runtime->reply_bytes + call->out_body.size > LIMIT_REPLIES_BYTES) {
    block_unref(&call->out_block);
    put_status(call, STATUS_TOO_LARGE,
               "the agent has 64 MiB of large replies that are not read yet; ask for fewer at once");
    return;
  }
  own_body(call);
  call->sending = true;
  call->reply_bytes = call->out_body.size;
  runtime->reply_bytes += call->reply_bytes;
  parts_go_on(call);
}

/* Whether the caller takes another part now; if so, it is counted. */
static bool take_room(Call *call, size_t bytes) {
  Pool *pool = &call->runtime->pool;
  bool has_room;

  pthread_mutex_lock(&pool->mutex);
  has_room = call->accepted_bytes < call->window_bytes;
  call->accepted_bytes += has_room ? bytes : 0;
  pthread_mutex_unlock(&pool->mutex);
  return has_room;
}

static void send_part(Call *call) {
  Bytes part = {call->out_body.data, LIMIT_BODY_BYTES};

  pieces_send(call, FLAG_PART, part, call->out_block);
  call->out_body.data += part.size;
  call->out_body.size -= part.size;
}

static void end_sending(Call *call) {
  call->sending = false;
  call->runtime->reply_bytes -= call->reply_bytes;
}

void parts_go_on(Call *call) {
  while (call->out_body.size > LIMIT_BODY_BYTES) {
    if (!take_room(call, LIMIT_BODY_BYTES))
      return;
    send_part(call);
  }
  end_sending(call);
  call_send_end(call);
}

void parts_stop(Call *call, Status status) {
  end_sending(call);
  block_unref(&call->out_block);
  put_status(call, status, status_about(status));
}
