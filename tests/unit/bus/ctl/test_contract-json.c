#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agents/contracts/contracts.h"
#include "bus/ctl/contract-json.h"

#define CONTRACT_DEF "tests/unit/bus/wire/sample.def"
#include "bus/wire/contract-structs.h"
#include "bus/wire/contract-tables.h"
#undef CONTRACT_DEF

#define BYTES(...) ((Bytes){(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})})

static void json_becomes_a_body_and_comes_back(void **state) {
  static const char json[] =
      "{\"on\": true, \"offset\": -5, \"count\": 3, \"text\": \"\xc3\xa4\\n\", \"blob\": \"AP8=\", "
      "\"extra\": {\"k\": [1, null, 0.5]}, \"main\": {\"name\": \"m\", \"share\": 1}, "
      "\"tags\": [\"a\"], \"parts\": [{\"name\": \"p\"}]}";
  _cleanup_(buffer_done) Buffer body = {0};
  _cleanup_(buffer_done) Buffer back = {0};
  _cleanup_(arena_done) Arena arena = {0};
  Sample sample;

  (void)state;
  assert_int_equal(contract_json_to_body(CONTRACT(Sample), text_of(json), &body, NULL), 0);
  assert_int_equal(contract_decode(CONTRACT(Sample), buffer_bytes(&body), &arena, &sample, NULL), 0);
  assert_int_equal(sample.blob.size, 2);
  assert_memory_equal(sample.blob.data, "\x00\xff", 2);
  assert_true(sample.main.share == 1.0 && text_is(sample.parts.items[0].name, "p"));
  assert_int_equal(contract_json_from_body(buffer_bytes(&body), 0, &back), 0);
  assert_int_equal(back.size, strlen(json));
  assert_memory_equal(back.data, json, back.size);
}

static void faults_have_place_and_reason(void **state) {
  static const struct {
    const char *json;
    int reason;
    const char *path;
  } cases[] = {
      {"", CONTRACT_JSON_E_SYNTAX, ""},
      {"{\"on\": tru}", CONTRACT_JSON_E_SYNTAX, ""},
      {"{\"on\": true} x", CONTRACT_JSON_E_SYNTAX, ""},
      {"{\"on\": true, \"on\": true}", CONTRACT_JSON_E_SYNTAX, ""},
      {"{\"count\": 99999999999999999999}", CONTRACT_JSON_E_SYNTAX, ""},
      {"[]", CONTRACT_E_TYPE, ""},
      {"{}", CONTRACT_E_MISSING, "on"},
      {"{\"count\": 0}", CONTRACT_E_RANGE, "count"},
      {"{\"count\": \"1\"}", CONTRACT_E_TYPE, "count"},
      {"{\"count\": 1.0}", CONTRACT_E_TYPE, "count"},
      {"{\"blob\": \"A\"}", CONTRACT_E_TYPE, "blob"},
      {"{\"blob\": \"A===\"}", CONTRACT_E_TYPE, "blob"},
      {"{\"blob\": \"AA A\"}", CONTRACT_E_TYPE, "blob"},
      {"{\"blob\": \"\"}", CONTRACT_E_RANGE, "blob"},
      {"{\"parts\": [{\"name\": \"a\"}, {\"nam\": \"b\"}]}", CONTRACT_E_UNKNOWN_FIELD, "parts[1].nam"},
      {"{\"text\": null}", CONTRACT_E_TYPE, "text"},
  };
  _cleanup_(buffer_done) Buffer body = {0};

  (void)state;
  buffer_append(&body, "kept", 4);
  for (size_t i = 0; i < ELEMENTS(cases); i++) {
    ContractFault fault = {0};

    assert_int_equal(contract_json_to_body(CONTRACT(Sample), text_of(cases[i].json), &body, &fault), cases[i].reason);
    assert_int_equal(fault.reason, cases[i].reason);
    assert_string_equal(fault.path, cases[i].path);
    assert_int_equal(body.size, 4);
  }
}

static void a_syntax_error_says_where(void **state) {
  _cleanup_(buffer_done) Buffer body = {0};
  ContractFault fault = {0};

  (void)state;
  contract_json_to_body(NULL, TEXT("{\n  \"a\": nope\n}"), &body, &fault);
  assert_non_null(strstr(fault.message, "line 2, column 11"));
}

static void without_a_contract_any_value_is_taken(void **state) {
  _cleanup_(buffer_done) Buffer body = {0};
  _cleanup_(buffer_done) Buffer deep = {0};
  ContractFault fault = {0};

  (void)state;
  assert_int_equal(contract_json_to_body(NULL, TEXT("[\"AA==\", 1e3]"), &body, NULL), 0);
  assert_memory_equal(body.data,
                      "\x92\xa4"
                      "AA=="
                      "\xca",
                      7);
  for (int i = 0; i < MSGPACK_DEPTH_MAX + 1; i++)
    buffer_append(&deep, "[", 1);
  for (int i = 0; i < MSGPACK_DEPTH_MAX + 1; i++)
    buffer_append(&deep, "]", 1);
  assert_int_equal(contract_json_to_body(NULL, (Text){(char *)deep.data, deep.size}, &body, &fault),
                   CONTRACT_E_MALFORMED);
  assert_int_equal(contract_json_to_body(NULL, (Text){(char *)deep.data + 1, deep.size - 2}, &body, NULL), 0);
}

static void assert_json(Bytes body, unsigned indent, const char *wanted) {
  _cleanup_(buffer_done) Buffer json = {0};

  assert_int_equal(contract_json_from_body(body, indent, &json), 0);
  buffer_append(&json, "", 1);
  assert_string_equal((const char *)json.data, wanted);
}

static void every_value_has_its_json(void **state) {
  (void)state;
  assert_json(BYTES(0xc0), 0, "null");
  assert_json(BYTES(0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), 0, "18446744073709551615");
  assert_json(BYTES(0xd0, 0x80), 0, "-128");
  assert_json(BYTES(0xca, 0x3f, 0x80, 0, 0), 0, "1.0");
  assert_json(BYTES(0xcb, 0x3f, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a), 0, "0.1");
  assert_json(BYTES(0xca, 0x7f, 0xc0, 0, 0), 0, "null");
  assert_json(BYTES(0xc4, 1, 0xff), 0, "\"/w==\"");
  assert_json(BYTES(0xc4, 3, 1, 2, 3), 0, "\"AQID\"");
  assert_json(BYTES(0xa3, '"', 0x1b, 0x7f), 0, "\"\\\"\\u001b\\u007f\"");
  assert_json(BYTES(0xd4, 1, 2), 0, "null");
  assert_json(BYTES(0x82, 5, 0x90, 0xff, 0x80), 0, "{\"5\": [], \"-1\": {}}");
  assert_json(BYTES(0x81, 0xa1, 'a', 0x92, 1, 0xc3), 2, "{\n  \"a\": [\n    1,\n    true\n  ]\n}");
}

static void a_body_that_is_none_is_refused(void **state) {
  _cleanup_(buffer_done) Buffer json = {0};

  (void)state;
  assert_int_equal(contract_json_from_body(BYTES_NONE, 0, &json), CONTRACT_E_MALFORMED);
  assert_int_equal(contract_json_from_body(BYTES(0xc0, 0xc0), 0, &json), CONTRACT_E_MALFORMED);
  assert_int_equal(contract_json_from_body(BYTES(0x91, 0xa1, 0xff), 0, &json), CONTRACT_E_MALFORMED);
  assert_int_equal(contract_json_from_body(BYTES(0x81, 0xc0, 1), 0, &json), CONTRACT_E_TYPE);
  assert_int_equal(json.size, 0);
}

/* Every schema is JSON: it comes through the reader of JSON, twice nested as it is. */
static void a_schema_is_json(void **state) {
  _cleanup_(buffer_done) Buffer schema = {0};
  _cleanup_(buffer_done) Buffer body = {0};
  ContractFault fault = {0};
  const MethodContract *method;

  (void)state;
  for (size_t i = 0; (method = contract_method_at(i)); i++) {
    buffer_clear(&schema);
    contract_schema(method->reply, &schema);
    if (contract_json_to_body(NULL, (Text){(const char *)schema.data, schema.size}, &body, &fault))
      fail_msg("%s.%s: %s", method->service, method->method, fault.message);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(json_becomes_a_body_and_comes_back),
      cmocka_unit_test(faults_have_place_and_reason),
      cmocka_unit_test(a_syntax_error_says_where),
      cmocka_unit_test(without_a_contract_any_value_is_taken),
      cmocka_unit_test(every_value_has_its_json),
      cmocka_unit_test(a_body_that_is_none_is_refused),
      cmocka_unit_test(a_schema_is_json),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
