/* What:      who is admitted to a broker, as whom, and with which rights: keys.yaml as a table that is swapped whole.
 * Owns:      the table, and this broker's own key.
 * May use:   base, config, core, loop.
 * Threading: the loop thread.
 * Spec:      docs/protocol.md, "Keys and rights"; docs/adr/0034-keys-and-rights.md */
#ifndef PONS_BROKER_ADMISSION_H
#define PONS_BROKER_ADMISSION_H

#include "bus/config/config.h"
#include "bus/core/core.h"
#include "bus/loop/socket.h"

typedef struct Admission Admission;

enum {
  ADMISSION_E_KEYS = 1, /* keys.yaml or the own key can't be used; errors says why */
};

/* Reads keys.yaml and the secret key of that name, which must be in it. The caller owns *ret. Returns 0 or ADMISSION_E_KEYS. */
int admission_new(Admission **ret, const Config *config, const char *own_name, Buffer *errors);
/* Takes NULL, nulls the pointer. Usable as _cleanup_. */
void admission_destroy(Admission **admission);
/* Reads keys.yaml again. Returns 0; or ADMISSION_E_KEYS, and the table stays what it was. The names and rights that
   admission_identify has given out are good until admission_forget_old. */
int admission_reload(Admission *admission, Buffer *errors);
void admission_forget_old(Admission *admission);

/* The own key, borrowed. */
KeyPair *admission_key(const Admission *admission);
/* The public key of that name: of another broker, or the witness. Returns 0, or ADMISSION_E_KEYS when it is not there, or revoked. */
int admission_find(const Admission *admission, const char *name, PublicKey *ret);
/* Who comes to the bus: keys of clients. Who comes to the peer link: keys of brokers. Whoever else comes is logged by name. */
SocketGate admission_bus_gate(Admission *admission);
SocketGate admission_peer_gate(Admission *admission);
/* Who has this key. Returns 0, or ADMISSION_E_KEYS when it is not admitted. */
int admission_identify(const Admission *admission, PublicKey key, CoreIdentity *ret);
/* A key that is refused without being logged: this broker tries its own door with it. */
void admission_expect(Admission *admission, PublicKey key);

#endif
