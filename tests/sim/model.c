/* What the broker may do to a session, by what that session has told it: the simulator's own book of credits, drains and
   deadlines, kept from the messages alone. */
#include "tests/sim/sim.h"

static bool is_given(const SimPeer *peer, RequestId id, uint32_t *ret) {
  for (uint32_t i = 0; i < peer->n_given; i++)
    if (request_id_equal(peer->given[i], id)) {
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

  switch (header->kind) {
  case KIND_REQUEST:
    ask = world_find_ask(world, header->id);
    ask->broker_due_us = max_u64(ask->broker_due_us, world->now_us + header->deadline_us);
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

static void check_given(World *world, SimPeer *peer, const Header *header) {
  const Ask *ask = world_find_ask(world, header->id);
  uint32_t i;

  if (!ask || world->now_us >= ask->broker_due_us || header->deadline_us > ask->broker_due_us - world->now_us)
    world_fail(world, "expired work was handed on");
  if (peer->told_draining)
    world_fail(world, "worker %d got work after it said that it drains", peer->index);
  if (peer->n_given >= peer->told_credit)
    world_fail(world, "worker %d was given more than its credit of %u", peer->index, peer->told_credit);
  if (is_given(peer, header->id, &i))
    world_fail(world, "worker %d was given request %llu twice", peer->index, (unsigned long long)header->id.sequence);
  if (peer->weight == 0 && text_is(header->service, "work") && !is_addressed(ask))
    world_fail(world, "worker %d of weight 0 was given what names nobody", peer->index);
  peer->given[peer->n_given++] = header->id;
}

void model_sent(World *world, SimPeer *peer, const Header *header, Bytes body) {
  if (header->kind == KIND_REQUEST)
    check_given(world, peer, header);
  else if (header->kind == KIND_EVENT)
    news_sent(world, header, body);
}

void model_forget(SimPeer *peer) {
  peer->told_credit = 0;
  peer->told_draining = false;
  peer->n_given = 0;
  peer->subscribed = false;
}
