/* What goes wrong with authority without the world's having a part in it: operators, the witness, disks that kill, loops that are late. */
#include "tests/sim/pairs-internal.h"

enum { LATE_MOST_US = 240000 /* a loop may be late by so much before it gives authority up */ };

/* An operator makes a broker lead alone only when the other is gone. */
static void operator_acts(Pairs *pairs, int i) {
  const Node *node = &pairs->nodes[i];
  PairEventKind kind = pairs_draw(pairs, 2) ? PAIR_ON_OPERATOR_LEAD : PAIR_ON_OPERATOR_YIELD;

  if (!node->pair || node->frozen_us)
    return;
  if (kind == PAIR_ON_OPERATOR_LEAD && !pairs->witness && !pairs->nodes[1 - i].pair)
    pairs->forced = true;
  else if (kind == PAIR_ON_OPERATOR_LEAD && !node->linked)
    return;
  pairs_give(pairs, i, (PairEvent){.kind = kind});
}

static void shake_witness(Pairs *pairs) {
  if (!pairs->nodes[PAIR_WITNESS].pair)
    pairs_start(pairs, PAIR_WITNESS);
  else
    pairs_kill(pairs, PAIR_WITNESS);
}

static void cut_witness(Pairs *pairs) {
  int broker = (int)pairs_draw(pairs, 2);
  bool to = pairs_draw(pairs, 2);
  bool value = pairs_draw(pairs, 2);

  pairs->cut[to ? broker : PAIR_WITNESS][to ? PAIR_WITNESS : broker] = value;
}

/* --- deaths while a disk writes, and loops that are late --- */

/* What the world starts and kills it is asked to kill. */
void pairs_on_death(Pairs *pairs, const Happening *death) {
  Node *node = &pairs->nodes[death->node];

  if (pairs->calm || !node->pair || death->life != node->life)
    return;
  if (death->node < PAIR_WITNESS) {
    node->wants_death = true;
    return;
  }
  pairs_kill(pairs, death->node);
  pairs_happen(pairs, BIRTH, death->node, pairs_draw(pairs, 300000));
}

void pairs_on_stall(Pairs *pairs) {
  int i = (int)pairs_draw(pairs, NODES);
  Node *node = &pairs->nodes[i];

  if (node->pair && !node->frozen_us && !pairs->calm) {
    node->stalled_us = pairs->now_us;
    pairs_happen(pairs, RESUME, i, pairs_draw(pairs, LATE_MOST_US))->life = node->life;
  }
  pairs_happen(pairs, STALL, 0, pairs_draw(pairs, US_PER_S));
}

void pairs_on_resume(Pairs *pairs, const Happening *end) {
  Node *node = &pairs->nodes[end->node];
  uint64_t late_us = pairs->now_us - node->stalled_us;

  if (!node->pair || !node->stalled_us || end->life != node->life)
    return;
  node->stalled_us = 0;
  node->hasty = pairs_draw(pairs, 2);
  if (!node->frozen_us && !node->hasty)
    pairs_give(pairs, end->node, (PairEvent){.kind = PAIR_ON_LATE, .late_us = late_us});
}

void pairs_on_chaos(Pairs *pairs) {
  uint64_t dice = pairs_draw(pairs, 10);

  if (dice < 3)
    operator_acts(pairs, (int)pairs_draw(pairs, 2));
  else if (dice < 5 && pairs->witness)
    shake_witness(pairs);
  else if (pairs->witness)
    cut_witness(pairs);
  if (pairs_draw(pairs, 2) == 0)
    pairs->loss = (uint32_t)pairs_draw(pairs, 40);
  pairs_happen(pairs, CHAOS, 0, pairs_draw(pairs, 2) ? pairs_draw(pairs, 300000) : pairs_draw(pairs, 3000000));
}

bool pairs_wants_death(Pairs *pairs, int i) {
  Node *node = &pairs->nodes[i];
  bool wants = node->wants_death;

  node->wants_death = false;
  return wants;
}
