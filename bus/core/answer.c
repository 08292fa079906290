/* What instances send about the requests they execute. Anything about a request that is not theirs, or has ended, is
   stray: it crossed a CANCEL or a deadline on the way, and is dropped. */
#include "bus/core/core-internal.h"

#include <stdlib.h>

/* The request, or NULL and counted. */
static Request *find_own(Core *core, Session *session, const Header *header) {
  Request *request = request_find_executing(core, session, header->id);

  if (!request || header->attempt > request->attempt) {
    core->counters[COUNTER_STRAY]++;
    return NULL;
  }
  return request;
}

/* An instance whose broker is gone answers here: its client takes it, if it is with us. */
static bool pass_on(Core *core, const Session *session, const Header *header, Bytes body, Block *block) {
  const Client *client = core->options.has_peer ? client_find(core, header->id.client) : NULL;
  const Request shadow = {.id = header->id, .attempt = header->attempt, .hop = header->hop};
  Header out = {
      .kind = header->kind,
      .id = header->id,
      .attempt = header->attempt,
      .status = header->status,
      .number = header->number,
      .flags = header->flags & FLAG_PART,
      .content_type = header->content_type,
      .annotations = header->annotations,
      .execution = header->number > 0 ? probe_execution(session, header) : 0,
  };

  if (!client || !client->session || request_find(core, header->id))
    return false;
  core->counters[COUNTER_PASSED_ON]++;
  trace_step(core, &shadow, STEP_PASSED_ON, NULL, header->status);
  core_send(core, client->session, &out, body, block);
  return true;
}

/* The instance broke the rules of chunks: what it was sending ends. */
static void break_stream(Core *core, Request *request) {
  core->counters[COUNTER_MALFORMED]++;
  if (request->flags & FLAG_STREAM)
    request_fail(core, request, STATUS_STREAM_LOST, "the instance broke the rules of streams", 0);
  else
    request_fail(core, request, STATUS_INTERNAL, "the instance broke the rules of a reply in parts", 0);
}

static void fail_too_large(Core *core, Request *request) {
  request_fail(core, request, STATUS_TOO_LARGE, "the reply is over 16 MiB; its method must stream it", 0);
}

/* Moving average with a weight of one eighth, as TCP's round-trip time (RFC 6298, section 2). */
static void measure(Core *core, const Request *request) {
  Offer *offer = request->offer;
  uint64_t took_us = core->now_us - request->sent_us;

  if (request->attached)
    return; /* it had begun before */
  offer->latency_us = offer->latency_us ? (offer->latency_us * 7 + took_us) / 8 : took_us;
}

void answer_reply(Core *core, Session *session, const Header *header, Bytes body, Block *block) {
  Request *request = pass_on(core, session, header, body, block) ? NULL : find_own(core, session, header);

  if (!request)
    return;
  measure(core, request);
  request_release(core, request);
  if (header->kind == KIND_REPLY && request->client && request->part_bytes + body.size > LIMIT_REPLY_BYTES)
    fail_too_large(core, request);
  else
    request_answer(core, request, header, body, block);
  dispatch_pump_instance(core, session);
}

/* The request was not begun. */
static void return_request(Core *core, Request *request, Status status) {
  request->sent_us = 0;
  if (status == STATUS_STALE) { /* the client has moved, and another broker is at it: no further target may be tried */
    request_fail(core, request, STATUS_STALE, NULL, 0);
    return;
  }
  if (request->chunks > 0) {
    request_fail(core, request, request_status_cut(request), NULL, 0);
    return;
  }
  if (status == STATUS_BUSY && ++request->n_nacks >= LIMIT_NACKS)
    status = STATUS_OVERLOADED; /* somebody takes credit and refuses, over and over */
  request_returned(core, request, status);
}

/* A refusal of an attempt from before the request was given to it anew: that one it has not answered yet. */
static bool is_outdated(const Request *request, const Header *header) {
  return header->status == STATUS_STALE && header->attempt < request->given;
}

void answer_nack(Core *core, Session *session, const Header *header) {
  Request *request = find_own(core, session, header);
  Status status = header->status == STATUS_OK ? STATUS_INTERNAL : header->status;

  if (request && is_outdated(request, header)) {
    core->counters[COUNTER_STRAY]++;
    return;
  }
  if (status == STATUS_BUSY)
    session->credit = 0;
  dispatch_note_room(session);
  if (status == STATUS_DRAINING)
    session_take_no_more(core, session);
  if (request) {
    trace_step(core, request, STEP_RETURNED, session, status);
    request_release(core, request);
    return_request(core, request, status);
  }
  dispatch_pump_instance(core, session);
}

/* What was sent about the request is of no use, so it has an end that says so. */
void answer_spoilt(Core *core, Session *session, const Header *header) {
  Request *request = request_find_executing(core, session, header->id);
  Header error = {.kind = KIND_ERROR, .id = header->id, .status = STATUS_INTERNAL};
  _cleanup_(buffer_done) Buffer body = {0};

  if (!request || request_id_is_none(header->id))
    return;
  if (header->kind == KIND_CHUNK && request->client && ((request->flags & FLAG_STREAM) || (header->flags & FLAG_PART)))
    break_stream(core, request);
  if (header->kind != KIND_REPLY && header->kind != KIND_ERROR && header->kind != KIND_NACK &&
      header->kind != KIND_FORWARD)
    return;
  core_put_error(core, &body, STATUS_INTERNAL, "the instance's answer is not of the protocol, or over a limit", NULL,
                 0);
  answer_reply(core, session, &error, buffer_bytes(&body), NULL);
}

/* --- FORWARD --- */

static void take_targets(Request *request, const ForwardBody *forward) {
  free(request->targets);
  request->n_targets = (uint32_t)forward->targets.count;
  request->targets = calloc(forward->targets.count, sizeof(Target));
  if (!request->targets)
    abort();
  for (uint32_t i = 0; i < forward->targets.count; i++) {
    const ForwardTarget *from = &forward->targets.items[i];

    memcpy(request->targets[i].service, from->service.data, from->service.size);
    memcpy(request->targets[i].method, from->method.data, from->method.size);
  }
}

/* Why a FORWARD can't be followed, as a status, or OK. */
static Status check_forward(const Request *request) {
  if (request->chunks > 0 && !request->forwarded)
    return STATUS_STREAM_LOST;
  return request->hop > LIMIT_HOPS ? STATUS_TOO_MANY_HOPS : STATUS_OK;
}

static void follow(Core *core, Request *request, const Header *header, const ForwardBody *forward) {
  Target first;

  take_targets(request, forward);
  if (header->annotations.size) {
    block_unref(&request->annotations);
    request->annotations = block_copy(header->annotations);
  }
  core->counters[COUNTER_FORWARDS]++;
  request->sent_us = 0;
  request->forwarded = false;
  request->n_nacks = 0;
  first = request->targets[0];
  memmove(request->targets, request->targets + 1, --request->n_targets * sizeof(Target));
  request_route(core, request, text_of(first.service), text_of(first.method));
}

void answer_forward(Core *core, Session *session, const Header *header, Bytes body) {
  Request *request = find_own(core, session, header);
  _cleanup_(arena_done) Arena arena = {0};
  ForwardBody forward;
  ContractFault fault;
  Status status;

  if (!request)
    return;
  trace_step(core, request, STEP_FORWARDED, session, STATUS_OK);
  request_release(core, request);
  request->hop++;
  status = check_forward(request);
  if (request->state == REQUEST_CANCELLED || request->parent)
    request_lost(core, request); /* nobody waits for it; or it is one of service@*, which answers itself */
  else if (status == STATUS_STREAM_LOST)
    break_stream(core, request);
  else if (status != STATUS_OK)
    request_fail(core, request, status, NULL, 0);
  else if (contract_decode(CONTRACT(ForwardBody), body, &arena, &forward, &fault) != 0)
    request_fail(core, request, STATUS_INTERNAL, "the instance sent a FORWARD that can't be read", 0);
  else if (!may_forward(core, session, &forward))
    request_fail(core, request, STATUS_DENIED, core->denial, 0);
  else
    follow(core, request, header, &forward);
  dispatch_pump_instance(core, session);
}

/* --- streams, and replies in parts --- */

static void pass_chunk(Core *core, Request *request, const Header *header, Bytes body, Block *block) {
  Header out = {
      .kind = KIND_CHUNK,
      .id = request->id,
      .attempt = request->attempt,
      .number = header->number,
      .flags = header->flags & FLAG_PART,
      .content_type = header->content_type,
      .annotations = header->annotations,
  };

  if (request->chunks++ == 0) {
    request_drop_body(core, request);
    trace_step(core, request, STEP_FIRST_CHUNK, request->worker, STATUS_OK);
    out.execution = request->execution = probe_execution(request->worker, header);
  }
  request->chunk_bytes += body.size;
  if (header->flags & FLAG_PART) {
    request->has_parts = true;
    request->part_bytes += body.size;
  }
  core->counters[COUNTER_CHUNKS]++;
  if (request->client->session)
    core_send(core, request->client->session, &out, body, block);
  else
    request->stream_hole = true;
}

/* Whether a chunk keeps to the rules: in its place, within the window; parts of the reply only for who has a window, and
   after them no more of the stream. */
static bool is_in_order(const Request *request, const Header *header, size_t bytes) {
  bool part = (header->flags & FLAG_PART) != 0;

  return header->number == request->chunks &&
         request->chunk_bytes + bytes <= request->window_bytes + LIMIT_BODY_BYTES &&
         (part ? request->window_bytes > 0 : !request->has_parts);
}

void answer_chunk(Core *core, Session *session, const Header *header, Bytes body, Block *block) {
  Request *request = pass_on(core, session, header, body, block) ? NULL : find_own(core, session, header);
  bool part = (header->flags & FLAG_PART) != 0;

  if (!request)
    return;
  if (!request->client || request->parent || (!part && !request->has_parts && !(request->flags & FLAG_STREAM))) {
    core->counters[COUNTER_STRAY]++;
    return;
  }
  if (request->moved && header->number < request->chunks) {
    core->counters[COUNTER_STRAY]++; /* it was asked and given the same, and has answered twice */
    return;
  }
  if (request->moved && header->number > request->chunks) /* begun for who asked it before: no fault of the instance */
    request_fail(core, request, request_status_cut(request), "what the instance sent first did not get here", 0);
  else if (!is_in_order(request, header, body.size))
    break_stream(core, request);
  else if (part && request->part_bytes + body.size > LIMIT_REPLY_BYTES)
    fail_too_large(core, request);
  else
    pass_chunk(core, request, header, body, block);
}

void answer_window(Core *core, Session *session, const Header *header) {
  Request *request = request_find(core, header->id);
  Header out = {.kind = KIND_WINDOW, .id = header->id, .number = header->number, .window_bytes = header->window_bytes};

  if (!request || !request->client || request->client->session != session ||
      header->window_bytes <= request->window_bytes)
    return;
  request->window_bytes = min_u64(header->window_bytes, request->chunk_bytes + LIMIT_STREAM_WINDOW_BYTES);
  out.window_bytes = request->window_bytes;
  out.attempt = request->attempt;
  if (request->worker)
    core_send(core, request->worker, &out, BYTES_NONE, NULL);
}
