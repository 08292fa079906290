/* What:      what became of the work: sums per model, each settlement counted once.
 * Owns:      the sums, and the keys of the last LEDGER_KEYS settlements.
 * May use:   base, contracts, the model table, health.
 * Threading: one thread.
 * Spec:      docs/routing.md, "Settlement" */
#ifndef PONS_MODELS_LEDGER_H
#define PONS_MODELS_LEDGER_H

#include "agents/contracts/contracts.h"
#include "agents/model_manager_suite/health.h"
#include "agents/model_manager_suite/model_table.h"

#define LEDGER_KEYS 65536 /* at 1,000 requests/s a minute: longer than an executor repeats what was acknowledged */

/* Sums of one model since the process began; they stop at the greatest number instead of passing it. */
typedef struct LedgerSums {
  uint64_t requests;
  uint64_t failures;
  uint64_t input_tokens;
  uint64_t output_tokens;
  uint64_t cost_nano_usd;
  uint64_t unpriced; /* done, and nobody knows what it cost */
} LedgerSums;

typedef struct LedgerKey LedgerKey;

typedef struct Ledger {
  const ModelTable *table;
  LedgerSums *sums;  /* one per model */
  Health *healths;   /* one per model */
  LedgerKey *keys;   /* a ring */
  uint32_t next_key; /* where the next goes, over the oldest */
  Table by_key;
} Ledger;

/* Fills an all-zero ledger for the models of table, which must outlive it. */
void ledger_init(Ledger *ledger, const ModelTable *table);
/* Frees all; usable as _cleanup_. */
void ledger_done(Ledger *ledger);

/* Counts a settlement, which the contract has passed, unless its request, hop and model have been counted. One of a model
   that the table does not have, or whose request is no id, counts for nobody but is new too. Returns whether it is new. */
bool ledger_settle(Ledger *ledger, const Settlement *settlement, uint64_t now_us);

#endif
