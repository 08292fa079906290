/* Standing, leading, stepping down. A leader has its own vote and a second one: the peer's, the witness's, the peer's refused
   port, or without a witness the operator's word. */
#include "bus/core/pair-internal.h"

/* A candidate may use the refusal only when it can't be ignorant of an epoch: the witness has answered since the peer died and
   knows no higher one; without a witness, it has been linked with the peer in this life, after which the peer could lead
   only with its vote. A leader that goes on leading needs neither. */
static bool consent_counts(const Pair *pair) {
  if (pair->state != PAIR_CANDIDATE)
    return true;
  return pair->options.has_witness ? pair->noted_us >= pair->consent_from_us : pair->ever_linked;
}

uint64_t pair_second_us(const Pair *pair) {
  uint64_t until_us = max_u64(pair->votes_us[pair_peer(pair)], pair->votes_us[PAIR_WITNESS]);

  if (pair->forced || pair->options.alone)
    return TIME_NEVER;
  return consent_counts(pair) ? max_u64(until_us, pair->consent_us) : until_us;
}

/* So that two who have waited for the same do not stand at once. What was promised to the peer ends for the peer first, for it counts
   less of it, so nobody stands with who waited for that. */
static uint64_t stagger_us(const Pair *pair) {
  return pair->options.node == PAIR_A || pair->promise.to == pair_peer(pair) ? 0 : pair->options.retry_us;
}

void pair_follow(Pair *pair) {
  pair->state = PAIR_FOLLOWER;
  pair->own_serial = 0;
  pair->timer_us = pair->promise.until_us + stagger_us(pair);
}

/* Its own promise in its own favour, made in this life, does not bind it. */
static bool own_is_free(const Pair *pair, uint64_t now_us) {
  return now_us >= pair->promise.until_us || pair->promise.to == pair->options.node;
}

static void choose_epoch(Pair *pair) {
  if (!pair->used && pair->epoch > 0 && pair->epoch >= pair->record.seen)
    return;
  pair->epoch = epoch_next(max_u64(pair->record.seen, pair->epoch), pair->options.node);
  pair->used = false;
  pair->own_serial = 0;
  pair->noted_us = 0;
  memset(pair->votes_us, 0, sizeof pair->votes_us);
}

void pair_run(Pair *pair, uint64_t now_us) {
  if (pair->state != PAIR_CANDIDATE) {
    memset(pair->votes_us, 0, sizeof pair->votes_us);
    pair->stood_us = now_us;
  }
  pair->state = PAIR_CANDIDATE;
  choose_epoch(pair);
  pair_note_seen(pair, pair->epoch);
  pair->timer_us = now_us + pair->options.retry_us;
  pair_ask_all(pair, now_us);
  pair_try_lead(pair, now_us);
}

/* Without hope of a second vote: nobody to ask, and nobody has said that it may lead. */
static bool may_take_care(const Pair *pair, uint64_t now_us) {
  return !pair->options.has_witness && !pair->options.alone && pair->options.takeover == PAIR_AFTER_LEASE &&
         !pair->linked && !pair->forced && !(pair->consent_us > now_us && pair->ever_linked);
}

/* The epoch of a caretaker only keeps its tokens apart from all others; nobody is told that it leads. */
static void take_care(Pair *pair, uint64_t now_us) {
  pair->state = PAIR_CARETAKER;
  pair->stood_us = now_us;
  pair->used = true;
  choose_epoch(pair);
  pair->used = true;
  pair->counter = 0;
  pair_note_seen(pair, pair->epoch);
  pair_write(pair);
  pair->own_serial = pair->serial;
}

void pair_stand(Pair *pair, const PairEvent *event, uint64_t now_us) {
  (void)event;
  if (!own_is_free(pair, now_us))
    pair_follow(pair);
  else if (may_take_care(pair, now_us))
    take_care(pair, now_us);
  else
    pair_run(pair, now_us);
}

void pair_ask_again(Pair *pair, const PairEvent *event, uint64_t now_us) {
  pair_stand(pair, event, now_us);
}

static void lead(Pair *pair, uint64_t now_us) {
  pair->state = PAIR_LEADER;
  pair->promise.until_us = TIME_NEVER;
  pair->used = true;
  pair->own_serial = 0;
  pair->counter = 0;
  pair->position = 0;
  pair->peer_position = 0;
  pair->copy_epoch = 0;
  pair->timer_us = now_us + pair->options.renew_us;
  pair_act(pair, &(PairAction){.kind = PAIR_DO_LEAD, .epoch = pair->epoch});
  pair_send(pair, pair_peer(pair), &(PairMessage){.kind = PAIR_SAY_ANNOUNCE, .epoch = pair->epoch});
  pair_replicate_all(pair, now_us);
}

void pair_try_lead(Pair *pair, uint64_t now_us) {
  if (pair->epoch < pair->record.seen || !own_is_free(pair, now_us) || pair_second_us(pair) <= now_us)
    return;
  if (pair->own_serial > 0 && pair->persisted >= pair->own_serial) {
    lead(pair, now_us);
    return;
  }
  pair->promise = (Promise){pair->options.node, now_us + pair->options.vote_us};
  pair->given_us = now_us;
  if (pair->own_serial > 0)
    return;
  pair->record.vote_for = pair->options.node;
  pair->record.vote_epoch = pair->epoch;
  pair_write(pair);
  pair->own_serial = pair->serial;
}

/* The own vote stays given for as long as leases granted under it may be out. */
void pair_step_down(Pair *pair, PairReason reason, uint64_t now_us) {
  uint64_t until_us = min_u64(pair_second_us(pair), now_us + pair->options.vote_us);

  pair->promise = (Promise){pair->options.node, max_u64(until_us, now_us)};
  pair_follow(pair);
  if (reason != PAIR_VOTES_OVER)
    pair->timer_us = now_us + pair->options.vote_us + stagger_us(pair);
  memset(pair->votes_us, 0, sizeof pair->votes_us);
  pair->consent_us = 0;
  pair->forced = false;
  pair_act(pair, &(PairAction){.kind = PAIR_DO_STEP_DOWN, .epoch = pair->epoch, .reason = reason});
}

void pair_votes_over(Pair *pair, const PairEvent *event, uint64_t now_us) {
  (void)event;
  pair_step_down(pair, PAIR_VOTES_OVER, now_us);
}

void pair_was_late(Pair *pair, const PairEvent *event, uint64_t now_us) {
  if (event->late_us > pair->options.late_us)
    pair_step_down(pair, PAIR_WAS_LATE, now_us);
}

/* Whoever is alone shares its authority with nobody: what it counts for longer than others is its own. */
void pair_slept(Pair *pair, const PairEvent *event, uint64_t now_us) {
  (void)event;
  if (!pair->options.alone)
    pair_step_down(pair, PAIR_SLEPT, now_us);
}

void pair_forget_votes(Pair *pair, const PairEvent *event, uint64_t now_us) {
  (void)event, (void)now_us;
  memset(pair->votes_us, 0, sizeof pair->votes_us);
  pair->consent_us = 0;
}

void pair_yield_to_higher(Pair *pair, const PairEvent *event, uint64_t now_us) {
  uint64_t epoch = event->message ? event->message->epoch : event->seen;

  pair_note_seen(pair, epoch);
  if (epoch > pair->epoch && epoch <= EPOCH_HIGHEST)
    pair_step_down(pair, PAIR_HIGHER_EPOCH, now_us);
}

/* What the peer's copy lacks, it lacks because messages were lost. */
void pair_renew(Pair *pair, const PairEvent *event, uint64_t now_us) {
  (void)event;
  pair->timer_us = now_us + pair->options.renew_us;
  pair_ask_all(pair, now_us);
  if (pair->linked && pair->peer_position < pair->position)
    pair_replicate_all(pair, now_us);
}
