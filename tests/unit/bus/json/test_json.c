/* What is JSON and what is not, where it stops being it, and what the spans hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "bus/json/json.h"

static Json checked(const char *text) {
  Json value = {TEXT_NONE};
  JsonFault fault;

  if (json_check(text_of(text), &value, &fault) != 0)
    fail_msg("%s: %s", text, fault.message);
  return value;
}

static void assert_text(const Buffer *buffer, const char *expected) {
  if (!text_is((Text){(const char *)buffer->data, buffer->size}, expected))
    fail_msg("wanted %s, got %.*s", expected, (int)buffer->size, (const char *)buffer->data);
}

static void what_is_json_passes(void **state) {
  static const char *const texts[] = {
      "{}",
      "[]",
      " [ ] ",
      "0",
      "-0",
      "-1.5e+30",
      "1E9",
      "\"\"",
      "true",
      "false",
      "null",
      "[1,2,[3,{\"a\":[]}]]",
      "{\"a\":1,\"b\":{\"c\":\"d\"},\"a\":2}",
      "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
      "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
      "\r\n\t {\"a\" : [ 1 , 2 ] }\n",
      "\"\x7f\"",
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(texts); i++)
    checked(texts[i]);
  assert_true(text_is(checked(" [1] \n").text, "[1]"));
}

static void what_is_not_is_named_with_its_place(void **state) {
  static const struct {
    const char *text;
    int reason;
    uint32_t line;
    uint32_t column;
    const char *message;
  } rows[] = {
      {"", JSON_E_SYNTAX, 1, 1, "wanted a value, got the end"},
      {"{\"a\":1,\n \"b\" 2}", JSON_E_SYNTAX, 2, 6, "wanted ':' behind a key, got '2'"},
      {"{\"a\":1,}", JSON_E_SYNTAX, 1, 8, "wanted a string, got '}'"},
      {"[1 2]", JSON_E_SYNTAX, 1, 4, "wanted ',' or ']', got '2'"},
      {"{\"a\":1", JSON_E_SYNTAX, 1, 7, "wanted ',' or '}', got the end"},
      {"[1,]", JSON_E_SYNTAX, 1, 4, "wanted a value, got ']'"},
      {"01", JSON_E_SYNTAX, 1, 2, "wanted nothing behind the value, got '1'"},
      {"1.", JSON_E_SYNTAX, 1, 3, "wanted a digit, got the end"},
      {"-", JSON_E_SYNTAX, 1, 2, "wanted a digit, got the end"},
      {"1e", JSON_E_SYNTAX, 1, 3, "wanted a digit, got the end"},
      {"trux", JSON_E_SYNTAX, 1, 4, "wanted true, false or null, got 'x'"},
      {"'a'", JSON_E_SYNTAX, 1, 1, "wanted a value, got '''"},
      {"\"a\nb\"", JSON_E_SYNTAX, 1, 3, "wanted control characters as escapes, got byte 0x0a"},
      {"\"\\x\"", JSON_E_SYNTAX, 1, 3, "wanted one of \"\\/bfnrtu behind a backslash, got 'x'"},
      {"\"\\u12g4\"", JSON_E_SYNTAX, 1, 6, "wanted four hex digits behind \\u, got 'g'"},
      {"\"abc", JSON_E_SYNTAX, 1, 5, "wanted the end of the string, got the end"},
      {"\"\xc0\x80\"", JSON_E_UTF8, 1, 2, "wanted UTF-8, got byte 0xc0"},
      {"\"\xed\xa0\x80\"", JSON_E_UTF8, 1, 2, "wanted UTF-8, got byte 0xed"},
      {"\"\xf4\x90\x80\x80\"", JSON_E_UTF8, 1, 2, "wanted UTF-8, got byte 0xf4"},
      {"\"\xe2\x82\"", JSON_E_UTF8, 1, 2, "wanted UTF-8, got byte 0xe2"},
      {"{} {}", JSON_E_SYNTAX, 1, 4, "wanted nothing behind the value, got '{'"},
      {"\xef\xbb\xbf{}", JSON_E_SYNTAX, 1, 1, "wanted a value, got byte 0xef"},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    Json value = {TEXT("left alone")};
    JsonFault fault = {0};

    if (json_check(text_of(rows[i].text), &value, &fault) != rows[i].reason || fault.reason != rows[i].reason ||
        strcmp(fault.message, rows[i].message) != 0 || fault.line != rows[i].line || fault.column != rows[i].column)
      fail_msg("%s: %u:%u: %s", rows[i].text, fault.line, fault.column, fault.message);
    assert_true(text_is(value.text, "left alone"));
    assert_int_equal(json_check(text_of(rows[i].text), &value, NULL), rows[i].reason);
  }
}

static void depth_is_bounded(void **state) {
  char text[2 * JSON_DEPTH_MAX + 3];
  Json value;

  (void)state;
  for (int depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
    memset(text, '[', (size_t)depth);
    memset(text + depth, ']', (size_t)depth);
    assert_int_equal(json_check((Text){text, 2 * (size_t)depth}, &value, NULL),
                     depth == JSON_DEPTH_MAX ? 0 : JSON_E_DEPTH);
  }
}

static void a_walk_gives_spans(void **state) {
  Json object = checked("{ \"a\" : 1.50 , \"b\\u0062\":[ {\"x\":\"],}\"} ,true], \"a\":\"last\" }");
  JsonWalk walk = json_walk(object);
  Json key;
  Json value;

  (void)state;
  assert_true(json_next_member(&walk, &key, &value));
  assert_true(json_string_is(key, "a") && text_is(value.text, "1.50"));
  assert_true(json_next_member(&walk, &key, &value));
  assert_true(json_string_is(key, "bb") && json_type(value) == JSON_ARRAY);
  walk = json_walk(value);
  assert_true(json_next_element(&walk, &value));
  assert_true(text_is(value.text, "{\"x\":\"],}\"}"));
  assert_true(text_is(json_find(value, "x").text, "\"],}\""));
  assert_true(json_next_element(&walk, &value) && json_type(value) == JSON_BOOL);
  assert_false(json_next_element(&walk, &value));
  assert_true(json_string_is(json_find(object, "a"), "last"));
  assert_true(json_is_none(json_find(object, "c")));
  assert_true(json_is_none(json_find(checked("[]"), "c")));
  walk = json_walk(checked("7"));
  assert_false(json_next_element(&walk, &value));
}

static void strings_are_unescaped(void **state) {
  _cleanup_(buffer_done) Buffer buffer = {0};
  Json value = checked("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\\ud83dx\\udc00\"");
  Text plain = TEXT_NONE;

  (void)state;
  assert_int_equal(json_get_string(value, &buffer), 0);
  assert_text(&buffer, "a\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbdx\xef\xbf\xbd");
  assert_int_equal(json_string_bytes(value), buffer.size);
  assert_int_equal(json_get_plain(value, &plain), JSON_E_TYPE);
  assert_int_equal(json_get_plain(checked("\"plain\""), &plain), 0);
  assert_true(text_is(plain, "plain"));
  assert_int_equal(json_get_string(checked("5"), &buffer), JSON_E_TYPE);
  assert_int_equal(json_string_bytes(checked("5")), 0);
}

static void scalars_are_read(void **state) {
  uint64_t number = 5;
  double real = 0;
  bool yes = false;

  (void)state;
  assert_int_equal(json_get_uint(checked("18446744073709551615"), &number), 0);
  assert_true(number == UINT64_MAX);
  assert_int_equal(json_get_uint(checked("18446744073709551616"), &number), JSON_E_TYPE);
  assert_int_equal(json_get_uint(checked("-1"), &number), JSON_E_TYPE);
  assert_int_equal(json_get_uint(checked("1.0"), &number), JSON_E_TYPE);
  assert_int_equal(json_get_uint(checked("\"1\""), &number), JSON_E_TYPE);
  assert_int_equal(json_get_real(checked("-2.5e1"), &real), 0);
  assert_true(real == -25);
  assert_int_equal(json_get_real(checked("null"), &real), JSON_E_TYPE);
  assert_int_equal(json_get_bool(checked("true"), &yes), 0);
  assert_true(yes);
  assert_int_equal(json_get_bool(checked("1"), &yes), JSON_E_TYPE);
}

static void what_is_written_reads_back(void **state) {
  static const char text[] = "a\"\\\x01\x1f\x7f\n\xc3\xa9\xf0\x9f\x98\x80/";
  _cleanup_(buffer_done) Buffer json = {0};
  _cleanup_(buffer_done) Buffer back = {0};
  Json value;

  (void)state;
  json_put_string(&json, text_of(text));
  assert_int_equal(json_check((Text){(const char *)json.data, json.size}, &value, NULL), 0);
  assert_int_equal(json_get_string(value, &back), 0);
  assert_text(&back, text);
  buffer_clear(&json);
  json_put_string(&json, TEXT("\xff"
                              "a\xc3"));
  assert_text(&json, "\"\xef\xbf\xbd"
                     "a\xef\xbf\xbd\"");
  /* A whole character stays one when a byte follows that belongs to none. */
  buffer_clear(&json);
  json_put_string(&json, TEXT("\xc3\xa9\x80"));
  assert_text(&json, "\"\xc3\xa9\xef\xbf\xbd\"");
}

static void a_member_is_replaced_and_the_rest_stays(void **state) {
  static const struct {
    const char *object;
    const char *value;
    const char *expected;
  } rows[] = {
      {"{}", "1", "{\"model\":1}"},
      {"{ }", "1", "{\"model\":1 }"},
      {"{ \"a\": 1e400 }", "\"x\"", "{ \"a\": 1e400,\"model\":\"x\" }"},
      {"{ \"a\" :1 ,\n \"model\" : 2 , \"b\": 3 }", "7", "{ \"a\" :1 ,\n \"model\" : 7 , \"b\": 3 }"},
      {"{\"model\":\"old\",\"z\":[1, 2]}", "\"new\"", "{\"model\":\"new\",\"z\":[1, 2]}"},
      {"{\"model\":1,\"m\\u006fdel\":2}", "3", "{\"model\":3,\"m\\u006fdel\":3}"},
      {"{\"a\":1,\"model\":2,\"b\":3}", "", "{\"a\":1,\"b\":3}"},
      {"{ \"model\":2, \"b\": 3 }", "", "{\"b\": 3 }"},
      {"{\"a\":1, \"model\":2 }", "", "{\"a\":1 }"},
      {"{\"model\":1,\"model\":2}", "", "{}"},
      {"{\"a\":1}", "", "{\"a\":1}"},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(buffer_done) Buffer buffer = {0};

    json_put_with(&buffer, checked(rows[i].object), "model", text_of(rows[i].value));
    assert_text(&buffer, rows[i].expected);
  }
}

static void several_members_are_edited_at_once(void **state) {
  const JsonEdit edits[] = {{"a", TEXT("[1]")}, {"b", TEXT_NONE}, {"c", TEXT("true")}, {"d", TEXT_NONE}};
  static const char *const rows[][2] = {
      {"{\"a\":0,\"b\":0,\"x\":0,\"c\":0}", "{\"a\":[1],\"x\":0,\"c\":true}"},
      {"{\"b\":0,\"d\":0}", "{\"a\":[1],\"c\":true}"},
      {"{\"c\":0,\"b\":0,\"d\":0,\"x\":\"}\"}", "{\"c\":true,\"x\":\"}\",\"a\":[1]}"},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(buffer_done) Buffer buffer = {0};

    json_put_edited(&buffer, checked(rows[i][0]), edits, ELEMENTS(edits));
    assert_text(&buffer, rows[i][1]);
  }
}

static void members_are_found_in_one_walk(void **state) {
  static const char *const names[] = {"a", "ab", "c"};
  Json object = checked("{\"ab\":1,\"\\u0061\":2,\"abc\":3,\"ab\":4,\"\":5}");
  Json found[ELEMENTS(names)];

  (void)state;
  json_find_each(object, names, ELEMENTS(names), found);
  assert_true(text_is(found[0].text, "2") && text_is(found[1].text, "4") && json_is_none(found[2]));
  json_find_each(checked("[1]"), names, ELEMENTS(names), found);
  assert_true(json_is_none(found[0]) && json_is_none(found[1]));
  assert_int_equal(json_which(checked("\"ab\""), names, ELEMENTS(names)), 1);
  assert_int_equal(json_which(checked("\"\""), names, ELEMENTS(names)), 3);
  assert_int_equal(json_which(checked("\"abc\""), names, ELEMENTS(names)), 3);
}

/* As a walk finds them: the last of several, none of what stands deeper, and of what is no object none. */
static void members_are_found_while_it_is_checked(void **state) {
  static const char *const texts[] = {"{\"a\":1,\"b\":{\"a\":2,\"c\":[{\"b\":3}]},\"c\":[]}",
                                      " { \"a\" : null , \"\\u0061\" : \"x\\\"\" , \"d\":{} } ",
                                      "{\"c\":[1,[2]],\"x\":{\"a\":1}}",
                                      "{}",
                                      "[{\"a\":1}]",
                                      "\"a\"",
                                      "7"};
  static const char *const names[] = {"a", "b", "c"};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(texts); i++) {
    Json found[ELEMENTS(names)], walked[ELEMENTS(names)];
    Json value = {TEXT_NONE};

    memset(found, 1, sizeof found);
    assert_int_equal(json_check_each(text_of(texts[i]), names, ELEMENTS(names), &value, found, NULL), 0);
    json_find_each(value, names, ELEMENTS(names), walked);
    for (size_t n = 0; n < ELEMENTS(names); n++)
      assert_true(text_equal(found[n].text, walked[n].text) && found[n].text.data == walked[n].text.data);
  }
}

static void members_are_written_with_their_commas(void **state) {
  _cleanup_(buffer_done) Buffer out = {0};

  (void)state;
  json_put_member(&out, "a", checked("1"));
  json_put_member(&out, "b", (Json){TEXT_NONE});
  json_put_key(&out, "c");
  buffer_put(&out, TEXT("["));
  json_put_comma(&out);
  json_put_uint(&out, 0);
  json_put_comma(&out);
  json_put_uint(&out, UINT64_MAX);
  buffer_put(&out, TEXT("]"));
  json_put_key(&out, "d");
  buffer_put(&out, TEXT("{"));
  json_put_member(&out, "e", checked("\"x\""));
  assert_text(&out, "\"a\":1,\"c\":[0,18446744073709551615],\"d\":{\"e\":\"x\"");
}

/* What may not stand in a string is found wherever it stands: strings are looked through eight bytes at a time. */
static void no_byte_is_passed_over(void **state) {
  (void)state;
  for (unsigned byte = 0; byte < 256; byte++)
    for (size_t at = 1; at <= 24; at++) {
      char text[26] = "\"aaaaaaaaaaaaaaaaaaaaaaaa";
      bool is_good = byte >= ' ' && byte < 0x80 && byte != '"' && byte != '\\';
      Json value;

      text[25] = '"';
      text[at] = (char)byte;
      assert_int_equal(json_check((Text){text, sizeof text}, &value, NULL) == 0, is_good);
    }
}

/* Every string of up to six letters, backslashes and quotes ends where it ends, and not at a quote that is part of it. */
static void strings_end_where_they_end(void **state _unused_) {
  static const char *const pieces[] = {"a", "\\\\", "\\\""};

  for (unsigned code = 0; code < 729; code++) {
    char text[32] = "[\"";
    size_t size = 2;
    Json array;
    Json element;
    JsonWalk walk;

    for (unsigned rest = code; rest > 0; rest /= 3) {
      memcpy(text + size, pieces[rest % 3], strlen(pieces[rest % 3]));
      size += strlen(pieces[rest % 3]);
    }
    memcpy(text + size, "\",[\"]\"]]", 9);
    assert_int_equal(json_check(text_of(text), &array, NULL), 0);
    walk = json_walk(array);
    assert_true(json_next_element(&walk, &element));
    assert_int_equal(element.text.size, size);
    assert_true(json_next_element(&walk, &element));
    assert_true(text_is(element.text, "[\"]\"]"));
    assert_false(json_next_element(&walk, &element));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(strings_end_where_they_end),
      cmocka_unit_test(what_is_json_passes),
      cmocka_unit_test(what_is_not_is_named_with_its_place),
      cmocka_unit_test(depth_is_bounded),
      cmocka_unit_test(a_walk_gives_spans),
      cmocka_unit_test(strings_are_unescaped),
      cmocka_unit_test(scalars_are_read),
      cmocka_unit_test(what_is_written_reads_back),
      cmocka_unit_test(a_member_is_replaced_and_the_rest_stays),
      cmocka_unit_test(several_members_are_edited_at_once),
      cmocka_unit_test(members_are_found_in_one_walk),
      cmocka_unit_test(members_are_found_while_it_is_checked),
      cmocka_unit_test(members_are_written_with_their_commas),
      cmocka_unit_test(no_byte_is_passed_over),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
