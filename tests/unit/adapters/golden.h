/* What:      files of tests/golden, and JSON laid out so that two of them can be compared and read.
 * Owns:      nothing.
 * May use:   base, json.
 * Threading: one thread.
 * Spec:      docs/adr/0029-dialects.md */
#ifndef PONS_TESTS_UNIT_GOLDEN_H
#define PONS_TESTS_UNIT_GOLDEN_H

#include "bus/json/json.h"

/* Reads tests/golden/DIALECT/CASE.KIND into *ret, with a zero behind it that is not counted. Returns whether there is one. */
bool golden_read(const char *dialect, const char *name, const char *kind, Buffer *ret);
/* Holds got against the file; with PONS_TEST_UPDATE set, writes the file instead. A missing or other file fails the test.
   JSON is compared but for blanks, everything else byte by byte. */
void golden_expect(const char *dialect, const char *name, const char *kind, const Buffer *got);
/* The value of a text that has to be JSON. */
Json golden_json(const Buffer *text, const char *what);

#endif
