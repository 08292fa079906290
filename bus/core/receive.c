/* Requests as they come in: checked, counted against quotas, kept, and routed when their body is whole. */
#include "bus/core/core-internal.h"

#include <stdlib.h>

static void set_text(char *to, uint8_t *ret_size, Text text) {
  if (text.size)
    memcpy(to, text.data, text.size);
  *ret_size = (uint8_t)text.size;
}

/* The broker can't know how long ago it was sent first; what the client says is made longer by what its clock may be slow, and
   by the time that it may have been on its way from a client that would have moved after it. */
static uint64_t first_sent_us(const Core *core, const Header *header) {
  uint64_t age_us = header->age_us ? header->age_us : TIME_HORIZON_US;
  uint64_t ago_us = age_us + age_us / 64 + core->options.ping_interval_us + core->options.ping_timeout_us;

  return core->now_us > ago_us ? core->now_us - ago_us : 0;
}

/* What a client that has sent it before has of it. How many bytes that is only the instance knows. */
static void expect_rest(const Core *core, Request *request, const Header *header) {
  request->first_us = first_sent_us(core, header);
  request->chunks = header->number;
  request->execution = header->number > 0 ? header->execution : 0;
  request->window_bytes = header->window_bytes;
}

static Request *new_request(Core *core, Session *session, const Header *header) {
  Request *request = calloc(1, sizeof *request);

  if (!request)
    abort();
  request->id = header->id;
  request->client = session->client;
  request->attempt = header->attempt;
  request->flags = header->flags;
  request->priority = header->priority;
  request->moved = header->attempt > 0;
  request->confirmed = session->answered;
  request->received_us = core->now_us;
  request->waiting_us = core->now_us;
  request->due_us = core->now_us + header->deadline_us;
  request->window_bytes = min_u64(header->window_bytes, LIMIT_STREAM_WINDOW_BYTES);
  if (request->moved)
    expect_rest(core, request, header);
  request->trace = header->trace;
  set_text(request->method, &request->method_size, header->method);
  set_text(request->content_type, &request->content_type_size, header->content_type);
  if (header->annotations.size)
    request->annotations = block_copy(header->annotations);
  list_init(&request->children);
  list_push(&session->client->requests, &request->in_client);
  session->client->n_requests++;
  core->n_requests++;
  core->n_unanswered++;
  table_add(&core->requests, &request->link, request_id_hash(request->id));
  request->deadline.on_due = request_on_due;
  core_set_timer(core, &request->deadline, request->due_us);
  return request;
}

/* Whether so many bytes more can be kept. */
static Status check_bytes(const Core *core, const Client *client, size_t bytes) {
  const CoreLimits *limits = &core->options.limits;

  if (client->kept_bytes + bytes > limits->client_bytes)
    return STATUS_QUOTA;
  return core->kept_bytes + bytes > limits->all_bytes ? STATUS_OVERLOADED : STATUS_OK;
}

/* Why a request is refused before anything is made of it. */
static Status check(const Core *core, const Session *session, const Header *header, size_t body_bytes) {
  if (header->deadline_us == 0)
    return STATUS_NO_DEADLINE;
  if (core->draining && !text_is(header->service, "pons"))
    return STATUS_DRAINING;
  if (session->client->n_requests >= core->options.limits.client_requests)
    return STATUS_QUOTA;
  if (core->n_requests >= LIMIT_ALL_REQUESTS)
    return STATUS_OVERLOADED;
  return check_bytes(core, session->client, body_bytes);
}

static void refuse_because(Core *core, Session *session, const Header *header, Status status, const char *why) {
  Request shadow = {.id = header->id, .attempt = header->attempt};

  core->counters[COUNTER_REFUSED]++;
  trace_step(core, &shadow, STEP_REFUSED, NULL, status);
  core_send_error(core, session, header->id, status, why, NULL,
                  status_retry(status) == RETRY_LATER ? 10 * US_PER_MS : 0);
}

static void refuse(Core *core, Session *session, const Header *header, Status status) {
  refuse_because(core, session, header, status, NULL);
}

/* Keeps the first part of the body, and routes the request if that was all. */
static void begin(Core *core, Request *request, const Header *header, Bytes body, Block *block) {
  request_keep_part(core, request, body, block);
  if (header->flags & FLAG_MORE) {
    request->state = REQUEST_RECEIVING;
    free(request->targets);
    request->targets = calloc(1, sizeof(Target));
    if (!request->targets)
      abort();
    memcpy(request->targets->service, header->service.data, header->service.size);
    return;
  }
  free(TAKE(request->targets));
  request->flags &= ~(uint32_t)FLAG_MORE;
  request_route(core, request, header->service, request_method(request));
}

/* What an instance still has of a request that was cancelled while its client was away. A second one of the same id
   would be mixed up with it, so the client hears what it may do under a new id. */
static Status status_of_cancelled(const Request *request) {
  return request->idempotent ? STATUS_WORKER_LOST : STATUS_UNKNOWN;
}

/* Takes off it what this broker has made of it so far: who has it is asked. */
static void begin_anew(Core *core, Request *request, const Header *header) {
  Session *worker = request->worker;

  probe_stop(core, request);
  if (request->queue)
    queue_remove(core, request);
  if (worker)
    request_release(core, request); /* who has it says so when it is asked */
  request_drop_held(request);
  request_drop_body(core, request);
  registry_unref(core, &request->service);
  free(TAKE(request->targets));
  request->n_targets = 0;
  request->only = NULL;
  request->hop = 0;
  set_text(request->method, &request->method_size, header->method); /* a FORWARD may have put another there */
  block_unref(&request->annotations);
  request->annotations = header->annotations.size ? block_copy(header->annotations) : NULL;
  request->moved = true;
  request->doubtful = request->forwarded = request->has_parts = request->stream_hole = false;
  request->chunk_bytes = request->part_bytes = 0;
  expect_rest(core, request, header);
  if (worker)
    dispatch_pump_instance(core, worker);
}

static bool can_ask(const Request *request) {
  return !request->worker || (request->worker->features & FEATURE_PROBE);
}

/* Whether what this broker has of it may be older than what another has made of it. A basic instance goes on with what it has,
   and can't be asked. */
static bool was_elsewhere(const Core *core, const Request *request, const Header *header) {
  return core->options.has_peer && header->attempt > request->attempt + 1 && can_ask(request) &&
         request->state != REQUEST_COLLECTING && request->state != REQUEST_ANSWERED;
}

/* Whether what its client has of the stream is of another execution than what this broker has passed on. */
static bool has_of_another(const Request *request, const Header *header) {
  return header->number > 0 && header->execution && request->execution && header->execution != request->execution;
}

/* Whether its client lacks something of the stream that this broker has passed on. (One that says no age says no chunk.) */
static bool has_gap(const Request *request, const Header *header) {
  return header->age_us > 0 && request->n_children == 0 &&
         (request->state == REQUEST_EXECUTING || request->state == REQUEST_ANSWERED) &&
         (request->stream_hole || header->number != request->chunks || has_of_another(request, header));
}

/* The same request again, after its client has moved or come back: it is attached, not done again. A body of which a part
   was lost with the old session begins anew. */
static void attach(Core *core, Session *session, Request *request, const Header *header, Bytes body, Block *block) {
  bool gap = has_gap(request, header);
  bool is_old = was_elsewhere(core, request, header) || (gap && can_ask(request));

  if (header->attempt <= request->attempt) {
    refuse(core, session, header, STATUS_DUPLICATE);
    return;
  }
  if (!request->client) {
    refuse(core, session, header, status_of_cancelled(request));
    return;
  }
  request->attempt = header->attempt;
  request->confirmed = session->answered;
  trace_step(core, request, STEP_ATTACHED, NULL, STATUS_OK);
  if (gap && !is_old) {
    request_fail(core, request, request_status_cut(request), "a part of it is no longer kept", 0);
    return;
  }
  if (is_old)
    begin_anew(core, request, header);
  else if (request->state != REQUEST_RECEIVING) {
    once_confirmed(core, request);
    return;
  }
  request_drop_body(core, request);
  if (check_bytes(core, request->client, body.size) == STATUS_OK)
    begin(core, request, header, body, block);
  else
    request_fail(core, request, STATUS_QUOTA, NULL, 10 * US_PER_MS);
}

void request_receive(Core *core, Session *session, const Header *header, Bytes body, Block *block) {
  Request *request = request_find(core, header->id);
  Status status;

  if (header->id.client.value != session->client->id.value) {
    refuse(core, session, header, STATUS_FOREIGN_ID);
    return;
  }
  if (!may(core, session, RIGHTS_CALL, header->service, header->method)) {
    refuse_because(core, session, header, STATUS_DENIED, core->denial);
    return;
  }
  if (request) {
    attach(core, session, request, header, body, block);
    return;
  }
  status = check(core, session, header, body.size);
  if (status != STATUS_OK) {
    refuse(core, session, header, status);
    return;
  }
  request = new_request(core, session, header);
  core->counters[COUNTER_REQUESTS]++;
  trace_step(core, request, STEP_RECEIVED, NULL, STATUS_OK);
  begin(core, request, header, body, block);
}

bool request_refuse_named(Core *core, const Session *session, RequestId id, Status status, const char *what) {
  Request *request = request_find(core, id);

  if (!request || !request->client || request->client != session->client)
    return false;
  request_fail(core, request, status, what, 0);
  return true;
}

/* Takes the part, or says why not. */
static Status take_part(Core *core, Request *request, const Header *header, Bytes body, Block *block) {
  Status status = check_bytes(core, request->client, body.size);

  if (header->number != request->n_parts)
    return STATUS_MALFORMED;
  if (request->n_parts == LIMIT_REQUEST_PARTS || request->kept_bytes + body.size > LIMIT_REQUEST_BYTES)
    return STATUS_TOO_LARGE;
  if (status == STATUS_OK)
    request_keep_part(core, request, body, block);
  return status;
}

bool request_receive_part(Core *core, Session *session, const Header *header, Bytes body, Block *block) {
  Request *request = request_find(core, header->id);
  Target target;
  Status status;

  if (!request || request->state != REQUEST_RECEIVING || request->client != session->client)
    return false;
  status = take_part(core, request, header, body, block);
  if (status != STATUS_OK) {
    core->counters[COUNTER_MALFORMED] += status == STATUS_MALFORMED;
    request_fail(core, request, status, status == STATUS_MALFORMED ? "a CHUNK of the request's body is missing" : NULL,
                 status_retry(status) == RETRY_LATER ? 10 * US_PER_MS : 0);
    return true;
  }
  if (header->flags & FLAG_MORE)
    return true;
  target = *request->targets;
  free(TAKE(request->targets));
  request->flags &= ~(uint32_t)FLAG_MORE;
  request_route(core, request, text_of(target.service), request_method(request));
  return true;
}
