/* Who gets a request. Up to 16 instances are all compared; of more, two that can take it, found from a random place
   (the power of two choices, Mitzenmacher 2001), first among those of this site. What comes in one turn of the loop may go to one
   of them in a run. */
#include "bus/core/core-internal.h"

enum {
  COMPARE_ALL = 16,
  STEP_FROM = 4,
  LOOK_AHEAD = 16, /* clients that are looked past for a request that can be taken */
  LOOK_MOST = 256, /* and waiting requests, of those clients among them */
  RUN_LATENCY_US = 10000,
};

static bool version_fits(const Offer *offer, const RouteVersion *version) {
  size_t size;

  if (!version)
    return true;
  size = strlen(version->version);
  return strncmp(offer->version, version->version, size) == 0 &&
         (offer->version[size] == '\0' || offer->version[size] == '.');
}

static bool can_take(const Session *session) {
  return session->ready && !session->draining && session->n_executing < session->credit && !session->suspect;
}

void dispatch_note_room(Session *session) {
  bool has_room = can_take(session);

  if (has_room == session->has_room)
    return;
  session->has_room = has_room;
  for (uint32_t i = 0; i < session->n_offers; i++) {
    Offer *offer = &session->offers[i];

    if (offer->weight > 0)
      offer->service->n_free += has_room ? 1U : UINT32_MAX;
  }
}

bool offer_is_idempotent(const Offer *offer, const Request *request) {
  const OfferMethod *method = offer_find_method(offer, request_method(request));

  return (request->flags & FLAG_IDEMPOTENT) || (method && (method->flags & METHOD_IDEMPOTENT));
}

/* `once` work goes only to an instance that was heard lately, so that a frozen one does not turn it into UNKNOWN. */
static bool is_awake(Core *core, const Offer *offer, const Request *request) {
  if (core->now_us - offer->session->heard_us <= TIME_SILENT_ONCE_US || offer_is_idempotent(offer, request))
    return true;
  session_ping(core, offer->session);
  return false;
}

/* Whether the instance may be given it now, as far as it is `once`. */
static bool may_begin(Core *core, const Offer *offer, Request *request) {
  return is_awake(core, offer, request) &&
         (offer_is_idempotent(offer, request) || once_may_begin(core, offer->session, request));
}

static bool fits(Core *core, Offer *offer, Request *request) {
  return can_take(offer->session) && offer->weight > 0 && version_fits(offer, request->version) &&
         offer_find_method(offer, request_method(request)) && may_begin(core, offer, request);
}

bool offer_is_near(const Offer *offer) {
  return offer->same_site && !offer->standby;
}

/* Whether a is the better choice: primary, then own site, then least load by weight, then fastest. */
static bool is_better(const Offer *a, const Offer *b) {
  uint64_t load_a = (uint64_t)(a->session->n_executing + 1) * b->weight;
  uint64_t load_b = (uint64_t)(b->session->n_executing + 1) * a->weight;

  if (a->standby != b->standby)
    return b->standby;
  if (a->same_site != b->same_site)
    return a->same_site;
  if (load_a != load_b)
    return load_a < load_b;
  return a->latency_us < b->latency_us;
}

/* The i-th to be looked at: those that are near first, each part from a place of its own. */
static Offer *offer_at(const Service *service, uint32_t i, const uint32_t start[2]) {
  uint32_t near = service->n_near;
  uint32_t far = service->n_offers - near;

  return service->offers[i < near ? (start[0] + i) % near : near + (start[1] + i - near) % far];
}

static Offer *pick_best(Core *core, Service *service, Request *request) {
  uint32_t n = service->n_offers;
  uint32_t near = service->n_near;
  bool are_many = n > COMPARE_ALL;
  uint32_t start[2] = {are_many && near ? core_random(core, near) : 0,
                       are_many && n > near ? core_random(core, n - near) : 0};
  uint32_t wanted = are_many ? 2 : n;
  uint32_t n_free = service->n_free;
  Offer *best = NULL;

  for (uint32_t i = 0; i < n && wanted > 0 && n_free > 0; i++) {
    Offer *offer = offer_at(service, i, start);

    if (i == near && best)
      break; /* nobody from here on is better */
    n_free -= can_take(offer->session) && offer->weight > 0;
    if (!fits(core, offer, request))
      continue;
    if (!best || is_better(offer, best))
      best = offer;
    if (!offer->standby)
      wanted--;
  }
  return best;
}

/* How many requests of one turn an instance gets once it is chosen. A message to another instance, and back, costs as much
   as dozens of requests inside a PACK, so a burst is not cut into a piece for each of them. Credit grows as handlers are
   quicker (bus/agent/credit.c), so a run is 160 us of work at the most. Much credit with slow answers is many
   threads: those are given work one by one, and so is who was chosen for want of a better. */
static uint32_t run_of(const Offer *offer) {
  static const struct {
    uint32_t credit;
    uint32_t run;
  } rows[] = {{256, 64}, {128, 16}};

  if (offer->standby || !offer->same_site || offer->latency_us == 0 || offer->latency_us > RUN_LATENCY_US)
    return 1;
  for (size_t i = 0; i < ELEMENTS(rows); i++)
    if (offer->session->credit >= rows[i].credit)
      return rows[i].run;
  return 1;
}

/* Whether the service's run may have one request more. What came in one PACK is not cut as long as that costs no more than
   doubling the run: its pieces would go round by themselves for ever. */
static bool run_goes_on(const Core *core, const Service *service) {
  uint32_t most = service->run ? run_of(service->run) : 0;

  if (most > 1 && service->run_message == core->message)
    most *= 2;
  return service->run_size < most && service->run_us == core->now_us;
}

Offer *dispatch_pick(Core *core, Service *service, Request *request) {
  if (!run_goes_on(core, service) || !fits(core, service->run, request)) {
    service->run = pick_best(core, service, request);
    service->run_us = core->now_us;
    service->run_size = 0;
  }
  service->run_message = core->message;
  service->run_size++;
  return service->run;
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

/* Whether any instance has the request's method in this version; one that nobody offers is left out of the draw. */
static bool is_offered(const Service *service, const RouteVersion *version, const Request *request) {
  for (uint32_t i = 0; i < service->n_offers; i++) {
    const Offer *offer = service->offers[i];

    if (offer->session->ready && offer->weight > 0 && version_fits(offer, version) &&
        offer_find_method(offer, request_method(request)))
      return true;
  }
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
    if (is_offered(request->service, &route->versions[i], request))
      total += route->versions[i].weight;
  if (total == 0)
    return;
  sticky = find_sticky(request->annotations);
  drawn = sticky.size ? (uint32_t)(text_hash(sticky) % total) : core_random(core, total);
  for (size_t i = 0; i < route->n_versions; i++) {
    const RouteVersion *version = &route->versions[i];

    if (!is_offered(request->service, version, request))
      continue;
    if (drawn < version->weight) {
      request->version = version;
      return;
    }
    drawn -= version->weight;
  }
}

/* --- waiting requests --- */

static const Client *asker(const Request *request) {
  return request->parent ? request->parent->client : request->client;
}

/* The offer that can take this waiting request now: `only` or nobody, when set. A standby is asked after the primaries. */
static Offer *find_taker(Core *core, Request *request, Offer *only) {
  if (request->only)
    return can_take(request->only) && may_begin(core, request->offer, request) ? request->offer : NULL;
  if (only && !fits(core, only, request))
    return NULL;
  return only && !only->standby ? only : dispatch_pick(core, request->service, request);
}

/* The first request of the band that somebody (or `only`) can take. It looks past a few that have to wait for an instance
   of another method or version; of one client it never takes a later one first. */
static Request *find_next(Core *core, const List *band, Offer *only, Offer **ret_taker) {
  const Client *passed[LOOK_AHEAD];
  uint32_t looked = 0;
  uint32_t n = 0;

  LIST_EACH (band, Request, in_holder, request) {
    bool waits = false;

    for (uint32_t i = 0; i < n && !waits; i++)
      waits = passed[i] == asker(request);
    *ret_taker = waits ? NULL : find_taker(core, request, only);
    if (*ret_taker)
      return request;
    if (++looked == LOOK_MOST || (!waits && n == LOOK_AHEAD))
      return NULL;
    if (!waits)
      passed[n++] = asker(request);
  }
  return NULL;
}

typedef struct Choice {
  Request *request;
  Offer *taker;
} Choice;

/* Replaces *best by the request of the queue that goes first by rank, when it goes before it. */
static void find_first(Core *core, const Queue *queue, Offer *only, Choice *best) {
  for (int band = 0; band < PRIORITY_END && queue->size > 0; band++) {
    Offer *taker = NULL;
    Request *next = find_next(core, &queue->bands[band], only, &taker);

    if (next && (!best->request || queue_rank(next) < queue_rank(best->request)))
      *best = (Choice){next, taker};
  }
}

static bool hand_on(Core *core, const Choice *choice) {
  if (!choice->request)
    return false;
  queue_remove(core, choice->request);
  request_send(core, choice->request, choice->taker);
  return true;
}

void dispatch_pump_service(Core *core, Service *service) {
  Choice best;

  do {
    best = (Choice){NULL, NULL};
    if (service->n_free > 0)
      find_first(core, &service->queue, NULL, &best);
  } while (hand_on(core, &best));
}

void dispatch_pump_instance(Core *core, Session *session) {
  Choice best;

  do {
    best = (Choice){NULL, NULL};
    if (core->n_queued == 0 || !can_take(session))
      return;
    find_first(core, &session->pinned, NULL, &best);
    for (uint32_t i = 0; i < session->n_offers; i++)
      find_first(core, &session->offers[i].service->queue, &session->offers[i], &best);
  } while (hand_on(core, &best));
}

/* Who was first may have kept back others of its client that another instance can take. */
void dispatch_fill_gaps(Core *core) {
  Session *session;
  Service *service;

  while ((session = LIST_FIRST(&core->pumps, Session, in_pumps))) {
    list_remove(&session->in_pumps);
    dispatch_pump_instance(core, session);
  }
  while ((service = LIST_FIRST(&core->gaps, Service, in_gaps))) {
    service->references++; /* the last request must not take the service away under us */
    dispatch_pump_service(core, service);
    list_remove(&service->in_gaps);
    registry_unref(core, &service);
  }
}

bool dispatch_can_be_taken(const Core *core, const Request *request) {
  const Service *service = request->service;

  for (uint32_t i = 0; i < service->n_offers; i++) {
    const Offer *offer = service->offers[i];
    bool awake = core->now_us - offer->session->heard_us <= TIME_SILENT_ONCE_US || offer_is_idempotent(offer, request);

    if (can_take(offer->session) && offer->weight > 0 && version_fits(offer, request->version) &&
        offer_find_method(offer, request_method(request)) && awake &&
        (offer_is_idempotent(offer, request) || once_is_safe(core, offer->session, request)))
      return true;
  }
  return false;
}

/* --- when an instance has gone --- */

bool dispatch_may_wait(Core *core, Request *request) {
  const Service *service = request->service;
  bool served = false;

  if (request->version && !is_offered(service, request->version, request))
    dispatch_draw_version(core, request);
  for (uint32_t i = 0; i < service->n_offers && !served; i++)
    served = service->offers[i]->weight > 0 && offer_find_method(service->offers[i], request_method(request));
  return served;
}

/* Takes those off the queue that nobody is left for. */
static void take_orphans(Core *core, Service *service, List *orphans) {
  for (int band = 0; band < PRIORITY_END; band++)
    LIST_EACH (&service->queue.bands[band], Request, in_holder, request) {
      if (dispatch_may_wait(core, request))
        continue;
      queue_remove(core, request);
      list_push(orphans, &request->in_holder);
    }
}

void dispatch_settle_queue(Core *core, Service *service) {
  List orphans;

  if (service->queue.size == 0)
    return;
  list_init(&orphans);
  take_orphans(core, service, &orphans);
  service->references++; /* the last request must not take the service away under us */
  LIST_EACH (&orphans, Request, in_holder, request) {
    list_remove(&request->in_holder);
    request_returned(core, request, request->sent_us ? STATUS_WORKER_LOST : STATUS_NO_SERVICE);
  }
  dispatch_pump_service(core, service);
  registry_unref(core, &service);
}
