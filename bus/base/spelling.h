/* What:      how alike two words are, so that who has misspelt one can be told what was meant.
 * Owns:      nothing.
 * May use:   base/types.
 * Threading: any; pure.
 * Spec:      V. Levenshtein 1966; one row at a time: R. Wagner and M. Fischer 1974 */
#ifndef PONS_BASE_SPELLING_H
#define PONS_BASE_SPELLING_H

#include "bus/base/types.h"

enum {
  SPELLING_WORD_BYTES = 63, /* longer ones are not compared */
  SPELLING_FAR = 99,        /* more than any distance between words that are */
};

/* Bytes to insert, drop or change until a is b; SPELLING_FAR when one is longer than SPELLING_WORD_BYTES. */
uint32_t spelling_distance(Text a, Text b);
/* Whether somebody who wrote a probably meant b. */
bool spelling_is_near(Text a, Text b);

#endif
