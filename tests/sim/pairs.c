/* The nodes that vote: their messages get lost and are late, their disks are slow and lose what was not synced, an operator does
   what operators do. Time is the world's, but each thing happens at its own moment, by clocks that differ by 1 % in rate. */
#include "tests/sim/pairs-internal.h"

#include <assert.h>
#include <stdlib.h>

#define LOOK_US (20 * US_PER_MS)

enum { DIES_OF = 25, WITNESS_DIES_OF = 8 /* one in so many writes kills its process */ };

uint64_t pairs_draw(Pairs *pairs, uint64_t n) {
  return chance_draw(&pairs->chance, n);
}

void pairs_demand(const Pairs *pairs, bool holds, const char *what) {
  if (!holds)
    pairs->sink.fail(pairs->sink.userdata, what);
}

uint64_t pairs_local_us(const Pairs *pairs, const LocalClock *clock) {
  return clock->offset_us + (uint64_t)((unsigned __int128)pairs->now_us * clock->ppm / 1000000);
}

/* The first moment at which the clock shows at least local_us. */
static uint64_t when_us(const LocalClock *clock, uint64_t local_us) {
  if (local_us == TIME_NEVER || local_us < clock->offset_us)
    return local_us == TIME_NEVER ? TIME_NEVER : 0;
  return (uint64_t)(((unsigned __int128)(local_us - clock->offset_us) * 1000000 + clock->ppm - 1) / clock->ppm);
}

Happening *pairs_happen(Pairs *pairs, What kind, int node, uint64_t in_us) {
  Happening *h = &pairs->queue[pairs->n++];

  assert(pairs->n < HAPPENINGS_MAX);
  *h = (Happening){.kind = kind, .node = node, .at_us = pairs->now_us + in_us};
  return h;
}

uint64_t pairs_delay_us(Pairs *pairs) {
  uint64_t dice = pairs_draw(pairs, 100);

  if (pairs->calm)
    return 100 + pairs_draw(pairs, 2000);
  return dice < 90 ? 50 + pairs_draw(pairs, 3000) : dice < 98 ? pairs_draw(pairs, 300000) : pairs_draw(pairs, 4000000);
}

static bool passes(Pairs *pairs, int from, int to) {
  return !pairs->cut[from][to] && pairs_draw(pairs, 100) >= pairs->loss;
}

static bool leads_now(const Pairs *pairs, int i) {
  const Node *node = &pairs->nodes[i];

  return node->pair && pair_until_us(node->pair) > pairs_local_us(pairs, &node->clock);
}

/* --- what a machine does --- */

static void on_lead(Pairs *pairs, int i, const PairAction *action) {
  for (int other = 0; other < 2; other++)
    pairs_demand(pairs, other == i || !leads_now(pairs, other), "there are two leaders");
  pairs_demand(pairs, action->epoch > pairs->highest_epoch || pairs->forced, "an epoch does not rise");
  pairs->highest_epoch = action->epoch;
  pairs->tally.leaders++;
  keepers_lead(pairs->keepers, i, action->epoch, pairs->now_us);
  writers_lead(pairs->writers, i, action->epoch);
}

static void to_disk(Pairs *pairs, int i, const PairAction *action) {
  Node *node = &pairs->nodes[i];
  uint64_t takes_us = 50 + pairs_draw(pairs, pairs_draw(pairs, 6) ? 3000 : 200000);
  uint64_t dies_of = i == PAIR_WITNESS ? WITNESS_DIES_OF : DIES_OF;
  Happening *h;

  node->disk_word_us = max_u64(pairs->now_us + takes_us, node->disk_word_us + 1);
  h = pairs_happen(pairs, PERSIST, i, node->disk_word_us - pairs->now_us);
  h->life = node->life;
  h->number = action->serial;
  h->record = action->record;
  if (!pairs->calm && pairs_draw(pairs, dies_of) == 0)
    pairs_happen(pairs, DEATH, i, pairs_draw(pairs, 2 * takes_us))->life = node->life;
}

/* The promise that is said is on disk. */
static bool is_written(const Pairs *pairs, int i, const PairAction *action) {
  const PairRecord *disk = &pairs->nodes[i].disk;

  return disk->vote_for == action->to && disk->vote_epoch >= action->message->epoch;
}

static void send(Pairs *pairs, int i, const PairAction *action) {
  PairMessageKind kind = action->message->kind;
  Happening *h;

  if (kind == PAIR_SAY_GIVE && !is_written(pairs, i, action))
    pairs_demand(pairs, false, "a vote was said before it was on disk");
  if (kind == PAIR_SAY_REPLICATE)
    pairs_log_lease(pairs, i, action->message);
  if (kind == PAIR_SAY_REPLICATE || kind == PAIR_SAY_HAVE || !passes(pairs, i, (int)action->to))
    return; /* the log says what the other has */
  h = pairs_happen(pairs, MESSAGE, (int)action->to, pairs_delay_us(pairs));
  h->from = i;
  h->message = *action->message;
}

static void on_act(void *userdata, const PairAction *action) {
  Pairs *pairs = userdata;
  int i = pairs->acting;

  if (action->kind == PAIR_DO_LEAD) {
    on_lead(pairs, i, action);
  } else if (action->kind == PAIR_DO_STEP_DOWN) {
    keepers_lead(pairs->keepers, i, 0, pairs->now_us);
    writers_lead(pairs->writers, i, 0);
  } else if (action->kind == PAIR_DO_GRANT || action->kind == PAIR_DO_REFUSE) {
    holders_on_act(pairs, action);
  } else if (action->kind == PAIR_DO_PERSIST) {
    to_disk(pairs, i, action);
  } else if (action->kind == PAIR_DO_SEND) {
    send(pairs, i, action);
  }
}

/* The epoch in which it leads, and does not know yet that its time is over; or 0. */
static uint64_t epoch_over(const Pairs *pairs, int i) {
  const Node *node = &pairs->nodes[i];
  uint64_t until_us = pair_until_us(node->pair);

  return until_us > 0 && until_us <= pairs_local_us(pairs, &node->clock) ? pair_epoch(node->pair) : 0;
}

/* After something was given to it, nothing may have been done with authority that had run out. */
static void check_over(Pairs *pairs, int i, uint64_t over) {
  const Pair *pair = pairs->nodes[i].pair;

  pairs_demand(pairs, !over || pair_until_us(pair) == 0 || pair_epoch(pair) != over,
               "authority that had run out was prolonged");
}

void pairs_give(Pairs *pairs, int i, PairEvent event) {
  Node *node = &pairs->nodes[i];
  uint64_t over = epoch_over(pairs, i);

  pairs->acting = i;
  pair_step(node->pair, &event, pairs_local_us(pairs, &node->clock));
  check_over(pairs, i, over);
}

void pairs_hear(Pairs *pairs, int i, int from, const PairMessage *message) {
  Node *node = &pairs->nodes[i];
  uint64_t over = epoch_over(pairs, i);

  pairs->acting = i;
  pair_receive(node->pair, (PairNode)from, message, pairs_local_us(pairs, &node->clock));
  check_over(pairs, i, over);
}

/* --- processes --- */

void pairs_start(Pairs *pairs, int i) {
  Node *node = &pairs->nodes[i];
  PairSink sink = {on_act, pairs};

  node->life++;
  node->host_up = true;
  node->linked = false;
  node->frozen_us = node->stalled_us = 0;
  node->hasty = node->wants_death = false;
  node->disk_serial = 0;
  node->lease.position = 0;
  pair_new(&node->pair, &node->options, &sink);
  if (i < 2) {
    logs_start(pairs->logs, i, pairs->now_us);
    keepers_start(pairs->keepers, i, pairs->now_us);
    writers_start(pairs->writers, i, pairs->now_us);
  }
  pairs_give(pairs, i, (PairEvent){.kind = PAIR_ON_STARTED, .record = node->disk, .life = node->life});
}

static void write_disk(Node *node, const Happening *h) {
  if (h->life != node->life || h->number <= node->disk_serial)
    return;
  node->disk = h->record;
  node->disk_serial = h->number;
}

/* What was on its way to the disk may or may not have arrived. */
void pairs_kill(Pairs *pairs, int i) {
  Node *node = &pairs->nodes[i];

  for (size_t k = 0; k < pairs->n; k++)
    if (pairs->queue[k].kind == PERSIST && pairs->queue[k].node == i && pairs_draw(pairs, 3) == 0)
      write_disk(node, &pairs->queue[k]);
  pair_destroy(&node->pair);
  if (i < 2) {
    keepers_kill(pairs->keepers, i);
    logs_kill(pairs->logs, i);
    writers_kill(pairs->writers, i);
  }
  node->frozen_us = 0;
  node->host_up = pairs_draw(pairs, 3) > 0;
}

void pairs_freeze(Pairs *pairs, int i, bool frozen) {
  Node *node = &pairs->nodes[i];
  uint64_t since_us = node->frozen_us;

  node->frozen_us = frozen ? pairs->now_us : 0;
  if (!frozen && since_us && node->pair)
    pairs_give(pairs, i, (PairEvent){.kind = PAIR_ON_LATE, .late_us = pairs->now_us - since_us});
}

void pairs_cut(Pairs *pairs, const bool deaf[2]) {
  pairs->cut[0][1] = deaf[1];
  pairs->cut[1][0] = deaf[0];
}

Keepers *pairs_keepers(Pairs *pairs) {
  return pairs->keepers;
}

void pairs_calm(Pairs *pairs) {
  pairs->calm = true;
  pairs->loss = 0;
  memset(pairs->cut, 0, sizeof pairs->cut);
  if (pairs->witness && !pairs->nodes[PAIR_WITNESS].pair)
    pairs_start(pairs, PAIR_WITNESS);
}

/* --- the line between the brokers --- */

static void tell_link(Pairs *pairs, int i, bool up, uint64_t in_us) {
  Node *node = &pairs->nodes[i];
  Happening *h;

  if (!node->pair || node->linked == up)
    return;
  node->linked = up;
  node->linked_with = pairs->nodes[1 - i].life;
  node->link_word_us = max_u64(pairs->now_us + in_us, node->link_word_us + 1);
  h = pairs_happen(pairs, LINK, i, node->link_word_us - pairs->now_us);
  h->life = node->life;
  h->up = up;
  h->number = up ? pair_seen(pairs->nodes[1 - i].pair) : 0;
}

static void connect_to(Pairs *pairs, int from, int to) {
  Happening *h = pairs_happen(pairs, CONNECT, to, pairs_delay_us(pairs));

  h->from = from;
  h->life = pairs->nodes[from].life;
  h->local_us = pairs_local_us(pairs, &pairs->nodes[from].clock);
}

/* Every 20 ms: does the link work; whoever has none tries to connect. */
static void look(Pairs *pairs) {
  const Node *nodes = pairs->nodes;
  bool can_pass = !pairs->cut[0][1] && !pairs->cut[1][0];
  bool is_whole = can_pass && nodes[0].pair && nodes[1].pair;

  for (int i = 0; i < 2; i++) {
    bool at_once = is_whole || !nodes[1 - i].pair; /* a dead process's connections end */
    bool is_same = !nodes[i].linked || nodes[i].linked_with == nodes[1 - i].life;

    tell_link(pairs, i, is_whole && is_same, at_once ? pairs_draw(pairs, 2000) : 40000 + pairs_draw(pairs, 30000));
    if (!nodes[i].frozen_us && !nodes[i].stalled_us) {
      keepers_run(pairs->keepers, i, pairs->now_us, pairs->calm);
      writers_run(pairs->writers, i, pairs->now_us, pairs->calm, pairs->forced);
      logs_hear(pairs->logs, i, pairs->now_us);
      logs_flush(pairs->logs, i, pairs->now_us);
    }
    if (nodes[i].pair && !nodes[i].linked && !nodes[i].frozen_us && !nodes[i].stalled_us && can_pass)
      connect_to(pairs, i, 1 - i);
  }
  pairs_happen(pairs, LOOK, 0, LOOK_US);
}

/* The connection attempt arrives: a host without the process refuses it. */
static void on_connect(Pairs *pairs, const Happening *h) {
  Happening *answer;

  if (pairs->nodes[h->node].pair || !pairs->nodes[h->node].host_up)
    return;
  answer = pairs_happen(pairs, REFUSAL, h->from, pairs_delay_us(pairs));
  answer->life = h->life;
  answer->local_us = h->local_us;
}

/* --- time --- */

static void on_node(Pairs *pairs, const Happening *h) {
  Node *node = &pairs->nodes[h->node];

  if (!node->pair || (h->kind != MESSAGE && h->kind != LEASE_ASK && h->life != node->life))
    return;
  pairs->acting = h->node;
  if (h->kind == MESSAGE) {
    pairs_hear(pairs, h->node, h->from, &h->message);
  } else if (h->kind == PERSIST) {
    write_disk(node, h);
    pairs_give(pairs, h->node, (PairEvent){.kind = PAIR_ON_PERSISTED, .serial = h->number});
  } else if (h->kind == LINK) {
    keepers_link(pairs->keepers, h->node, h->up, pairs->now_us);
    writers_link(pairs->writers, h->node, h->up, pairs->now_us);
    logs_link(pairs->logs, h->node, h->up, pairs->now_us);
    pairs_give(pairs, h->node, (PairEvent){.kind = h->up ? PAIR_ON_PEER_UP : PAIR_ON_PEER_DOWN, .seen = h->number});
  } else if (h->kind == REFUSAL) {
    pairs_give(pairs, h->node, (PairEvent){.kind = PAIR_ON_PEER_REFUSED, .sent_us = h->local_us});
  } else {
    holders_on_ask(pairs, h);
  }
}

static void on_happening(Pairs *pairs, const Happening *h) {
  switch (h->kind) {
  case CONNECT:
    on_connect(pairs, h);
    break;
  case LOOK:
    look(pairs);
    break;
  case HOLDER_ASKS:
    holders_ask(pairs, h->holder);
    break;
  case LEASE_ANSWER:
    holders_on_answer(pairs, h);
    break;
  case CHAOS:
    if (!pairs->calm)
      pairs_on_chaos(pairs);
    break;
  case DEATH:
    pairs_on_death(pairs, h);
    break;
  case BIRTH:
    if (!pairs->nodes[h->node].pair)
      pairs_start(pairs, h->node);
    break;
  case STALL:
    pairs_on_stall(pairs);
    break;
  case RESUME:
    pairs_on_resume(pairs, h);
    break;
  default:
    on_node(pairs, h);
  }
}

/* What is meant for a frozen process waits in its socket, and comes in order when it wakes up. */
static bool waits_for_thaw(const Pairs *pairs, const Happening *h) {
  bool of_node =
      h->kind == MESSAGE || h->kind == PERSIST || h->kind == LINK || h->kind == REFUSAL || h->kind == LEASE_ASK;

  return of_node && (pairs->nodes[h->node].frozen_us || pairs->nodes[h->node].stalled_us);
}

/* The node whose timer is next before *ret_us, and when, or -1. */
static int next_timer(const Pairs *pairs, uint64_t *ret_us) {
  int first = -1;

  for (int i = 0; i < NODES; i++) {
    const Node *node = &pairs->nodes[i];
    bool runs = node->pair && !node->frozen_us && !node->stalled_us && !node->hasty;
    uint64_t at_us = runs ? when_us(&node->clock, pair_next_us(node->pair)) : TIME_NEVER;

    if (at_us < *ret_us) {
      *ret_us = at_us;
      first = i;
    }
  }
  return first;
}

/* There is always one: somebody looks at the line every 20 ms. */
static size_t find_next(const Pairs *pairs) {
  size_t best = pairs->n;

  for (size_t k = 0; k < pairs->n; k++)
    if (!waits_for_thaw(pairs, &pairs->queue[k]) &&
        (best == pairs->n || pairs->queue[k].at_us < pairs->queue[best].at_us))
      best = k;
  return best;
}

/* What had come while a loop was late has been taken. */
static void calm_haste(Pairs *pairs, uint64_t at_us) {
  for (int i = 0; i < NODES && at_us >= pairs->now_us; i++)
    pairs->nodes[i].hasty = false;
}

/* Returns false when there is nothing more before end_us. */
static bool advance(Pairs *pairs, uint64_t end_us) {
  size_t best = find_next(pairs);
  uint64_t at_us = pairs->queue[best].at_us;
  int timer = next_timer(pairs, &at_us);
  Happening h;

  if (at_us > end_us)
    return false;
  pairs->now_us = max_u64(pairs->now_us, at_us);
  if (timer >= 0) {
    pairs->acting = timer;
    pair_tick(pairs->nodes[timer].pair, pairs_local_us(pairs, &pairs->nodes[timer].clock));
    return true;
  }
  h = pairs->queue[best];
  pairs->queue[best] = pairs->queue[--pairs->n];
  calm_haste(pairs, h.at_us);
  on_happening(pairs, &h);
  return true;
}

void pairs_run(Pairs *pairs, uint64_t now_us) {
  while (advance(pairs, now_us))
    continue;
  pairs->now_us = max_u64(pairs->now_us, now_us);
}

void pairs_new(Pairs **ret, uint64_t seed, uint64_t now_us, const PairsSink *sink) {
  Pairs *pairs = calloc(1, sizeof *pairs);

  assert(pairs);
  pairs->queue = calloc(HAPPENINGS_MAX, sizeof *pairs->queue);
  assert(pairs->queue);
  pairs->chance = chance_of(seed, 7);
  pairs->now_us = now_us;
  pairs->sink = *sink;
  pairs->witness = pairs_draw(pairs, 2);
  pairs->keen = 2 + pairs_draw(pairs, 10);
  pairs_log_new(pairs, seed);
  keepers_new(&pairs->keepers, seed, sink, pairs->logs);
  writers_new(&pairs->writers, seed, &(WritersSink){sink->fail, sink->userdata}, pairs->logs);
  for (int i = 0; i < NODES; i++) {
    Node *node = &pairs->nodes[i];

    node->clock = (LocalClock){pairs_draw(pairs, 10 * US_PER_S), 990000 + pairs_draw(pairs, 20001)};
    node->options = pair_options_default((PairNode)i, pairs->witness);
    if (!pairs->witness && pairs_draw(pairs, 3) == 0)
      node->options.takeover = PAIR_MANUAL;
  }
  if (pairs->witness)
    pairs_start(pairs, PAIR_WITNESS);
  holders_new(pairs);
  pairs_happen(pairs, LOOK, 0, 0);
  pairs_happen(pairs, STALL, 0, 3 * US_PER_S);
  pairs_happen(pairs, CHAOS, 0, pairs_draw(pairs, 6) ? 3 * US_PER_S : 0);
  *ret = pairs;
}

void pairs_destroy(Pairs **pairs) {
  Pairs *gone = TAKE(*pairs);

  for (int i = 0; i < NODES; i++)
    pair_destroy(&gone->nodes[i].pair);
  keepers_destroy(&gone->keepers);
  logs_destroy(&gone->logs);
  writers_destroy(&gone->writers);
  free(gone->queue);
  free(gone);
}

void pairs_check_end(Pairs *pairs, PairsTally *tally) {
  const char *wrong = keepers_check_end(pairs->keepers, &tally->durable);

  writers_check_end(pairs->writers, pairs->forced, &tally->flags);
  pairs_demand(pairs, !wrong, wrong);
  pairs_demand(pairs, leads_now(pairs, 0) || leads_now(pairs, 1), "all is well, but there is no leader");
  pairs_demand(pairs, !leads_now(pairs, 0) || !leads_now(pairs, 1), "all is well, but there are two leaders");
  tally->leaders += pairs->tally.leaders;
  tally->leases += pairs->tally.leases;
  tally->renewals += pairs->tally.renewals;
}
