/* What:      arguments for a call of a function: one for each property that its schema has.
 * Owns:      nothing.
 * May use:   bus/base, bus/json.
 * Threading: one thread; pure.
 * Spec:      README.md, knob `calls` */
#ifndef PONS_TESTS_MOCK_ARGUMENTS_H
#define PONS_TESTS_MOCK_ARGUMENTS_H

#include "bus/json/json.h"

/* Appends a JSON object with a value of the right type for each property of schema; text has quotes in it, to be escaped. */
void arguments_put(Json schema, Buffer *out);

#endif
