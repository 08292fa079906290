/* Who is and was here, and with the other broker. A request that is sent again was perhaps begun by an instance that has gone
   since. So each that leaves is remembered for the horizon, whatever it said when it left: its last answer may lie in a broker
   that is dead. What both brokers know is told over their link as it changes; while the link is cut neither knows the
   newcomers of the other, and those get no `once` work for a while (once.c). */
#include "bus/core/core-internal.h"

#include <stdio.h>
#include <stdlib.h>

/* An instance of the other broker. */
typedef struct Elsewhere {
  TableLink link;
  ClientId client;
  uint64_t incarnation;
  bool old; /* it was told before the link was lost, and not since */
  uint32_t n_services;
  char services[][LIMIT_NAME_BYTES + 1];
} Elsewhere;

static uint64_t id_hash(ClientId id) {
  return request_id_hash((RequestId){id, 0});
}

static uint64_t before(uint64_t now_us, uint64_t ago_us) {
  return now_us > ago_us ? now_us - ago_us : 0;
}

/* --- those that have left --- */

static uint64_t n_leavers(const Core *core) {
  return min_u64(core->n_leavers, LEAVERS);
}

static Leaver *find_leaver(const Core *core, const Leaver *like) {
  for (uint64_t i = 0; i < n_leavers(core); i++) {
    Leaver *leaver = &core->leavers[i];

    if (leaver->client.value == like->client.value && leaver->incarnation == like->incarnation &&
        strcmp(leaver->service, like->service) == 0)
      return leaver;
  }
  return NULL;
}

/* One that has to be forgotten too early is one of whom nobody can tell: only later requests can be sure. */
static Leaver *take_place(Core *core) {
  Leaver *place;

  if (!core->leavers) {
    core->leavers = calloc(LEAVERS, sizeof *core->leavers);
    if (!core->leavers)
      abort();
  }
  place = &core->leavers[core->n_leavers++ % LEAVERS];
  if (place->client.value && place->left_us + TIME_HORIZON_US > core->now_us)
    core->known_since_us = max_u64(core->known_since_us, place->left_us + 1);
  return place;
}

static void remember(Core *core, ClientId client, uint64_t incarnation, Text service, uint64_t left_us) {
  Leaver leaver = {.client = client, .incarnation = incarnation, .left_us = left_us};
  Leaver *place;

  snprintf(leaver.service, sizeof leaver.service, "%.*s", TEXT_ARG(service));
  place = find_leaver(core, &leaver);
  if (place)
    leaver.left_us = max_u64(left_us, place->left_us);
  else
    place = take_place(core);
  *place = leaver;
}

/* An instance that is back, with all that it remembers, can be asked. */
static void forget(Core *core, ClientId client, uint64_t incarnation) {
  for (uint64_t i = 0; i < n_leavers(core); i++)
    if (core->leavers[i].client.value == client.value && core->leavers[i].incarnation == incarnation)
      core->leavers[i].client.value = 0;
}

static bool has_left(const Core *core, Text service, uint64_t first_us) {
  for (uint64_t i = 0; i < n_leavers(core); i++) {
    const Leaver *leaver = &core->leavers[i];

    if (leaver->client.value && leaver->left_us >= first_us && text_is(service, leaver->service))
      return true;
  }
  return false;
}

/* --- instances of this broker --- */

static void tell(Core *core, const Session *session, bool has_left_us) {
  Text services[LIMIT_SERVICES_PER_INSTANCE];
  RosterEntry entry = {session->client->id, session->incarnation, services, session->n_offers};

  if (!core->sink.roster || !core->options.has_peer || session->n_offers == 0)
    return;
  for (uint32_t i = 0; i < session->n_offers; i++)
    services[i] = (Text){session->offers[i].service->name, session->offers[i].service->size};
  core->sink.roster(core->sink.userdata, &entry, has_left_us, 0);
}

/* Whether the other broker, which is out of reach, may be expected to know nothing of newcomers. */
static bool is_out_of_the_way(const Core *core) {
  const PeerBroker *peer = &core->peer;

  return peer->dead || (!peer->up && core->now_us >= max_u64(peer->sure_us, core->started_us) + TIME_NEWCOMER_US);
}

/* From now on it may be given `once` work. */
static void note(Core *core, Session *session) {
  session->noted = ++core->serial;
  dispatch_pump_instance(core, session);
}

static void note_all(Core *core) {
  LIST_EACH (&core->sessions, Session, in_core, session) {
    if (session->state == SESSION_OPEN && !session->noted)
      note(core, session);
  }
}

/* What is of this process alone is not told to the other, and is no loss to it. */
void roster_add(Core *core, Session *session) {
  if (session->trusted) {
    note(core, session);
    return;
  }
  forget(core, session->client->id, session->incarnation);
  if (is_out_of_the_way(core))
    note(core, session);
  tell(core, session, false);
}

void roster_remove(Core *core, const Session *session) {
  if (session->trusted)
    return;
  for (uint32_t i = 0; i < session->n_offers; i++) {
    const Service *service = session->offers[i].service;

    remember(core, session->client->id, session->incarnation, (Text){service->name, service->size}, core->now_us);
  }
  tell(core, session, true);
}

RosterHistory core_history(const Core *core, uint64_t now_us) {
  const PeerBroker *peer = &core->peer;

  return (RosterHistory){
      .own_for_us = now_us - core->started_us,
      .both_for_us = peer->complete || peer->sure_us ? before(now_us, core->known_since_us) : 0,
      .apart_for_us = peer->sure_us ? now_us - peer->sure_us : 0,
  };
}

/* --- instances of the other broker --- */

static Elsewhere *find_elsewhere(const Core *core, ClientId client) {
  for (TableLink *at = table_bucket(&core->peer.instances, id_hash(client)); at; at = at->next) {
    Elsewhere *each = CONTAINER_OF(at, Elsewhere, link);

    if (each->client.value == client.value)
      return each;
  }
  return NULL;
}

static void drop_elsewhere(Core *core, Elsewhere *gone) {
  table_remove(&core->peer.instances, &gone->link);
  free(gone);
}

/* Whether that very process has a session here. */
static bool is_here(const Core *core, ClientId id, uint64_t incarnation) {
  const Client *client = client_find(core, id);

  return client && client->session && client->session->state == SESSION_OPEN &&
         client->session->incarnation == incarnation;
}

/* What the other broker had, as far as was known. If it is another process now it does not know them, nor that they have left. */
static void tell_elsewhere(Core *core) {
  TABLE_EACH (&core->peer.instances, Elsewhere, link, each) {
    for (uint32_t i = 0; i < each->n_services && core->sink.roster; i++) {
      Text service = text_of(each->services[i]);
      RosterEntry entry = {each->client, each->incarnation, &service, 1};

      if (!is_here(core, each->client, each->incarnation))
        core->sink.roster(core->sink.userdata, &entry, true, 0);
    }
  }
}

void core_tell_roster(Core *core, uint64_t now_us) {
  core->now_us = now_us;
  LIST_EACH (&core->sessions, Session, in_core, session) {
    if (session->trusted)
      continue;
    session->noted = 0;
    if (session->state == SESSION_OPEN)
      tell(core, session, false);
  }
  for (uint64_t i = 0; i < n_leavers(core) && core->sink.roster; i++) {
    const Leaver *leaver = &core->leavers[i];
    Text service = text_of(leaver->service);
    RosterEntry entry = {leaver->client, leaver->incarnation, &service, 1};

    if (leaver->client.value && leaver->left_us + TIME_HORIZON_US > now_us)
      core->sink.roster(core->sink.userdata, &entry, true, now_us - leaver->left_us);
  }
  tell_elsewhere(core);
}

void core_peer_has(Core *core, const RosterEntry *entry, uint64_t now_us) {
  uint32_t n = (uint32_t)min_u64(entry->n_services, LIMIT_SERVICES_PER_INSTANCE);
  Elsewhere *each = find_elsewhere(core, entry->client);

  core->now_us = now_us;
  if (each && each->incarnation > entry->incarnation)
    return;
  if (each)
    drop_elsewhere(core, each);
  core->peer.more = core->peer.more || core->peer.instances.size >= core->options.limits.sessions;
  if (core->peer.more)
    return;
  each = calloc(1, sizeof *each + n * sizeof each->services[0]);
  if (!each)
    abort();
  each->client = entry->client;
  each->incarnation = entry->incarnation;
  each->n_services = n;
  for (uint32_t i = 0; i < n; i++)
    snprintf(each->services[i], sizeof each->services[i], "%.*s", TEXT_ARG(entry->services[i]));
  table_add(&core->peer.instances, &each->link, id_hash(entry->client));
}

/* What the other broker has no longer is a leaver, unless it is here. */
static void lose_elsewhere(Core *core, ClientId client, uint64_t incarnation, Text service, uint64_t left_us) {
  if (!is_here(core, client, incarnation))
    remember(core, client, incarnation, service, left_us);
}

void core_peer_lost(Core *core, const RosterEntry *entry, uint64_t ago_us, uint64_t now_us) {
  Elsewhere *each = find_elsewhere(core, entry->client);

  core->now_us = now_us;
  if (each && each->incarnation == entry->incarnation)
    drop_elsewhere(core, each);
  for (size_t i = 0; i < entry->n_services && i < LIMIT_SERVICES_PER_INSTANCE; i++)
    lose_elsewhere(core, entry->client, entry->incarnation, entry->services[i], before(now_us, ago_us));
  roster_check_warm(core);
  core_end_step(core);
}

/* Those that are old (or all) have gone with the other broker. */
static void lose_all_elsewhere(Core *core, bool only_old) {
  TABLE_EACH (&core->peer.instances, Elsewhere, link, each) {
    if (only_old && !each->old)
      continue;
    for (uint32_t i = 0; i < each->n_services; i++)
      lose_elsewhere(core, each->client, each->incarnation, text_of(each->services[i]), core->now_us);
    drop_elsewhere(core, each);
  }
}

/* Those that had no room may have left meanwhile. */
static void forget_more(Core *core) {
  if (core->peer.more)
    core->known_since_us = core->now_us;
  core->peer.more = false;
}

/* --- the link --- */

void core_peer_up(Core *core, Text site, uint64_t now_us) {
  PeerBroker *peer = &core->peer;

  core->now_us = now_us;
  peer->complete = peer->complete && peer->up; /* what is told again takes nothing away of what is known */
  peer->up = true;
  forget_more(core); /* all are told now */
  snprintf(peer->site, sizeof peer->site, "%.*s", TEXT_ARG(site));
  TABLE_EACH (&peer->instances, Elsewhere, link, each)
    each->old = true;
}

/* Whether nothing can have begun `once` work at the other side that is not told now. What the other has known since its own
   start it tells; before that, its former self gave none to newcomers for some time after the link was lost. */
static bool gap_is_filled(uint64_t lost_us, uint64_t other_started_us) {
  return lost_us == 0 || other_started_us <= lost_us + TIME_NEWCOMER_US / 2;
}

void core_peer_complete(Core *core, const RosterHistory *history, uint64_t now_us) {
  PeerBroker *peer = &core->peer;
  uint64_t own_us = before(now_us, history->own_for_us);
  uint64_t known_us = max_u64(core->started_us, own_us);
  uint64_t lost_us = history->apart_for_us ? max_u64(1, before(now_us, history->apart_for_us)) : 0;

  core->now_us = now_us;
  lose_all_elsewhere(core, true);
  if (gap_is_filled(lost_us, core->started_us))
    known_us = min_u64(known_us, before(now_us, history->both_for_us));
  if (peer->complete || (peer->sure_us && gap_is_filled(peer->sure_us, own_us)))
    known_us = min_u64(known_us, core->known_since_us);
  core->known_since_us = known_us;
  peer->complete = true;
  peer->dead = false;
  peer->sure_us = 0;
  core_stop_timer(core, &core->newcomers);
  roster_check_warm(core);
  probe_look_again(core);
  core_end_step(core);
}

/* The newcomers have waited long enough for a broker that does not come back. */
static void on_newcomers(Core *core, Timer *timer, uint64_t now_us) {
  (void)timer, (void)now_us;
  if (is_out_of_the_way(core))
    note_all(core);
}

void core_peer_noted(Core *core, ClientId id, uint64_t incarnation, uint64_t now_us) {
  Client *client = client_find(core, id);

  core->now_us = now_us;
  if (!is_here(core, id, incarnation) || !core->peer.up)
    return;
  if (!client->session->noted)
    note(core, client->session);
  core_end_step(core);
}

static void suspect(Core *core, Text site) {
  LIST_EACH (&core->sessions, Session, in_core, session) {
    if (session->state != SESSION_OPEN || session->n_offers == 0 || !text_is(site, session->site))
      continue;
    session->suspect = ++core->serial;
    dispatch_note_room(session);
    session_ping(core, session);
  }
}

void core_suspect_site(Core *core, Text site, uint64_t now_us) {
  core->now_us = now_us;
  suspect(core, site);
}

/* It is dead, and was when it was looked at. If nothing is known of it for long before that, a process in its place may have
   given `once` work to instances that nobody knows here. */
static void note_death(Core *core, uint64_t looked_us) {
  PeerBroker *peer = &core->peer;

  if (!peer->sure_us || looked_us >= peer->sure_us + TIME_NEWCOMER_US / 2)
    core->known_since_us = core->now_us;
  peer->sure_us = max_u64(peer->sure_us, looked_us);
}

void core_peer_down(Core *core, uint64_t worked_us, uint64_t now_us) {
  PeerBroker *peer = &core->peer;

  core->now_us = now_us;
  if (!peer->up)
    return;
  if (peer->complete)
    peer->sure_us = worked_us;
  peer->up = false;
  peer->complete = false;
  core_set_timer(core, &core->newcomers, max_u64(now_us, worked_us + TIME_NEWCOMER_US));
  suspect(core, text_of(peer->site));
  roster_check_warm(core);
  probe_look_again(core);
  core_end_step(core);
}

void core_peer_dead(Core *core, uint64_t looked_us, uint64_t now_us) {
  PeerBroker *peer = &core->peer;

  core->now_us = now_us;
  if (peer->up)
    return;
  note_death(core, looked_us);
  if (peer->dead)
    return;
  peer->dead = true;
  lose_all_elsewhere(core, false);
  forget_more(core);
  note_all(core);
  roster_check_warm(core);
  probe_look_again(core);
  core_end_step(core);
}

/* --- what is known --- */

bool roster_misses(const Core *core, Text service, uint64_t first_us) {
  if (core->peer.more)
    return true;
  if (has_left(core, service, first_us))
    return true;
  TABLE_EACH (&core->peer.instances, Elsewhere, link, each) {
    for (uint32_t i = 0; i < each->n_services; i++)
      if (text_is(service, each->services[i]) && !is_here(core, each->client, each->incarnation))
        return true;
  }
  return false;
}

bool roster_reaches_back(const Core *core, uint64_t first_us) {
  const PeerBroker *peer = &core->peer;

  if (first_us < core->known_since_us || first_us + TIME_HORIZON_US < core->now_us)
    return false;
  if (!core->options.has_peer || (peer->up && peer->complete))
    return true;
  return peer->sure_us && core->now_us < peer->sure_us + TIME_NEWCOMER_US / 2;
}

uint64_t roster_patience_us(const Core *core, uint64_t since_us) {
  uint64_t until_us = since_us + core->options.ping_timeout_us;

  if (core->options.has_peer && !core->warming)
    return until_us;
  return max_u64(until_us, core->started_us + TIME_WARMING_US);
}

/* --- warming --- */

bool core_is_warming(const Core *core) {
  return core->warming;
}

static void end_warming(Core *core) {
  Header warm = {.kind = KIND_WARM};

  core->warming = false;
  core_stop_timer(core, &core->warm_timer);
  LIST_EACH (&core->sessions, Session, in_core, session) {
    if (session->warm_wanted)
      core_send(core, session, &warm, BYTES_NONE, NULL);
    session->warm_wanted = false;
  }
  probe_look_again(core);
}

static void on_warm(Core *core, Timer *timer, uint64_t now_us) {
  (void)timer, (void)now_us;
  roster_check_warm(core);
}

void roster_check_warm(Core *core) {
  bool is_over = core->now_us >= core->started_us + TIME_WARMING_US;

  if (!core->warming || (!core->peer.complete && !is_over))
    return;
  if (is_over) {
    end_warming(core);
    return;
  }
  TABLE_EACH (&core->peer.instances, Elsewhere, link, each) {
    const Client *client = client_find(core, each->client);

    if (!is_here(core, each->client, each->incarnation) || !client->session->ready)
      return;
  }
  end_warming(core);
}

void roster_start(Core *core) {
  core->known_since_us = core->started_us;
  core->warming = core->options.has_peer;
  core->warm_timer.on_due = on_warm;
  core->newcomers.on_due = on_newcomers;
  if (core->warming)
    core_set_timer(core, &core->warm_timer, core->started_us + TIME_WARMING_US);
  if (core->options.has_peer)
    core_set_timer(core, &core->newcomers, core->started_us + TIME_NEWCOMER_US);
}

void roster_done(Core *core) {
  TABLE_EACH (&core->peer.instances, Elsewhere, link, each)
    drop_elsewhere(core, each);
  table_done(&core->peer.instances);
  free(core->leavers);
}
