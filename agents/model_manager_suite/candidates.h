/* What:      the manager's decision: which models may do a request, in which order, and why.
 * Owns:      nothing.
 * May use:   base, contracts, the model table, health.
 * Threading: any; pure: (request, table, health, now) to candidates.
 * Spec:      docs/routing.md, "Candidates" */
#ifndef PONS_MODELS_CANDIDATES_H
#define PONS_MODELS_CANDIDATES_H

#include "agents/contracts/contracts.h"
#include "agents/model_manager_suite/health.h"
#include "agents/model_manager_suite/model_table.h"

enum {
  CANDIDATES_MAX = 6,
  CANDIDATES_FALLBACKS = 5, /* that a request may name */
  CANDIDATES_REASONS = 6,
  CANDIDATES_BECAUSE_SIZE = 257,
};

enum {
  CANDIDATES_E_UNKNOWN = 1, /* a model that the table does not have */
  CANDIDATES_E_KIND,        /* a chat is asked of an embedding model, or the other way round */
  CANDIDATES_E_NONE,        /* the table has no model of this kind */
  CANDIDATES_E_CONTEXT,     /* all are too small for the request */
};

/* What is asked for. */
typedef struct Wish {
  Text model; /* empty or "auto": the best */
  Text fallbacks[CANDIDATES_FALLBACKS];
  uint32_t fallbacks_count;
  bool is_embedding;
  const ChatRoute *route; /* what has been decided so far; members that are absent decide nothing */
} Wish;

/* What is chosen, and what was left out. */
typedef struct Candidates {
  const Model *models[CANDIDATES_MAX]; /* in the order in which they are to be tried */
  uint32_t count;
  Text wrong;               /* _E_UNKNOWN, _E_KIND: which name; borrowed from the wish */
  uint64_t largest_context; /* _E_CONTEXT: of all that were left out */
} Candidates;

/* The reasons of one decision; rows borrow from texts. */
typedef struct CandidatesWhy {
  ChatReason rows[CANDIDATES_REASONS];
  char texts[CANDIDATES_REASONS][CANDIDATES_BECAUSE_SIZE];
  uint32_t count;
} CandidatesWhy;

/* Chooses. healths has one element per model. A named model means that model and, after it, the fallbacks that the request
   itself names; without a name, models are taken by the size of the request. Models that can't hold it are left out, those
   that are down go behind the others. With why, its rows say so. Returns 0 and *ret has at least one model; or
   CANDIDATES_E_* and *ret has none. */
int candidates_choose(const ModelTable *table, const Health *healths, const Wish *wish, uint64_t now_us,
                      Candidates *ret, CandidatesWhy *why);

/* Writes the services of the candidates into ret in their order, each once, at most room. Returns how many. */
size_t candidates_services(const Candidates *candidates, Text *ret, size_t room);

#endif
