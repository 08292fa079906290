/* What:      what work costs by the prices of the model table.
 * Owns:      nothing.
 * May use:   config, contracts.
 * Threading: any; pure.
 * Spec:      docs/adr/0018-executors.md, docs/adr/0040-price-list.md */
#ifndef PONS_EXECUTOR_COST_H
#define PONS_EXECUTOR_COST_H

#include "agents/contracts/contracts.h"
#include "bus/config/config.h"

/* Nano USD for usage: each kind of token at its own price (cached ones without one: as input), by the tier that the prompt
   is in, or audio by its time. A model of kind embedding has no output. Returns false where it is not known: model is NULL, a
   count is absent, or a price of a count above 0; then *ret is left alone. Ends at UINT64_MAX. */
bool cost_of(const ConfigModel *model, const ChatUsage *usage, uint64_t *ret);

#endif
