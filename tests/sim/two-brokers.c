/* Two brokers and the link between them: each tells the other which instances come and go. The link may be cut, and each side
   finds that out for itself. A dead broker's port may be refused, which the other takes for a proof. */
#include "tests/sim/two.h"

#include <assert.h>
#include <stdlib.h>

static const char *const service_names[] = {"work", "front"};

enum { PATIENCE_US = 100000 /* in which each side notices that the link is cut */ };

static Broker *other_of(World *world, const Broker *broker) {
  return &world->brokers[1 - broker->index];
}

uint64_t broker_now_us(const World *world, const Broker *broker) {
  return local_us(world, broker->rate_ppm);
}

/* --- the brokers --- */

static World *the_world; /* the sink's functions get a broker */

static void on_send(void *userdata, void *to, const Header *header, Bytes body, Block *block) {
  Conn *conn = to;
  Packet *packet = calloc(1, sizeof *packet);

  (void)userdata, (void)block;
  assert(packet);
  header_encode(header, &packet->header);
  buffer_append(&packet->body, body.data, body.size);
  list_push(&conn->to_peer, &packet->in_channel);
}

static void on_close(void *userdata, void *to) {
  Conn *conn = to;

  (void)userdata;
  conn->session = NULL;
}

static void say(World *world, Broker *to, const Word *word) {
  Word *copy = malloc(sizeof *copy);

  assert(copy);
  *copy = *word;
  copy->link = world->link;
  copy->in_link = (List){NULL, NULL};
  list_push(&to->words, &copy->in_link);
}

static void on_roster(void *userdata, const struct RosterEntry *entry, bool has_left, uint64_t ago_us) {
  Broker *broker = userdata;
  Word word = {.kind = has_left ? WORD_LOST : WORD_HAS,
               .client = entry->client,
               .incarnation = entry->incarnation,
               .ago_us = ago_us};

  if (!broker->up)
    return;
  for (size_t i = 0; i < entry->n_services; i++)
    for (unsigned k = 0; k < ELEMENTS(service_names); k++)
      word.services |= text_is(entry->services[i], service_names[k]) ? 1U << k : 0;
  say(the_world, other_of(the_world, broker), &word);
}

static void forget_words(Broker *broker) {
  LIST_EACH (&broker->words, Word, in_link, word) {
    list_remove(&word->in_link);
    free(word);
  }
}

void broker_start(World *world, Broker *broker) {
  CoreOptions options = core_options_default();
  CoreSink sink = {.send = on_send, .close = on_close, .roster = on_roster, .userdata = broker};

  the_world = world;
  options.has_peer = true;
  options.site = broker->index == 0 ? "main" : "pc2";
  options.seed = world->seed + (uint64_t)broker->index + 1;
  options.incarnation = ++broker->incarnation + 100 * (uint64_t)broker->index;
  options.limits.service_queue = 32;
  broker->frozen = broker->up = false;
  broker->down_at_us = 0;
  assert(core_new(&broker->core, &options, &sink, broker_now_us(world, broker)) == 0);
  pairs_start(world->pairs, broker->index);
}

/* What it had sent may still arrive, or not. */
static void lose_conn(World *world, Conn *conn) {
  bool is_lost = world_chance(world, 500);

  conn->session = NULL;
  LIST_EACH (&conn->to_peer, Packet, in_channel, packet) {
    if (!is_lost)
      continue;
    list_remove(&packet->in_channel);
    buffer_done(&packet->header);
    buffer_done(&packet->body);
    free(packet);
  }
}

void broker_kill(World *world, Broker *broker) {
  world->tally->taken_over += core_counter(broker->core, COUNTER_TAKEN_OVER);
  core_destroy(&broker->core);
  forget_words(broker);
  pairs_kill(world->pairs, broker->index);
  broker->up = broker->frozen = false;
  LIST_EACH (&world->conns, Conn, in_world, conn) {
    if (conn->broker == broker->index)
      lose_conn(world, conn);
  }
}

/* --- the link --- */

static void go_up(World *world, Broker *broker) {
  Word all = {.kind = WORD_COMPLETE};
  uint64_t now_us = broker_now_us(world, broker);

  broker->up = true;
  broker->down_at_us = 0;
  all.history = core_history(broker->core, now_us);
  core_peer_up(broker->core, text_of(broker->index == 0 ? "pc2" : "main"), now_us);
  core_tell_roster(broker->core, now_us);
  say(world, other_of(world, broker), &all);
}

static bool can_talk(const World *world) {
  const Broker *a = &world->brokers[0];
  const Broker *b = &world->brokers[1];

  return a->core && b->core && !a->frozen && !b->frozen && !world->link_cut;
}

static void go_down(World *world, Broker *broker, bool is_dead) {
  broker->up = false;
  forget_words(broker);
  core_peer_down(broker->core, broker->worked_us, broker_now_us(world, broker));
  if (is_dead)
    core_peer_dead(broker->core, broker_now_us(world, broker), broker_now_us(world, broker));
}

/* One side of a link that is cut, or whose other end is gone. */
static void look_after(World *world, Broker *broker) {
  Broker *other = other_of(world, broker);
  bool was_cut = !can_talk(world) || !other->up;

  if (!broker->core || broker->frozen)
    return;
  if (broker->up && !was_cut && !broker->down_at_us)
    broker->worked_us = broker_now_us(world, broker);
  if (broker->up && was_cut && !broker->down_at_us)
    broker->down_at_us = world->now_us + world_random(world, PATIENCE_US);
  if (broker->up && broker->down_at_us && world->now_us >= broker->down_at_us)
    go_down(world, broker, !other->core && world_chance(world, 700));
  else if (!broker->up && !other->core && !world->link_cut && world_chance(world, 100))
    go_down(world, broker, true); /* its port is refused */
}

static void move_link(World *world) {
  Broker *a = &world->brokers[0];
  Broker *b = &world->brokers[1];

  if (can_talk(world) && !a->up && !b->up && world_chance(world, 300)) {
    world->link++;
    a->up = b->up = true; /* before either says something */
    go_up(world, a);
    go_up(world, b);
  }
  look_after(world, a);
  look_after(world, b);
}

static void hear(World *world, Broker *broker, const Word *word) {
  Text services[ELEMENTS(service_names)];
  RosterEntry entry = {.client = word->client, .incarnation = word->incarnation, .services = services};
  uint64_t now_us = broker_now_us(world, broker);

  for (unsigned i = 0; i < ELEMENTS(service_names); i++)
    if (word->services & 1U << i)
      services[entry.n_services++] = text_of(service_names[i]);
  switch (word->kind) {
  case WORD_HAS:
    core_peer_has(broker->core, &entry, now_us);
    say(world, other_of(world, broker),
        &(Word){.kind = WORD_NOTED, .client = word->client, .incarnation = word->incarnation});
    break;
  case WORD_LOST:
    core_peer_lost(broker->core, &entry, word->ago_us, now_us);
    break;
  case WORD_NOTED:
    core_peer_noted(broker->core, word->client, word->incarnation, now_us);
    break;
  case WORD_COMPLETE:
    core_peer_complete(broker->core, &word->history, now_us);
    break;
  }
}

void link_deliver(World *world, Broker *to) {
  Word *word = LIST_FIRST(&to->words, Word, in_link);

  if (!word || !to->core || to->frozen || world->link_cut)
    return;
  list_remove(&word->in_link);
  if (to->up && word->link == world->link)
    hear(world, to, word);
  free(word);
}

void brokers_tick(World *world) {
  the_world = world;
  pairs_run(world->pairs, world->now_us);
  move_link(world);
  for (int i = 0; i < BROKERS; i++) {
    Broker *broker = &world->brokers[i];

    if (broker->core && !broker->frozen)
      core_tick(broker->core, broker_now_us(world, broker));
  }
}
