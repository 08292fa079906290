/* What the broker may do to a session, by what that session has told it: the simulator's own book of credits, drains and
   deadlines, kept from the messages alone. */
#include "tests/sim/sim.h"

static bool is_given(const SimPeer *peer, RequestId id, uint32_t *ret) {
  for (uint32_t i = 0; i < peer->n_given; i++)
    if (request_id_equal(peer->given[i].id, id)) {
      *ret = i;
      return true;
    }
  return false;
}

/* An answer releases one unit of credit. */
static void release(SimPeer *peer, RequestId id) {
  uint32_t i;

  if (is_given(peer, id, &i))
    peer->given[i] = peer->given[--peer->n_given];
}

void model_taken(World *world, SimPeer *peer, const Header *header, Bytes body) {
  Ask *ask;

  peer->heard_us = world->base.now_us;
  switch (header->kind) {
  case KIND_REQUEST:
    ask = world_find_ask(world, header->id);
    ask->told = false;
    ask->broker_due_us = max_u64(ask->broker_due_us, world->base.now_us + header->deadline_us);
    break;
  case KIND_CREDIT:
    peer->told_credit = header->credit;
    break;
  case KIND_NACK:
    release(peer, header->id);
    if (header->status == STATUS_BUSY)
      peer->told_credit = 0;
    if (header->status == STATUS_DRAINING)
      peer->told_draining = true;
    break;
  case KIND_REPLY:
  case KIND_ERROR:
  case KIND_FORWARD:
    release(peer, header->id);
    break;
  case KIND_CANCEL:
    world_find_ask(world, header->id)->told = true;
    break;
  case KIND_DRAIN:
    peer->told_draining = true;
    break;
  case KIND_PUBLISH:
  case KIND_SUBSCRIBE:
    news_taken(world, peer, header, body);
    break;
  default:
    break;
  }
}

/* A request that names no instance goes to nobody of weight 0. */
static bool is_addressed(const Ask *ask) {
  return strchr(ask->target, '@') != NULL;
}

/* What one client asks of one service in one band is handed on in its order. (Not what came back or was forwarded: that
   stands where it is put; and not what names an instance: that has queues of its own.) */
static void check_order(World *world, Ask *ask, const Header *header) {
  SimPeer *client = &world->peers[ask->client];
  uint64_t *last = &client->last_given[header->priority][text_is(header->service, "heavy")];

  if (ask->given || ask->attempt > 0 || header->hop > 0 || is_addressed(ask) ||
      ask->id.client.value != client->client.value)
    return;
  ask->given = true;
  if (ask->id.sequence < *last)
    world_fail(world, "request %llu was handed on after %llu", (unsigned long long)ask->id.sequence,
               (unsigned long long)*last);
  *last = ask->id.sequence;
}

static void check_given(World *world, SimPeer *peer, const Header *header) {
  Ask *ask = world_find_ask(world, header->id);
  uint32_t i;

  if (!ask || world->base.now_us >= ask->broker_due_us || header->deadline_us > ask->broker_due_us - world->base.now_us)
    world_fail(world, "expired work was handed on");
  if (peer->told_draining)
    world_fail(world, "worker %d got work after it said that it drains", peer->index);
  if (peer->n_given >= peer->told_credit)
    world_fail(world, "worker %d was given more than its credit of %u", peer->index, peer->told_credit);
  if (is_given(peer, header->id, &i))
    world_fail(world, "worker %d was given request %llu twice", peer->index, (unsigned long long)header->id.sequence);
  if (peer->weight == 0 && text_is(header->service, "work") && !is_addressed(ask))
    world_fail(world, "worker %d of weight 0 was given what names nobody", peer->index);
  if (!text_is(header->method, "idem") && !text_is(header->method, "stream") &&
      world->base.now_us - peer->heard_us > TIME_SILENT_ONCE_US)
    world_fail(world, "worker %d was silent for over a second and was given `once` work", peer->index);
  check_order(world, ask, header);
  peer->given[peer->n_given++] = (Given){.id = header->id};
}

static void note_cancel(SimPeer *peer, RequestId id) {
  uint32_t i;

  if (is_given(peer, id, &i))
    peer->given[i].cancelled = true;
}

static void note_end(World *world, RequestId id) {
  Ask *ask = world_find_ask(world, id);

  if (ask)
    ask->told = true;
}

void model_sent(World *world, SimPeer *peer, const Header *header, Bytes body) {
  if (header->kind == KIND_REQUEST)
    check_given(world, peer, header);
  else if (header->kind == KIND_CANCEL)
    note_cancel(peer, header->id);
  else if (header->kind == KIND_REPLY || header->kind == KIND_ERROR)
    note_end(world, header->id);
  else if (header->kind == KIND_EVENT)
    news_sent(world, header, body);
}

void model_check(World *world) {
  for (int i = CLIENTS; i < PEERS; i++) {
    const SimPeer *peer = &world->peers[i];

    for (uint32_t k = 0; k < peer->n_given && peer->session; k++)
      if (!peer->given[k].cancelled && world_find_ask(world, peer->given[k].id)->told)
        world_fail(world, "worker %d executes request %llu, which has ended, and was not told", i,
                   (unsigned long long)peer->given[k].id.sequence);
  }
}

void model_forget(SimPeer *peer) {
  peer->told_credit = 0;
  peer->told_draining = false;
  peer->n_given = 0;
  peer->subscribed = false;
}
