/* Random histories of two brokers and a witness: messages get lost, are late and go one way only; processes die and forget
   what was not synced; loops freeze; clocks differ by 1 % in rate. Whatever happens: no two holders of a lease at one moment,
   no two leaders, epochs and tokens rise; and when all is well again, there is one leader.
   PONS_PAIR_SEEDS and PONS_PAIR_FIRST choose other seeds; a failing one is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus/core/pair.h"

enum { NODES = 3, HOLDERS = 3, NAMES = 2, MAX_EVENTS = 8192 };

#define CHAOS_US (20 * US_PER_S)
#define PEACE_US (12 * US_PER_S)
#define LOOK_US (20 * US_PER_MS)

static const char *const lease_names[NAMES] = {"solo", "hub"};

typedef struct Clock {
  uint64_t offset_us;
  uint64_t ppm; /* 1,000,000 is true */
} Clock;

typedef struct Node {
  Pair *pair;
  Clock clock;
  PairOptions options;
  PairRecord disk;
  uint64_t disk_serial;  /* of the record on it */
  uint64_t disk_word_us; /* when the last word of the disk arrives: it writes in order */
  uint64_t life;
  uint64_t frozen_until_us;
  bool host_up;
  bool linked;           /* what it was told last */
  uint64_t link_word_us; /* when the last word about the link arrives */
} Node;

typedef enum What {
  MESSAGE,
  PERSIST,
  LINK,
  REFUSAL,
  CONNECT,
  LOOK,
  HOLDER_ASKS,
  LEASE_ASK,
  LEASE_ANSWER,
  CHAOS,
  THAW
} What;

typedef enum Wish { REQUEST, RENEW, RELEASE } Wish;

typedef struct Happening {
  What kind;
  uint64_t at_us;
  int node; /* where */
  int from;
  uint64_t life;
  uint64_t local_us;
  uint64_t number;
  PairMessage message;
  PairRecord record;
  bool up;
  int holder;
  int name;
  Wish wish;
  uint64_t duration_us;
  LeaseToken token;
} Happening;

typedef struct Holding {
  bool has;
  LeaseToken token;
  uint64_t until_us; /* by the holder's clock */
  uint64_t number;   /* of the question that waits for an answer; 0 = none */
} Holding;

typedef struct Holder {
  Clock clock;
  uint64_t numbers;
  Holding holdings[NAMES];
} Holder;

typedef struct World {
  uint64_t seed;
  uint64_t random;
  uint64_t now_us;
  bool witness;
  bool peace;
  bool forced; /* an operator had his way */
  Node nodes[NODES];
  Holder holders[HOLDERS];
  bool cut[NODES][NODES];
  uint32_t loss; /* of 100 */
  Happening *queue;
  size_t n;
  const Happening *asking; /* the lease event in hand */
  int acting;
  uint64_t highest_epoch;
  LeaseToken highest_token[NAMES];
  uint64_t leads, grants, kept; /* so that a run in which nothing happens is noticed */
} World;

static uint64_t draw(World *w, uint64_t n) {
  w->random ^= w->random >> 12;
  w->random ^= w->random << 25;
  w->random ^= w->random >> 27;
  return (w->random * UINT64_C(0x2545f4914f6cdd1d) >> 16) % n;
}

static void check(const World *w, bool holds, const char *what) {
  if (holds)
    return;
  fail_msg("seed %llu at %llu us: %s", (unsigned long long)w->seed, (unsigned long long)w->now_us, what);
}

static uint64_t local_us(const World *w, const Clock *clock) {
  return clock->offset_us + (uint64_t)((unsigned __int128)w->now_us * clock->ppm / 1000000);
}

/* The first moment at which the clock shows at least local. */
static uint64_t when_us(const Clock *clock, uint64_t local) {
  if (local == TIME_NEVER || local < clock->offset_us)
    return local == TIME_NEVER ? TIME_NEVER : 0;
  return (uint64_t)(((unsigned __int128)(local - clock->offset_us) * 1000000 + clock->ppm - 1) / clock->ppm);
}

static Happening *happen(World *w, What kind, int node, uint64_t in_us) {
  check(w, w->n < MAX_EVENTS, "too many events wait");
  Happening *h = &w->queue[w->n++];
  *h = (Happening){.kind = kind, .node = node, .at_us = w->now_us + in_us};
  return h;
}

/* Mostly quick, sometimes slow, rarely slower than a vote lasts. */
static uint64_t delay_us(World *w) {
  uint64_t dice = draw(w, 100);

  if (w->peace)
    return 100 + draw(w, 2000);
  return dice < 90 ? 50 + draw(w, 3000) : dice < 98 ? draw(w, 300000) : draw(w, 4000000);
}

static bool passes(World *w, int from, int to) {
  return !w->cut[from][to] && draw(w, 100) >= w->loss;
}

static bool leads_now(const World *w, int i) {
  const Node *node = &w->nodes[i];

  return node->pair && pair_until_us(node->pair) > local_us(w, &node->clock);
}

/* --- what a pair does --- */

static void on_lead(World *w, int i, const PairAction *action) {
  for (int other = 0; other < 2; other++)
    check(w, other == i || !leads_now(w, other), "two leaders");
  check(w, action->epoch > w->highest_epoch || w->forced, "an epoch does not rise");
  w->highest_epoch = action->epoch;
  w->leads++;
}

static void answer_holder(World *w, const PairAction *action) {
  if (action->kind != PAIR_DO_GRANT || draw(w, 100) < w->loss)
    return;
  const Happening *asked = w->asking;
  Happening *h = happen(w, LEASE_ANSWER, 0, 0);

  h->at_us += delay_us(w);
  h->holder = asked->holder;
  h->name = asked->name;
  h->wish = asked->wish;
  h->number = asked->number;
  h->local_us = asked->local_us;
  h->token = action->lease->token;
  h->duration_us = action->lease->duration_us;
}

static void on_act(void *userdata, const PairAction *action) {
  World *w = userdata;
  int i = w->acting;
  Happening *h;

  if (action->kind == PAIR_DO_LEAD)
    on_lead(w, i, action);
  else if (action->kind == PAIR_DO_GRANT || action->kind == PAIR_DO_REFUSE)
    answer_holder(w, action);
  else if (action->kind == PAIR_DO_PERSIST) {
    w->nodes[i].disk_word_us =
        max_u64(w->now_us + 50 + draw(w, draw(w, 20) ? 3000 : 200000), w->nodes[i].disk_word_us + 1);
    h = happen(w, PERSIST, i, w->nodes[i].disk_word_us - w->now_us);
    h->life = w->nodes[i].life;
    h->number = action->serial;
    h->record = action->record;
  } else if (action->kind == PAIR_DO_SEND && passes(w, i, (int)action->to)) {
    h = happen(w, MESSAGE, (int)action->to, 0);
    h->at_us += delay_us(w);
    h->from = i;
    h->message = *action->message;
  }
}

static void give(World *w, int i, PairEvent event) {
  w->acting = i;
  pair_step(w->nodes[i].pair, &event, local_us(w, &w->nodes[i].clock));
}

/* --- processes --- */

static void start(World *w, int i) {
  Node *node = &w->nodes[i];
  PairSink sink = {on_act, w};

  node->life++;
  node->host_up = true;
  node->linked = false;
  node->frozen_until_us = 0;
  node->disk_serial = 0;
  pair_new(&node->pair, &node->options, &sink);
  give(w, i, (PairEvent){.kind = PAIR_ON_STARTED, .record = node->disk, .life = node->life});
}

static void write_disk(Node *node, const Happening *h) {
  if (h->life != node->life || h->number <= node->disk_serial)
    return;
  node->disk = h->record;
  node->disk_serial = h->number;
}

/* What was on its way to the disk may or may not have arrived. */
static void kill_node(World *w, int i, bool with_host) {
  Node *node = &w->nodes[i];

  for (size_t k = 0; k < w->n; k++)
    if (w->queue[k].kind == PERSIST && w->queue[k].node == i && draw(w, 3) == 0)
      write_disk(node, &w->queue[k]);
  pair_destroy(&node->pair);
  node->host_up = !with_host;
}

static void tell_link(World *w, int i, bool up, uint64_t in_us) {
  Node *node = &w->nodes[i];
  Happening *h;

  if (!node->pair || node->linked == up)
    return;
  node->linked = up;
  node->link_word_us = w->now_us + in_us > node->link_word_us ? w->now_us + in_us : node->link_word_us + 1;
  h = happen(w, LINK, i, 0);
  h->at_us = node->link_word_us;
  h->life = node->life;
  h->up = up;
  h->number = up ? pair_seen(w->nodes[1 - i].pair) : 0;
}

/* Every 20 ms: does the link work; whoever has none tries to connect. */
static void look(World *w) {
  bool whole = w->nodes[0].pair && w->nodes[1].pair && !w->cut[0][1] && !w->cut[1][0];

  for (int i = 0; i < 2; i++) {
    if (whole || !w->nodes[1 - i].pair)
      tell_link(w, i, whole, draw(w, 2000));
    else
      tell_link(w, i, false, 40000 + draw(w, 30000));
    if (w->nodes[i].pair && !w->nodes[i].linked && !w->cut[i][1 - i] && !w->cut[1 - i][i]) {
      Happening *h = happen(w, CONNECT, 1 - i, delay_us(w));
      h->from = i;
      h->life = w->nodes[i].life;
      h->local_us = local_us(w, &w->nodes[i].clock);
    }
  }
  happen(w, LOOK, 0, LOOK_US);
}

/* The connection attempt arrives: a host without the process refuses it. */
static void on_connect(World *w, const Happening *h) {
  if (w->nodes[h->node].pair || !w->nodes[h->node].host_up)
    return;
  Happening *answer = happen(w, REFUSAL, h->from, delay_us(w));

  answer->life = h->life;
  answer->local_us = h->local_us;
}

static void freeze(World *w, int i) {
  uint64_t for_us = draw(w, 2) ? draw(w, 400000) : draw(w, 6000000);

  w->nodes[i].frozen_until_us = w->now_us + for_us;
  Happening *h = happen(w, THAW, i, for_us);
  h->life = w->nodes[i].life;
  h->local_us = for_us;
}

static void operator_acts(World *w, int i) {
  PairEventKind kind = draw(w, 2) ? PAIR_ON_OPERATOR_LEAD : PAIR_ON_OPERATOR_YIELD;

  if (i == PAIR_WITNESS || w->nodes[i].frozen_until_us > w->now_us)
    return;
  /* An operator makes a broker lead alone only when the other is gone. */
  if (kind == PAIR_ON_OPERATOR_LEAD && !w->witness && !w->nodes[1 - i].pair)
    w->forced = true;
  else if (kind == PAIR_ON_OPERATOR_LEAD && !w->nodes[i].linked)
    return;
  give(w, i, (PairEvent){.kind = kind});
}

static void cut(World *w) {
  int from = (int)draw(w, NODES), to = (int)draw(w, NODES);
  bool both = draw(w, 2), value = draw(w, 2);

  w->cut[from][to] = value;
  if (both)
    w->cut[to][from] = value;
}

static void chaos(World *w) {
  int i = (int)draw(w, w->witness ? NODES : 2);
  uint64_t dice = draw(w, 10);

  if (!w->nodes[i].pair)
    start(w, i);
  else if (dice < 3)
    kill_node(w, i, draw(w, 3) == 0);
  else if (dice < 4)
    freeze(w, i);
  else if (dice < 6)
    operator_acts(w, i);
  else
    cut(w);
  if (draw(w, 4) == 0)
    w->loss = (uint32_t)draw(w, 30);
  happen(w, CHAOS, 0, draw(w, 2) ? draw(w, 300000) : draw(w, 3000000));
}

static void make_peace(World *w) {
  w->peace = true;
  w->loss = 0;
  memset(w->cut, 0, sizeof w->cut);
  for (int i = 0; i < (w->witness ? NODES : 2); i++)
    if (!w->nodes[i].pair)
      start(w, i);
}

/* --- holders --- */

static void holder_asks(World *w, int i) {
  Holder *holder = &w->holders[i];
  int name = (int)draw(w, NAMES);
  Holding *holding = &holder->holdings[name];
  uint64_t now = local_us(w, &holder->clock);
  bool has = holding->has && now < holding->until_us;
  int at = (int)draw(w, 2);

  holding->has = has;
  Happening ask = {.holder = i, .name = name, .wish = REQUEST, .local_us = now, .token = holding->token};
  if (has)
    ask.wish = draw(w, 6) ? RENEW : RELEASE;
  if (ask.wish == RELEASE)
    holding->has = false;
  ask.duration_us = 200000 + draw(w, 3000000);
  ask.number = holding->number = ++holder->numbers;
  for (int n = 0; n < 2; n++, at = 1 - at)
    if (draw(w, 100) >= w->loss) {
      Happening *h = happen(w, LEASE_ASK, at, 0);
      uint64_t at_us = h->at_us + delay_us(w);
      *h = ask;
      h->kind = LEASE_ASK;
      h->node = at;
      h->at_us = at_us;
    }
  happen(w, HOLDER_ASKS, 0, 20000 + draw(w, 300000))->holder = i;
}

static void on_lease_ask(World *w, const Happening *h) {
  static const PairEventKind kinds[] = {PAIR_ON_LEASE_REQUESTED, PAIR_ON_LEASE_RENEWED, PAIR_ON_LEASE_RELEASED};
  LeaseAsk ask = {.name = text_of(lease_names[h->name]),
                  .holder = {(uint64_t)h->holder + 1},
                  .token = h->token,
                  .duration_us = h->duration_us,
                  .may_double = h->name == 1};

  w->asking = h;
  give(w, h->node, (PairEvent){.kind = kinds[h->wish], .lease = &ask});
  w->asking = NULL;
}

static void check_alone(const World *w, int i, int name) {
  for (int other = 0; other < HOLDERS; other++) {
    const Holding *holding = &w->holders[other].holdings[name];
    bool has = holding->has && local_us(w, &w->holders[other].clock) < holding->until_us;
    check(w, other == i || !has || name == 1, "two holders");
  }
}

/* A holder takes only the answer to what it asked last, a renewal only while it still holds, and counts from when it asked. */
static void on_lease_answer(World *w, const Happening *h) {
  Holder *holder = &w->holders[h->holder];
  Holding *holding = &holder->holdings[h->name];
  uint64_t now = local_us(w, &holder->clock);
  uint64_t until = lease_holder_until_us(h->local_us, h->duration_us);
  bool still = holding->has && now < holding->until_us && token_compare(holding->token, h->token) == 0;

  if (h->number != holding->number || until <= now || h->wish == RELEASE || (h->wish == RENEW && !still))
    return;
  holding->number = 0;
  check_alone(w, h->holder, h->name);
  if (h->wish == REQUEST && h->name == 0) {
    check(w, token_compare(h->token, w->highest_token[0]) > 0 || w->forced, "a token does not rise");
    w->highest_token[0] = h->token;
  }
  w->grants += h->wish == REQUEST;
  w->kept += h->wish == RENEW;
  holding->has = true;
  holding->token = h->token;
  holding->until_us = holding->until_us > until && still ? holding->until_us : until;
}

/* --- the run --- */

/* What is meant for a frozen process waits in its socket. */
static bool waits_for_thaw(World *w, Happening *h) {
  bool of_node =
      h->kind == MESSAGE || h->kind == PERSIST || h->kind == LINK || h->kind == REFUSAL || h->kind == LEASE_ASK;

  if (!of_node || w->nodes[h->node].frozen_until_us <= w->now_us)
    return false;
  h->at_us = w->nodes[h->node].frozen_until_us + 1;
  return true;
}

static void on_node(World *w, const Happening *h) {
  Node *node = &w->nodes[h->node];

  if (!node->pair || (h->kind != MESSAGE && h->kind != LEASE_ASK && h->life != node->life))
    return;
  w->acting = h->node;
  if (h->kind == MESSAGE)
    pair_receive(node->pair, (PairNode)h->from, &h->message, local_us(w, &node->clock));
  else if (h->kind == PERSIST) {
    write_disk(node, h);
    give(w, h->node, (PairEvent){.kind = PAIR_ON_PERSISTED, .serial = h->number});
  } else if (h->kind == LINK)
    give(w, h->node, (PairEvent){.kind = h->up ? PAIR_ON_PEER_UP : PAIR_ON_PEER_DOWN, .seen = h->number});
  else if (h->kind == REFUSAL)
    give(w, h->node, (PairEvent){.kind = PAIR_ON_PEER_REFUSED, .sent_us = h->local_us});
  else if (h->kind == THAW)
    give(w, h->node, (PairEvent){.kind = PAIR_ON_LATE, .late_us = h->local_us});
  else
    on_lease_ask(w, h);
}

static void on_happening(World *w, const Happening *h) {
  switch (h->kind) {
  case CONNECT:
    on_connect(w, h);
    break;
  case LOOK:
    look(w);
    break;
  case HOLDER_ASKS:
    holder_asks(w, h->holder);
    break;
  case LEASE_ANSWER:
    on_lease_answer(w, h);
    break;
  case CHAOS:
    if (!w->peace)
      chaos(w);
    break;
  default:
    on_node(w, h);
  }
}

/* The node whose timer is next, and when: a frozen one is late. */
static int next_timer(const World *w, uint64_t *ret_us) {
  int first = -1;

  for (int i = 0; i < NODES; i++) {
    const Node *node = &w->nodes[i];
    uint64_t at = node->pair ? when_us(&node->clock, pair_next_us(node->pair)) : TIME_NEVER;

    if (at != TIME_NEVER && at < node->frozen_until_us)
      at = node->frozen_until_us;
    if (at < *ret_us) {
      *ret_us = at;
      first = i;
    }
  }
  return first;
}

static void advance(World *w) {
  size_t best = 0;
  uint64_t at;
  int timer;

  for (size_t k = 1; k < w->n; k++)
    if (w->queue[k].at_us < w->queue[best].at_us)
      best = k;
  at = w->queue[best].at_us;
  timer = next_timer(w, &at);
  w->now_us = max_u64(w->now_us, at);
  if (timer >= 0) {
    w->acting = timer;
    pair_tick(w->nodes[timer].pair, local_us(w, &w->nodes[timer].clock));
    return;
  }
  if (waits_for_thaw(w, &w->queue[best]))
    return;
  Happening h = w->queue[best];
  w->queue[best] = w->queue[--w->n];
  on_happening(w, &h);
}

static void check_one_leader(const World *w) {
  int leaders = 0;

  for (int i = 0; i < 2; i++)
    leaders += leads_now(w, i);
  check(w, leaders == 1, "all is well, but there is no leader");
}

static void set_up(World *w, uint64_t seed) {
  w->seed = seed;
  w->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
  w->witness = draw(w, 2);
  for (int i = 0; i < NODES; i++) {
    Node *node = &w->nodes[i];
    node->clock = (Clock){draw(w, 10 * US_PER_S), 990000 + draw(w, 20001)};
    node->options = pair_options_default((PairNode)i, w->witness);
    if (!w->witness && draw(w, 3) == 0)
      node->options.takeover = PAIR_MANUAL;
    if (i < 2 || w->witness)
      start(w, i);
  }
  for (int i = 0; i < HOLDERS; i++) {
    w->holders[i].clock = (Clock){draw(w, 10 * US_PER_S), 990000 + draw(w, 20001)};
    happen(w, HOLDER_ASKS, 0, draw(w, 100000))->holder = i;
  }
  happen(w, LOOK, 0, 0);
  happen(w, CHAOS, 0, draw(w, 6) ? 3000000 : 0);
}

static void run(uint64_t seed, uint64_t totals[3]) {
  static World *w; /* static: a seed that fails leaves it behind */

  w = calloc(1, sizeof *w);
  assert_non_null(w);
  w->queue = calloc(MAX_EVENTS, sizeof *w->queue);
  set_up(w, seed);
  while (w->now_us < CHAOS_US)
    advance(w);
  make_peace(w);
  while (w->now_us < CHAOS_US + PEACE_US)
    advance(w);
  check_one_leader(w);
  while (w->now_us < CHAOS_US + PEACE_US + 2 * US_PER_S) {
    advance(w);
    check_one_leader(w);
  }
  totals[0] += w->leads;
  totals[1] += w->grants;
  totals[2] += w->kept;
  for (int i = 0; i < NODES; i++)
    pair_destroy(&w->nodes[i].pair);
  free(w->queue);
  free(w);
}

static uint64_t setting(const char *name, uint64_t otherwise) {
  const char *value = getenv(name);

  return value ? strtoull(value, NULL, 10) : otherwise;
}

static void test_histories(void **state) {
  uint64_t first = setting("PONS_PAIR_FIRST", 1), n = setting("PONS_PAIR_SEEDS", 2000), totals[3] = {0};

  (void)state;
  for (uint64_t seed = first; seed < first + n; seed++)
    run(seed, totals);
  printf("%llu seeds: %llu leaders, %llu leases, %llu renewals\n", (unsigned long long)n, (unsigned long long)totals[0],
         (unsigned long long)totals[1], (unsigned long long)totals[2]);
  assert_true(totals[0] > n && totals[1] > n && totals[2] > n);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
