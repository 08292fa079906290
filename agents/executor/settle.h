/* What:      tells ModelManagerSuite what became of each visit, in batches, again and again until it is acknowledged.
 * Owns:      the settlements that are not acknowledged, at most SETTLE_WAITING_MAX; over it the oldest are lost and counted.
 * May use:   base, loop, client, agent, contracts.
 * Threading: the loop thread.
 * Spec:      docs/adr/0018-executors.md */
#ifndef PONS_EXECUTOR_SETTLE_H
#define PONS_EXECUTOR_SETTLE_H

#include "agents/contracts/contracts.h"
#include "bus/agent/agent.h"

enum { SETTLE_WAITING_MAX = 8192, SETTLE_BATCH = 64 };

typedef struct SettleQueue SettleQueue;

/* Returns 0 and the caller owns *ret, or negative errno. While something is not acknowledged the process stays after its last
   call for the short time that runtime_hold gives. */
int settle_new(Runtime *runtime, SettleQueue **ret);
/* Drops what is not acknowledged. Takes NULL, nulls the pointer. Usable as _cleanup_. */
void settle_destroy(SettleQueue **queue);

/* Takes a copy. It leaves within 5 ms together with what else came by then, or when the batch that is on its way is acknowledged. */
void settle_push(SettleQueue *queue, const Settlement *settlement);
/* How many are not acknowledged now. */
uint32_t settle_waiting(const SettleQueue *queue);

#endif
