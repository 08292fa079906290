/* The link between the brokers, as bus/broker/peerlink.c and authority-roster.c make it of connections: each tells the other which
   instances come and go. What is said has numbers, and whoever finds one missing wants all. The link may be cut in one direction
   or both; each end finds out for itself, by what it no longer hears, or because the other says that it does not hear. A dead
   broker's port may be refused, which the other takes for a proof. */
#include "tests/sim/two.h"

#include <assert.h>
#include <stdlib.h>

static const char *const service_names[] = {"work", "front"};

enum {
  PATIENCE_US = 60000, /* without a good beat */
  BEAT_US = 20000,
  WANT_US = 100000, /* how often all is wanted */
};

static Broker *other_of(World *world, const Broker *broker) {
  return &world->brokers[1 - broker->index];
}

bool link_is_cut(const World *world) {
  return world->deaf[0] || world->deaf[1];
}

/* In both directions: a beat counts that has heard one of the last of ours. */
static bool works(const World *world) {
  const Broker *a = &world->brokers[0];
  const Broker *b = &world->brokers[1];

  return a->core && b->core && !a->frozen && !b->frozen && !link_is_cut(world);
}

void link_cut(World *world) {
  uint32_t how = world_random(world, 3);

  world->deaf[0] = how != 1;
  world->deaf[1] = how != 2;
  pairs_cut(world->pairs, world->deaf);
}

void link_heal(World *world) {
  world->deaf[0] = world->deaf[1] = false;
  pairs_cut(world->pairs, world->deaf);
}

/* --- what is said --- */

void link_forget(Broker *broker) {
  LIST_EACH (&broker->words, Word, in_link, word) {
    list_remove(&word->in_link);
    free(word);
  }
}

/* Without a link it may get there later, or be lost, as it may when a connection breaks. */
static void say(World *world, Broker *broker, Word word) {
  Broker *to = other_of(world, broker);
  Word *copy;

  if (word.kind != WORD_WANTED)
    word.number = ++broker->told;
  if (!to->core || (!broker->up && world_chance(world, 500)) ||
      (!world->base.quiet && !world->gentle && world_chance(world, 3)))
    return;
  copy = malloc(sizeof *copy);
  assert(copy);
  *copy = word;
  list_push(&to->words, &copy->in_link);
}

void link_tell(World *world, Broker *broker, const struct RosterEntry *entry, bool has_left, uint64_t ago_us) {
  Word word = {.kind = has_left ? WORD_LOST : WORD_HAS,
               .client = entry->client,
               .incarnation = entry->incarnation,
               .ago_us = ago_us};

  for (size_t i = 0; i < entry->n_services; i++)
    for (unsigned k = 0; k < ELEMENTS(service_names); k++)
      word.services |= text_is(entry->services[i], service_names[k]) ? 1U << k : 0;
  say(world, broker, word);
}

static void tell_all(World *world, Broker *broker) {
  uint64_t now_us = broker_now_us(world, broker);
  Word complete = {.kind = WORD_COMPLETE, .history = core_history(broker->core, now_us)};

  say(world, broker, (Word){.kind = WORD_BEGINS});
  core_tell_roster(broker->core, now_us);
  say(world, broker, complete);
}

static void begin_anew(World *world, Broker *broker) {
  broker->asked_us = world->base.now_us;
  say(world, broker, (Word){.kind = WORD_WANTED});
  tell_all(world, broker);
}

/* --- up and down --- */

/* Whoever is at the other's machine has to answer before it gets anything new. */
static void note_suspects(World *world, const Broker *broker) {
  LIST_EACH (&world->conns, Conn, in_world, conn) {
    bool is_there = conn->is_worker && conn->broker == broker->index && conn->site != broker->index;

    if (!is_there || !conn->session || !conn->open)
      continue;
    conn->suspect = true;
    conn->suspect_since = conn->asked;
  }
}

static void go_down(World *world, Broker *broker) {
  bool was_told = broker->told_up;

  broker->up = broker->in_step = broker->told_up = broker->knows_all = false;
  if (world_chance(world, 500))
    link_forget(broker);
  if (was_told)
    note_suspects(world, broker);
  core_peer_down(broker->core, broker->worked_us, broker_now_us(world, broker));
}

static void learn_death(World *world, Broker *broker) {
  uint64_t now_us = broker_now_us(world, broker);

  core_peer_dead(broker->core, now_us, now_us);
}

/* What this end hears, or does not. An end that was late itself judges nobody. */
static void look(World *world, Broker *broker) {
  uint64_t now_us = world->base.now_us;
  bool is_late = now_us > broker->looked_us + 2 * BEAT_US;

  broker->looked_us = now_us;
  if (works(world)) {
    broker->good_us = now_us;
    broker->worked_us = broker_now_us(world, broker);
  } else if (is_late) {
    broker->good_us = now_us;
  }
}

/* It hears nothing, or the end of the connection, or another process in the other's place. */
static bool is_lost(World *world, const Broker *broker) {
  const Broker *other = other_of(world, broker);

  if (world->base.now_us > broker->good_us + PATIENCE_US)
    return true;
  return !link_is_cut(world) && (!other->core ? world_chance(world, 300) : other->incarnation != broker->linked_with);
}

/* A beat says what was told last, and comes after it. */
static bool has_missed(World *world, const Broker *broker) {
  return !broker->in_step || (list_is_empty(&broker->words) && other_of(world, broker)->told > broker->heard);
}

void link_tick(World *world, Broker *broker) {
  uint64_t now_us = world->base.now_us;
  bool is_dead = !other_of(world, broker)->core && !link_is_cut(world);

  if (!broker->core || broker->frozen)
    return;
  look(world, broker);
  if (broker->up && is_lost(world, broker)) {
    go_down(world, broker);
    if (is_dead && world_chance(world, 700))
      learn_death(world, broker);
  } else if (!broker->up && works(world) && world_chance(world, 300)) {
    broker->up = true;
    broker->linked_with = other_of(world, broker)->incarnation;
    begin_anew(world, broker);
  } else if (!broker->up && is_dead && world_chance(world, 100)) {
    learn_death(world, broker); /* its port is refused */
  } else if (broker->up && works(world) && has_missed(world, broker) && now_us > broker->asked_us + WANT_US) {
    begin_anew(world, broker);
  }
}

/* --- what is heard --- */

/* Whether this is the word that was to come. */
static bool follows(World *world, Broker *broker, const Word *word) {
  if (word->kind == WORD_BEGINS && broker->up) {
    broker->in_step = broker->told_up = true;
    broker->knows_all = false;
    core_peer_up(broker->core, text_of(broker->index == 0 ? "pc2" : "main"), broker_now_us(world, broker));
  } else if (word->number != broker->heard + 1) {
    broker->in_step = false;
  }
  broker->heard = word->number;
  return broker->in_step;
}

static void take(World *world, Broker *broker, const Word *word) {
  Text services[ELEMENTS(service_names)];
  RosterEntry entry = {.client = word->client, .incarnation = word->incarnation, .services = services};
  uint64_t now_us = broker_now_us(world, broker);

  for (unsigned i = 0; i < ELEMENTS(service_names); i++)
    if (word->services & 1U << i)
      services[entry.n_services++] = text_of(service_names[i]);
  switch (word->kind) {
  case WORD_HAS:
    core_peer_has(broker->core, &entry, now_us);
    say(world, broker, (Word){.kind = WORD_NOTED, .client = word->client, .incarnation = word->incarnation});
    break;
  case WORD_LOST:
    core_peer_lost(broker->core, &entry, word->ago_us, now_us);
    break;
  case WORD_NOTED:
    core_peer_noted(broker->core, word->client, word->incarnation, now_us);
    break;
  case WORD_COMPLETE:
    core_peer_complete(broker->core, &word->history, now_us);
    broker->knows_all = true;
    break;
  case WORD_WANTED:
  case WORD_BEGINS:
    break;
  }
}

void link_deliver(World *world, Broker *to) {
  Word *word = LIST_FIRST(&to->words, Word, in_link);

  if (!word || !to->core || to->frozen || world->deaf[to->index])
    return;
  list_remove(&word->in_link);
  if (word->kind == WORD_WANTED)
    tell_all(world, to);
  else if (follows(world, to, word))
    take(world, to, word);
  free(word);
}
