/* Who gets a request. Up to 16 instances are all compared; of more, two that can take it, found from a random place
   (the power of two choices, Mitzenmacher 2001). */
#include "bus/core/core-internal.h"

enum { COMPARE_ALL = 16, STEP_FROM = 4 };

static bool version_fits(const Offer *offer, const RouteVersion *version) {
  size_t size;

  if (!version)
    return true;
  size = strlen(version->version);
  return strncmp(offer->version, version->version, size) == 0 &&
         (offer->version[size] == '\0' || offer->version[size] == '.');
}

static bool can_take(const Session *session) {
  return session->ready && !session->draining && session->n_executing < session->credit;
}

/* `once` work goes only to an instance that was heard lately, so that a frozen one does not turn it into UNKNOWN. */
static bool is_awake(Core *core, Session *session, const Request *request) {
  if (request->idempotent || core->now_us - session->heard_us <= TIME_SILENT_ONCE_US)
    return true;
  session_ping(core, session);
  return false;
}

static bool fits(Core *core, Offer *offer, const Request *request) {
  return can_take(offer->session) && offer->weight > 0 && version_fits(offer, request->version) &&
         offer_find_method(offer, request_method(request)) && is_awake(core, offer->session, request);
}

/* Unanswered requests, counted one by one where credit is small. An instance that asks for dozens at once has measured
   that its handlers take microseconds: there less than half of its credit is less work than the wake-up of another
   instance, and one large PACK costs a third of three small ones (docs/adr/0008-load-in-steps.md). */
static uint32_t load(const Session *session) {
  uint32_t step = session->credit > 2 * STEP_FROM ? session->credit / 2 - STEP_FROM : 1;

  return session->n_executing / (step ? step : 1);
}

/* Whether a is the better choice: primary, then own site, then least load by weight, then fastest. */
static bool is_better(const Offer *a, const Offer *b) {
  uint64_t load_a = (uint64_t)(load(a->session) + 1) * b->weight;
  uint64_t load_b = (uint64_t)(load(b->session) + 1) * a->weight;

  if (a->standby != b->standby)
    return b->standby;
  if (a->same_site != b->same_site)
    return a->same_site;
  if (load_a != load_b)
    return load_a < load_b;
  return a->latency_us < b->latency_us;
}

Offer *dispatch_pick(Core *core, Service *service, Request *request) {
  uint32_t n = service->n_offers;
  uint32_t start = n > COMPARE_ALL ? core_random(core, n) : 0;
  uint32_t wanted = n > COMPARE_ALL ? 2 : n;
  Offer *best = NULL;

  for (uint32_t i = 0; i < n && wanted > 0; i++) {
    Offer *offer = service->offers[start + i < n ? start + i : start + i - n];

    if (!fits(core, offer, request))
      continue;
    if (!best || is_better(offer, best))
      best = offer;
    if (!offer->standby)
      wanted--;
  }
  return best;
}

/* The text of the annotation `sticky`, or none. The map was checked to be well-formed when the header was decoded. */
static Text find_sticky(const Block *annotations) {
  MsgpackReader reader = msgpack_reader(block_bytes(annotations));
  uint32_t n;

  if (!annotations || msgpack_get_map(&reader, &n) != 0)
    return TEXT_NONE;
  for (uint32_t i = 0; i < n; i++) {
    Text key;
    Text value;

    if (msgpack_get_text(&reader, &key) != 0)
      return TEXT_NONE;
    if (text_is(key, "sticky"))
      return msgpack_get_text(&reader, &value) == 0 ? value : TEXT_NONE;
    if (msgpack_skip(&reader) != 0)
      return TEXT_NONE;
  }
  return TEXT_NONE;
}

/* Whether any instance has this version; one that nobody offers is left out of the draw. */
static bool is_offered(const Service *service, const RouteVersion *version) {
  for (uint32_t i = 0; i < service->n_offers; i++)
    if (service->offers[i]->session->ready && version_fits(service->offers[i], version))
      return true;
  return false;
}

void dispatch_draw_version(Core *core, Request *request) {
  const Route *route = request->service->route;
  uint32_t total = 0;
  uint32_t drawn;
  Text sticky;

  request->version = NULL;
  if (!route)
    return;
  for (size_t i = 0; i < route->n_versions; i++)
    if (is_offered(request->service, &route->versions[i]))
      total += route->versions[i].weight;
  if (total == 0)
    return;
  sticky = find_sticky(request->annotations);
  drawn = sticky.size ? (uint32_t)(text_hash(sticky) % total) : core_random(core, total);
  for (size_t i = 0; i < route->n_versions; i++) {
    const RouteVersion *version = &route->versions[i];

    if (!is_offered(request->service, version))
      continue;
    if (drawn < version->weight) {
      request->version = version;
      return;
    }
    drawn -= version->weight;
  }
}

/* Hands on the first request of the queue's best band that somebody can take. A band whose head nobody can take waits,
   so that its order is kept; the others don't wait for it. */
static bool pump_one(Core *core, Service *service) {
  unsigned skip = 0;
  int band;

  while ((band = queue_best_band(&service->queue, skip)) >= 0) {
    Request *head = LIST_FIRST(&service->queue.bands[band], Request, in_holder);
    Offer *offer = dispatch_pick(core, service, head);

    if (!offer && head->version && !is_offered(service, head->version)) {
      dispatch_draw_version(core, head); /* the last instance of its version has gone */
      offer = dispatch_pick(core, service, head);
    }
    if (offer) {
      queue_remove(core, head);
      request_send(core, head, offer);
      return true;
    }
    skip |= 1U << band;
  }
  return false;
}

void dispatch_pump_service(Core *core, Service *service) {
  while (service->queue.size > 0 && pump_one(core, service))
    continue;
}

static void pump_pinned(Core *core, Session *session) {
  int band;

  while (can_take(session) && (band = queue_best_band(&session->pinned, 0)) >= 0) {
    Request *head = LIST_FIRST(&session->pinned.bands[band], Request, in_holder);
    Offer *offer = head->offer;

    if (!is_awake(core, session, head))
      return;
    queue_remove(core, head);
    request_send(core, head, offer);
  }
}

void dispatch_pump_instance(Core *core, Session *session) {
  if (core->n_queued == 0)
    return;
  pump_pinned(core, session);
  for (uint32_t i = 0; i < session->n_offers && can_take(session); i++)
    if (session->offers[i].service->queue.size > 0)
      dispatch_pump_service(core, session->offers[i].service);
}

void dispatch_fail_orphans(Core *core, Service *service) {
  service->references++; /* the last request must not take the service away under the loop */
  while (service->n_offers == 0 && service->queue.size > 0) {
    Request *head = LIST_FIRST(&service->queue.bands[queue_best_band(&service->queue, 0)], Request, in_holder);

    queue_remove(core, head);
    request_returned(core, head, head->sent_us ? STATUS_WORKER_LOST : STATUS_NO_SERVICE);
  }
  registry_unref(core, &service);
}
