/* Rooms: json. The bytes are a text. What is JSON is walked whole, and what is written from it is JSON again. */
#include <stdlib.h>

#include "bus/json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_json(const Buffer *buffer) {
  Json value;

  if (json_check((Text){(const char *)buffer->data, buffer->size}, &value, NULL) != 0)
    abort();
}

static void visit(Json value) {
  _cleanup_(buffer_done) Buffer plain = {0};
  _cleanup_(buffer_done) Buffer again = {0};
  JsonWalk walk = json_walk(value);
  Json element;

  while (json_next_element(&walk, &element))
    visit(element);
  if (json_type(value) == JSON_STRING) {
    json_get_string(value, &plain);
    if (plain.size != json_string_bytes(value))
      abort();
    json_put_string(&again, (Text){(const char *)plain.data, plain.size});
    must_be_json(&again);
  }
  if (json_type(value) == JSON_OBJECT) {
    json_put_with(&again, value, "a", TEXT("[1]"));
    must_be_json(&again);
  }
}

/* Found in the pass that checks, and in a walk behind it. */
static void must_be_found_in_both(Json value, Text text) {
  static const char *const names[] = {"a", "b", "id", ""};
  Json in_check[ELEMENTS(names)], in_walk[ELEMENTS(names)];
  Json again = {TEXT_NONE};

  if (json_check_each(text, names, ELEMENTS(names), &again, in_check, NULL) != 0 || again.text.data != value.text.data)
    abort();
  json_find_each(value, names, ELEMENTS(names), in_walk);
  for (size_t i = 0; i < ELEMENTS(names); i++)
    if (in_check[i].text.data != in_walk[i].text.data || in_check[i].text.size != in_walk[i].text.size)
      abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  _cleanup_(buffer_done) Buffer string = {0};
  JsonFault fault;
  Json value;

  if (json_check((Text){(const char *)data, size}, &value, &fault) == 0) {
    visit(value);
    must_be_found_in_both(value, (Text){(const char *)data, size});
  } else if (fault.offset_bytes > size || fault.line == 0 || fault.column == 0) {
    abort();
  }
  json_put_string(&string, (Text){(const char *)data, size});
  must_be_json(&string);
  return 0;
}
