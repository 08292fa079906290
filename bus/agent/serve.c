/* What a broker sends to this instance: work, its pieces, and what takes it back. */
#include <time.h>

#include "bus/agent/agent-internal.h"

enum { MEASURE_EVERY = 16 /* inline calls: two looks at the clock cost as much as a small handler */ };

Call *calls_find(const Runtime *runtime, RequestId id, int hop) {
  uint64_t hash = request_id_hash(id);

  for (TableLink *at = table_bucket(&runtime->calls, hash); at; at = at->next) {
    Call *call = CONTAINER_OF(at, Call, link);

    if (request_id_equal(call->id, id) && (hop < 0 || call->hop == hop))
      return call;
  }
  return NULL;
}

uint32_t calls_highest(const Runtime *runtime, RequestId id) {
  uint32_t highest = 0;

  for (TableLink *at = table_bucket(&runtime->calls, request_id_hash(id)); at; at = at->next) {
    const Call *call = CONTAINER_OF(at, Call, link);

    if (request_id_equal(call->id, id))
      highest = (uint32_t)max_u64(highest, call->attempt);
  }
  return highest;
}

static void send_short(Runtime *runtime, uint32_t broker, Kind kind, const Header *about, Status status) {
  Header header = {.kind = kind, .id = about->id, .attempt = about->attempt, .hop = about->hop, .status = status};

  client_send(runtime->client, broker, &header, BYTES_NONE, NULL);
}

/* --- REQUEST: what was seen before --- */

/* The broker that gave us the call is told no more: that frees the credit there. */
static void dismiss(const Call *call) {
  Header nack = {.kind = KIND_NACK, .id = call->id, .attempt = call->attempt, .hop = call->hop, .status = STATUS_STALE};

  client_send(call->runtime->client, call->broker, &nack, BYTES_NONE, NULL);
}

void call_attach(Call *call, uint32_t broker, const Header *header) {
  if (broker != call->broker)
    dismiss(call);
  call->attempt = header->attempt;
  brokers_move(call, broker);
}

/* It is being executed: the answer goes to whoever asked last. */
static void attach(Call *call, uint32_t broker, const Header *header) {
  call_attach(call, broker, header);
  if (header->window_bytes)
    call_open_window(call, header->window_bytes);
}

/* True when the request was answered before; then that is said again. */
static bool answer_again(Runtime *runtime, uint32_t broker, const Header *header) {
  MemoryReply reply;

  switch (memory_find(&runtime->memory, header->id, header->hop, header->attempt, &reply)) {
  case 0:
    if (!probe_replay(runtime, broker, header, &reply, false))
      send_short(runtime, broker, KIND_ERROR, header, STATUS_GONE);
    return true;
  case MEMORY_E_STALE:
    send_short(runtime, broker, KIND_NACK, header, STATUS_STALE);
    return true;
  case MEMORY_E_GONE:
    send_short(runtime, broker, KIND_ERROR, header, STATUS_GONE);
    return true;
  case MEMORY_E_UNKNOWN:
  default:
    return false;
  }
}

/* --- REQUEST: new work --- */

static uint64_t now_ns(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void run_inline(Runtime *runtime, Call *call) {
  bool measured = runtime->inline_calls++ % MEASURE_EVERY == 0;
  uint64_t began_ns = measured ? now_ns() : 0;

  call_run(call);
  if (measured && credit_measure(&runtime->credit, now_ns() - began_ns))
    runtime_grant(runtime);
}

/* Reads the body by the contract. Returns false when the call was refused. */
static bool decode(Call *call) {
  const MethodContract *contract = call->method->contract;
  ContractFault fault;

  if (!contract)
    return true;
  call->request = call->tail;
  if (contract_decode(contract->request, call->body, &call->arena, call->tail, &fault) == 0)
    return true;
  call->forgettable = true;
  call_error_full(call, STATUS_INVALID, fault.path, 0, "%s: %s", contract_reason(fault.reason), fault.message);
  return false;
}

static void begin(Runtime *runtime, Call *call) {
  if (!decode(call))
    return;
  atomic_fetch_add(&call->references, 1); /* the handler's */
  if (call->method->row->inline_) {
    run_inline(runtime, call);
  } else if (pool_push(runtime, call) < 0) {
    call_error(call, STATUS_INTERNAL, "the agent can't start a thread");
    call_unref(call);
  }
}

static void refuse(Runtime *runtime, uint32_t broker, const Message *message, Status status) {
  Call *call = call_new(runtime, &message->header, BYTES_NONE, NULL, 0);

  brokers_take(call, broker);
  call_refuse(call, status);
}

static void on_request(Runtime *runtime, uint32_t broker, const Message *message) {
  const Header *header = &message->header;
  Call *call = runtime->held > 0 ? calls_find(runtime, header->id, header->hop) : NULL;
  const Method *method;
  bool offered = false;

  if (runtime->held > 0 && header->attempt < calls_highest(runtime, header->id)) {
    send_short(runtime, broker, KIND_NACK, header, STATUS_STALE);
    return;
  }
  if (call && atomic_load(&call->cancelled)) { /* it is done again when it has stopped */
    send_short(runtime, broker, KIND_NACK, header, STATUS_BUSY);
    brokers_refuse(runtime, broker);
    return;
  }
  if (call) {
    attach(call, broker, header);
    return;
  }
  if (answer_again(runtime, broker, header))
    return;
  if (runtime->phase > PHASE_DRAINING || !feature_may_begin(runtime)) {
    send_short(runtime, broker, KIND_NACK, header, STATUS_DRAINING);
    return;
  }
  if (brokers_are_full(runtime)) {
    send_short(runtime, broker, KIND_NACK, header, STATUS_BUSY);
    brokers_refuse(runtime, broker);
    return;
  }
  method = methods_find(runtime, header->service, header->method, &offered);
  if (!method) {
    refuse(runtime, broker, message, offered ? STATUS_NO_METHOD : STATUS_NO_SERVICE);
    return;
  }
  call = call_new(runtime, header, message->body, message->block,
                  method->contract ? method->contract->request->size_bytes : 0);
  call->method = method;
  brokers_take(call, broker);
  call->forgettable =
      methods_flags(method) & METHOD_IDEMPOTENT; /* it may be done again, so nobody asks what became of it */
  runtime_list(runtime, call);
  if (header->flags & FLAG_MORE) {
    call->assembling = true;
    buffer_append(&call->assembled, call->body.data, call->body.size);
  } else {
    begin(runtime, call);
  }
}

/* --- the rest --- */

/* A further piece of a request's body. Returns false when no call waits for one. */
static bool on_part(Runtime *runtime, uint32_t broker, const Message *message) {
  Call *call = runtime->held > 0 ? calls_find(runtime, message->header.id, -1) : NULL;

  if (!call || !call->assembling || call->broker != broker)
    return false;
  if (message->header.number != ++call->parts) {
    call_refuse(call, STATUS_MALFORMED);
    return true;
  }
  if (call->assembled.size + message->body.size > LIMIT_REQUEST_BYTES) {
    call_refuse(call, STATUS_TOO_LARGE);
    return true;
  }
  buffer_append(&call->assembled, message->body.data, message->body.size);
  if (message->header.flags & FLAG_MORE)
    return true;
  call->assembling = false;
  call->body = buffer_bytes(&call->assembled);
  begin(runtime, call);
  return true;
}

static void on_cancel(Runtime *runtime, const Header *header) {
  Call *call = calls_find(runtime, header->id, -1);

  if (call && header->attempt >= call->attempt)
    call_stop(call, STATUS_CANCELLED);
}

static void on_window(Runtime *runtime, const Header *header) {
  Call *call = calls_find(runtime, header->id, -1);

  if (!call || header->attempt < call->attempt)
    return;
  pieces_drop(call, header->number);
  call_open_window(call, header->window_bytes);
}

bool serve_message(void *userdata, uint32_t broker, const Message *message) {
  Runtime *runtime = userdata;

  switch (message->header.kind) {
  case KIND_REQUEST:
    on_request(runtime, broker, message);
    return true;
  case KIND_CHUNK:
    return on_part(runtime, broker, message);
  case KIND_CANCEL:
    on_cancel(runtime, &message->header);
    return true;
  case KIND_WINDOW:
    on_window(runtime, &message->header);
    return true;
  case KIND_PROBE:
    probe_message(runtime, broker, message->body);
    return true;
  case KIND_DRAIN:
    runtime_drained(runtime, broker);
    return true;
  default:
    return false;
  }
}
