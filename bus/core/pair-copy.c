/* The peer's copy of the table of leases, and the handover that needs it whole. */
#include "bus/core/pair-internal.h"

void pair_replicate(Pair *pair, PairChange change, const Lease *lease, uint64_t now_us) {
  PairMessage message = {.kind = PAIR_SAY_REPLICATE, .epoch = pair->epoch, .change = change};

  message.position = ++pair->position;
  if (lease) {
    message.lease = *lease;
    message.lease.duration_us = lease->until_us - min_u64(now_us, lease->until_us);
  }
  pair_send(pair, pair_peer(pair), &message);
}

void pair_replicate_all(Pair *pair, uint64_t now_us) {
  pair_replicate(pair, PAIR_CLEAR, NULL, now_us);
  for (uint32_t i = 0; i < pair->leases.n; i++)
    pair_replicate(pair, PAIR_PUT, &pair->leases.rows[i], now_us);
}

void pair_tell(Pair *pair, uint64_t now_us) {
  if (pair_leads(pair))
    pair_replicate_all(pair, now_us);
}

static void apply(Pair *pair, const PairMessage *message, uint64_t now_us) {
  Lease lease = message->lease;
  Lease *row = lease_find(&pair->leases, text_of(lease.name));

  if (message->change == PAIR_CLEAR)
    pair->leases.n = 0;
  else if (message->change == PAIR_DROP && row)
    lease_drop(&pair->leases, row);
  else if (message->change == PAIR_PUT) {
    lease.until_us = now_us + min_u64(lease.duration_us, pair->options.vote_us);
    lease_put(&pair->leases, &lease);
  }
}

void pair_copy_lease(Pair *pair, const PairEvent *event, uint64_t now_us) {
  const PairMessage *message = event->message;
  bool follows = message->epoch == pair->copy_epoch && message->position == pair->copy_position + 1;

  if (message->epoch < max_u64(pair->copy_epoch, pair->record.vote_epoch))
    return;
  pair_note_seen(pair, message->epoch);
  /* After a gap only a table that begins anew can be believed. */
  if (follows || (message->change == PAIR_CLEAR &&
                  (message->epoch > pair->copy_epoch || message->position > pair->copy_position))) {
    apply(pair, message, now_us);
    pair->copy_epoch = message->epoch;
    pair->copy_position = message->position;
  }
  pair_send(pair, event->from,
            &(PairMessage){.kind = PAIR_SAY_HAVE, .epoch = pair->copy_epoch, .position = pair->copy_position});
}

/* Gives the own vote away before the peer is told to take it. */
static void hand_over(Pair *pair, uint64_t now_us) {
  PairMessage message = {.kind = PAIR_SAY_HAND_OVER,
                         .epoch = pair->epoch,
                         .position = pair->position,
                         .wait_us = pair->blocked_us > now_us ? pair->blocked_us - now_us : 0};

  pair_step_down(pair, PAIR_HANDED_OVER, now_us);
  pair->promise = (Promise){pair_peer(pair), now_us + pair->options.vote_us};
  pair->given_us = now_us;
  pair->record.vote_for = pair_peer(pair);
  pair_follow(pair);
  pair_write(pair);
  pair_send_written(pair, pair_peer(pair), &message);
}

void pair_note_copy(Pair *pair, const PairEvent *event, uint64_t now_us) {
  if (event->message->epoch != pair->epoch || event->message->position > pair->position)
    return;
  pair->peer_position = event->message->position;
  if (pair->state == PAIR_YIELDING && pair->peer_position == pair->position)
    hand_over(pair, now_us);
}

void pair_yield_asked(Pair *pair, const PairEvent *event, uint64_t now_us) {
  (void)event;
  if (!pair->linked)
    return;
  pair->state = PAIR_YIELDING;
  pair->timer_us = now_us + pair->options.handover_us;
  if (pair->peer_position == pair->position)
    hand_over(pair, now_us);
  else
    pair_replicate_all(pair, now_us);
}

void pair_yield_by_operator(Pair *pair, const PairEvent *event, uint64_t now_us) {
  pair_answer(pair, pair->linked ? PAIR_E_NONE : PAIR_E_NO_PEER);
  pair_yield_asked(pair, event, now_us);
}

void pair_keep_leading(Pair *pair, const PairEvent *event, uint64_t now_us) {
  pair->state = PAIR_LEADER;
  pair_renew(pair, event, now_us);
}

/* The old leader grants nothing any more and this copy is whole, so nothing need be waited for but what it waited for. */
void pair_take_over(Pair *pair, const PairEvent *event, uint64_t now_us) {
  const PairMessage *message = event->message;
  bool whole = message->epoch == pair->copy_epoch && message->position == pair->copy_position;
  bool barred = pair->promise.to == PAIR_NOBODY && now_us < pair->promise.until_us;

  if (!whole || barred || message->epoch < pair->record.vote_epoch)
    return;
  if (pair->promise.to == event->from)
    pair->promise.until_us = min_u64(pair->promise.until_us, now_us);
  pair->blocked_us = now_us + min_u64(message->wait_us, pair->options.vote_us);
  pair_run(pair, now_us);
}
