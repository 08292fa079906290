/* The rosters of both brokers, told to each other in the log (bus/core/roster.h). What a broker knows of the other's instances is good as
   long as the link is, so all of them are told each time it comes up, and how far back that is known; between, they are told as they
   come and go. An instance that the other has heard of is noted. */
#include <stdio.h>
#include <stdlib.h>

#include "bus/broker/authority-internal.h"
#include "bus/wire/arena.h"

/* --- out --- */

static void await(Authority *a, ToldInstance told) {
  if (a->roster.n == a->roster.room) {
    a->roster.room = a->roster.room ? a->roster.room * 2 : 64;
    a->roster.told = realloc(a->roster.told, a->roster.room * sizeof *a->roster.told);
    if (!a->roster.told)
      abort();
  }
  a->roster.told[a->roster.n++] = told;
}

/* What a log that was lost has told is told anew. */
void authority_tell_instance(Authority *a, const RosterEntry *entry, bool has_left, uint64_t ago_us) {
  PeerInstance row = {.change = has_left ? TEXT("left") : TEXT("has"),
                      .client = entry->client.value,
                      .incarnation = entry->incarnation,
                      .has_ago_us = has_left,
                      .ago_us = ago_us,
                      .has_services = true};
  uint64_t position;

  row.services.items = (Text *)entry->services;
  row.services.count = entry->n_services;
  position = loglink_append(a, CHANGE_INSTANCE, CONTRACT(PeerInstance), &row);
  if (position == 0)
    return;
  if (changes_are_lost(a->log.changes))
    a->roster.n = 0;
  else if (!has_left)
    await(a, (ToldInstance){position, entry->client, entry->incarnation});
}

void rosterlink_tell_all(Authority *a) {
  a->roster.n = 0;
  core_tell_roster(a->core, loop_now_us(a->loop));
}

/* Until the peer tells who is with it, the core does not note anything. */
void rosterlink_on_heard(Authority *a) {
  uint64_t heard = changes_done(a->log.changes, CHANGE_INSTANCE);
  size_t n = 0;

  if (!a->roster.begun)
    return;
  for (; n < a->roster.n && a->roster.told[n].position <= heard; n++)
    core_peer_noted(a->core, a->roster.told[n].client, a->roster.told[n].incarnation, loop_now_us(a->loop));
  if (n == 0)
    return;
  a->roster.n -= n;
  memmove(a->roster.told, a->roster.told + n, a->roster.n * sizeof *a->roster.told);
}

/* --- in --- */

void rosterlink_take_begins(Authority *a, Bytes body) {
  PeerBegins begins;

  if (!peerlink_is_up(a->link) || contract_decode(CONTRACT(PeerBegins), body, NULL, &begins, NULL) != 0)
    return;
  a->roster.begun = true;
  core_peer_up(a->core, begins.site, loop_now_us(a->loop));
  rosterlink_on_heard(a);
}

void rosterlink_take_instance(Authority *a, Bytes body) {
  _cleanup_(arena_done) Arena arena = {0};
  uint64_t now_us = loop_now_us(a->loop);
  PeerInstance row;
  RosterEntry entry;

  if (contract_decode(CONTRACT(PeerInstance), body, &arena, &row, NULL) != 0)
    return;
  entry = (RosterEntry){{row.client}, row.incarnation, row.services.items, row.services.count};
  if (text_is(row.change, "left"))
    core_peer_lost(a->core, &entry, row.ago_us, now_us);
  else
    core_peer_has(a->core, &entry, now_us);
}

/* It was said after this broker had asked for it, so it is no older than the link is up: what lies before must not seem later. */
void rosterlink_take_level(Authority *a, Bytes body) {
  uint64_t now_us = loop_now_us(a->loop);
  RosterHistory history;
  PeerLevel level;

  if (!a->roster.begun || contract_decode(CONTRACT(PeerLevel), body, NULL, &level, NULL) != 0)
    return;
  history = (RosterHistory){level.own_for_us, level.both_for_us, level.apart_for_us};
  if (history.apart_for_us > 0)
    history.apart_for_us += now_us - a->log.up_us;
  core_peer_complete(a->core, &history, now_us);
}

void rosterlink_on_down(Authority *a, uint64_t worked_us) {
  a->roster.begun = false;
  if (a->core)
    core_peer_down(a->core, worked_us, loop_now_us(a->loop));
}

void rosterlink_on_refused(Authority *a, uint64_t sent_us) {
  if (a->core)
    core_peer_dead(a->core, sent_us, loop_now_us(a->loop));
}

/* --- events --- */

static void send_event(Authority *a, const PeerEvent *event) {
  _cleanup_(buffer_done) Buffer body = {0};

  if (contract_encode(CONTRACT(PeerEvent), event, &body, NULL) != 0)
    abort();
  peerlink_send(a->link, a->options.pair.node == PAIR_A ? PAIR_B : PAIR_A, "event", buffer_bytes(&body));
}

void authority_tell_event(Authority *a, const Header *header, Bytes body) {
  PeerEvent event = {.topic = header->service,
                     .publisher = header->id.client.value,
                     .sequence = header->id.sequence,
                     .retain = (header->flags & FLAG_RETAIN) != 0,
                     .has_content_type = header->content_type.size > 0,
                     .content_type = header->content_type,
                     .body = body};

  if (a->link && peerlink_is_up(a->link))
    send_event(a, &event);
}

void rosterlink_take_event(Authority *a, Bytes body) {
  PeerEvent event;
  Header header;

  if (!a->core || contract_decode(CONTRACT(PeerEvent), body, NULL, &event, NULL) != 0)
    return;
  header = (Header){.id = {{event.publisher}, event.sequence},
                    .service = event.topic,
                    .flags = event.retain ? FLAG_RETAIN : 0,
                    .content_type = event.content_type};
  core_peer_event(a->core, &header, event.body, loop_now_us(a->loop));
}

void rosterlink_done(Authority *a) {
  free(TAKE(a->roster.told));
}
