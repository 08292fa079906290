#include "tests/mock-provider/arguments.h"

static void put_argument(Json schema, Buffer *out) {
  static const char *const VALUES[][2] = {
      {"string", "\"a \\\"word\\\"\""}, {"number", "1.5"}, {"integer", "7"}, {"boolean", "true"}, {"array", "[]"}};
  JsonWalk words = json_walk(json_find(schema, "enum"));
  Json word;

  if (json_next_element(&words, &word)) {
    buffer_append(out, word.text.data, word.text.size);
    return;
  }
  for (size_t i = 0; i < ELEMENTS(VALUES); i++)
    if (json_string_is(json_find(schema, "type"), VALUES[i][0])) {
      buffer_printf(out, "%s", VALUES[i][1]);
      return;
    }
  buffer_printf(out, "{}");
}

void arguments_put(Json schema, Buffer *out) {
  JsonWalk walk = json_walk(json_find(schema, "properties"));
  bool first = true;
  Json key, value;

  buffer_append(out, "{", 1);
  for (; json_next_member(&walk, &key, &value); first = false) {
    buffer_printf(out, "%s%.*s:", first ? "" : ",", TEXT_ARG(key.text));
    put_argument(value, out);
  }
  buffer_append(out, "}", 1);
}
