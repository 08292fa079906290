/* Two brokers: what their cores say, and how they begin and end. */
#include "tests/sim/two.h"

#include <assert.h>
#include <stdlib.h>

uint64_t broker_now_us(const World *world, const Broker *broker) {
  return local_us(world, broker->rate_ppm);
}

/* --- the brokers --- */

static World *the_world; /* the sink's functions get a broker */

static void on_send(void *userdata, void *to, const Header *header, Bytes body, Block *block) {
  Conn *conn = to;

  (void)userdata, (void)block;
  if (header->kind == KIND_WELCOME)
    conn->open = true;
  if (header->kind == KIND_PING)
    conn->asked = header->number;
  if (header->kind == KIND_REQUEST && conn->suspect)
    world_fail(the_world, "an instance of a machine that is out of reach was given work before it answered a PING");
  channel_send(&conn->to_peer, header, body);
}

static void on_close(void *userdata, void *to) {
  Conn *conn = to;

  (void)userdata;
  conn->session = NULL;
}

static void on_roster(void *userdata, const struct RosterEntry *entry, bool has_left, uint64_t ago_us) {
  link_tell(the_world, userdata, entry, has_left, ago_us);
}

void broker_heard(Conn *conn, const Header *header) {
  if (header->kind == KIND_PONG && header->number > conn->suspect_since)
    conn->suspect = false;
}

void broker_start(World *world, Broker *broker) {
  const Broker *other = &world->brokers[1 - broker->index];
  CoreOptions options = core_options_default();
  CoreSink sink = {.send = on_send, .close = on_close, .roster = on_roster, .userdata = broker};

  the_world = world;
  if (!other->core || core_is_warming(other->core))
    world->trouble_us = world->base.now_us; /* nobody can tell what was before */
  options.has_peer = true;
  options.site = broker->index == 0 ? "main" : "pc2";
  options.seed = world->base.seed + (uint64_t)broker->index + 1;
  options.incarnation = ++broker->incarnation + 100 * (uint64_t)broker->index;
  options.limits.service_queue = 32;
  broker->frozen = broker->hurt = broker->drains = broker->up = broker->in_step = broker->told_up = broker->knows_all =
      false;
  broker->told = broker->heard = 0;
  assert(core_new(&broker->core, &options, &sink, broker_now_us(world, broker)) == 0);
  pairs_start(world->pairs, broker->index);
}

/* What it had sent may still arrive, or not. */
static void lose_conn(World *world, Conn *conn) {
  conn->session = NULL;
  if (world_chance(world, 500))
    channel_empty(&conn->to_peer);
}

void broker_kill(World *world, Broker *broker) {
  world->tally->taken_over += core_counter(broker->core, COUNTER_TAKEN_OVER);
  core_destroy(&broker->core);
  link_forget(broker);
  couriers_forget(broker);
  pairs_kill(world->pairs, broker->index);
  broker->up = broker->frozen = false;
  LIST_EACH (&world->conns, Conn, in_world, conn) {
    if (conn->broker == broker->index)
      lose_conn(world, conn);
  }
}

void broker_drain(World *world, Broker *broker) {
  core_drain(broker->core, broker_now_us(world, broker));
  broker->drains = true;
}

void broker_note_loss(World *world, const Broker *broker) {
  const Broker *other = &world->brokers[1 - broker->index];
  bool is_alone =
      !other->core || other->frozen || core_is_warming(other->core) || !other->knows_all || !broker->knows_all;

  if (is_alone || link_is_cut(world))
    world->trouble_us = world->base.now_us;
}

/* --- time --- */

/* Its disk has killed it: it will be back soon, or later. */
static void die_of_disk(World *world, Broker *broker) {
  if (broker->core && pairs_wants_death(world->pairs, broker->index)) {
    broker_note_loss(world, broker);
    broker_kill(world, broker);
    broker->hurt = true;
  } else if (!broker->core && broker->hurt && world_chance(world, 10)) {
    broker_start(world, broker);
  }
}

void brokers_tick(World *world) {
  the_world = world;
  pairs_run(world->pairs, world->base.now_us);
  for (int i = 0; i < BROKERS; i++)
    die_of_disk(world, &world->brokers[i]);
  for (int i = 0; i < BROKERS; i++)
    link_tick(world, &world->brokers[i]);
  for (int i = 0; i < BROKERS; i++) {
    Broker *broker = &world->brokers[i];

    if (!broker->core || broker->frozen)
      continue;
    core_tick(broker->core, broker_now_us(world, broker));
    couriers_run(world, broker);
  }
}
