/* Requests as they come in: checked, counted against quotas, kept, and routed when their body is whole. */
#include "bus/core/core-internal.h"

#include <stdlib.h>

static void set_text(char *to, uint8_t *ret_size, Text text) {
  if (text.size)
    memcpy(to, text.data, text.size);
  *ret_size = (uint8_t)text.size;
}

static Request *new_request(Core *core, Session *session, const Header *header) {
  Request *request = calloc(1, sizeof *request);

  if (!request)
    abort();
  request->id = header->id;
  request->client = session->client;
  request->attempt = header->attempt;
  request->flags = header->flags;
  request->priority = header->fields & HAS(PRIORITY) ? header->priority : PRIORITY_NORMAL;
  request->received_us = core->now_us;
  request->waiting_us = core->now_us;
  request->due_us = core->now_us + header->deadline_us;
  request->window_bytes = min_u64(header->window_bytes, LIMIT_STREAM_WINDOW_BYTES);
  request->trace = header->trace;
  set_text(request->method, &request->method_size, header->method);
  set_text(request->content_type, &request->content_type_size, header->content_type);
  if (header->annotations.size)
    request->annotations = block_copy(header->annotations);
  list_init(&request->children);
  list_push(&session->client->requests, &request->in_client);
  session->client->n_requests++;
  core->n_unanswered++;
  table_add(&core->requests, &request->link, request_id_hash(request->id));
  request->deadline.on_due = request_on_due;
  core_set_timer(core, &request->deadline, request->due_us);
  return request;
}

static Status over_quota(const Core *core, const Client *client, size_t body_bytes) {
  const CoreLimits *limits = &core->options.limits;

  if (client->n_requests >= limits->client_requests || client->kept_bytes + body_bytes > limits->client_bytes)
    return STATUS_QUOTA;
  return core->kept_bytes + body_bytes > limits->all_bytes ? STATUS_OVERLOADED : STATUS_OK;
}

/* Why a request is refused before anything is made of it. */
static Status check(Core *core, const Session *session, const Header *header, size_t body_bytes) {
  if (header->id.client.value != session->client->id.value)
    return STATUS_FOREIGN_ID;
  if (header->deadline_us == 0)
    return STATUS_NO_DEADLINE;
  if (core->draining && !text_is(header->service, "pons"))
    return STATUS_DRAINING;
  return over_quota(core, session->client, body_bytes);
}

static void refuse(Core *core, Session *session, const Header *header, Status status) {
  Request shadow = {.id = header->id, .attempt = header->attempt};

  core->counters[COUNTER_REFUSED]++;
  trace_step(core, &shadow, STEP_REFUSED, NULL, status);
  core_send_error(core, session, header->id, status, NULL, NULL, status_retry(status) == RETRY_LATER ? 10 * US_PER_MS : 0);
}

/* The same request again, after its client has moved or come back: it is attached, not done again. */
static void attach(Core *core, Session *session, Request *request, const Header *header) {
  if (header->attempt <= request->attempt || request->client != session->client) {
    refuse(core, session, header, STATUS_DUPLICATE);
    return;
  }
  request->attempt = header->attempt;
  trace_step(core, request, STEP_ATTACHED, NULL, STATUS_OK);
}

void request_receive(Core *core, Session *session, const Header *header, Bytes body, Block *block) {
  Status status = check(core, session, header, body.size);
  Request *request = request_find(core, header->id);

  if (request && status != STATUS_FOREIGN_ID) {
    attach(core, session, request, header);
    return;
  }
  if (status != STATUS_OK) {
    refuse(core, session, header, status);
    return;
  }
  request = new_request(core, session, header);
  core->counters[COUNTER_REQUESTS]++;
  trace_step(core, request, STEP_RECEIVED, NULL, STATUS_OK);
  request_keep_part(core, request, body, block);
  if (header->flags & FLAG_MORE) {
    request->state = REQUEST_RECEIVING;
    request->targets = calloc(1, sizeof(Target));
    if (!request->targets)
      abort();
    memcpy(request->targets->service, header->service.data, header->service.size);
    return;
  }
  request_route(core, request, header->service, request_method(request));
}

bool request_receive_part(Core *core, Session *session, const Header *header, Bytes body, Block *block) {
  Request *request = request_find(core, header->id);
  Target target;

  if (!request || request->state != REQUEST_RECEIVING || request->client != session->client)
    return false;
  if (header->number != request->n_parts) {
    request_fail(core, request, STATUS_MALFORMED, "a CHUNK of the request's body is missing", 0);
    return true;
  }
  if (request->n_parts == LIMIT_REQUEST_PARTS || request->kept_bytes + body.size > LIMIT_REQUEST_BYTES) {
    request_fail(core, request, STATUS_TOO_LARGE, NULL, 0);
    return true;
  }
  if (over_quota(core, session->client, body.size) == STATUS_OVERLOADED ||
      session->client->kept_bytes + body.size > core->options.limits.client_bytes) {
    request_fail(core, request, STATUS_QUOTA, NULL, 0);
    return true;
  }
  request_keep_part(core, request, body, block);
  if (header->flags & FLAG_MORE)
    return true;
  target = *request->targets;
  free(TAKE(request->targets));
  request->flags &= ~(uint32_t)FLAG_MORE;
  request_route(core, request, text_of(target.service), request_method(request));
  return true;
}
