/* What:      what of a model's bytes may be shown: whole UTF-8 sequences, and never a part of a stop string.
 * Owns:      the bytes that are held back.
 * May use:   base.
 * Threading: one thread; pure.
 * Spec:      docs/local-models.md, "What a request may say" */
#ifndef PONS_LOCAL_OUTLET_H
#define PONS_LOCAL_OUTLET_H

#include "bus/base/buffer.h"

enum { OUTLET_STOPS = 16, OUTLET_STOP_BYTES = 256 };

/* All zero, but for stops: borrowed, none empty. */
typedef struct Outlet {
  Text stops[OUTLET_STOPS];
  size_t stops_count;
  Buffer held;
  bool is_stopped;
} Outlet;

/* Takes the bytes of one token and appends to ret what may be shown now. Returns false when a stop string was met: what
   stood before it has been shown, and nothing comes any more. */
bool outlet_push(Outlet *outlet, Bytes bytes, Buffer *ret);
/* The model has ended: appends what was held back, since no stop string came of it. */
void outlet_end(Outlet *outlet, Buffer *ret);
/* Frees what is held. */
void outlet_done(Outlet *outlet);

#endif
