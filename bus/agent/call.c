/* A call from its REQUEST to its answer. It lives until it is answered and its handler has returned; answers that pool threads
   give are handed to the loop, which alone sends. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus/agent/agent-internal.h"
#include "bus/base/log.h"

/* --- making --- */

static Bytes keep(uint8_t **at, const void *data, size_t size) {
  Bytes kept = {*at, size};

  if (size)
    memcpy(*at, data, size);
  *at += size;
  return kept;
}

static Text keep_text(uint8_t **at, Text text) {
  Bytes kept = keep(at, text.data, text.size);

  return (Text){(const char *)kept.data, kept.size};
}

Call *call_new(Runtime *runtime, const Header *header, Bytes body, Block *block, size_t struct_bytes) {
  size_t copied = block ? 0 : body.size;
  Call *call = malloc(sizeof *call + struct_bytes + header->service.size + header->method.size +
                      header->content_type.size + header->annotations.size + copied);
  uint8_t *at;

  if (!call)
    abort();
  *call = (Call){
      .runtime = runtime,
      .id = header->id,
      .attempt = header->attempt,
      .hop = header->hop,
      .priority = header->fields & HAS(PRIORITY) ? header->priority : PRIORITY_NORMAL,
      .flags = header->flags,
      .due_us = loop_now_us(runtime->loop) + header->deadline_us,
      .trace = header->trace,
      .references = 1,
      .window_bytes = header->window_bytes,
      .execution = ++runtime->executions,
  };
  list_init(&call->pieces);
  at = call->tail + struct_bytes;
  call->service = keep_text(&at, header->service);
  call->method_name = keep_text(&at, header->method);
  call->content_type = keep_text(&at, header->content_type);
  call->annotations = keep(&at, header->annotations.data, header->annotations.size);
  if (block) {
    call->block = block_ref(block);
    call->body = body;
  } else {
    call->body = keep(&at, body.data, body.size);
  }
  return call;
}

void call_unref(Call *call) {
  if (atomic_fetch_sub(&call->references, 1) != 1)
    return;
  pieces_drop(call, UINT64_MAX);
  block_unref(&call->block);
  block_unref(&call->out_block);
  arena_done(&call->arena);
  buffer_done(&call->assembled);
  buffer_done(&call->chunk);
  buffer_done(&call->out_bytes);
  buffer_done(&call->out_extra);
  free(call);
}

/* --- ending, on the loop --- */

/* What is idempotent is done again; but not when its reader has had a piece, nor when it may have had one from where this was
   forwarded to: it is looked for there. */
static bool leads_to_a_piece(const Call *call) {
  return client_brokers(call->runtime->client) > 1 && (call->chunks > 0 || call->out.kind == KIND_FORWARD);
}

/* How many chunks there were, of which execution, and how many bytes went before those that are kept, stands in the header. */
static void remember(Call *call) {
  Runtime *runtime = call->runtime;
  _cleanup_(buffer_done) Buffer pieces = {0};
  Header header = call->out;

  if (call->forgettable && (!leads_to_a_piece(call) || call->out.status == STATUS_CANCELLED))
    return;
  buffer_clear(&runtime->header);
  header.number = call->chunks;
  header.execution = call->chunks > 0 ? call->execution : 0;
  header.window_bytes = call->pieces_before_bytes;
  header_encode(&header, &runtime->header);
  if (call->chunks > 0)
    pieces_write(call, &pieces);
  memory_put(&runtime->memory, call->id, call->hop, call->attempt,
             &(MemoryReply){buffer_bytes(&runtime->header), call->out_body, buffer_bytes(&pieces)},
             loop_now_us(runtime->loop));
}

void call_send_end(Call *call) {
  Runtime *runtime = call->runtime;

  call->out.id = call->id;
  call->out.attempt = call->attempt;
  if (call->out.kind == KIND_REPLY) {
    call->out.number = call->chunks;
    call->out.execution = call->chunks > 0 ? call->execution : 0;
  }
  remember(call);
  brokers_send(call, &call->out, call->out_body, call->out_block);
  runtime_unlist(runtime, call);
  call_unref(call);
}

void call_send(Call *call) {
  call_flush_chunks(call);
  if (call->out.kind == KIND_REPLY && call->out_body.size > LIMIT_BODY_BYTES && brokers_any(call->runtime))
    parts_begin(call);
  else
    call_send_end(call);
}

/* Whoever keeps it comes after the runtime, which answered at the deadline: its reference goes. */
static bool is_too_late(Call *call) {
  Pool *pool = &call->runtime->pool;
  bool expired;

  pthread_mutex_lock(&pool->mutex);
  expired = list_has(&call->in_expired);
  list_remove(&call->in_expired);
  pthread_mutex_unlock(&pool->mutex);
  if (expired && atomic_exchange(&call->keeper, false))
    call_unref(call);
  return expired;
}

/* The first to answer wins. After false the caller must not touch the call. */
static bool begin_answer(Call *call) {
  if (!atomic_exchange(&call->answered, true))
    return true;
  if (is_too_late(call))
    return false;
  log_warning("PONS-CALL-ANSWERED-TWICE", "a handler of %.*s.%.*s answered a call twice; the second answer is dropped",
              TEXT_ARG(call->service), TEXT_ARG(call->method_name));
  return false;
}

/* Between short handlers of the loop no deadline comes: there the look at the clock is spared. */
static bool is_late(const Call *call) {
  bool may_be = !call->method->row->inline_ || call->runtime->credit.prefetch < CREDIT_PREFETCH_MAX;

  return may_be && clock_monotonic_us() >= call->due_us;
}

/* What a handler says that was cut short by the deadline is no result, and nobody waits for it. */
static void say_deadline(Call *call) {
  block_unref(&call->out_block);
  buffer_clear(&call->out_bytes);
  call_put_error(
      call, &(CallFault){.status = STATUS_DEADLINE, .message = TEXT("the deadline came before the work was done")});
}

/* Sends the answer, or hands it to the loop, for which out_body must be the call's own by now. */
static void deliver(Call *call) {
  Runtime *runtime = call->runtime;
  bool keeper = atomic_exchange(&call->keeper, false);

  if (call->out.kind == KIND_REPLY && is_late(call))
    say_deadline(call);
  if (runtime_is_here(runtime)) {
    call_send(call);
  } else {
    pthread_mutex_lock(&runtime->pool.mutex);
    list_push(&runtime->pool.outcomes, &call->in_outcome);
    pool_post(runtime);
    pthread_mutex_unlock(&runtime->pool.mutex);
  }
  if (keeper)
    call_unref(call);
}

/* Where an answer's body is written: on the loop it is sent at once, so all share one buffer. */
static Buffer *body_buffer(Call *call) {
  if (!runtime_is_here(call->runtime))
    return &call->out_bytes;
  buffer_clear(&call->runtime->scratch);
  return &call->runtime->scratch;
}

void call_put_error(Call *call, const CallFault *fault) {
  Buffer *buffer = body_buffer(call);
  ErrorBody body = {
      .message = text_at_most(fault->message, 1024),
      .has_path = fault->path.size > 0,
      .path = text_at_most(fault->path, 256),
      .has_retry_after_us = fault->retry_after_us > 0,
      .retry_after_us = min_u64(fault->retry_after_us, 3600 * US_PER_S),
      .has_origin = true,
      .origin = text_of(call->runtime->name),
      .has_code = fault->code.size > 0,
      .code = text_at_most(fault->code, 64),
      .has_http_status = fault->http_status > 0,
      .http_status = fault->http_status,
  };
  Status status = fault->status == STATUS_OK ? STATUS_INTERNAL : fault->status;

  if (contract_encode(CONTRACT(ErrorBody), &body, buffer, NULL) != 0) {
    body = (ErrorBody){.message = text_of(status_about(status)), .has_origin = true, .origin = body.origin};
    contract_encode(CONTRACT(ErrorBody), &body, buffer, NULL); /* something in it was no text */
  }
  call->out = (Header){.kind = KIND_ERROR, .status = status};
  call->out_body = buffer_bytes(buffer);
}

static void put_formatted_error(Call *call, Status status, const char *path, uint64_t retry_after_us,
                                const char *format, va_list arguments) {
  char message[1025];

  vsnprintf(message, sizeof message, format, arguments);
  call_put_error(call, &(CallFault){.status = status,
                                    .message = text_of(message),
                                    .path = text_of(path),
                                    .retry_after_us = retry_after_us});
}

void call_error(Call *call, Status status, const char *format, ...) {
  va_list arguments;

  if (!begin_answer(call))
    return;
  va_start(arguments, format);
  put_formatted_error(call, status, NULL, 0, format, arguments);
  va_end(arguments);
  deliver(call);
}

void call_error_full(Call *call, Status status, const char *path, uint64_t retry_after_us, const char *format, ...) {
  va_list arguments;

  if (!begin_answer(call))
    return;
  va_start(arguments, format);
  put_formatted_error(call, status, path, retry_after_us, format, arguments);
  va_end(arguments);
  deliver(call);
}

void call_fail(Call *call, const CallFault *fault) {
  if (!begin_answer(call))
    return;
  call_put_error(call, fault);
  deliver(call);
}

void call_refuse(Call *call, Status status) {
  if (!begin_answer(call))
    return;
  call->forgettable = true;
  call_put_error(call, &(CallFault){.status = status, .message = text_of(status_about(status))});
  call_send(call);
}

/* --- answering --- */

/* What the agent gave does not fit its own contract: our side is wrong, and its log says where. */
static void blame(Call *call, const ContractFault *fault) {
  log_error("PONS-CALL-CONTRACT", "%.*s.%.*s: what the handler answered does not fit the contract: %s: %s",
            TEXT_ARG(call->service), TEXT_ARG(call->method_name), fault->path, fault->message);
  call_error_full(call, STATUS_INTERNAL, fault->path, 0, "the agent's answer does not fit its contract: %s",
                  fault->message);
}

/* Answers TOO_LARGE, and says so, when the caller does not take that much. */
static bool refuse_size(Call *call, size_t bytes) {
  if (parts_fit(call, bytes))
    return false;
  if (bytes > LIMIT_REPLY_BYTES)
    call_error(call, STATUS_TOO_LARGE, "the reply has %zu bytes; over %d it must be streamed", bytes,
               LIMIT_REPLY_BYTES);
  else
    call_error(call, STATUS_TOO_LARGE,
               "the reply has %zu bytes; over %d it comes in parts, for which the request needs a window", bytes,
               LIMIT_BODY_BYTES);
  return true;
}

int call_reply(Call *call, const void *reply) {
  const MethodContract *contract = call->method->contract;
  Buffer *buffer;
  ContractFault fault;
  int r;

  if (!contract) {
    call_error(call, STATUS_INTERNAL, "the method has no contract; its handler must answer with call_reply_raw");
    return -EINVAL;
  }
  if (atomic_load(&call->answered)) {
    begin_answer(call);
    return -EALREADY;
  }
  buffer = body_buffer(call);
  r = contract_encode(contract->reply, reply, buffer, &fault);
  if (r != 0) {
    blame(call, &fault);
    return r;
  }
  if (refuse_size(call, buffer->size))
    return -EMSGSIZE;
  if (!begin_answer(call))
    return -EALREADY;
  call->out = (Header){.kind = KIND_REPLY};
  call->out_body = buffer_bytes(buffer);
  deliver(call);
  return 0;
}

int call_reply_raw(Call *call, Bytes body, Block *block, Text content_type) {
  if (content_type.size > LIMIT_CONTENT_TYPE_BYTES) {
    call_error(call, STATUS_INTERNAL, "the content type of the agent's reply has %zu bytes, and at most %d fit",
               content_type.size, LIMIT_CONTENT_TYPE_BYTES);
    return -EINVAL;
  }
  if (refuse_size(call, body.size))
    return -EMSGSIZE;
  if (!begin_answer(call))
    return -EALREADY;
  buffer_append(&call->out_extra, content_type.data, content_type.size);
  call->out = (Header){.kind = KIND_REPLY, .content_type = {(const char *)call->out_extra.data, content_type.size}};
  call->out_body = body;
  if (block) {
    call->out_block = block_ref(block);
  } else if (!runtime_is_here(call->runtime)) {
    buffer_append(&call->out_bytes, body.data, body.size);
    call->out_body = buffer_bytes(&call->out_bytes);
  }
  deliver(call);
  return 0;
}

/* Puts the body of FORWARD together. Returns 0 or -EINVAL. */
static int put_forward(Call *call, const CallTarget *targets, size_t count, Bytes annotations) {
  ForwardTarget list[LIMIT_FORWARD_TARGETS];
  ForwardBody body = {.targets = {list, count}};
  Buffer *buffer = body_buffer(call);

  if (count == 0 || count > LIMIT_FORWARD_TARGETS || call->accepted_bytes > 0 ||
      annotations.size > LIMIT_ANNOTATIONS_BYTES)
    return -EINVAL;
  for (size_t i = 0; i < count; i++)
    list[i] = (ForwardTarget){.service = targets[i].service, .method = targets[i].method};
  if (contract_encode(CONTRACT(ForwardBody), &body, buffer, NULL) != 0)
    return -EINVAL;
  buffer_append(&call->out_extra, annotations.data, annotations.size);
  call->out = (Header){.kind = KIND_FORWARD, .annotations = {call->out_extra.data, annotations.size}};
  call->out_body = buffer_bytes(buffer);
  return 0;
}

int call_forward(Call *call, const CallTarget *targets, size_t count, Bytes annotations) {
  if (!begin_answer(call))
    return -EALREADY;
  if (put_forward(call, targets, count, annotations) == 0) {
    deliver(call);
    return 0;
  }
  call_put_error(call,
                 &(CallFault){.status = STATUS_INTERNAL,
                              .message = TEXT("the agent forwarded to no target, to more than four, to no name, or "
                                              "after a piece of a stream")});
  deliver(call);
  return -EINVAL;
}

/* --- running --- */

static void run_handler(Call *call) {
  if (is_late(call)) {
    call_error(call, STATUS_DEADLINE, "the deadline came before the work was begun");
    return;
  }
  call->method->row->handler(call, call->request);
  if (!atomic_load(&call->answered) && !atomic_load(&call->kept))
    call_error(call, STATUS_INTERNAL, "the handler returned without an answer");
}

void call_run(Call *call) {
  run_handler(call);
  call_unref(call);
}

void call_keep(Call *call) {
  atomic_store(&call->kept, true);
  if (!atomic_load(&call->answered) && !atomic_exchange(&call->keeper, true))
    atomic_fetch_add(&call->references, 1);
}

static bool take_from_queue(Call *call) {
  Pool *pool = &call->runtime->pool;
  bool queued;

  pthread_mutex_lock(&pool->mutex);
  queued = list_has(&call->in_queue);
  if (queued)
    list_remove(&call->in_queue);
  else
    atomic_store(&call->cancelled, true);
  pthread_cond_broadcast(&pool->window);
  pthread_mutex_unlock(&pool->mutex);
  return queued;
}

/* Answers DEADLINE for who keeps the call and does not. It may touch the call until it has tried. */
static void expire(Call *call) {
  Runtime *runtime = call->runtime;
  bool late;

  pthread_mutex_lock(&runtime->pool.mutex);
  late = atomic_load(&call->keeper) && !atomic_exchange(&call->answered, true);
  if (late)
    list_push(&runtime->expired, &call->in_expired);
  pthread_mutex_unlock(&runtime->pool.mutex);
  if (!late)
    return;
  call_put_error(call, &(CallFault){.status = STATUS_DEADLINE, .message = text_of(status_about(STATUS_DEADLINE))});
  call_send(call);
}

/* Tells who has it in hand. Returns whether it is still unanswered. */
static bool tell(Call *call, Status status) {
  void (*on_cancel)(void *userdata, Call *call) = call->on_cancel;
  bool goes_on;

  atomic_fetch_add(&call->references, 1);
  call->on_cancel = NULL;
  if (on_cancel)
    on_cancel(call->cancel_userdata, call);
  if (status == STATUS_DEADLINE)
    expire(call);
  goes_on = !atomic_load(&call->answered);
  call_unref(call);
  return goes_on;
}

bool call_stop(Call *call, Status status) {
  if (call->sending) {
    parts_stop(call, status);
    return false;
  }
  if (atomic_load(&call->answered))
    return false;
  if (call->assembling) {
    call_refuse(call, status);
    return false;
  }
  if (take_from_queue(call)) {
    call_refuse(call, status);
    call_unref(call); /* the pool's */
    return false;
  }
  return tell(call, status);
}

void call_on_cancel(Call *call, void (*on_cancel)(void *userdata, Call *call), void *userdata) {
  call->on_cancel = on_cancel;
  call->cancel_userdata = userdata;
}
