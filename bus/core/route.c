/* Where a request goes: its target, the further targets of a FORWARD, and what becomes of it when an instance has it no
   longer. */
#include "bus/core/core-internal.h"

#include <stdlib.h>

/* Puts the request into a queue, in front when it was in one before. */
static void wait_in(Core *core, Request *request, Queue *queue, bool front) {
  if (!front)
    request->waiting_us = core->now_us;
  queue_push(core, queue, request, front);
  trace_step(core, request, STEP_QUEUED, NULL, STATUS_OK);
  request_watch_deadline(core, request);
}

/* --- routing --- */

static void set_method(Request *request, Text method) {
  if (method.data == request->method)
    return;
  memcpy(request->method, method.data, method.size);
  request->method_size = (uint8_t)method.size;
}

/* Whether any instance of at least this weight offers the method, and what it is declared as. */
static const OfferMethod *find_declared(const Service *service, Text method, uint32_t weight) {
  for (uint32_t i = 0; i < service->n_offers; i++) {
    const Offer *offer = service->offers[i];
    const OfferMethod *row = offer->weight >= weight ? offer_find_method(offer, method) : NULL;

    if (row)
      return row;
  }
  return NULL;
}

static Status dispatch(Core *core, Request *request) {
  Service *service = request->service;
  Offer *offer;

  dispatch_draw_version(core, request);
  offer = service->queue.size == 0 ? dispatch_pick(core, service, request) : NULL;
  if (offer) {
    request_send(core, request, offer);
    return STATUS_OK;
  }
  if (service->queue.size >= core->options.limits.service_queue)
    return STATUS_OVERLOADED;
  wait_in(core, request, &service->queue, false);
  dispatch_pump_service(core, service);
  return STATUS_OK;
}

static Status dispatch_to(Core *core, Request *request, Text instance) {
  Offer *offer = registry_find_instance(request->service, instance);

  if (!offer)
    return STATUS_NO_SERVICE;
  if (!offer_find_method(offer, request_method(request)))
    return STATUS_NO_METHOD;
  if (offer->session->draining)
    return STATUS_DRAINING;
  if (offer->session->pinned.size >= core->options.limits.service_queue)
    return STATUS_OVERLOADED;
  request->only = offer->session;
  request->offer = offer;
  wait_in(core, request, &offer->session->pinned, false);
  dispatch_pump_instance(core, offer->session);
  return STATUS_OK;
}

/* Gives the request to one target, or says why not. After OK the request may be gone. */
static Status try_target(Core *core, Request *request, Text target, Text method) {
  const char *at = target.size ? memchr(target.data, '@', target.size) : NULL;
  Text name = at ? (Text){target.data, (size_t)(at - target.data)} : target;
  Text instance = at ? (Text){at + 1, target.size - name.size - 1} : TEXT_NONE;
  Service *service = registry_find(core, name);
  const OfferMethod *declared;

  if (text_is(target, "pons")) {
    set_method(request, method);
    introspect_answer(core, request);
    return STATUS_OK;
  }
  if (!service || service->n_offers == 0)
    return STATUS_NO_SERVICE;
  declared = find_declared(service, method, 0);
  if (!declared)
    return STATUS_NO_METHOD;
  if (!at && !find_declared(service, method, 1))
    return STATUS_NO_SERVICE; /* all that offer it take nothing but @instance */
  registry_unref(core, &request->service);
  request->service = registry_ref(core, name);
  set_method(request, method);
  request->idempotent = (declared->flags & METHOD_IDEMPOTENT) || (request->flags & FLAG_IDEMPOTENT);
  request->only = NULL;
  request->offer = NULL;
  if (text_is(instance, "*"))
    return collect_start(core, request);
  return at ? dispatch_to(core, request, instance) : dispatch(core, request);
}

/* How long a caller should wait before it asks a full service again: what the queue takes at its instances' pace. */
static uint64_t retry_after(const Request *request, Status status) {
  const Service *service = request->service;
  uint64_t latency = 1000;

  if (status != STATUS_OVERLOADED || !service || service->n_offers == 0)
    return 0;
  latency = max_u64(latency, service->offers[0]->latency_us);
  return max_u64(10 * US_PER_MS, min_u64(US_PER_S, latency * service->queue.size / service->n_offers / 4));
}

/* Goes on with the next target of a FORWARD; fails with status when none is left. */
static void try_rest(Core *core, Request *request, Status status) {
  while (status != STATUS_OK && request->n_targets > 0) {
    Target target = request->targets[0];

    memmove(request->targets, request->targets + 1, --request->n_targets * sizeof(Target));
    status = try_target(core, request, text_of(target.service), text_of(target.method));
    if (status == STATUS_OK)
      return;
  }
  if (status == STATUS_NO_SERVICE && core->warming)
    status = STATUS_OTHER_BROKER; /* it may be on its way */
  if (status != STATUS_OK)
    request_fail(core, request, status, NULL, retry_after(request, status));
}

void request_go_on(Core *core, Request *request) {
  request->window_bytes = min_u64(request->window_bytes, LIMIT_STREAM_WINDOW_BYTES);
  try_rest(core, request, STATUS_NO_SERVICE);
}

bool request_targets_idempotent(const Core *core, const Request *request) {
  for (uint32_t i = 0; i < request->n_targets; i++) {
    Text target = text_of(request->targets[i].service);
    const char *at = memchr(target.data, '@', target.size);
    const Service *service = registry_find(core, at ? (Text){target.data, (size_t)(at - target.data)} : target);
    const OfferMethod *declared = service ? find_declared(service, text_of(request->targets[i].method), 0) : NULL;

    if (!(request->flags & FLAG_IDEMPOTENT) && !(declared && (declared->flags & METHOD_IDEMPOTENT)) &&
        !text_is(target, "pons"))
      return false;
  }
  return true;
}

void request_route(Core *core, Request *request, Text target, Text method) {
  Status status;

  if (probe_start(core, request, target, method))
    return;
  status = try_target(core, request, target, method);
  if (status != STATUS_OK)
    try_rest(core, request, status);
}

/* --- when the worker has it no longer --- */

static bool may_run_again(const Request *request) {
  return request->idempotent && request->chunks == 0;
}

void request_lost(Core *core, Request *request) {
  if (request->state == REQUEST_CANCELLED) {
    request_fail(core, request, STATUS_WORKER_LOST, NULL, 0);
    return;
  }
  trace_step(core, request, STEP_WORKER_LOST, NULL, STATUS_WORKER_LOST);
  if (request->chunks > 0)
    request_fail(core, request, request_status_cut(request), NULL, 0);
  else if (may_run_again(request) && ++request->n_losses < LIMIT_LOSSES)
    request_returned(core, request, STATUS_WORKER_LOST);
  else
    request_fail(core, request, STATUS_WORKER_LOST, NULL, 0);
}

/* Whether another instance of its service may take it. */
static bool may_wait_again(Core *core, Request *request, Status status) {
  bool gone = status != STATUS_BUSY && status != STATUS_DRAINING && status != STATUS_WORKER_LOST;

  return !gone && !request->only && request->n_targets == 0 && dispatch_may_wait(core, request);
}

static Offer *find_offer(const Session *session, const Service *service) {
  for (uint32_t i = 0; i < session->n_offers; i++)
    if (session->offers[i].service == service)
      return &session->offers[i];
  return NULL;
}

/* Whether the one instance that it is for may take it later. */
static bool may_wait_for_it(const Request *request, Status status) {
  const Session *only = request->only;

  return only && status == STATUS_BUSY && request->n_targets == 0 && only->state == SESSION_OPEN && !only->draining;
}

void request_returned(Core *core, Request *request, Status status) {
  if (request->state == REQUEST_CANCELLED) {
    request_lost(core, request);
    return;
  }
  if (may_wait_for_it(request, status)) {
    request->offer = find_offer(request->only, request->service);
    wait_in(core, request, &request->only->pinned, true);
    return;
  }
  if (may_wait_again(core, request, status)) {
    core->counters[COUNTER_REDISPATCHED]++;
    wait_in(core, request, &request->service->queue, true);
    dispatch_pump_service(core, request->service);
    return;
  }
  try_rest(core, request, status);
}
