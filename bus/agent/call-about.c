/* What a handler may ask about its call. */
#include "bus/agent/agent-internal.h"

Runtime *call_runtime(const Call *call) {
  return call->runtime;
}

void *call_state(const Call *call) {
  return call->runtime->state;
}

const void *call_data(const Call *call) {
  return call->method->row->data;
}

Client *call_client(const Call *call) {
  return call->runtime->client;
}

Text call_instance(const Call *call) {
  return runtime_instance(call->runtime);
}

RequestId call_id(const Call *call) {
  return call->id;
}

uint8_t call_hop(const Call *call) {
  return call->hop;
}

Text call_service(const Call *call) {
  return call->service;
}

Text call_method(const Call *call) {
  return call->method_name;
}

Priority call_priority(const Call *call) {
  return call->priority;
}

const Trace *call_trace(const Call *call) {
  return &call->trace;
}

Bytes call_body(const Call *call) {
  return call->body;
}

Text call_content_type(const Call *call) {
  return call->content_type;
}

Bytes call_annotations(const Call *call) {
  return call->annotations;
}

Text call_annotation(const Call *call, const char *key) {
  MsgpackReader reader = msgpack_reader(call->annotations);
  uint32_t pairs = 0;
  Text name;
  Text value;

  if (msgpack_get_map(&reader, &pairs) != 0)
    return TEXT_NONE;
  for (uint32_t i = 0; i < pairs; i++) {
    if (msgpack_get_text(&reader, &name) != 0)
      return TEXT_NONE;
    if (text_is(name, key))
      return msgpack_get_text(&reader, &value) == 0 ? value : TEXT_NONE;
    if (msgpack_skip(&reader) != 0)
      return TEXT_NONE;
  }
  return TEXT_NONE;
}

uint64_t call_deadline_us(const Call *call) {
  return call->due_us;
}

bool call_cancelled(const Call *call) {
  return atomic_load_explicit(&call->cancelled, memory_order_relaxed) || clock_monotonic_us() >= call->due_us;
}

bool call_wants_stream(const Call *call) {
  return (call->flags & FLAG_STREAM) != 0;
}

void *call_take(Call *call, size_t size_bytes) {
  return arena_take(&call->arena, size_bytes);
}
