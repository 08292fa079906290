/* JSON Schemas in Gemini's words, and those that have none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "adapters/gemini/schema.h"

static bool put(const char *schema, Buffer *out) {
  Json value = {TEXT_NONE};

  if (json_check(text_of(schema), &value, NULL) != 0)
    fail_msg("not JSON: %s", schema);
  return gemini_put_schema(value, out);
}

static void what_there_are_words_for(void **state) {
  static const struct {
    const char *schema;
    const char *words;
  } rows[] = {
      {"{\"type\":\"string\"}", "{\"type\":\"STRING\"}"},
      {"{\"type\":\"number\",\"minimum\":1,\"maximum\":2,\"exclusiveMinimum\":0,\"multipleOf\":1}",
       "{\"type\":\"NUMBER\",\"minimum\":1,\"maximum\":2}"},
      {"{\"type\":\"integer\",\"format\":\"int64\",\"default\":7}",
       "{\"type\":\"INTEGER\",\"default\":7,\"format\":\"int64\"}"},
      {"{\"type\":\"string\",\"format\":\"uuid\",\"pattern\":\"^a\",\"minLength\":1}",
       "{\"type\":\"STRING\",\"minLength\":1,\"pattern\":\"^a\"}"},
      {"{\"type\":\"string\",\"format\":\"date-time\"}", "{\"type\":\"STRING\",\"format\":\"date-time\"}"},
      {"{\"type\":[\"string\",\"null\"],\"description\":\"d\"}",
       "{\"type\":\"STRING\",\"description\":\"d\",\"nullable\":true}"},
      {"{\"enum\":[\"a\",\"b\",null]}",
       "{\"type\":\"STRING\",\"format\":\"enum\",\"enum\":[\"a\",\"b\"],\"nullable\":true}"},
      {"{\"type\":\"string\",\"format\":\"date-time\",\"enum\":[\"a\"]}",
       "{\"type\":\"STRING\",\"format\":\"enum\",\"enum\":[\"a\"]}"},
      {"{\"const\":\"a\"}", "{\"type\":\"STRING\",\"format\":\"enum\",\"enum\":[\"a\"]}"},
      {"{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},\"minItems\":1,\"uniqueItems\":true}",
       "{\"type\":\"ARRAY\",\"minItems\":1,\"items\":{\"type\":\"BOOLEAN\"}}"},
      {"{\"$schema\":\"x\",\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"string\"},\"a\":{\"type\":\"integer\"}"
       "},"
       "\"required\":[\"b\",\"gone\"],\"additionalProperties\":false}",
       "{\"type\":\"OBJECT\",\"properties\":{\"b\":{\"type\":\"STRING\"},\"a\":{\"type\":\"INTEGER\"}},\"required\":["
       "\"b\"],"
       "\"propertyOrdering\":[\"b\",\"a\"]}"},
      {"{\"properties\":{\"a\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}],\"title\":\"A\"}}}",
       "{\"type\":\"OBJECT\",\"properties\":{\"a\":{\"type\":\"STRING\",\"title\":\"A\",\"nullable\":true}},"
       "\"propertyOrdering\":[\"a\"]}"},
      {"{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"null\"},{\"type\":\"integer\"}],\"description\":\"d\"}",
       "{\"anyOf\":[{\"type\":\"STRING\"},{\"type\":\"INTEGER\"}],\"description\":\"d\",\"nullable\":true}"},
      {"{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/P\",\"description\":\"outer\"},"
       "\"$defs\":{\"P\":{\"allOf\":[{\"$ref\":\"#/$defs/"
       "Q\"}],\"description\":\"inner\"},\"Q\":{\"type\":\"string\"}}}",
       "{\"type\":\"ARRAY\",\"items\":{\"type\":\"STRING\",\"description\":\"outer\"}}"},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(buffer_done) Buffer out = {0};

    buffer_append(&out, "!", 1);
    assert_true(put(rows[i].schema, &out));
    buffer_append(&out, "", 1);
    assert_string_equal((const char *)out.data + 1, rows[i].words);
  }
}

static void what_there_are_none_for(void **state) {
  static const char *const rows[] = {
      "{}",
      "{\"type\":\"null\"}",
      "{\"type\":\"wonder\"}",
      "{\"type\":[\"string\",\"integer\"]}",
      "{\"type\":\"integer\",\"enum\":[1,2]}",
      "{\"type\":\"string\",\"enum\":[\"a\",1]}",
      "{\"type\":\"string\",\"enum\":[\"\"]}",
      "{\"type\":\"string\",\"enum\":[null]}",
      "{\"const\":1}",
      "{\"type\":\"array\"}",
      "{\"type\":\"array\",\"items\":true}",
      "{\"type\":\"object\"}",
      "{\"type\":\"object\",\"properties\":{}}",
      "{\"type\":\"object\",\"properties\":{\"a\":true}}",
      "{\"properties\":{\"a\":{\"const\":\"b\"}},\"additionalProperties\":{\"type\":\"string\"}}",
      "{\"type\":\"string\",\"not\":{\"enum\":[\"a\"]}}",
      "{\"allOf\":[{\"type\":\"string\"},{\"minLength\":1}]}",
      "{\"anyOf\":[]}",
      "{\"anyOf\":[{\"type\":\"null\"}]}",
      "{\"$ref\":\"#/$defs/A\",\"anyOf\":[{\"type\":\"string\"}],\"$defs\":{\"A\":{\"type\":\"string\"}}}",
      "{\"$ref\":\"#/$defs/Gone\"}",
      "{\"$ref\":\"other.json\"}",
      "{\"$ref\":\"#\"}",
      "{\"$ref\":\"#a\"}",
      "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}}}",
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(buffer_done) Buffer out = {0};

    buffer_append(&out, "!", 1);
    if (put(rows[i], &out))
      fail_msg("has words: %s: %.*s", rows[i], (int)out.size, (const char *)out.data);
    assert_int_equal(out.size, 1);
  }
}

/* Each level refers twice to the next: sixteen of them would be 65,536 times the last. */
static void references_cannot_blow_it_up(void **state) {
  _cleanup_(buffer_done) Buffer schema = {0};
  _cleanup_(buffer_done) Buffer out = {0};

  (void)state;
  buffer_printf(&schema, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
  for (int i = 0; i < 16; i++)
    buffer_printf(&schema,
                  "\"d%d\":{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/d%d\"},\"b\":{\"$ref\":"
                  "\"#/$defs/d%d\"}}},",
                  i, i + 1, i + 1);
  buffer_printf(&schema, "\"d16\":{\"type\":\"string\"}}}");
  buffer_append(&schema, "", 1);
  assert_false(put((const char *)schema.data, &out));
  assert_true(out.room < 1 << 20);
}

/* What is required is looked for among the members, and what is referred to is walked each time: much of both is left to who
   reads JSON Schema. */
static void work_has_an_end(void **state) {
  enum { MEMBERS = 4000, REQUIRED = 20000 };
  _cleanup_(buffer_done) Buffer schema = {0};
  _cleanup_(buffer_done) Buffer out = {0};
  size_t size;

  (void)state;
  buffer_printf(&schema, "{\"type\":\"object\",\"properties\":{");
  for (int i = 0; i < MEMBERS; i++)
    buffer_printf(&schema, "%s\"p%d\":{\"type\":\"string\"}", i ? "," : "", i);
  buffer_printf(&schema, "},\"required\":[\"p1\",\"p2\"]}");
  size = schema.size;
  buffer_append(&schema, "", 1);
  assert_true(put((const char *)schema.data, &out));
  out.size = 0;
  schema.size = size - 2;
  for (int i = 0; i < REQUIRED; i++)
    buffer_printf(&schema, ",\"r%d\"", i);
  buffer_printf(&schema, "]}%c", 0);
  assert_false(put((const char *)schema.data, &out));
  assert_int_equal(out.size, 0);
}

static void the_same_long_place_is_not_walked_for_ever(void **state) {
  enum { MEMBERS = 2000, LONG = 1000000 };
  _cleanup_(buffer_done) Buffer schema = {0};
  _cleanup_(buffer_done) Buffer out = {0};

  (void)state;
  buffer_printf(&schema, "{\"type\":\"object\",\"properties\":{");
  for (int i = 0; i < MEMBERS; i++)
    buffer_printf(&schema, "%s\"p%d\":{\"$ref\":\"#/$defs/A\"}", i ? "," : "", i);
  buffer_printf(&schema, "},\"$defs\":{\"A\":{\"type\":\"string\",\"examples\":[\"");
  memset(buffer_reserve(&schema, LONG), 'x', LONG);
  schema.size += LONG;
  buffer_printf(&schema, "\"]}}}%c", 0);
  assert_false(put((const char *)schema.data, &out));
  assert_int_equal(out.size, 0);
}

static void nesting_has_an_end(void **state) {
  (void)state;
  for (int levels = 31; levels <= 32; levels++) {
    _cleanup_(buffer_done) Buffer schema = {0};
    _cleanup_(buffer_done) Buffer out = {0};

    for (int i = 0; i < levels; i++)
      buffer_printf(&schema, "{\"type\":\"array\",\"items\":");
    buffer_printf(&schema, "{\"type\":\"string\"}");
    for (int i = 0; i < levels; i++)
      buffer_append(&schema, "}", 1);
    buffer_append(&schema, "", 1);
    assert_int_equal(put((const char *)schema.data, &out), levels == 31);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_there_are_words_for),
      cmocka_unit_test(what_there_are_none_for),
      cmocka_unit_test(references_cannot_blow_it_up),
      cmocka_unit_test(work_has_an_end),
      cmocka_unit_test(the_same_long_place_is_not_walked_for_ever),
      cmocka_unit_test(nesting_has_an_end),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
