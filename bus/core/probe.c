/* A request that its client has sent again, through this broker, may have been begun through the other one. So before it is
   handed on all instances that may have it are asked. Who has it goes on with it, for this broker; only when nobody has it, and
   nobody is missing who might, is it handed on. What was forwarded is asked for again at the next hop, at all services that the
   FORWARD names: the other broker may have got as far as any of them. */
#include "bus/core/core-internal.h"

#include <endian.h>
#include <stdlib.h>

/* --- questions --- */

static void put_pair(Buffer *buffer, const char *key, uint64_t value) {
  msgpack_put_text(buffer, text_of(key));
  msgpack_put_uint(buffer, value);
}

/* A ProbeItem. */
static void put_item(const Core *core, Buffer *b, const Request *request) {
  uint64_t id[2] = {htobe64(request->id.client.value), htobe64(request->id.sequence)};

  msgpack_put_map(b, 3u + (request->hop > 0) + (request->chunks > 0) + (request->window_bytes > 0));
  msgpack_put_text(b, TEXT("id"));
  msgpack_put_bytes(b, (Bytes){(const uint8_t *)id, sizeof id});
  put_pair(b, "attempt", request->attempt);
  if (request->hop > 0)
    put_pair(b, "hop", request->hop);
  put_pair(b, "age_us", core->now_us - request->first_us);
  if (request->chunks > 0)
    put_pair(b, "chunk", request->chunks);
  if (request->window_bytes > 0)
    put_pair(b, "window_bytes", request->window_bytes);
}

static void send_questions(Core *core, Session *session) {
  Header header = {.kind = KIND_PROBE};
  Buffer *body = &core->scratch;

  list_remove(&session->in_askers);
  buffer_clear(body);
  msgpack_put_map(body, 1);
  msgpack_put_text(body, TEXT("requests"));
  msgpack_put_array(body, session->n_questions);
  msgpack_put_raw(body, buffer_bytes(&session->questions));
  session->n_questions = 0;
  buffer_clear(&session->questions);
  core_send(core, session, &header, buffer_bytes(body), NULL);
}

void probe_flush(Core *core) {
  Session *session;

  while ((session = LIST_FIRST(&core->askers, Session, in_askers)))
    send_questions(core, session);
}

static void add_question(Core *core, Session *session, const Request *request) {
  put_item(core, &session->questions, request);
  if (!list_has(&session->in_askers))
    list_push(&core->askers, &session->in_askers);
  if (++session->n_questions == LIMIT_PROBE_IDS)
    send_questions(core, session);
}

/* --- who is asked --- */

static Text service_of(const Target *target) {
  const char *at = strchr(target->service, '@');

  return at ? (Text){target->service, (size_t)(at - target->service)} : text_of(target->service);
}

static bool asks_all(const Target *target) {
  const char *at = strchr(target->service, '@');

  return at && strcmp(at, "@*") == 0;
}

static void ask(Core *core, Request *request, Session *session) {
  Probing *probing = request->probing;
  Probe *probe;

  if (session->state != SESSION_OPEN || session->probed == probing->number)
    return;
  session->probed = probing->number;
  if (!(session->features & FEATURE_PROBE) || core->n_probes == LIMIT_ALL_REQUESTS) {
    probing->unsure = true;
    return;
  }
  probe = calloc(1, sizeof *probe);
  if (!probe)
    abort();
  probe->session = session;
  probe->request = request;
  probe->attempt = request->attempt;
  list_push(&session->probes, &probe->in_session);
  list_push(&probing->probes, &probe->in_probing);
  core->n_probes++;
  core->counters[COUNTER_PROBES]++;
  add_question(core, session, request);
}

static void close_probe(Core *core, Probe *probe) {
  list_remove(&probe->in_session);
  list_remove(&probe->in_probing);
  core->n_probes--;
  free(probe);
}

static void ask_all(Core *core, Request *request) {
  for (uint32_t i = 0; i < request->n_targets; i++) {
    const Target *target = &request->targets[i];
    const Service *service = registry_find(core, service_of(target));

    if (asks_all(target))
      request->probing->unsure = true; /* each instance knows for itself whether it has answered */
    for (uint32_t k = 0; service && !asks_all(target) && k < service->n_offers; k++)
      ask(core, request, service->offers[k]->session);
  }
}

/* --- what comes of it --- */

void probe_stop(Core *core, Request *request) {
  Probing *probing = TAKE(request->probing);

  if (!probing)
    return;
  LIST_EACH (&probing->probes, Probe, in_probing, probe)
    close_probe(core, probe);
  list_remove(&probing->in_core);
  free(probing);
}

void probe_cancel(Core *core, const Request *request) {
  Header cancel = {.kind = KIND_CANCEL, .id = request->id, .attempt = request->attempt};

  if (!request->probing)
    return;
  LIST_EACH (&request->probing->probes, Probe, in_probing, probe)
    core_send(core, probe->session, &cancel, BYTES_NONE, NULL);
}

/* Whether somebody may still come who has it. */
static bool may_turn_up(const Core *core, const Request *request) {
  if (core->now_us < core->started_us + TIME_WARMING_US && (core->warming || !core->options.has_peer))
    return true;
  for (uint32_t i = 0; i < request->n_targets; i++)
    if (roster_misses(core, service_of(&request->targets[i]), request->first_us))
      return true;
  return false;
}

static bool has_instances(const Core *core, const Request *request) {
  for (uint32_t i = 0; i < request->n_targets; i++) {
    const Service *service = registry_find(core, service_of(&request->targets[i]));

    if (service && service->n_offers > 0)
      return true;
  }
  return false;
}

/* Nobody has it, and nobody will: it is handed on, or ended. */
static void conclude(Core *core, Request *request, bool is_safe) {
  bool has_begun = request->chunks > 0;

  probe_stop(core, request);
  if (has_begun)
    request_fail(core, request, request_status_cut(request), "no instance that is here has this stream", 0);
  else if (is_safe)
    request_go_on(core, request);
  else
    request_fail(core, request, STATUS_UNKNOWN,
                 "it was sent again, and an instance that may have begun it can't be asked; see `pons trace`", 0);
}

/* Goes on as soon as it is known how. is_last: there is no more time to wait. */
static void decide(Core *core, Request *request, bool is_last) {
  const Probing *probing = request->probing;
  bool is_open = !list_is_empty(&probing->probes);
  bool may_come = may_turn_up(core, request);
  bool is_sure =
      !is_open && !probing->unsure && !request->doubtful && !may_come && roster_reaches_back(core, request->first_us);
  bool is_safe = is_sure || request_targets_idempotent(core, request);

  if (is_open && !is_last)
    return;
  if (!is_last && may_come && (!is_safe || request->chunks > 0 || !has_instances(core, request)))
    return;
  conclude(core, request, is_safe);
}

static void watch(Core *core) {
  const Probing *first = LIST_FIRST(&core->probing, Probing, in_core);

  if (first)
    core_set_timer(core, &core->probe_timer, max_u64(core->now_us, roster_patience_us(core, first->since_us)));
  else
    core_stop_timer(core, &core->probe_timer);
}

static void on_patience_over(Core *core, Timer *timer, uint64_t now_us) {
  (void)timer;
  roster_check_warm(core); /* it may be over in this very moment */
  LIST_EACH (&core->probing, Probing, in_core, probing) {
    if (roster_patience_us(core, probing->since_us) > now_us)
      break;
    decide(core, probing->request, true);
  }
  watch(core);
}

void probe_look_again(Core *core) {
  LIST_EACH (&core->probing, Probing, in_core, probing)
    decide(core, probing->request, false);
  watch(core);
}

/* --- start --- */

/* Puts the target in front of those that the request has. */
static void add_target(Request *request, Text service, Text method) {
  Target *targets = calloc(request->n_targets + 1u, sizeof *targets);

  if (!targets)
    abort();
  memcpy(targets[0].service, service.data, service.size);
  memcpy(targets[0].method, method.data, method.size);
  if (request->n_targets)
    memcpy(targets + 1, request->targets, request->n_targets * sizeof *targets);
  free(request->targets);
  request->targets = targets;
  request->n_targets++;
}

bool probe_start(Core *core, Request *request, Text target, Text method) {
  Probing *probing;

  if (!request->moved || text_is(target, "pons"))
    return false;
  probing = calloc(1, sizeof *probing);
  if (!probing)
    abort();
  *probing = (Probing){.request = request, .number = ++core->n_probings, .since_us = core->now_us};
  list_init(&probing->probes);
  request->probing = probing;
  request->state = REQUEST_PROBING;
  list_push(&core->probing, &probing->in_core);
  add_target(request, target, method);
  if (request->chunks > 0)
    request_drop_body(core, request); /* nobody will begin it */
  trace_step(core, request, STEP_PROBED, NULL, STATUS_OK);
  core->probe_timer.on_due = on_patience_over;
  watch(core);
  ask_all(core, request);
  decide(core, request, false);
  return true;
}

static bool concerns(const Request *request, const Session *session) {
  for (uint32_t i = 0; i < request->n_targets; i++)
    for (uint32_t k = 0; k < session->n_offers && !asks_all(&request->targets[i]); k++)
      if (text_is(service_of(&request->targets[i]), session->offers[k].service->name))
        return true;
  return false;
}

void probe_ask_newcomer(Core *core, Session *session) {
  LIST_EACH (&core->probing, Probing, in_core, probing) {
    if (concerns(probing->request, session))
      ask(core, probing->request, session);
  }
}

void probe_forget_session(Core *core, Session *session) {
  Probe *probe;

  list_remove(&session->in_askers);
  buffer_done(&session->questions);
  while ((probe = LIST_FIRST(&session->probes, Probe, in_session))) {
    Request *request = probe->request;

    close_probe(core, probe);
    decide(core, request, false);
  }
}

/* --- answers --- */

/* The question that this answers, or NULL. */
static Probe *find_probe(const Core *core, const Session *session, const Header *header) {
  const Request *request = request_find(core, header->id);

  if (!request || !request->probing || header->hop != request->hop)
    return NULL;
  LIST_EACH (&request->probing->probes, Probe, in_probing, probe) {
    if (probe->session == session && probe->attempt == header->attempt)
      return probe;
  }
  return NULL;
}

void probe_pass(Core *core, Session *session, const Header *header) {
  Probe *probe = find_probe(core, session, header);
  Request *request;

  if (!probe) {
    core->counters[COUNTER_STRAY]++;
    return;
  }
  request = probe->request;
  close_probe(core, probe);
  if (header->status == STATUS_STALE) {
    probe_stop(core, request);
    request_fail(core, request, STATUS_STALE, NULL, 0);
    return;
  }
  if (header->status != STATUS_OK)
    request->probing->unsure = true;
  decide(core, request, false);
}

/* Somebody has it whom nobody asks any more. It is not told to stop: the client may have moved on, and go on with this very execution
   at the other broker. Its window stops a stream, and its deadline all. */
static void pass_over(Core *core, const Session *session, const Header *have) {
  Request *request = request_find(core, have->id);

  core->counters[COUNTER_STRAY]++;
  if (request && request->moved && request->worker != session)
    request->doubtful = true;
}

uint64_t probe_execution(const Session *session, const Header *header) {
  if (header->execution)
    return header->execution;
  return session->features & FEATURE_PROBE ? session->client->id.value : session->id.value;
}

/* Whether the client can go on with this execution: it wants it from the first chunk on, or has chunks of it and wants the next. Chunks of
   two executions must not be mixed: each may have cut the stream elsewhere, or say something else. */
static bool goes_on(const Request *request, const Session *session, const Header *have) {
  bool is_it = request->chunks == 0 || request->execution == 0 || request->execution == probe_execution(session, have);

  return is_it && have->number == request->chunks;
}

/* A stream that its client can't go on with: of another execution, or a part of it is no longer kept. */
static void dismiss(Core *core, Request *request, Session *session) {
  Header cancel = {.kind = KIND_CANCEL, .id = request->id, .attempt = request->attempt};

  request->doubtful = true;
  core_send(core, session, &cancel, BYTES_NONE, NULL);
}

/* The offer by which the session has it: of the first target that it fits. Those before it are dropped. */
static Offer *take_offer(Core *core, Request *request, Session *session) {
  for (uint32_t i = 0; i < request->n_targets; i++)
    for (uint32_t k = 0; k < session->n_offers; k++) {
      Offer *offer = &session->offers[k];

      if (!text_is(service_of(&request->targets[i]), offer->service->name))
        continue;
      registry_unref(core, &request->service);
      request->service = registry_ref(core, text_of(offer->service->name));
      request->method_size = (uint8_t)strlen(request->targets[i].method);
      memcpy(request->method, request->targets[i].method, request->method_size);
      request->n_targets -= i + 1;
      memmove(request->targets, request->targets + i + 1, request->n_targets * sizeof(Target));
      return offer;
    }
  return NULL;
}

/* The instance goes on with it, for this broker. */
static void attach(Core *core, Request *request, Session *session, const Header *have, bool is_forwarded) {
  Offer *offer = take_offer(core, request, session);
  Header window = {.kind = KIND_WINDOW, .id = request->id, .attempt = request->attempt, .number = have->number};

  probe_stop(core, request);
  request->chunk_bytes = have->window_bytes;
  request->window_bytes = min_u64(request->window_bytes, have->window_bytes + LIMIT_STREAM_WINDOW_BYTES);
  request_attach(core, request, offer);
  request->forwarded = is_forwarded;
  window.window_bytes = request->window_bytes;
  if (window.window_bytes > 0)
    core_send(core, session, &window, BYTES_NONE, NULL);
}

/* It is done again when it may be; and it is known at once when it may not. */
static void give_up(Core *core, Request *request) {
  request->probing->unsure = true;
  if (request->chunks > 0 || request_targets_idempotent(core, request))
    decide(core, request, false);
  else
    conclude(core, request, false);
}

void probe_have(Core *core, Session *session, const Header *header, Bytes body) {
  Probe *probe = find_probe(core, session, header);
  Request *request;
  HaveBody have;
  bool is_forwarded;

  if (!probe) {
    pass_over(core, session, header);
    return;
  }
  request = probe->request;
  close_probe(core, probe);
  if (contract_decode(CONTRACT(HaveBody), body, NULL, &have, NULL) != 0 || text_is(have.state, "reply_gone")) {
    give_up(core, request);
    return;
  }
  is_forwarded = text_is(have.state, "forwarded");
  if (is_forwarded || goes_on(request, session, header)) {
    attach(core, request, session, header, is_forwarded);
    return;
  }
  dismiss(core, request, session);
  give_up(core, request);
}
