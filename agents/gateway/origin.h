/* What:      which web page a request comes from, as its browser says, and by which name it found us.
 * Owns:      nothing.
 * May use:   base, config.
 * Threading: any; pure.
 * Spec:      docs/gateway.md, "Browsers"; RFC 6454 section 7 (Origin); RFC 9110 section 7.2 (Host); the Fetch standard, CORS protocol */
#ifndef PONS_GATEWAY_ORIGIN_H
#define PONS_GATEWAY_ORIGIN_H

#include "bus/config/config.h"

/* The entry of gateway->cors_origins that is origin (a header's value, NULL = absent), byte by byte; NULL when it is none. */
const char *origin_find(const ConfigGateway *gateway, const char *origin);
/* Whether a page of origin asks the host that it came from itself; host is the header of that name. True too
   when origin is NULL: then no page asks. */
bool origin_is_own(const char *origin, const char *host);
/* Whether host (a header's value, NULL = absent, which only HTTP/1.0 may) is a name of this gateway: an address in digits,
   localhost or what ends in .localhost (RFC 6761, 6.3), one of gateway->hosts; with a port or without. A name of somebody
   else's that was made to lead here (DNS rebinding) is none of these, and a page of that name would be its own origin. */
bool origin_host_is_ours(const ConfigGateway *gateway, const char *host);

#endif
