/* What:      a JSON Schema as a grammar (GBNF), so that a model writes nothing but what the schema allows.
 * Owns:      nothing.
 * May use:   base, json.
 * Threading: any; pure.
 * Spec:      docs/local-models.md, "Forms of answers"; JSON Schema 2020-12, of it what OpenAI's strict mode takes */
#ifndef PONS_LOCAL_SCHEMA_GRAMMAR_H
#define PONS_LOCAL_SCHEMA_GRAMMAR_H

#include "bus/json/json.h"

enum {
  SCHEMA_E_REFUSED = 1, /* what we have no grammar for; the fault says where and what */
};

enum {
  SCHEMA_GRAMMAR_BYTES = 65536, /* the longest grammar that is made */
  SCHEMA_DEPTH = 32,            /* schemas in schemas */
  SCHEMA_DEFINITIONS = 256,
  SCHEMA_REPEATS =
      2048, /* the sum of all minItems and maxItems, and of whole numbers in ranges: libllama writes each out */
};

typedef struct SchemaFault {
  char path[160]; /* of the schema that is wrong, from the whole one on: "properties.age"; empty = the whole */
  char message[200];
} SchemaFault;

/* Appends the grammar of schema, a value that json_check gave, with a rule root. Returns 0; SCHEMA_E_REFUSED with *fault
   filled, and what was appended is of no use. */
int schema_grammar(Json schema, Buffer *ret, SchemaFault *fault);

#endif
