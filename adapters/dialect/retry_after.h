/* What:      when a provider wants to be asked again.
 * Owns:      nothing.
 * May use:   base.
 * Threading: any; pure.
 * Spec:      RFC 9110, 10.2.3; retry-after-ms as OpenAI's and Azure's servers send it */
#ifndef PONS_DIALECT_RETRY_AFTER_H
#define PONS_DIALECT_RETRY_AFTER_H

#include "bus/base/types.h"

/* From the headers Retry-After (seconds, or an HTTP date against now_s, seconds since 1970) and retry-after-ms, which wins.
   Returns microseconds; 0 when neither says anything that can be understood. At most an hour. */
uint64_t retry_after_us(Text retry_after, Text retry_after_ms, uint64_t now_s);

#endif
