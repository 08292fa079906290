/* Schemas as grammars: what is written for each form, and what is refused, where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "agents/tiny_llama_service_enhanced/schema_grammar.h"

#define OBJECT(properties, required)                                                                                   \
  "{\"type\":\"object\",\"properties\":{" properties "},\"required\":[" required "],\"additionalProperties\":false}"

static int make(const char *schema, Buffer *ret, SchemaFault *fault) {
  Json json;

  assert_int_equal(json_check(text_of(schema), &json, NULL), 0);
  return schema_grammar(json, ret, fault);
}

/* The rule root is what is written here. */
static void root_is(const char *schema, const char *expected) {
  _cleanup_(buffer_done) Buffer grammar = {0};
  _cleanup_(buffer_done) Buffer rule = {0};
  SchemaFault fault = {0};

  if (make(schema, &grammar, &fault) != 0)
    fail_msg("%s: %s: %s", schema, fault.path, fault.message);
  buffer_append(&grammar, "", 1);
  buffer_printf(&rule, "root ::= %s\n", expected);
  buffer_append(&rule, "", 1);
  if (strncmp((char *)grammar.data, (char *)rule.data, rule.size - 1) != 0)
    fail_msg("%s: wanted %s got %.200s", schema, (char *)rule.data, (char *)grammar.data);
}

static void has_rule(const char *schema, const char *expected) {
  _cleanup_(buffer_done) Buffer grammar = {0};
  SchemaFault fault = {0};

  assert_int_equal(make(schema, &grammar, &fault), 0);
  buffer_append(&grammar, "", 1);
  if (!strstr((char *)grammar.data, expected))
    fail_msg("%s: no %s in %s", schema, expected, (char *)grammar.data);
}

static void refused(const char *schema, const char *path, const char *words) {
  _cleanup_(buffer_done) Buffer grammar = {0};
  SchemaFault fault = {"", ""};

  assert_int_equal(make(schema, &grammar, &fault), SCHEMA_E_REFUSED);
  assert_string_equal(fault.path, path);
  if (!strstr(fault.message, words))
    fail_msg("%s: %s does not say %s", schema, fault.message, words);
}

static void test_scalars(void **state) {
  (void)state;
  root_is("{\"type\":\"string\",\"title\":\"t\",\"description\":\"d\"}", "string");
  root_is("{\"type\":\"number\"}", "number");
  root_is("{\"type\":\"boolean\"}", "\"true\" | \"false\"");
  root_is("{\"type\":[\"null\",\"string\"]}", "string | \"null\"");
  root_is("{\"type\":\"string\",\"format\":\"date-time\"}", "\"\\\"\" date-time \"\\\"\"");
  root_is("{\"type\":\"integer\"}", "integer");
  root_is("{\"type\":\"integer\",\"minimum\":0}", "natural");
  root_is("{\"type\":\"integer\",\"minimum\":1}", "[1-9] [0-9]{0,15}");
  root_is("{\"type\":\"integer\",\"minimum\":-1,\"maximum\":2}", "\"-1\" | \"0\" | \"1\" | \"2\"");
}

static void test_values(void **state) {
  (void)state;
  root_is("{\"type\":\"string\",\"enum\":[\"a\",\"q\\\"\\u00e9\\\\\"]}",
          "\"\\\"a\\\"\" | \"\\\"q\\\\\\\"\xc3\xa9\\\\\\\\\\\"\"");
  root_is("{\"enum\":[1,-2.5,true,null]}", "\"1\" | \"-2.5\" | \"true\" | \"null\"");
  root_is("{\"const\":\"x\"}", "\"\\\"x\\\"\"");
}

static void test_objects(void **state) {
  (void)state;
  root_is("{\"type\":\"object\"}", "\"{\" ws \"}\"");
  root_is(OBJECT("\"b\":{\"type\":\"string\"},\"a\":{\"type\":\"null\"}", "\"a\",\"b\""),
          "\"{\" ws \"\\\"b\\\"\" \":\" ws ( string ) ws \",\" ws \"\\\"a\\\"\" \":\" ws ( \"null\" ) ws \"}\"");
}

static void test_lists(void **state) {
  (void)state;
  root_is("{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "\"[\" ws ( i0 ws ( \",\" ws i0 ws ){0,} )? \"]\"");
  root_is("{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"minItems\":2,\"maxItems\":3}",
          "\"[\" ws ( i0 ws ( \",\" ws i0 ws ){1,2} ) \"]\"");
  root_is("{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"maxItems\":1}", "\"[\" ws ( i0 ws  )? \"]\"");
  root_is("{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"maxItems\":0}", "\"[\" ws \"]\"");
  has_rule("{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"null\"}}}", "\ni1 ::= \"null\"\n");
}

static void test_definitions(void **state) {
  static const char tree[] = "{\"$ref\":\"#/$defs/node\",\"$defs\":{\"leaf\":{\"type\":\"null\"},\"node\":" OBJECT(
      "\"next\":{\"anyOf\":[{\"$ref\":\"#/$defs/node\"},{\"$ref\":\"#/$defs/leaf\"}]}", "\"next\"") "}}";

  (void)state;
  root_is(tree, "d1");
  has_rule(tree, "\nd0 ::= \"null\"\n");
  has_rule(tree, "\nd1 ::= \"{\" ws \"\\\"next\\\"\" \":\" ws ( ( d1 ) | ( d0 ) ) ws \"}\"\n");
  root_is(OBJECT("\"me\":{\"type\":[\"array\"],\"items\":{\"$ref\":\"#\"}}", "\"me\""),
          "\"{\" ws \"\\\"me\\\"\" \":\" ws ( \"[\" ws ( i0 ws ( \",\" ws i0 ws ){0,} )? \"]\" ) ws \"}\"");
  root_is("{\"$ref\":\"#/definitions/a\",\"definitions\":{\"a\":{\"type\":\"null\"}}}", "e0");
}

static void test_refused_keywords(void **state) {
  (void)state;
  refused("{\"type\":\"string\",\"pattern\":\"a\"}", "", "\"pattern\" can't be kept to");
  refused(OBJECT("\"a\":{\"type\":\"number\",\"multipleOf\":2}", "\"a\""), "properties.a", "\"multipleOf\"");
  refused("{\"type\":\"number\",\"minimum\":2}", "", "\"minimum\"");
  refused("{\"type\":\"string\",\"items\":{}}", "", "\"items\"");
  refused("{\"allOf\":[{\"type\":\"string\"}],\"type\":\"string\"}", "", "\"allOf\"");
  refused("{\"type\":\"string\",\"format\":\"regex\"}", "", "'format' must be");
  refused("{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"string\",\"minLength\":1}]}", "anyOf[1]", "\"minLength\"");
  refused("{\"type\":\"array\",\"items\":{\"not\":{}}}", "items", "'type' must be");
  refused("{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"uniqueItems\":true}", "", "\"uniqueItems\"");
}

static void test_refused_shapes(void **state) {
  (void)state;
  refused("true", "", "must be an object");
  refused("{}", "", "'type' must be");
  refused("{\"type\":[]}", "", "'type' must name");
  refused("{\"type\":\"array\"}", "items", "must be an object");
  refused("{\"enum\":[]}", "", "must have a value");
  refused("{\"enum\":7}", "", "must be a list");
  refused("{\"enum\":[{}]}", "enum", "texts, numbers");
  refused("{\"anyOf\":[]}", "", "must have a schema");
  refused("{\"anyOf\":{}}", "", "must be a list");
  refused("{\"type\":\"object\",\"additionalProperties\":{}}", "", "must be false");
  refused("{\"type\":\"object\",\"properties\":[]}", "", "must be an object");
  refused(OBJECT("\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"}", "\"a\""), "properties.b", "every property");
  refused("{\"type\":\"integer\",\"minimum\":2}", "", "give both");
  refused("{\"type\":\"integer\",\"minimum\":2,\"maximum\":1}", "", "above");
  refused("{\"type\":\"integer\",\"minimum\":0.5}", "", "whole numbers");
  refused("{\"type\":\"integer\",\"minimum\":0,\"maximum\":100000}", "", "over 2048");
  refused("{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"minItems\":3000}", "", "over 2048");
  refused("{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"minItems\":3,\"maxItems\":2}", "", "not below");
}

static void test_refused_references(void **state) {
  (void)state;
  refused("{\"$ref\":\"other.json\"}", "", "'$ref' must be");
  refused("{\"$ref\":\"#/$defs/a\"}", "", "'$ref' must be");
  refused("{\"$ref\":\"#\"}", "", "leads to itself");
  refused("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#/$defs/b\"}]},"
          "\"b\":{\"$ref\":\"#/$defs/a\"}}}",
          "", "leads to itself");
  refused("{\"type\":\"null\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/a\"}}}", "$defs.a", "leads to itself");
}

static void repeat(Buffer *json, const char *text, int times) {
  for (int i = 0; i < times; i++)
    buffer_printf(json, "%s", text);
}

static void test_sizes(void **state) {
  _cleanup_(buffer_done) Buffer deep = {0};
  _cleanup_(buffer_done) Buffer wide = {0};
  _cleanup_(buffer_done) Buffer many = {0};
  SchemaFault fault;
  Buffer grammar = {0};

  (void)state;
  repeat(&deep, "{\"type\":\"array\",\"items\":", 40);
  repeat(&deep, "{\"type\":\"null\"}", 1);
  repeat(&deep, "}", 40);
  buffer_append(&deep, "", 1);
  assert_int_equal(make((char *)deep.data, &grammar, &fault), SCHEMA_E_REFUSED);
  assert_string_equal(fault.message, "schemas are nested more than 32 deep");
  buffer_printf(&wide, "{\"anyOf\":[{\"type\":\"null\"}");
  repeat(&wide, ",{\"type\":\"string\",\"format\":\"date\"}", 5000);
  repeat(&wide, "]}", 1);
  buffer_append(&wide, "", 1);
  assert_int_equal(make((char *)wide.data, &grammar, &fault), SCHEMA_E_REFUSED);
  assert_string_equal(fault.message, "the grammar of the schema is over 65536 bytes");
  buffer_printf(&many, "{\"type\":\"null\",\"$defs\":{\"a\":{\"type\":\"null\"}");
  for (int i = 0; i < 256; i++)
    buffer_printf(&many, ",\"a%d\":{\"type\":\"null\"}", i);
  repeat(&many, "}}", 1);
  buffer_append(&many, "", 1);
  assert_int_equal(make((char *)many.data, &grammar, &fault), SCHEMA_E_REFUSED);
  assert_string_equal(fault.message, "there may be at most 256 definitions");
  buffer_done(&grammar);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_scalars),        cmocka_unit_test(test_values),
      cmocka_unit_test(test_objects),        cmocka_unit_test(test_lists),
      cmocka_unit_test(test_definitions),    cmocka_unit_test(test_refused_keywords),
      cmocka_unit_test(test_refused_shapes), cmocka_unit_test(test_refused_references),
      cmocka_unit_test(test_sizes),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
