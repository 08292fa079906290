/* Bodies of every kind as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus/ctl/bodyjson.h"

#define BODY(literal) ((Bytes){(const uint8_t *)(literal), sizeof(literal) - 1})

static void assert_json(Bytes body, Text content_type, const char *expected) {
  json_t *json = bodyjson_new(body, content_type);
  char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);

  assert_string_equal(text, expected);
  free(text);
  json_decref(json);
}

static void test_msgpack(void **state _unused_) {
  assert_json(BYTES_NONE, TEXT_NONE, "null");
  assert_json(BODY("\x81\xa1"
                   "a\x01"),
              TEXT_NONE, "{\"a\":1}");
  assert_json(BODY("\x01\xa2hi\xc3"), TEXT("application/msgpack"), "[1,\"hi\",true]");
  assert_json(BODY("\x07"), TEXT_NONE, "7");
  assert_json(BODY("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), TEXT_NONE, "\"18446744073709551615\"");
  assert_json(BODY("\x96\xff\xcb\x3f\xe0\0\0\0\0\0\0\xcb\x7f\xf0\0\0\0\0\0\0\xc0\xc4\x01\xff\xd4\x01\x02"), TEXT_NONE,
              "[-1,0.5,null,null,\"/w==\",null]");
  assert_json(BODY("\x81\x05\x90"), TEXT_NONE, "{\"5\":[]}");
}

static void test_other_types(void **state _unused_) {
  assert_json(BODY("{\"a\": [1]}"), TEXT("application/json"), "{\"a\":[1]}");
  assert_json(BODY("{broken"), TEXT("application/json"), "\"{broken\"");
  assert_json(BODY("hello"), TEXT("text/plain"), "\"hello\"");
  assert_json(BODY("\xff\xfe\xfd"), TEXT("audio/wav"), "{\"base64\":\"//79\"}");
  assert_json(BODY("\xff\xfe"), TEXT("audio/wav"), "{\"base64\":\"//4=\"}");
  assert_json(BODY("\xff"), TEXT("audio/wav"), "{\"base64\":\"/w==\"}");
}

static void test_what_only_looks_like_msgpack(void **state _unused_) {
  /* A map that is cut short is no msgpack; its bytes are. */
  assert_json(BODY("\x82\xa1"
                   "a\xc0"),
              TEXT_NONE, "{\"base64\":\"gqFhwA==\"}");
}

static void test_values_one_by_one(void **state _unused_) {
  Bytes bytes = BODY("\x01\xa2hi\xa5"
                     "hal");
  Bytes value = BODY("untouched");

  assert_true(bodyjson_next_value(&bytes, &value));
  assert_int_equal(value.size, 1);
  assert_true(bodyjson_next_value(&bytes, &value));
  assert_int_equal(value.size, 3);
  assert_false(bodyjson_next_value(&bytes, &value));
  assert_int_equal(value.size, 3);
  assert_int_equal(bytes.size, 4);
}

static void test_text_of_any_bytes(void **state _unused_) {
  json_t *json = jsontext_new(TEXT("gr\xc3\xbc\xc3\x9f"));

  assert_string_equal(json_string_value(json), "gr\xc3\xbc\xc3\x9f");
  json_decref(json);
  json = jsontext_new(TEXT("bad \xff byte"));
  assert_string_equal(json_string_value(json), "bad ? byte");
  json_decref(json);
  json = jsontext_new(TEXT_NONE);
  assert_string_equal(json_string_value(json), "");
  json_decref(json);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_msgpack),
      cmocka_unit_test(test_other_types),
      cmocka_unit_test(test_what_only_looks_like_msgpack),
      cmocka_unit_test(test_values_one_by_one),
      cmocka_unit_test(test_text_of_any_bytes),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
