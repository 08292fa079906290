#include "bus/core/vote.h"

uint64_t epoch_next(uint64_t seen, PairNode node) {
  uint64_t epoch = seen + 1;

  return epoch % 2 == (uint64_t)node ? epoch : epoch + 1;
}

bool epoch_is_of(uint64_t epoch, PairNode node) {
  return epoch > 0 && epoch <= EPOCH_HIGHEST && node <= PAIR_B && epoch % 2 == (uint64_t)node;
}

uint64_t vote_counted_us(uint64_t vote_us) {
  return vote_us / 100 * 98;
}

/* A broker that has restarted may not vote for itself yet, nor help somebody up: leases of its former life may be out. Whoever
   leads already has taken care of those. */
static bool is_free(PairNode voter, const Promise *promise, const VoteAsk *ask, uint64_t now_us) {
  if (now_us >= promise->until_us || promise->to == ask->from)
    return true;
  return promise->to == PAIR_NOBODY && ask->leading && voter != PAIR_WITNESS;
}

Vote vote_judge(PairNode voter, const PairRecord *record, const Promise *promise, const VoteAsk *ask, uint64_t now_us) {
  /* An epoch that was only asked for does not stand in the way of one in which somebody leads. */
  uint64_t lowest = ask->leading ? record->vote_epoch : record->seen;

  if (ask->epoch < lowest)
    return VOTE_STALE;
  return is_free(voter, promise, ask, now_us) ? VOTE_GIVEN : VOTE_PROMISED;
}
