/* service@*: one request becomes a child per instance. A child is a Request of its own for credit and queues; it borrows
   the parent's body, has no timer (the parent's deadline ends all) and answers to the parent. */
#include "bus/core/core-internal.h"

#include <stdlib.h>

static Request *add_child(Core *core, Request *parent, Offer *offer) {
  Request *child = calloc(1, sizeof *child);

  if (!child)
    abort();
  *child = (Request){
      .id = parent->id,
      .attempt = parent->attempt,
      .hop = parent->hop,
      .priority = parent->priority,
      .flags = parent->flags & FLAG_IDEMPOTENT,
      .idempotent = parent->idempotent,
      .due_us = parent->due_us,
      .received_us = parent->received_us,
      .waiting_us = parent->received_us,
      .method_size = parent->method_size,
      .content_type_size = parent->content_type_size,
      .trace = parent->trace,
      .parent = parent,
      .service = parent->service,
      .only = offer->session,
      .offer = offer,
  };
  child->service->references++;
  memcpy(child->method, parent->method, sizeof child->method);
  memcpy(child->content_type, parent->content_type, sizeof child->content_type);
  list_init(&child->children);
  list_push(&parent->children, &child->in_parent);
  parent->n_children++;
  core->n_requests++;
  return child;
}

static void finish(Core *core, Request *parent) {
  Header reply = {.kind = KIND_REPLY, .number = parent->n_answered};
  Buffer *body = &core->scratch;

  buffer_clear(body);
  msgpack_put_map(body, 2);
  msgpack_put_text(body, TEXT("asked"));
  msgpack_put_uint(body, parent->n_children);
  msgpack_put_text(body, TEXT("answered"));
  msgpack_put_uint(body, parent->chunks);
  request_answer(core, parent, &reply, buffer_bytes(body), NULL);
}

/* Lets the child wait for its instance, unless too much waits there already. */
static bool enqueue(Core *core, Request *child) {
  if (child->only->pinned.size >= core->options.limits.service_queue)
    return false;
  queue_push(core, &child->only->pinned, child, false);
  return true;
}

Status collect_start(Core *core, Request *request) {
  Service *service = request->service;
  Session *asked[LIMIT_COLLECT];
  Request *refused[LIMIT_COLLECT];
  uint32_t n_asked = 0;
  uint32_t n_refused = 0;

  if (core->n_requests + LIMIT_COLLECT > LIMIT_ALL_REQUESTS)
    return STATUS_OVERLOADED;
  request->state = REQUEST_COLLECTING;
  for (uint32_t i = 0; i < service->n_offers && request->n_children < LIMIT_COLLECT; i++) {
    Offer *offer = service->offers[i];
    Request *child;

    if (!offer->session->ready || offer->session->draining || !offer_find_method(offer, request_method(request)))
      continue;
    child = add_child(core, request, offer);
    if (enqueue(core, child))
      asked[n_asked++] = offer->session;
    else
      refused[n_refused++] = child;
  }
  if (request->n_children == 0)
    finish(core, request);
  for (uint32_t i = 0; i < n_asked; i++)
    dispatch_pump_instance(core, asked[i]);
  for (uint32_t i = 0; i < n_refused; i++)
    request_fail(core, refused[i], STATUS_OVERLOADED, NULL, 0);
  return STATUS_OK;
}

static void pass_answer(Core *core, Request *parent, const Request *child, const Header *header, Bytes body,
                        Block *block) {
  _cleanup_(buffer_done) Buffer annotations = {0};
  Header out = {
      .kind = KIND_CHUNK,
      .id = parent->id,
      .attempt = parent->attempt,
      .number = parent->n_answered,
      .flags = FLAG_COLLECT,
      .status = header->status,
      .content_type = header->content_type,
  };

  msgpack_put_map(&annotations, 1);
  msgpack_put_text(&annotations, TEXT("instance"));
  msgpack_put_text(&annotations, text_of(child->only->instance));
  out.annotations = buffer_bytes(&annotations);
  if (header->status == STATUS_OK)
    parent->chunks++;
  if (parent->client->session)
    core_send(core, parent->client->session, &out, body, block);
  else
    parent->stream_hole = true;
}

void collect_answer(Core *core, Request *child, const Header *header, Bytes body, Block *block) {
  Request *parent = child->parent;

  trace_step(core, child, header->kind == KIND_REPLY ? STEP_REPLIED : STEP_FAILED, child->only, header->status);
  if (parent->client)
    pass_answer(core, parent, child, header, body, block);
  if (child->worker)
    request_release(core, child);
  parent->n_answered++;
  request_free(core, child);
  if (parent->n_answered < parent->n_children)
    return;
  if (parent->client)
    finish(core, parent);
  else
    request_free(core, parent);
}
