/* What:      a JSON Schema in the words of Gemini's Schema, a subset of OpenAPI 3.0's.
 * Owns:      nothing.
 * May use:   base, json.
 * Threading: any; pure.
 * Spec:      Gemini API reference v1beta, Schema; JSON Schema 2020-12; docs/providers.md */
#ifndef PONS_GEMINI_SCHEMA_H
#define PONS_GEMINI_SCHEMA_H

#include "bus/json/json.h"

/* Appends schema, an object that has passed json_check, in Gemini's words and returns true; its references are put in where
   they stand. What only narrows an answer and has no word there is left out. False, with *out as it was, when there are no
   words for it: it refers to itself, allows anything, knows its members by patterns, or is so tangled that saying it would take
   long. */
bool gemini_put_schema(Json schema, Buffer *out);

#endif
