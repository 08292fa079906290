/* Rooms: local. JSON as a schema: a grammar whose brackets close, or a fault that says something; within bounds either way. */
#include <stdlib.h>

#include "agents/tiny_llama_service_enhanced/schema_grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Skips a literal or a set of characters that begins at at. */
static size_t skip(const Buffer *grammar, size_t at) {
  uint8_t end = grammar->data[at] == '[' ? ']' : '"';

  for (at++; at < grammar->size && grammar->data[at] != end; at++)
    at += grammar->data[at] == '\\';
  return at;
}

static void check_brackets(const Buffer *grammar) {
  long open = 0;

  for (size_t at = 0; at < grammar->size; at++) {
    if (grammar->data[at] == '"' || grammar->data[at] == '[')
      at = skip(grammar, at);
    else
      open += (grammar->data[at] == '(') - (grammar->data[at] == ')');
    if (open < 0 || (at < grammar->size && grammar->data[at] == '\n' && open != 0))
      abort();
  }
  if (open != 0 || memchr(grammar->data, '\0', grammar->size))
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  _cleanup_(buffer_done) Buffer grammar = {0};
  SchemaFault fault = {"", ""};
  Json schema;

  if (json_check((Text){(const char *)data, size}, &schema, NULL) != 0)
    return 0;
  if (schema_grammar(schema, &grammar, &fault) == 0)
    check_brackets(&grammar);
  else if (!*fault.message)
    abort();
  if (grammar.size > 2 * SCHEMA_GRAMMAR_BYTES + 2 * size + 4096)
    abort();
  return 0;
}
