/* What:      what a request itself says of the model that is to do it.
 * Owns:      nothing: names borrow from the request, or from a buffer where they are written with escapes.
 * May use:   base, json, candidates.
 * Threading: any; pure.
 * Spec:      docs/routing.md, "Which model" */
#ifndef PONS_MODELS_WISH_H
#define PONS_MODELS_WISH_H

#include "agents/model_manager_suite/candidates.h"
#include "bus/json/json.h"

/* What is wrong with a wish. */
typedef struct WishFault {
  const char *path; /* the member, "request" for the whole; NULL: nothing */
  char message[160];
} WishFault;

enum { WISH_E_INVALID = 1 /* no JSON object, or members that are not what they must be */ };

/* Reads `model` and `fallbacks` of request into *ret; the rest of *ret is the caller's. room is empty and the caller's: it is where names
   lie that have escapes. Returns 0, or WISH_E_INVALID with *fault filled. */
int wish_read(Text request, Buffer *room, Wish *ret, WishFault *fault);

#endif
