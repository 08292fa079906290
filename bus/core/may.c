/* Whether a session may, by the rights of its key; and the one place that says no. */
#include "bus/core/core-internal.h"

#include <stdio.h>

static const char *const deeds[RIGHTS_END] = {"call", "serve", "publish to", "subscribe to"};

static bool is_topic(RightsDeed deed) {
  return deed == RIGHTS_PUBLISH || deed == RIGHTS_SUBSCRIBE;
}

static void say_denied(Core *core, Session *session, RightsDeed deed, Text what, Text method) {
  bool guarded = deed == RIGHTS_CALL && rights_is_guarded(what, method);

  core->counters[COUNTER_DENIED]++;
  snprintf(core->denial, sizeof core->denial, "the key %s may not %s %.*s%s%.*s; %s", session->identity.key,
           deeds[deed], TEXT_ARG(what), is_topic(deed) ? "" : ".", TEXT_ARG(method),
           guarded ? "no * includes it: write it out under `call` in keys.yaml" : "`pons keys list` shows what it may");
  if (!session->denial_told) /* one that goes on trying must not fill the log */
    core_note(core, CORE_NOTE_DENIED, "%s", core->denial);
  session->denial_told = true;
}

bool may(Core *core, Session *session, RightsDeed deed, Text what, Text method) {
  if (rights_cover(session->identity.rights, deed, what, method))
    return true;
  say_denied(core, session, deed, what, method);
  return false;
}

bool may_serve(Core *core, Session *session, const Hello *hello) {
  for (size_t i = 0; i < hello->services.count; i++) {
    const HelloService *service = &hello->services.items[i];

    for (size_t k = 0; k < service->methods.count; k++)
      if (!may(core, session, RIGHTS_SERVE, service->service, service->methods.items[k].method))
        return false;
  }
  return true;
}

bool may_forward(Core *core, Session *session, const ForwardBody *forward) {
  for (size_t i = 0; i < forward->targets.count; i++)
    if (!may(core, session, RIGHTS_CALL, forward->targets.items[i].service, forward->targets.items[i].method))
      return false;
  return true;
}

bool core_may_call(Core *core, ClientId id, Text service, Text method) {
  const Client *client = client_find(core, id);

  if (!client || !client->session)
    return !core->keyed;
  return may(core, client->session, RIGHTS_CALL, service, method);
}

/* --- rights that change --- */

static bool may_still_serve(Core *core, Session *session) {
  for (uint32_t i = 0; i < session->n_offers; i++) {
    const Offer *offer = &session->offers[i];

    for (uint32_t k = 0; k < offer->n_methods; k++)
      if (!may(core, session, RIGHTS_SERVE, (Text){offer->service->name, offer->service->size},
               (Text){offer->methods[k].name, offer->methods[k].size}))
        return false;
  }
  return true;
}

static bool may_still_hear(Core *core, Session *session) {
  LIST_EACH (&session->subscriptions, Subscription, in_session, subscription) {
    const Pattern *pattern = subscription->pattern;

    if (!may(core, session, RIGHTS_SUBSCRIBE, (Text){pattern->text, pattern->size}, TEXT_NONE))
      return false;
  }
  return true;
}

void core_identify(Core *core, Session *session, const CoreIdentity *identity, uint64_t now_us) {
  core->now_us = now_us;
  core->keyed = true;
  session->identity = *identity;
  if (session->state != SESSION_OPEN || (may_still_serve(core, session) && may_still_hear(core, session)))
    return;
  core_send_error(core, session, (RequestId){{0}, 0}, STATUS_DENIED, core->denial, NULL, 0);
  session_end(core, session, false, true);
  core_end_step(core);
}
