/* The life of a request: received whole or in parts, routed, handed to an instance, ended exactly once for its client.
   `client` is the mark of that: it is set from receipt to the one end, and who ends it clears it. What an instance still
   executes after that stays as REQUEST_CANCELLED until the instance answers, because its credit is in use until then. */
#include "bus/core/core-internal.h"

#include <assert.h>
#include <stdlib.h>

/* The one whose body and annotations are sent: a child of service@* has none of its own. */
static Request *source(Request *request) {
  return request->parent ? request->parent : request;
}

/* --- the kept body --- */

void request_keep_part(Core *core, Request *request, Bytes body, Block *block) {
  Block *part = block ? block_ref(block) : block_copy(body);

  if (request->n_parts == 0) {
    request->part = part;
  } else {
    if (request->n_parts == 1) {
      request->parts = calloc(LIMIT_REQUEST_PARTS, sizeof(Block *));
      if (!request->parts)
        abort();
      request->parts[0] = request->part;
    }
    request->parts[request->n_parts] = part;
  }
  request->n_parts++;
  request->kept_bytes += body.size;
  request->client->kept_bytes += body.size;
  core->kept_bytes += body.size;
}

static Block **parts(Request *request) {
  return request->parts ? request->parts : &request->part;
}

Status request_status_cut(const Request *request) {
  return request->flags & FLAG_STREAM ? STATUS_STREAM_LOST : STATUS_WORKER_LOST;
}

void request_drop_body(Core *core, Request *request) {
  for (uint32_t i = 0; i < request->n_parts; i++)
    block_unref(&parts(request)[i]);
  free(TAKE(request->parts));
  request->part = NULL;
  request->n_parts = 0;
  if (request->client)
    request->client->kept_bytes -= request->kept_bytes;
  core->kept_bytes -= request->kept_bytes;
  request->kept_bytes = 0;
}

/* --- ending --- */

/* Takes the request away from its client: its one end is being told. */
static void detach(Core *core, Request *request) {
  assert(request->client);
  request_drop_body(core, request);
  list_remove(&request->in_client);
  request->client->n_requests--;
  request->client = NULL;
  core->n_unanswered--;
  core_stop_timer(core, &request->deadline);
  block_unref(&request->annotations);
}

void request_drop_held(Request *request) {
  HeldAnswer *held = TAKE(request->held);

  if (!held)
    return;
  block_unref(&held->body);
  free(held);
}

void request_free(Core *core, Request *request) {
  if (request->client)
    detach(core, request);
  probe_stop(core, request);
  if (request->queue)
    queue_remove(core, request);
  assert(!request->worker && request->n_children == request->n_answered);
  core_stop_timer(core, &request->deadline);
  if (request->parent)
    list_remove(&request->in_parent);
  else
    table_remove(&core->requests, &request->link);
  block_unref(&request->annotations);
  free(request->targets);
  request_drop_held(request);
  registry_unref(core, &request->service);
  core->n_requests--;
  free(request);
}

/* Ends what still runs or waits of a request that has ended for its client. */
static void stop_work(Core *core, Request *request) {
  probe_cancel(core, request);
  probe_stop(core, request);
  if (request->queue)
    queue_remove(core, request);
  if (request->worker) {
    Header cancel = {.kind = KIND_CANCEL, .id = request->id, .attempt = request->attempt};

    request->state = REQUEST_CANCELLED;
    core_send(core, request->worker, &cancel, BYTES_NONE, NULL);
    return;
  }
  if (request->state == REQUEST_COLLECTING) {
    LIST_EACH (&request->children, Request, in_parent, child) {
      if (!child->worker)
        request->n_answered++;
      stop_work(core, child);
    }
    if (request->n_answered < request->n_children)
      return;
  }
  request_free(core, request);
}

void request_cancel(Core *core, Request *request) {
  core->counters[COUNTER_CANCELS]++;
  trace_step(core, request, STEP_CANCELLED, request->worker, STATUS_OK);
  detach(core, request);
  stop_work(core, request);
}

/* Keeps the answer for a client that is away. Its bytes count as the client's. */
static void hold(Core *core, Request *request, const Header *header, Bytes body, Block *block) {
  HeldAnswer *held = calloc(1, sizeof *held);

  if (!held)
    abort();
  request_drop_body(core, request);
  request_drop_held(request); /* a later word about it replaces the first */
  held->header = (Header){.kind = header->kind, .id = request->id, .status = header->status, .number = header->number};
  if (request->client->kept_bytes + body.size > core->options.limits.client_bytes ||
      core->kept_bytes + body.size > core->options.limits.all_bytes) {
    held->header = (Header){.kind = KIND_ERROR, .id = request->id, .status = STATUS_GONE};
  } else {
    Block *annotations = header->annotations.size ? block_copy(header->annotations) : NULL;

    block_unref(&request->annotations);
    request->annotations = annotations;
    held->header.annotations = block_bytes(annotations);
    if (header->content_type.size)
      memcpy(request->content_type, header->content_type.data, header->content_type.size);
    held->header.content_type = (Text){request->content_type, header->content_type.size};
    held->body = block ? block_ref(block) : block_copy(body);
  }
  request->kept_bytes = block_bytes(held->body).size;
  request->client->kept_bytes += request->kept_bytes;
  core->kept_bytes += request->kept_bytes;
  request->held = held;
  request->state = REQUEST_ANSWERED;
  core_set_timer(core, &request->deadline, request->due_us);
  trace_step(core, request, STEP_HELD, NULL, header->status);
}

/* Tells a client that is here. */
static void tell(Core *core, const Request *request, const Header *header, Bytes body, Block *block) {
  Header out = *header;

  out.id = request->id;
  out.attempt = request->attempt;
  core_send(core, request->client->session, &out, body, block);
}

void request_fail(Core *core, Request *request, Status status, const char *message, uint64_t retry_after_us) {
  _cleanup_(buffer_done) Buffer body = {0};
  Header error = {.kind = KIND_ERROR, .id = request->id, .status = status};
  bool expired = status == STATUS_DEADLINE;

  if (!request->parent && !request->client) {
    request_free(core, request);
    return;
  }
  core_put_error(core, &body, status, message, NULL, retry_after_us);
  if (request->parent) {
    collect_answer(core, request, &error, buffer_bytes(&body), NULL);
    return;
  }
  if (!request->client->session && !expired && !request->worker && request->state != REQUEST_COLLECTING) {
    probe_stop(core, request);
    if (request->queue)
      queue_remove(core, request);
    hold(core, request, &error, buffer_bytes(&body), NULL);
    return;
  }
  core->counters[expired ? COUNTER_EXPIRED : COUNTER_ERRORS]++;
  core->counters[COUNTER_UNKNOWN] += status == STATUS_UNKNOWN;
  trace_step(core, request, expired ? STEP_EXPIRED : STEP_FAILED, request->worker, status);
  if (request->client->session)
    tell(core, request, &error, buffer_bytes(&body), NULL);
  detach(core, request);
  stop_work(core, request);
}

/* An answer as its client should see it, whatever the instance wrote into it. */
static Header made_sense_of(const Request *request, const Header *header) {
  Header out = {
      .kind = header->kind,
      .status = header->status,
      .number = header->number,
      .content_type = header->content_type,
      .annotations = header->annotations,
  };

  if (out.kind == KIND_REPLY) {
    out.status = STATUS_OK;
    out.number = request->n_children > 0 ? header->number : request->chunks;
    out.execution = request->execution;
  } else if (out.status == STATUS_OK) {
    out.status = STATUS_INTERNAL;
  }
  return out;
}

void request_answer(Core *core, Request *request, const Header *header, Bytes body, Block *block) {
  Header out = made_sense_of(request, header);
  bool ok = out.kind == KIND_REPLY;

  if (request->parent) {
    collect_answer(core, request, &out, body, block);
    return;
  }
  if (request->client && !request->client->session) {
    hold(core, request, &out, body, block);
    return;
  }
  if (request->client) {
    core->counters[ok ? COUNTER_REPLIES : COUNTER_ERRORS]++;
    trace_step(core, request, ok ? STEP_REPLIED : STEP_FAILED, NULL, out.status);
    tell(core, request, &out, body, block);
  }
  request_free(core, request);
}

/* --- the deadline --- */

void request_on_due(Core *core, Timer *timer, uint64_t now_us) {
  Request *request = CONTAINER_OF(timer, Request, deadline);

  if (now_us < request->due_us)
    request_fail(core, request, STATUS_OVERLOADED, "no instance took it for as long as `once` work may wait", US_PER_S);
  else
    request_fail(core, request, STATUS_DEADLINE, NULL, 0);
}

void request_watch_deadline(Core *core, Request *request) {
  uint64_t at = request->due_us;

  if (request->state == REQUEST_QUEUED && !request->idempotent)
    at = min_u64(at, request->waiting_us + TIME_HORIZON_US);
  if (!request->parent && request->deadline.entry.at_us != at)
    core_set_timer(core, &request->deadline, at);
}

/* --- handing on --- */

/* It is in the hands of the offer's instance from now on. */
static void begin(Core *core, Request *request, Offer *offer) {
  Session *session = offer->session;

  request->state = REQUEST_EXECUTING;
  request->worker = session;
  request->offer = offer;
  request->given = request->attempt;
  request->idempotent = offer_is_idempotent(offer, request);
  request->sent_us = core->now_us;
  list_push(&session->executing, &request->in_holder);
  session->n_executing++;
  dispatch_note_room(session);
}

void request_send(Core *core, Request *request, Offer *offer) {
  Session *session = offer->session;
  Request *from = source(request);
  Block *first = from->n_parts ? parts(from)[0] : NULL;
  Header header = {
      .kind = KIND_REQUEST,
      .id = request->id,
      .attempt = request->attempt,
      .hop = request->hop,
      .service = {offer->service->name, offer->service->size},
      .method = request_method(request),
      .deadline_us = request->due_us > core->now_us ? request->due_us - core->now_us : 1,
      .priority = request->priority,
      .flags = (request->flags & (FLAG_STREAM | FLAG_IDEMPOTENT)) | (from->n_parts > 1 ? FLAG_MORE : 0),
      .trace = request->trace,
      .content_type = {request->content_type, request->content_type_size},
      .window_bytes = request->window_bytes,
      .annotations = block_bytes(from->annotations),
  };

  assert(session->n_executing < session->credit && !request->worker);
  if (core->now_us >= request->due_us) {
    request_fail(core, request, STATUS_DEADLINE, NULL, 0);
    return;
  }
  begin(core, request, offer);
  trace_step(core, request, STEP_SENT, session, STATUS_OK);
  core_send(core, session, &header, block_bytes(first), first);
  for (uint32_t i = 1; i < from->n_parts; i++) {
    Header more = {.kind = KIND_CHUNK, .id = request->id, .number = i, .flags = i + 1 < from->n_parts ? FLAG_MORE : 0};

    core_send(core, session, &more, block_bytes(parts(from)[i]), parts(from)[i]);
  }
  request_watch_deadline(core, request);
  session_watch(core, session);
}

void request_attach(Core *core, Request *request, Offer *offer) {
  assert(!request->worker && !request->queue);
  begin(core, request, offer);
  request->attached = true;
  core->counters[COUNTER_TAKEN_OVER]++;
  trace_step(core, request, STEP_ATTACHED, offer->session, STATUS_OK);
  request_watch_deadline(core, request);
  session_watch(core, offer->session);
}

void request_release(Core *core, Request *request) {
  Session *session = TAKE(request->worker);

  (void)core;
  list_remove(&request->in_holder);
  session->n_executing--;
  dispatch_note_room(session);
  request->offer = NULL;
  request->attached = false;
}

Request *request_find(const Core *core, RequestId id) {
  uint64_t hash = request_id_hash(id);

  for (TableLink *at = table_bucket(&core->requests, hash); at; at = at->next) {
    Request *request = CONTAINER_OF(at, Request, link);

    if (at->hash == hash && request_id_equal(request->id, id))
      return request;
  }
  return NULL;
}

Request *request_find_executing(Core *core, const Session *session, RequestId id) {
  Request *request = request_find(core, id);

  if (!request || request->worker == session)
    return request;
  if (request->n_children > 0)
    LIST_EACH (&request->children, Request, in_parent, child) {
      if (child->worker == session)
        return child;
    }
  return NULL;
}
