/* The machine itself: the table of pair.def, the order of what is due, names. What the cells do stands in pair-vote.c (promises
   and the disk), pair-lead.c (standing, leading, stepping down), pair-link.c (the peer: link, refusal, operator's words),
   pair-copy.c (the peer's copy, handover) and pair-lease.c. */
#include "bus/core/pair-internal.h"

#include <stdlib.h>

typedef struct Cell {
  void (*handle)(Pair *pair, const PairEvent *event, uint64_t now_us); /* NULL: ignored, for reason */
  const char *reason;
} Cell;

#define HANDLER(name, about) static const Cell cell_##name = {pair_##name, NULL};
#include "bus/core/pair.def"
#undef HANDLER
#define IGNORE(name, why) static const Cell cell_##name = {NULL, why};
#include "bus/core/pair.def"
#undef IGNORE

static const Cell *const cells[PAIR_EVENTS][PAIR_STATES] = {
#define ROW(event, a, b, c, d, e, f, g, h)                                                                             \
  [PAIR_ON_##event] = {&cell_##a, &cell_##b, &cell_##c, &cell_##d, &cell_##e, &cell_##f, &cell_##g, &cell_##h},
#include "bus/core/pair.def"
#undef ROW
};

static const char *const state_names[] = {
#define STATE(name, about) #name,
#include "bus/core/pair.def"
#undef STATE
};

static const char *const event_names[] = {
#define EVENT(name, about) #name,
#include "bus/core/pair.def"
#undef EVENT
};

PairOptions pair_options_default(PairNode node, bool has_witness) {
  return (PairOptions){.node = node,
                       .has_witness = has_witness,
                       .takeover = has_witness ? PAIR_MANUAL : PAIR_AFTER_LEASE,
                       .vote_us = 2 * US_PER_S,
                       .renew_us = 500 * US_PER_MS,
                       .retry_us = 100 * US_PER_MS,
                       .late_us = 250 * US_PER_MS,
                       .handover_us = 200 * US_PER_MS};
}

PairError pair_options_check(const PairOptions *options) {
  if (options->has_witness && options->takeover == PAIR_AFTER_LEASE)
    return PAIR_E_AFTER_LEASE;
  if (options->alone && (options->has_witness || options->node == PAIR_WITNESS))
    return PAIR_E_ALONE;
  if (options->vote_us < 1000 || options->renew_us == 0 || options->retry_us == 0 || options->late_us == 0 ||
      options->handover_us == 0 || options->renew_us > options->vote_us / 3)
    return PAIR_E_TIMES;
  return PAIR_E_NONE;
}

int pair_new(Pair **ret, const PairOptions *options, const PairSink *sink) {
  Pair *pair = calloc(1, sizeof *pair);

  if (!pair || pair_options_check(options) != PAIR_E_NONE)
    abort();
  pair->options = *options;
  pair->sink = *sink;
  pair->timer_us = TIME_NEVER;
  pair->promise.to = PAIR_NOBODY;
  *ret = pair;
  return 0;
}

void pair_destroy(Pair **pair) {
  free(*pair);
  *pair = NULL;
}

void pair_act(const Pair *pair, const PairAction *action) {
  pair->sink.act(pair->sink.userdata, action);
}

void pair_send(const Pair *pair, PairNode to, const PairMessage *message) {
  pair_act(pair, &(PairAction){.kind = PAIR_DO_SEND, .to = to, .message = message});
}

void pair_answer(const Pair *pair, PairError error) {
  pair_act(pair, &(PairAction){.kind = PAIR_DO_ANSWER, .error = error});
}

static void dispatch(Pair *pair, const PairEvent *event, uint64_t now_us) {
  const Cell *cell = cells[event->kind][pair->state];

  if (cell->handle)
    cell->handle(pair, event, now_us);
}

static void raise(Pair *pair, PairEventKind kind, uint64_t now_us) {
  dispatch(pair, &(PairEvent){.kind = kind}, now_us);
}

/* Authority that has run out goes first, so that nothing is done with it. */
void pair_tick(Pair *pair, uint64_t now_us) {
  if (pair_leads(pair) && now_us >= pair_second_us(pair))
    raise(pair, PAIR_ON_VOTES_OVER, now_us);
  if (now_us >= lease_next_us(&pair->leases))
    raise(pair, PAIR_ON_LEASES_OVER, now_us);
  if (now_us >= pair->timer_us) {
    pair->timer_us = TIME_NEVER;
    raise(pair, PAIR_ON_TIMER, now_us);
  }
}

void pair_step(Pair *pair, const PairEvent *event, uint64_t now_us) {
  pair_tick(pair, now_us);
  dispatch(pair, event, now_us);
}

/* What each message is as an event, and whether a witness may say it. */
static const struct {
  PairEventKind event;
  bool by_witness;
  bool of_sender; /* its epoch is one of the sender's own */
} messages[] = {
    [PAIR_SAY_ASK] = {PAIR_ON_ASKED, false, true},
    [PAIR_SAY_GIVE] = {PAIR_ON_GIVEN, true, false},
    [PAIR_SAY_DENY] = {PAIR_ON_DENIED, true, false},
    [PAIR_SAY_ANNOUNCE] = {PAIR_ON_ANNOUNCED, false, true},
    [PAIR_SAY_REPLICATE] = {PAIR_ON_REPLICATED, false, true},
    [PAIR_SAY_HAVE] = {PAIR_ON_HAD, false, false},
    [PAIR_SAY_YIELD] = {PAIR_ON_YIELD_WANTED, false, false},
    [PAIR_SAY_HAND_OVER] = {PAIR_ON_HANDED_OVER, false, true},
};

void pair_receive(Pair *pair, PairNode from, const PairMessage *message, uint64_t now_us) {
  bool known = (unsigned)message->kind < ELEMENTS(messages) && from != pair->options.node && from < PAIR_NOBODY;

  if (!known || (from == PAIR_WITNESS && !messages[message->kind].by_witness))
    return;
  if (messages[message->kind].of_sender && !epoch_is_of(message->epoch, from))
    return;
  PairEvent event = {.kind = messages[message->kind].event, .from = from, .message = message};

  pair_step(pair, &event, now_us);
}

uint64_t pair_next_us(const Pair *pair) {
  uint64_t next_us = min_u64(pair->timer_us, lease_next_us(&pair->leases));

  return pair_leads(pair) ? min_u64(next_us, pair_second_us(pair)) : next_us;
}

PairState pair_state(const Pair *pair) {
  return pair->state;
}

uint64_t pair_epoch(const Pair *pair) {
  return pair->epoch;
}

uint64_t pair_until_us(const Pair *pair) {
  return pair_leads(pair) ? pair_second_us(pair) : 0;
}

uint64_t pair_seen(const Pair *pair) {
  return pair->record.seen;
}

uint64_t pair_barred_us(const Pair *pair, uint64_t now_us) {
  bool barred = pair->promise.to == PAIR_NOBODY && pair->promise.until_us > now_us;

  return barred ? pair->promise.until_us - now_us : 0;
}

const Leases *pair_leases(const Pair *pair) {
  return &pair->leases;
}

const char *pair_state_name(PairState state) {
  return state_names[state];
}

const char *pair_event_name(PairEventKind kind) {
  return event_names[kind];
}

const char *pair_ignored(PairState state, PairEventKind kind) {
  return cells[kind][state]->reason;
}

const char *pair_error_text(PairError error) {
  static const char *const texts[] = {
      [PAIR_E_NONE] = "done",
      [PAIR_E_AFTER_LEASE] = "takeover after_lease is without a witness: remove the witness, or say manual",
      [PAIR_E_ALONE] = "a broker that is alone has no witness, and is none",
      [PAIR_E_TIMES] = "no time may be 0, and a vote must last at least three times as long as its renewal takes",
      [PAIR_E_ALREADY] = "this broker leads already",
      [PAIR_E_FOLLOWER] = "this broker does not lead: ask the other one",
      [PAIR_E_NO_PEER] = "the other broker can't be reached, so it can't take over",
      [PAIR_E_HAS_WITNESS] = "the witness decides: start it, or take it out of both configurations",
      [PAIR_E_IS_WITNESS] = "this is a witness: ask a broker",
      [PAIR_E_MOVING] = "a handover is under way: look again in a moment",
      [PAIR_E_NO_DISK] = "this broker can't write its votes to disk: see its log, repair the disk, start it again",
  };

  return texts[error];
}
