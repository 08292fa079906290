/* What:      what work costs by the prices of the model table.
 * Owns:      nothing.
 * May use:   config, contracts.
 * Threading: any; pure.
 * Spec:      docs/adr/0018-executors.md */
#ifndef PONS_EXECUTOR_COST_H
#define PONS_EXECUTOR_COST_H

#include "agents/contracts/contracts.h"
#include "bus/config/config.h"

/* Nano USD for usage: input tokens that were not cached, cached ones at their price (without one: as input), output. A
   model of kind embedding has no output. Returns false where it is not known: model is NULL, a count is absent, or a
   price of a count above 0; then *ret is left alone. Ends at UINT64_MAX. */
bool cost_of(const ConfigModel *model, const ChatUsage *usage, uint64_t *ret);

#endif
