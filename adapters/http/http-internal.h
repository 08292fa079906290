/* What:      what the transport tells its tests alone.
 * Owns:      nothing.
 * May use:   http.
 * Threading: the loop thread.
 * Spec:      - */
#ifndef PONS_HTTP_HTTP_INTERNAL_H
#define PONS_HTTP_HTTP_INTERNAL_H

#include "adapters/http/http.h"

/* Transfers that have not ended, or were cancelled and have not left. */
uint32_t http_running(const Http *http);

#endif
