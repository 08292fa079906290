/* What:      text from outside as a JSON string, whatever its bytes are.
 * Owns:      nothing.
 * May use:   base, jansson.
 * Threading: any.
 * Spec:      - */
#ifndef PONS_CTL_JSONTEXT_H
#define PONS_CTL_JSONTEXT_H

#include <jansson.h>

#include "bus/base/types.h"

/* A JSON string of text; when it is not UTF-8, with '?' for each byte that is not ASCII. The caller owns the reference;
   NULL only when memory is out. */
json_t *jsontext_new(Text text);

#endif
