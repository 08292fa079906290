/* A broker asks what this instance has of requests that were sent again. Each is answered at once; the attempt is noted before,
   so that what the other broker still sends of a lower one is refused. */
#include <endian.h>

#include "bus/agent/agent-internal.h"
#include "bus/wire/pack.h"

static const Header nowhere;

static void say(Runtime *runtime, uint32_t broker, Header *header, const char *state) {
  Buffer *body = &runtime->scratch;
  HaveBody have = {.state = text_of(state)};

  buffer_clear(body);
  if (header->kind == KIND_HAVE)
    contract_encode(CONTRACT(HaveBody), &have, body, NULL);
  client_send(runtime->client, broker, header, buffer_bytes(body), NULL);
}

static void pass(Runtime *runtime, uint32_t broker, const Header *about, Status status) {
  Header header = {.kind = KIND_PASS, .id = about->id, .attempt = about->attempt, .hop = about->hop, .status = status};

  say(runtime, broker, &header, NULL);
}

/* from: execution, number and window_bytes of where it goes on. */
static void have(Runtime *runtime, uint32_t broker, const Header *about, const char *state, const Header *from) {
  Header header = {.kind = KIND_HAVE,
                   .id = about->id,
                   .attempt = about->attempt,
                   .hop = about->hop,
                   .number = from->number,
                   .window_bytes = from->window_bytes,
                   .execution = from->execution};

  say(runtime, broker, &header, state);
}

/* --- what has ended --- */

/* Says an answer again: its pieces from `wanted` on, then the end. */
static void replay(Runtime *runtime, uint32_t broker, const Header *about, const MemoryReply *reply, Header *end,
                   uint64_t wanted) {
  Bytes rest = reply->pieces;
  Bytes frame;
  Bytes body;
  Header header;

  while (pack_next(&rest, &frame, &body) == 0)
    if (header_decode(frame, &header) == 0 && header.number >= wanted) {
      header.attempt = about->attempt;
      client_send(runtime->client, broker, &header, body, NULL);
    }
  end->attempt = about->attempt;
  end->window_bytes = 0;
  if (end->kind != KIND_REPLY)
    end->number = end->execution = 0;
  client_send(runtime->client, broker, end, reply->body, NULL);
}

/* It was stopped for an attempt that its client has left since: whoever asks now has not cancelled it. */
static bool was_stopped(const Header *end) {
  return end->kind == KIND_ERROR && end->status == STATUS_CANCELLED;
}

bool probe_replay(Runtime *runtime, uint32_t broker, const Header *about, const MemoryReply *reply, bool tell) {
  uint64_t wanted = about->number;
  uint64_t before_bytes;
  uint64_t first;
  Bytes rest = reply->pieces;
  Bytes frame;
  Bytes body;
  Header header;
  Header end;

  if (header_decode(reply->header, &end) != 0 || was_stopped(&end))
    return false;
  first = end.number; /* of all chunks */
  before_bytes = end.window_bytes;
  while (pack_next(&rest, &frame, &body) == 0 && header_decode(frame, &header) == 0) {
    first = min_u64(first, header.number);
    before_bytes += header.number < wanted ? body.size : 0;
  }
  if (end.kind == KIND_FORWARD)
    wanted = 0; /* the chunks are those of where it went */
  else if (wanted < first || wanted > end.number)
    return false;
  if (tell)
    have(runtime, broker, about, end.kind == KIND_FORWARD ? "forwarded" : "done",
         &(Header){.number = wanted, .window_bytes = before_bytes, .execution = end.execution});
  replay(runtime, broker, about, reply, &end, wanted);
  return true;
}

/* It is not under way here: it was done, or never begun. */
static void answer_from_memory(Runtime *runtime, uint32_t broker, const Header *about, uint64_t age_us) {
  uint64_t now_us = loop_now_us(runtime->loop);
  MemoryReply reply;
  int r = memory_find(&runtime->memory, about->id, about->hop, about->attempt, &reply);

  if (r == MEMORY_E_UNKNOWN) {
    memory_note(&runtime->memory, about->id, about->attempt, now_us);
    pass(runtime, broker, about, memory_covers(&runtime->memory, age_us, now_us) ? STATUS_OK : STATUS_UNKNOWN);
  } else if (r == MEMORY_E_STALE) {
    pass(runtime, broker, about, STATUS_STALE);
  } else {
    if (r == MEMORY_E_GONE || !probe_replay(runtime, broker, about, &reply, true))
      have(runtime, broker, about, "reply_gone", &nowhere);
    memory_note(&runtime->memory, about->id, about->attempt, now_us);
  }
}

/* --- what is under way --- */

static bool is_queued(Call *call) {
  Pool *pool = &call->runtime->pool;
  bool queued;

  pthread_mutex_lock(&pool->mutex);
  queued = list_has(&call->in_queue);
  pthread_mutex_unlock(&pool->mutex);
  return queued;
}

static void attach(Call *call, uint32_t broker, const Header *about, uint64_t window_bytes) {
  call_attach(call, broker, about);
  pieces_drop(call, about->number);
  have(
      call->runtime, broker, about, is_queued(call) ? "queued" : "running",
      &(Header){.number = call->pieces_first, .window_bytes = call->pieces_before_bytes, .execution = call->execution});
  pieces_send_again(call);
  if (window_bytes > 0)
    call_open_window(call, window_bytes);
}

static void answer(Runtime *runtime, uint32_t broker, const Header *about, const ProbeItem *item) {
  Call *call = runtime->held > 0 ? calls_find(runtime, about->id, about->hop) : NULL;

  if (about->attempt < calls_highest(runtime, about->id)) {
    pass(runtime, broker, about, STATUS_STALE);
    return;
  }
  if (call && call->assembling) { /* its body went with the other broker: it was not begun */
    call_refuse(call, STATUS_STALE);
    call = NULL;
  }
  if (call && atomic_load(&call->cancelled)) { /* it is being stopped, see was_stopped() */
    have(runtime, broker, about, "reply_gone", &nowhere);
    memory_note(&runtime->memory, about->id, about->attempt, loop_now_us(runtime->loop));
  } else if (call)
    attach(call, broker, about, item->has_window_bytes ? item->window_bytes : 0);
  else
    answer_from_memory(runtime, broker, about, item->age_us);
}

void probe_message(Runtime *runtime, uint32_t broker, Bytes body) {
  _cleanup_(arena_done) Arena arena = {0};
  ProbeBody probe;

  if (contract_decode(CONTRACT(ProbeBody), body, &arena, &probe, NULL) != 0)
    return; /* the broker takes no answer for "can't vouch" */
  for (size_t i = 0; i < probe.requests.count; i++) {
    const ProbeItem *item = &probe.requests.items[i];
    uint64_t id[2];

    memcpy(id, item->id.data, sizeof id);
    answer(runtime, broker,
           &(Header){
               .id = {{be64toh(id[0])}, be64toh(id[1])},
               .attempt = (uint32_t)item->attempt,
               .hop = (uint8_t)(item->has_hop ? item->hop : 0),
               .number = item->has_chunk ? item->chunk : 0,
           },
           item);
  }
}
