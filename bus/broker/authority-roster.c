/* The rosters of both brokers, told to each other (bus/core/roster.h). A lost message would be a lie, so each has a number and a
   beat says which was the last: whoever finds a gap asks for all of it, and tells all of his own, since what was noted may be
   what got lost. */
#include <stdio.h>
#include <stdlib.h>

#include "bus/broker/authority-internal.h"
#include "bus/core/roster.h"
#include "bus/wire/arena.h"

enum {
  ROWS = 64,          /* as many as fit into one message, by number */
  ROWS_BYTES = 32768, /* and about as many, by size */
  ASK_US = 100000,    /* how often all is asked for */
};

/* What is to be told with the next message. */
struct RosterNews {
  Arena arena;
  PeerInstance rows[ROWS];
  uint32_t n;
  size_t bytes;
};

static PairNode peer_of(const Authority *a) {
  return a->options.pair.node == PAIR_A ? PAIR_B : PAIR_A;
}

static void send_message(Authority *a, const char *kind, const Contract *contract, const void *value) {
  _cleanup_(buffer_done) Buffer body = {0};

  if (contract_encode(contract, value, &body, NULL) != 0)
    abort();
  peerlink_send(a->link, peer_of(a), kind, buffer_bytes(&body));
}

/* --- out --- */

static void send_roster(Authority *a, PeerRoster *message) {
  RosterNews *news = a->roster.news;

  message->number = ++a->roster.told;
  if (news) {
    message->instances.items = news->rows;
    message->instances.count = news->n;
  }
  send_message(a, "roster", CONTRACT(PeerRoster), message);
  if (!news)
    return;
  arena_clear(&news->arena);
  news->n = 0;
  news->bytes = 0;
}

void rosterlink_flush(Authority *a) {
  if (a->link && a->roster.news && a->roster.news->n > 0)
    send_roster(a, &(PeerRoster){0});
}

static Text keep(RosterNews *news, Text text) {
  char *copy = arena_take(&news->arena, text.size + 1);

  if (!copy)
    abort(); /* it is bounded by ROWS_BYTES and one row more */
  memcpy(copy, text.data, text.size);
  return (Text){copy, text.size};
}

static PeerInstance *add_row(Authority *a, Text change, ClientId client, uint64_t incarnation) {
  RosterNews *news = a->roster.news;
  PeerInstance *row;

  if (news && (news->n == ROWS || news->bytes > ROWS_BYTES))
    rosterlink_flush(a);
  if (!news)
    news = a->roster.news = calloc(1, sizeof *news);
  if (!news)
    abort();
  row = &news->rows[news->n++];
  *row = (PeerInstance){.change = change, .client = client.value, .incarnation = incarnation};
  return row;
}

void authority_tell_instance(Authority *a, const RosterEntry *entry, bool has_left, uint64_t ago_us) {
  RosterNews *news;
  PeerInstance *row;
  Text *services;

  if (!a->link)
    return;
  row = add_row(a, has_left ? TEXT("left") : TEXT("has"), entry->client, entry->incarnation);
  news = a->roster.news;
  services = arena_take(&news->arena, entry->n_services * sizeof *services + 1);
  if (!services)
    abort();
  for (size_t i = 0; i < entry->n_services; i++) {
    services[i] = keep(news, entry->services[i]);
    news->bytes += services[i].size + sizeof *services;
  }
  row->has_ago_us = has_left;
  row->ago_us = ago_us;
  row->has_services = true;
  row->services.items = services;
  row->services.count = entry->n_services;
}

static void tell_all(Authority *a) {
  uint64_t now_us = loop_now_us(a->loop);
  RosterHistory history = core_history(a->core, now_us);

  rosterlink_flush(a);
  send_roster(a, &(PeerRoster){.has_begins = true, .begins = text_of(a->options.site)});
  core_tell_roster(a->core, now_us);
  send_roster(a, &(PeerRoster){.has_complete = true,
                               .complete = true,
                               .has_own_for_us = true,
                               .own_for_us = history.own_for_us,
                               .has_both_for_us = true,
                               .both_for_us = history.both_for_us,
                               .has_apart_for_us = true,
                               .apart_for_us = history.apart_for_us});
}

/* Asks for all and tells all. */
static void begin_anew(Authority *a, uint64_t now_us) {
  a->roster.asked_us = now_us;
  send_message(a, "roster_wanted", CONTRACT(PeerRosterWanted), &(PeerRosterWanted){.heard = a->roster.heard});
  tell_all(a);
}

/* --- in --- */

static void take_instance(Authority *a, const PeerInstance *row, uint64_t now_us) {
  RosterEntry entry = {{row->client}, row->incarnation, row->services.items, row->services.count};

  if (text_is(row->change, "noted")) {
    core_peer_noted(a->core, entry.client, entry.incarnation, now_us);
  } else if (text_is(row->change, "left")) {
    core_peer_lost(a->core, &entry, row->ago_us, now_us);
  } else {
    core_peer_has(a->core, &entry, now_us);
    add_row(a, TEXT("noted"), entry.client, entry.incarnation);
  }
}

/* Whether this is the message that was to come. */
static bool follows(Authority *a, const PeerRoster *message, uint64_t now_us) {
  if (message->has_begins && peerlink_is_up(a->link)) {
    a->roster.in_step = true;
    core_peer_up(a->core, message->begins, now_us);
  } else if (message->number != a->roster.heard + 1) {
    a->roster.in_step = false;
  }
  a->roster.heard = message->number;
  return a->roster.in_step;
}

void rosterlink_take(Authority *a, Bytes body) {
  _cleanup_(arena_done) Arena arena = {0};
  uint64_t now_us = loop_now_us(a->loop);
  PeerRoster message;

  if (!a->core || contract_decode(CONTRACT(PeerRoster), body, &arena, &message, NULL) != 0 ||
      !follows(a, &message, now_us))
    return;
  for (size_t i = 0; i < message.instances.count; i++)
    take_instance(a, &message.instances.items[i], now_us);
  if (message.complete)
    core_peer_complete(a->core, &(RosterHistory){message.own_for_us, message.both_for_us, message.apart_for_us},
                       now_us);
}

void rosterlink_take_wanted(Authority *a) {
  if (a->core)
    tell_all(a);
}

void rosterlink_on_up(Authority *a) {
  if (a->core)
    begin_anew(a, loop_now_us(a->loop));
}

void rosterlink_on_down(Authority *a, uint64_t worked_us) {
  a->roster.in_step = false;
  if (a->core)
    core_peer_down(a->core, worked_us, loop_now_us(a->loop));
}

void rosterlink_on_refused(Authority *a, uint64_t sent_us) {
  if (a->core)
    core_peer_dead(a->core, sent_us, loop_now_us(a->loop));
}

void rosterlink_on_beat(Authority *a, uint64_t now_us) {
  bool lost = !a->roster.in_step || peerlink_peer_told(a->link) > a->roster.heard;

  if (a->core && peerlink_is_up(a->link) && lost && now_us >= a->roster.asked_us + ASK_US)
    begin_anew(a, now_us);
}

/* --- events --- */

void authority_tell_event(Authority *a, const Header *header, Bytes body) {
  PeerEvent event = {.topic = header->service,
                     .publisher = header->id.client.value,
                     .sequence = header->id.sequence,
                     .retain = (header->flags & FLAG_RETAIN) != 0,
                     .has_content_type = header->content_type.size > 0,
                     .content_type = header->content_type,
                     .body = body};

  if (a->link && peerlink_is_up(a->link))
    send_message(a, "event", CONTRACT(PeerEvent), &event);
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
  if (a->roster.news)
    arena_done(&a->roster.news->arena);
  free(TAKE(a->roster.news));
}
