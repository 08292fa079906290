/* What brokers tell each other goes through their logs: the table of leases as the shell of the real ones does it (bus/broker/authority.c,
   authority-log.c), by which a change that waits in the log arrives late and in its order, and is acknowledged by its position. */
#include "tests/sim/pairs-internal.h"

void pairs_log_lease(Pairs *pairs, int i, const PairMessage *message) {
  Node *node = &pairs->nodes[i];

  node->lease.position = logs_append(pairs->logs, i, CHANGE_LEASE, &(LogsWord){.lease = *message}, pairs->now_us);
  node->lease.epoch = message->epoch;
  node->lease.number = message->position;
}

static void on_tell(void *userdata, int i, bool all) {
  Pairs *pairs = userdata;
  Node *node = &pairs->nodes[i];

  if (all) {
    node->lease.position = 0;
    pairs->acting = i;
    pair_tell(node->pair, pairs_local_us(pairs, &node->clock));
  }
  writers_tell(pairs->writers, i, all);
  keepers_tell(pairs->keepers, i, all);
}

static void on_take(void *userdata, int i, ChangeKind kind, const LogsWord *word, uint64_t position) {
  Pairs *pairs = userdata;

  if (kind == CHANGE_LEASE)
    pairs_hear(pairs, i, 1 - i, &word->lease);
  writers_take(pairs->writers, i, kind, word, position);
  keepers_take(pairs->keepers, i, kind, word, position);
}

static uint64_t on_done(void *userdata, int i, ChangeKind kind, uint64_t heard) {
  const Pairs *pairs = userdata;

  if (kind == CHANGE_FLAG)
    return writers_done(pairs->writers, i, heard);
  return kind == CHANGE_DURABLE ? keepers_done(pairs->keepers, i, heard) : heard;
}

static bool is_short(void *userdata, int i) {
  const Pairs *pairs = userdata;

  return writers_are_short(pairs->writers, i);
}

/* The other has the table as far as it was told. */
static void note_leases(Pairs *pairs, int i) {
  Node *node = &pairs->nodes[i];
  PairMessage have = {.kind = PAIR_SAY_HAVE, .epoch = node->lease.epoch, .position = node->lease.number};

  if (node->lease.position == 0 || logs_done(pairs->logs, i, CHANGE_LEASE) < node->lease.position)
    return;
  node->lease.position = 0;
  pairs_hear(pairs, i, 1 - i, &have);
}

static void on_heard(void *userdata, int i) {
  Pairs *pairs = userdata;

  note_leases(pairs, i);
  writers_heard(pairs->writers, i, logs_done(pairs->logs, i, CHANGE_FLAG), logs_settled(pairs->logs, i, CHANGE_FLAG));
  keepers_heard(pairs->keepers, i, logs_done(pairs->logs, i, CHANGE_DURABLE));
}

/* An eighth of what is lost of messages that nobody says again. */
static uint32_t loss_of(void *userdata, int from, int to) {
  const Pairs *pairs = userdata;

  return pairs->cut[from][to] ? 1000 : pairs->loss * 10 / 8;
}

void pairs_log_new(Pairs *pairs, uint64_t seed) {
  logs_new(&pairs->logs, seed, &(LogsSink){on_tell, on_take, on_done, is_short, on_heard, loss_of, pairs});
}
