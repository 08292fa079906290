/* What goes wrong: brokers, processes, connections, the link. */
#include "tests/sim/two.h"

static void fault_of_broker(World *world) {
  Broker *broker = &world->brokers[world_random(world, BROKERS)];

  if (!broker->core) {
    broker_start(world, broker);
    return;
  }
  broker_note_loss(world, broker);
  if (broker->frozen || world_chance(world, 300)) {
    broker->frozen = !broker->frozen;
    pairs_freeze(world->pairs, broker->index, broker->frozen);
  } else if (world_chance(world, 200)) {
    broker_drain(world, broker);
  } else {
    broker_kill(world, broker);
  }
}

static void fault_of_peer(World *world) {
  Peer *peer = &world->peers[world_random(world, PEERS)];

  if (!peer->alive)
    return;
  if (peer->is_worker)
    world->trouble_us = world->base.now_us;
  if (peer->frozen || world_chance(world, 500))
    peer->frozen = !peer->frozen;
  else
    peer_die(world, peer);
}

/* One direction of one connection, or both. */
static void fault_of_conn(World *world) {
  LIST_EACH (&world->conns, Conn, in_world, conn) {
    uint32_t how = world_random(world, 3);

    if (!world_chance(world, 150))
      continue;
    if (conn->peer && conn->peer->is_worker)
      world->trouble_us = world->base.now_us;
    conn->deaf = how != 0;
    conn->mute = how != 1;
  }
}

void world_heal(World *world) {
  LIST_EACH (&world->conns, Conn, in_world, conn)
    conn->deaf = conn->mute = false;
  link_heal(world);
}

/* An instance restarts, perhaps while the brokers can't tell each other. */
static void unsettle(World *world) {
  Peer *peer = &world->peers[CLIENTS + world_random(world, WORKERS)];

  world->trouble_us = world->base.now_us;
  if (!link_is_cut(world) && world_chance(world, 500))
    link_cut(world);
  if (peer->alive)
    peer_die(world, peer);
  peer_start(world, peer);
}

void world_fault(World *world) {
  uint32_t what = world_random(world, world->gentle ? 3 : world->restless ? 16 : 10);

  if (what < 3) {
    fault_of_broker(world);
  } else if (what < 6) {
    fault_of_peer(world);
  } else if (what < 8) {
    fault_of_conn(world);
  } else if (what < 9 || what >= 14) {
    if (link_is_cut(world))
      link_heal(world);
    else
      link_cut(world);
    world->trouble_us = world->base.now_us;
  } else if (what < 12) {
    world_heal(world);
  } else {
    unsettle(world);
  }
}
