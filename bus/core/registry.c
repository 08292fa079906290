/* Who offers what, who calls what. A Service is a name that somebody refers to; its offers are the instances. */
#include "bus/core/core-internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { INSTANCE_SHORT_DIGITS = 6 /* with fewer, one that has gone would too often be taken for another */ };

static void *must(void *memory) {
  if (!memory)
    abort();
  return memory;
}

static void copy_text(char *to, size_t room, Text text) {
  size_t size = text.size < room - 1 ? text.size : room - 1;

  if (size)
    memcpy(to, text.data, size);
  to[size] = '\0';
}

Service *registry_find(const Core *core, Text name) {
  uint64_t hash = text_hash(name);

  for (TableLink *at = table_bucket(&core->services, hash); at; at = at->next) {
    Service *service = CONTAINER_OF(at, Service, link);

    if (at->hash == hash && text_equal((Text){service->name, service->size}, name))
      return service;
  }
  return NULL;
}

static const Route *find_route(const Core *core, Text name) {
  for (size_t i = 0; i < core->options.n_routes; i++)
    if (text_is(name, core->options.routes[i].service))
      return &core->options.routes[i];
  return NULL;
}

Service *registry_ref(Core *core, Text name) {
  Service *service = registry_find(core, name);

  if (!service) {
    service = must(calloc(1, sizeof *service));
    copy_text(service->name, sizeof service->name, name);
    service->size = (uint8_t)name.size;
    queue_init(&service->queue);
    list_init(&service->calls);
    service->route = find_route(core, name);
    table_add(&core->services, &service->link, text_hash(name));
  }
  service->references++;
  return service;
}

void registry_unref(Core *core, Service **service) {
  Service *gone = TAKE(*service);

  if (!gone || --gone->references > 0)
    return;
  assert(gone->n_offers == 0 && gone->queue.size == 0 && list_is_empty(&gone->calls));
  list_remove(&gone->in_gaps);
  table_remove(&core->services, &gone->link);
  free(gone->offers);
  free(gone);
}

const OfferMethod *offer_find_method(const Offer *offer, Text method) {
  for (uint32_t i = 0; i < offer->n_methods; i++) {
    const OfferMethod *row = &offer->methods[i];

    if (row->size == method.size && memcmp(row->name, method.data, method.size) == 0)
      return row;
  }
  return NULL;
}

static bool is_open_for_work(const Offer *offer) {
  return offer->session->ready && !offer->session->draining;
}

/* Whether name is the beginning of the instance's, long enough to be meant for it. */
static bool is_short_for(Text name, const Session *session) {
  size_t least = strlen(session->agent) + 1 + INSTANCE_SHORT_DIGITS;

  return name.size >= least && name.size < strlen(session->instance) &&
         memcmp(name.data, session->instance, name.size) == 0;
}

/* The one instance of which name is the beginning; NULL when there is none, or are two. */
static Offer *find_by_short_name(const Service *service, Text name) {
  Offer *found = NULL;

  for (uint32_t i = 0; i < service->n_offers; i++) {
    Offer *offer = service->offers[i];

    if (offer->session->state != SESSION_OPEN || !is_short_for(name, offer->session))
      continue;
    if (found)
      return NULL;
    found = offer;
  }
  return found;
}

Offer *registry_find_instance(const Service *service, Text name) {
  Offer *found = NULL;

  for (uint32_t i = 0; i < service->n_offers; i++) {
    Offer *offer = service->offers[i];

    if (offer->session->state != SESSION_OPEN ||
        (!text_is(name, offer->session->agent) && !text_is(name, offer->session->instance)))
      continue;
    if (!found || (is_open_for_work(offer) && !is_open_for_work(found)))
      found = offer;
  }
  return found ? found : find_by_short_name(service, name);
}

static void fill_methods(Offer *offer, const HelloService *from) {
  offer->n_methods = (uint32_t)from->methods.count;
  offer->methods = must(calloc(from->methods.count ? from->methods.count : 1, sizeof *offer->methods));
  for (uint32_t i = 0; i < from->methods.count; i++) {
    const HelloMethod *method = &from->methods.items[i];
    OfferMethod *row = &offer->methods[i];

    copy_text(row->name, sizeof row->name, method->method);
    row->size = (uint8_t)method->method.size;
    row->flags = (uint8_t)(method->has_flags ? method->flags : 0);
    row->hash = method->has_hash ? method->hash : 0;
  }
}

/* At the end of its part of the list. */
static void put_offer(Service *service, Offer *offer) {
  uint32_t at = service->n_offers++;

  if (offer_is_near(offer)) {
    service->offers[at] = service->offers[service->n_near];
    at = service->n_near++;
  }
  service->offers[at] = offer;
}

/* The last of its part takes its place, and the last of all that one's. */
static void take_offer(Service *service, const Offer *offer) {
  uint32_t at = 0;

  while (service->offers[at] != offer)
    at++;
  if (at < service->n_near) {
    service->offers[at] = service->offers[--service->n_near];
    at = service->n_near;
  }
  service->offers[at] = service->offers[--service->n_offers];
}

static void add_offer(Core *core, Session *session, Offer *offer, const HelloService *from) {
  Service *service = registry_ref(core, from->service);

  *offer = (Offer){
      .session = session,
      .service = service,
      .weight = from->has_weight ? (uint32_t)from->weight : 100,
      .told_weight = from->has_weight ? (uint32_t)from->weight : 100,
      .standby = from->has_role && text_is(from->role, "standby"),
      .same_site = strcmp(session->site, core->options.site) == 0,
  };
  copy_text(offer->version, sizeof offer->version, from->has_version ? from->version : TEXT("1"));
  copy_text(offer->tier, sizeof offer->tier, from->has_tier ? from->tier : TEXT("cpu"));
  fill_methods(offer, from);
  if (service->n_offers == service->room) {
    service->room = service->room ? service->room * 2 : 2;
    service->offers = must(realloc(service->offers, service->room * sizeof(Offer *)));
  }
  put_offer(service, offer);
}

static void add_call(Core *core, Session *session, Call *call, const HelloCall *from) {
  *call = (Call){.session = session, .service = registry_ref(core, from->service)};
  call->hash = from->has_hash ? from->hash : 0;
  copy_text(call->method, sizeof call->method, from->method);
  list_push(&call->service->calls, &call->in_service);
}

void registry_add(Core *core, Session *session, const Hello *hello) {
  uint32_t n_offers = (uint32_t)hello->services.count;
  uint32_t n_calls = (uint32_t)hello->calls.count;

  session->offers = n_offers ? must(calloc(n_offers, sizeof *session->offers)) : NULL;
  session->calls = n_calls ? must(calloc(n_calls, sizeof *session->calls)) : NULL;
  for (uint32_t i = 0; i < n_offers; i++)
    add_offer(core, session, &session->offers[session->n_offers++], &hello->services.items[i]);
  for (uint32_t i = 0; i < n_calls; i++)
    add_call(core, session, &session->calls[session->n_calls++], &hello->calls.items[i]);
}

/* The session has no room any more, so the service does not count it as free. */
static void remove_offer(Core *core, Offer *offer) {
  Service *service = offer->service;

  take_offer(service, offer);
  if (service->run == offer)
    service->run = NULL;
  free(TAKE(offer->methods));
  dispatch_settle_queue(core, service);
  registry_unref(core, &offer->service);
}

void registry_remove(Core *core, Session *session) {
  while (session->n_offers > 0)
    remove_offer(core, &session->offers[--session->n_offers]);
  while (session->n_calls > 0) {
    Call *call = &session->calls[--session->n_calls];

    list_remove(&call->in_service);
    registry_unref(core, &call->service);
  }
  free(session->offers);
  free(session->calls);
  session->offers = NULL;
  session->calls = NULL;
}

static void put_mismatch(Buffer *rows, const Call *call, const OfferMethod *method) {
  msgpack_put_map(rows, 5);
  msgpack_put_text(rows, TEXT("service"));
  msgpack_put_text(rows, text_of(call->service->name));
  msgpack_put_text(rows, TEXT("method"));
  msgpack_put_text(rows, text_of(call->method));
  msgpack_put_text(rows, TEXT("caller"));
  msgpack_put_text(rows, text_of(call->session->agent));
  msgpack_put_text(rows, TEXT("caller_hash"));
  msgpack_put_uint(rows, call->hash);
  msgpack_put_text(rows, TEXT("callee_hash"));
  msgpack_put_uint(rows, method->hash);
}

/* A hash of 0 is "untyped" and fits everything. */
static uint32_t put_if_different(Buffer *rows, const Call *call, const Offer *offer) {
  const OfferMethod *method = offer_find_method(offer, text_of(call->method));

  if (!method || method->hash == 0 || call->hash == 0 || method->hash == call->hash)
    return 0;
  put_mismatch(rows, call, method);
  return 1;
}

enum { MISMATCH_ROWS = 64 };

static uint32_t session_mismatches(const Session *session, Buffer *rows) {
  uint32_t n = 0;

  for (uint32_t i = 0; i < session->n_calls; i++)
    for (uint32_t k = 0; k < session->calls[i].service->n_offers && n < MISMATCH_ROWS; k++)
      n += put_if_different(rows, &session->calls[i], session->calls[i].service->offers[k]);
  for (uint32_t i = 0; i < session->n_offers; i++)
    LIST_EACH (&session->offers[i].service->calls, Call, in_service, call) {
      if (call->session != session && n < MISMATCH_ROWS)
        n += put_if_different(rows, call, &session->offers[i]);
    }
  return n;
}

uint32_t registry_mismatches(Core *core, const Session *session, Buffer *ret_rows) {
  uint32_t n = 0;

  if (session)
    return session_mismatches(session, ret_rows);
  LIST_EACH (&core->sessions, Session, in_core, each) {
    for (uint32_t i = 0; i < each->n_calls; i++)
      for (uint32_t k = 0; k < each->calls[i].service->n_offers && n < MISMATCH_ROWS; k++)
        n += put_if_different(ret_rows, &each->calls[i], each->calls[i].service->offers[k]);
  }
  return n;
}
