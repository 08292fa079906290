/* Promises: what goes to disk before it is said, and what a restarted node may not do. */
#include "bus/core/pair-internal.h"

void pair_write(Pair *pair) {
  pair->serial++;
  pair_act(pair, &(PairAction){.kind = PAIR_DO_PERSIST, .record = pair->record, .serial = pair->serial});
}

void pair_send_written(Pair *pair, PairNode to, const PairMessage *message) {
  /* A later answer to the same node says all that an earlier one did. */
  pair->replies[to].waiting = pair->persisted < pair->serial;
  if (!pair->replies[to].waiting) {
    pair_send(pair, to, message);
    return;
  }
  pair->replies[to].serial = pair->serial;
  pair->replies[to].message = *message;
}

void pair_note_seen(Pair *pair, uint64_t epoch) {
  if (epoch <= EPOCH_HIGHEST)
    pair->record.seen = max_u64(pair->record.seen, epoch);
}

/* A restarted node does not know when it gave its last vote: just before it died, at the latest. Nor does it know which leases
   it granted. */
void pair_start(Pair *pair, const PairEvent *event, uint64_t now_us) {
  bool for_peer = event->record.vote_epoch > 0 && event->record.vote_for != pair->options.node;

  pair->record = event->record;
  pair->life = event->life;
  pair->promise.to = for_peer ? event->record.vote_for : PAIR_NOBODY;
  pair->promise.until_us = now_us + pair->options.vote_us;
  pair->blocked_us = now_us + pair->options.vote_us;
  pair->given_us = now_us;
  if (pair->options.node == PAIR_WITNESS)
    pair->state = PAIR_VOTER;
  else
    pair_follow(pair);
}

void pair_persisted(Pair *pair, const PairEvent *event, uint64_t now_us) {
  uint64_t before = pair->persisted;

  pair->persisted = max_u64(before, min_u64(event->serial, pair->serial));
  for (int to = 0; to < PAIR_VOTERS; to++)
    if (pair->replies[to].waiting && pair->persisted >= pair->replies[to].serial) {
      pair->replies[to].waiting = false;
      pair_send(pair, (PairNode)to, &pair->replies[to].message);
    }
  if (pair->state == PAIR_CANDIDATE)
    pair_try_lead(pair, now_us);
  else if (pair->state == PAIR_CARETAKER && before < pair->own_serial && pair->persisted >= pair->own_serial)
    pair_act(pair, &(PairAction){.kind = PAIR_DO_TAKE_CARE, .epoch = pair->epoch});
}

void pair_mute(Pair *pair, const PairEvent *event, uint64_t now_us) {
  (void)event;
  if (pair_leads(pair))
    pair_step_down(pair, PAIR_DISK_FAILED, now_us);
  for (int to = 0; to < PAIR_VOTERS; to++)
    pair->replies[to].waiting = false;
  pair->state = PAIR_MUTE;
  pair->timer_us = TIME_NEVER;
  pair->leases.n = 0;
}

/* Two candidates with free votes would give them to each other and both have none: the lower site keeps its own. */
static bool gives_way(const Pair *pair, const VoteAsk *ask) {
  return pair->state != PAIR_CANDIDATE || ask->leading || ask->from < pair->options.node;
}

static void promise_to(Pair *pair, const VoteAsk *ask, uint64_t now_us) {
  pair->promise = (Promise){ask->from, now_us + pair->options.vote_us};
  pair->given_us = now_us;
  pair->record.vote_for = ask->from;
  pair->record.vote_epoch = ask->epoch;
  if (pair->state != PAIR_VOTER)
    pair_follow(pair);
}

/* How long this node's vote is promised away yet, if that is why it is not given; 0 = there is no saying. */
static uint64_t promised_us(const Pair *pair, uint64_t now_us) {
  uint64_t until_us = pair->promise.until_us;

  return until_us == TIME_NEVER || until_us <= now_us ? 0 : until_us - now_us;
}

void pair_vote(Pair *pair, const PairEvent *event, uint64_t now_us) {
  const PairMessage *message = event->message;
  VoteAsk ask = {event->from, message->epoch, message->leading};
  PairRecord before = pair->record;
  bool given = vote_judge(pair->options.node, &pair->record, &pair->promise, &ask, now_us) == VOTE_GIVEN &&
               gives_way(pair, &ask);

  pair_note_seen(pair, ask.epoch);
  if (given)
    promise_to(pair, &ask, now_us);
  if (before.seen != pair->record.seen || before.vote_epoch != pair->record.vote_epoch ||
      before.vote_for != pair->record.vote_for)
    pair_write(pair);
  pair_send_written(pair, event->from,
                    &(PairMessage){.kind = given ? PAIR_SAY_GIVE : PAIR_SAY_DENY,
                                   .epoch = message->epoch,
                                   .life = message->life,
                                   .ask_us = message->ask_us,
                                   .seen = pair->record.seen,
                                   .wait_us = given ? 0 : promised_us(pair, now_us)});
}

void pair_ask_all(const Pair *pair, uint64_t now_us) {
  PairMessage ask = {
      .kind = PAIR_SAY_ASK, .epoch = pair->epoch, .life = pair->life, .ask_us = now_us, .leading = pair_leads(pair)};

  pair_send(pair, pair_peer(pair), &ask);
  if (pair->options.has_witness)
    pair_send(pair, PAIR_WITNESS, &ask);
}

/* An answer to a question of this life about this epoch. */
static bool is_current(const Pair *pair, const PairMessage *message, uint64_t now_us) {
  return message->life == pair->life && message->epoch == pair->epoch && message->ask_us <= now_us;
}

static void note_answer(Pair *pair, const PairEvent *event) {
  if (event->from == PAIR_WITNESS && event->message->seen <= pair->epoch)
    pair->noted_us = max_u64(pair->noted_us, event->message->ask_us);
  pair_note_seen(pair, event->message->seen);
}

/* Counted from the question, which was before the promise. */
void pair_count_vote(Pair *pair, const PairEvent *event, uint64_t now_us) {
  if (!is_current(pair, event->message, now_us))
    return;
  uint64_t until_us = event->message->ask_us + vote_counted_us(pair->options.vote_us);

  pair->votes_us[event->from] = max_u64(pair->votes_us[event->from], until_us);
  note_answer(pair, event);
  if (event->from != PAIR_WITNESS)
    pair->forced = false;
  if (pair->state == PAIR_CANDIDATE)
    pair_try_lead(pair, now_us);
}

/* A vote that is free sooner than the candidate would ask again is asked for then. */
static void wait_for_vote(Pair *pair, uint64_t wait_us, uint64_t now_us) {
  if (wait_us > 0)
    pair->timer_us = min_u64(pair->timer_us, now_us + max_u64(min_u64(wait_us, pair->options.vote_us), US_PER_MS));
}

void pair_note_denial(Pair *pair, const PairEvent *event, uint64_t now_us) {
  if (!is_current(pair, event->message, now_us))
    return;
  note_answer(pair, event);
  if (pair->state != PAIR_CANDIDATE)
    return;
  wait_for_vote(pair, event->message->wait_us, now_us);
  /* With the peer dead nobody else stands, so that asking again at once can't become a race. */
  if (pair->record.seen > pair->epoch && pair->consent_us > now_us)
    pair_run(pair, now_us);
  else
    pair_try_lead(pair, now_us);
}

void pair_note_leader(Pair *pair, const PairEvent *event, uint64_t now_us) {
  (void)now_us;
  pair_note_seen(pair, event->message->epoch);
}

void pair_note_epoch(Pair *pair, const PairEvent *event, uint64_t now_us) {
  (void)now_us;
  pair_note_seen(pair, event->seen);
}
