/* What:      the options of a broker's authority, and of a witness, from the configuration.
 * Owns:      nothing but the path that it works out.
 * May use:   base, config, core.
 * Threading: one thread.
 * Spec:      docs/configuration.md, "Authority" */
#ifndef PONS_BROKER_SETUP_H
#define PONS_BROKER_SETUP_H

#include "bus/broker/admission.h"
#include "bus/broker/authority.h"
#include "bus/config/config.h"

/* All zero is none; the paths are in it. */
typedef struct Setup {
  AuthorityOptions options;
  char path[512];
  char durable_path[512];
} Setup;

/* Fills *ret from the section authority; texts are borrowed from config, name and site. life: microseconds since 1970. Returns false, and
   *ret is left alone, when the node is none. */
bool setup_authority(Setup *ret, const Config *config, const char *name, const char *site, uint64_t life);
/* The same for `pons-broker --witness`. */
void setup_witness(Setup *ret, const Config *config, uint64_t life);
/* Gives the peer link of a setup the keys of this node, which is called name, and of those that it talks to. Returns 0; or ADMISSION_E_KEYS,
   and errors says whose is missing. */
int setup_keys(Setup *setup, const Config *config, Admission *admission, const char *name, Buffer *errors);

#endif
