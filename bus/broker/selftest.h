/* What:      a broker that has keys tries its own door with a wrong one before anybody else can come.
 * Owns:      nothing that outlives the call.
 * May use:   base, loop; admission.
 * Threading: the loop thread, loop not running.
 * Spec:      docs/adr/0034-keys-and-rights.md */
#ifndef PONS_BROKER_SELFTEST_H
#define PONS_BROKER_SELFTEST_H

#include "bus/broker/admission.h"
#include "bus/loop/socket.h"

enum {
  SELFTEST_E_ADMITTED = 1, /* the door is open for everybody */
};

/* Connects to endpoint, where this loop listens with the public key server, as stranger, whom nobody knows. Returns 0 when it was
   refused; SELFTEST_E_ADMITTED; -ETIMEDOUT when neither happened within 5 s; other negative errno. Turns the loop. */
int selftest_run(Loop *loop, const char *endpoint, PublicKey server, KeyPair *stranger);
/* The same at a door of this admission, with a key that was made for it; the admission says nothing about that one. */
int selftest_door(Loop *loop, Admission *admission, const char *endpoint);

#endif
