/* The peer: its link, its death, and what operators say. */
#include "bus/core/pair-internal.h"

void pair_link_up(Pair *pair, const PairEvent *event, uint64_t now_us) {
  pair->linked = true;
  pair->ever_linked = true;
  pair->linked_us = now_us;
  pair_note_seen(pair, event->seen);
  if (pair_leads(pair)) {
    pair_send(pair, pair_peer(pair), &(PairMessage){.kind = PAIR_SAY_ANNOUNCE, .epoch = pair->epoch});
    pair_replicate_all(pair, now_us);
    pair_ask_all(pair, now_us);
    return;
  }
  /* It lives, and can be asked: neither its death nor the operator's word stands in for its vote any more. */
  pair->consent_us = 0;
  pair->forced = false;
  if (pair->state != PAIR_FOLLOWER)
    pair_run(pair, now_us);
}

void pair_link_down(Pair *pair, const PairEvent *event, uint64_t now_us) {
  pair->linked = false;
  pair->peer_position = 0;
  if (pair->state == PAIR_YIELDING)
    pair_keep_leading(pair, event, now_us);
}

/* A connection that was tried before the peer was last heard proves nothing about the peer of now. */
static bool proves_death(const Pair *pair, const PairEvent *event, uint64_t now_us) {
  return !pair->linked && event->sent_us >= pair->linked_us && event->sent_us >= pair->given_us &&
         event->sent_us <= now_us;
}

static void count_refusal(Pair *pair, uint64_t sent_us, uint64_t now_us) {
  if (pair->consent_us <= now_us)
    pair->consent_from_us = now_us;
  pair->consent_us = max_u64(pair->consent_us, sent_us + vote_counted_us(pair->options.vote_us));
}

void pair_refused(Pair *pair, const PairEvent *event, uint64_t now_us) {
  bool was_dead = pair->consent_us > now_us;

  if (!proves_death(pair, event, now_us))
    return;
  count_refusal(pair, event->sent_us, now_us);
  /* Whatever was promised was promised to a process that is dead, or by a former life of this one whose leases are waited for. They are
     counted from the first of the refusals that tell of one death: who came and died between two of them was barred all the while. */
  if (!was_dead)
    pair->blocked_us = max_u64(pair->blocked_us, now_us + pair->options.vote_us);
  if (pair->promise.to != pair->options.node)
    pair->promise.until_us = min_u64(pair->promise.until_us, now_us);
  if (pair->state == PAIR_CANDIDATE && was_dead)
    pair_try_lead(pair, now_us);
  else if (pair->state != PAIR_CARETAKER || pair->ever_linked)
    pair_stand(pair, event, now_us);
}

void pair_refused_leader(Pair *pair, const PairEvent *event, uint64_t now_us) {
  if (proves_death(pair, event, now_us))
    count_refusal(pair, event->sent_us, now_us);
}

void pair_lead_by_operator(Pair *pair, const PairEvent *event, uint64_t now_us) {
  if (pair->linked) {
    pair_send(pair, pair_peer(pair), &(PairMessage){.kind = PAIR_SAY_YIELD});
    pair_answer(pair, PAIR_E_NONE);
    return;
  }
  if (pair->options.has_witness) {
    pair_answer(pair, PAIR_E_HAS_WITNESS);
    return;
  }
  pair_answer(pair, PAIR_E_NONE);
  /* The peer may have led by its operator's word too, without a vote of this node. */
  pair->blocked_us = max_u64(pair->blocked_us, now_us + pair->options.vote_us);
  pair->forced = true;
  pair_stand(pair, event, now_us);
}

void pair_no_disk(Pair *pair, const PairEvent *event, uint64_t now_us) {
  (void)event, (void)now_us;
  pair_answer(pair, PAIR_E_NO_DISK);
}

void pair_already_leads(Pair *pair, const PairEvent *event, uint64_t now_us) {
  (void)event, (void)now_us;
  pair_answer(pair, PAIR_E_ALREADY);
}

void pair_is_moving(Pair *pair, const PairEvent *event, uint64_t now_us) {
  (void)event, (void)now_us;
  pair_answer(pair, PAIR_E_MOVING);
}

void pair_is_witness(Pair *pair, const PairEvent *event, uint64_t now_us) {
  (void)event, (void)now_us;
  pair_answer(pair, PAIR_E_IS_WITNESS);
}

void pair_cannot_yield(Pair *pair, const PairEvent *event, uint64_t now_us) {
  (void)event, (void)now_us;
  pair_answer(pair, PAIR_E_FOLLOWER);
}
