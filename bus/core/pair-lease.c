/* Leases: granted by the leader, never longer than its authority lasts; without one, may_double leases by a caretaker. */
#include "bus/core/pair-internal.h"

static void refuse(const Pair *pair, LeaseRefusal refusal) {
  pair_act(pair, &(PairAction){.kind = PAIR_DO_REFUSE, .refusal = refusal});
}

void pair_refuse_lease(Pair *pair, const PairEvent *event, uint64_t now_us) {
  (void)event, (void)now_us;
  refuse(pair, LEASE_NOT_LEADER);
}

void pair_refuse_moving(Pair *pair, const PairEvent *event, uint64_t now_us) {
  (void)event, (void)now_us;
  refuse(pair, LEASE_MOVING);
}

/* A caretaker's epoch must be on disk, and it has no say over leases that must not double. */
static bool has_authority(const Pair *pair, bool may_double) {
  return pair->state == PAIR_LEADER || (may_double && pair->persisted >= pair->own_serial);
}

static uint64_t longest_us(const Pair *pair, uint64_t now_us) {
  uint64_t until_us = pair->state == PAIR_LEADER ? pair_second_us(pair) : TIME_NEVER;

  return min_u64(until_us - now_us, pair->options.vote_us);
}

/* until_us never comes down: the holder may not hear of a shorter grant, and counts on the longer one. */
static void grant(Pair *pair, Lease *lease, uint64_t duration_us, uint64_t now_us) {
  lease->duration_us = min_u64(duration_us, longest_us(pair, now_us));
  lease->until_us = max_u64(lease->until_us, now_us + lease->duration_us);
  if (!lease_put(&pair->leases, lease)) {
    refuse(pair, LEASE_FULL);
    return;
  }
  if (pair->state == PAIR_LEADER)
    pair_replicate(pair, PAIR_PUT, lease, now_us);
  pair_act(pair, &(PairAction){.kind = PAIR_DO_GRANT, .lease = lease});
}

/* A row copied from a former leader says who held the lease, not who does: it may have been given back and granted again without
   this broker hearing of it. To a holder that still has the token it is good; to one that asks anew it is not. */
static bool must_wait(const Pair *pair, const Lease *row, uint64_t now_us) {
  return pair->state == PAIR_LEADER && now_us < pair->blocked_us && !(row && row->token.epoch == pair->epoch);
}

void pair_request_lease(Pair *pair, const PairEvent *event, uint64_t now_us) {
  const LeaseAsk *ask = event->lease;
  const Lease *row = lease_find(&pair->leases, ask->name);
  Lease lease = {.holder = ask->holder, .until_us = row ? row->until_us : 0, .may_double = ask->may_double};

  if (!has_authority(pair, ask->may_double))
    refuse(pair, LEASE_NOT_LEADER);
  else if (row && row->holder.value != ask->holder.value)
    refuse(pair, LEASE_HELD);
  else if (must_wait(pair, row, now_us))
    refuse(pair, LEASE_WAITING);
  else {
    memcpy(lease.name, ask->name.data, min_u64(ask->name.size, LIMIT_NAME_BYTES));
    lease.token = (LeaseToken){pair->epoch, ++pair->counter};
    grant(pair, &lease, ask->duration_us, now_us);
  }
}

/* The row that the holder's token names, if it is still in force. */
static Lease *held_row(Pair *pair, const LeaseAsk *ask) {
  Lease *row = lease_find(&pair->leases, ask->name);

  if (!row || row->holder.value != ask->holder.value || token_compare(row->token, ask->token) != 0)
    return NULL;
  return has_authority(pair, row->may_double) ? row : NULL;
}

void pair_renew_lease(Pair *pair, const PairEvent *event, uint64_t now_us) {
  const Lease *row = held_row(pair, event->lease);

  if (row) {
    Lease lease = *row;
    grant(pair, &lease, event->lease->duration_us, now_us);
  } else
    refuse(pair, LEASE_LOST);
}

void pair_release_lease(Pair *pair, const PairEvent *event, uint64_t now_us) {
  Lease *row = held_row(pair, event->lease);

  if (!row) {
    refuse(pair, LEASE_LOST);
    return;
  }
  Lease lease = *row;

  lease_drop(&pair->leases, row);
  if (pair->state == PAIR_LEADER)
    pair_replicate(pair, PAIR_DROP, &lease, now_us);
  pair_act(pair, &(PairAction){.kind = PAIR_DO_RELEASED, .lease = &lease});
}

void pair_leases_over(Pair *pair, const PairEvent *event, uint64_t now_us) {
  Lease lease;

  (void)event;
  while (lease_pop_over(&pair->leases, now_us, &lease)) {
    if (pair_leads(pair))
      pair_replicate(pair, PAIR_DROP, &lease, now_us);
    pair_act(pair, &(PairAction){.kind = PAIR_DO_LEASE_OVER, .lease = &lease});
  }
}

/* A node that stands leads soon, or not for long: the longer it has stood in vain, the later is soon enough. */
static uint64_t leader_in_us(const Pair *pair, uint64_t now_us) {
  if (pair->state == PAIR_CANDIDATE || pair->state == PAIR_CARETAKER)
    return now_us - pair->stood_us;
  return pair->state == PAIR_FOLLOWER ? pair->timer_us - min_u64(now_us, pair->timer_us) : pair->options.retry_us;
}

uint64_t pair_ask_again_us(const Pair *pair, LeaseRefusal refusal, const Lease *row, uint64_t now_us) {
  uint64_t retry_us = pair->options.retry_us;

  if (refusal == LEASE_HELD && row)
    return row->until_us - min_u64(now_us, row->until_us);
  if (refusal == LEASE_WAITING)
    return pair->blocked_us - min_u64(now_us, pair->blocked_us);
  return refusal == LEASE_NOT_LEADER ? max_u64(min_u64(leader_in_us(pair, now_us), retry_us), retry_us / 20) : retry_us;
}
