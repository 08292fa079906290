/* What:      which web page a request comes from, as its browser says.
 * Owns:      nothing.
 * May use:   base, config.
 * Threading: any; pure.
 * Spec:      docs/gateway.md, "Browsers"; RFC 6454 section 7 (Origin); the Fetch standard, CORS protocol */
#ifndef PONS_GATEWAY_ORIGIN_H
#define PONS_GATEWAY_ORIGIN_H

#include "bus/config/config.h"

/* The entry of gateway->cors_origins that is origin (a header's value, NULL = absent), byte by byte; NULL when it is none. */
const char *origin_find(const ConfigGateway *gateway, const char *origin);
/* Whether a page of origin asks the host that it came from itself; host is the header of that name. True too
   when origin is NULL: then no page asks. */
bool origin_is_own(const char *origin, const char *host);

#endif
