/* What:      lists of models in pages, for the dialects that have them; a page's token is the last name before it.
 * Owns:      nothing.
 * May use:   bus/base, dialect.
 * Threading: one thread; pure.
 * Spec:      README.md, "Knobs" */
#ifndef PONS_TESTS_MOCK_PAGES_H
#define PONS_TESTS_MOCK_PAGES_H

#include "tests/mock-provider/dialect.h"

/* Appends the models behind `after` (empty: from the first) with put, commas between, at most the knob's page. *ret_last is
   the last of them, empty when there is none. Returns whether there are more. */
bool pages_put(const Ask *ask, Text after, void (*put)(Text name, Buffer *out), Buffer *out, Text *ret_last);
/* The value of a name in a query, decoded into room; empty when it is not there. */
Text pages_query(Text query, const char *name, char room[256]);

#endif
