/* What:      a key pair from inside, for the sockets that use it.
 * Owns:      see key.h.
 * May use:   zmtp.
 * Threading: as key.h.
 * Spec:      key.h */
#ifndef PONS_LOOP_KEY_INTERNAL_H
#define PONS_LOOP_KEY_INTERNAL_H

#include "bus/loop/key.h"
#include "bus/zmtp/curve.h"

struct KeyPair {
  uint32_t references;
  CurveKeys keys;
};

#endif
