/* What:      what an address of pons.yaml means: who can reach it, and whether two are the same.
 * Owns:      nothing.
 * May use:   base.
 * Threading: any; pure.
 * Spec:      docs/configuration.md, "Listening" */
#ifndef PONS_CONFIG_ADDRESS_INTERNAL_H
#define PONS_CONFIG_ADDRESS_INTERNAL_H

#include "bus/base/types.h"

/* Whether a text that RULE_ENDPOINT has passed is tcp://HOST:PORT and not ipc://PATH. */
bool address_is_tcp(const char *endpoint);
/* HOST of tcp://HOST:PORT, and of a text that RULE_URL has passed; both borrowed. */
Text address_host(const char *endpoint);
Text address_url_host(const char *url);
/* Whether the kernel chooses the port of tcp://HOST:PORT. */
bool address_any_port(const char *endpoint);
/* Whether host stands for every address of this machine, or for one that only this machine reaches. */
bool address_is_all(Text host);
bool address_is_loopback(Text host);
/* Whether host is an address, so that nothing has to be looked up. */
bool address_is_numeric(Text host);
/* Whether both can't be listened at together. */
bool address_collides(const char *a, const char *b);

#endif
