/* Bodies and headers: what passes, and what is said of the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agents/gateway/asked.h"

static void a_chat_that_is_right(void **state) {
  static const struct {
    const char *body;
    bool stream;
  } rows[] = {
      {"{\"messages\":[{}]}", false},
      {"{\"messages\":[{}],\"stream\":true,\"stream_options\":{\"include_usage\":true},\"model\":\"m\"}", true},
      {"{\"messages\":[{}],\"stream\":false,\"stream_options\":null,\"model\":null}", false},
      {"{\"messages\":[{}],\"stream\":null}", false},
  };
  AskedFault fault;

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    bool stream = !rows[i].stream;

    assert_int_equal(asked_chat(text_of(rows[i].body), &stream, &fault), 0);
    assert_int_equal(stream, rows[i].stream);
  }
}

static void a_chat_that_is_wrong(void **state) {
  static const struct {
    const char *body;
    int reason;
    const char *param;
    const char *code;
  } rows[] = {
      {"", ASKED_E_JSON, NULL, "invalid_json"},
      {"{\"messages\":[{}]} x", ASKED_E_JSON, NULL, "invalid_json"},
      {"\"text\"", ASKED_E_SHAPE, NULL, "invalid_type"},
      {"{}", ASKED_E_SHAPE, "messages", "missing_required_parameter"},
      {"{\"messages\":null}", ASKED_E_SHAPE, "messages", "missing_required_parameter"},
      {"{\"messages\":{}}", ASKED_E_SHAPE, "messages", "invalid_type"},
      {"{\"messages\":[]}", ASKED_E_SHAPE, "messages", "empty_array"},
      {"{\"messages\":[{}],\"model\":[]}", ASKED_E_SHAPE, "model", "invalid_type"},
      {"{\"messages\":[{}],\"stream\":1}", ASKED_E_SHAPE, "stream", "invalid_type"},
      {"{\"messages\":[{}],\"stream_options\":[]}", ASKED_E_SHAPE, "stream_options", "invalid_type"},
      {"{\"messages\":[{}],\"stream_options\":{\"include_usage\":0}}", ASKED_E_SHAPE, "stream_options.include_usage",
       "invalid_type"},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    AskedFault fault = {.param = "none"};
    bool stream = true;

    assert_int_equal(asked_chat(text_of(rows[i].body), &stream, &fault), rows[i].reason);
    assert_true(stream);
    if (rows[i].param)
      assert_string_equal(fault.param, rows[i].param);
    else
      assert_null(fault.param);
    assert_string_equal(fault.code, rows[i].code);
    assert_true(fault.message[0] != '\0');
  }
}

static void the_place_of_a_syntax_error(void **state) {
  AskedFault fault;
  bool stream;

  (void)state;
  assert_int_equal(asked_chat(TEXT("{\n  \"messages\": [,]}"), &stream, &fault), ASKED_E_JSON);
  assert_non_null(strstr(fault.message, "line 2, column 16 (byte 17)"));
}

static void embeddings(void **state) {
  AskedFault fault;

  (void)state;
  assert_int_equal(asked_embeddings(TEXT("{\"input\":\"a\"}"), &fault), 0);
  assert_int_equal(asked_embeddings(TEXT("{\"input\":[1,2],\"model\":\"m\"}"), &fault), 0);
  assert_int_equal(asked_embeddings(TEXT("{\"model\":\"m\"}"), &fault), ASKED_E_SHAPE);
  assert_string_equal(fault.param, "input");
  assert_int_equal(asked_embeddings(TEXT("{\"input\":7}"), &fault), ASKED_E_SHAPE);
  assert_int_equal(asked_embeddings(TEXT("{\"input\":\"a\",\"model\":7}"), &fault), ASKED_E_SHAPE);
  assert_string_equal(fault.param, "model");
}

static void deadlines(void **state) {
  AskedFault fault;
  uint64_t us = 0;

  (void)state;
  assert_int_equal(asked_deadline(NULL, 5000000, &us, &fault), 0);
  assert_int_equal(us, 5000000);
  assert_int_equal(asked_deadline("20", 5000000, &us, &fault), 0);
  assert_int_equal(us, 20000);
  assert_int_equal(asked_deadline("99999999999999999999", 5000000, &us, &fault), 0);
  assert_int_equal(us, 5000000);
  us = 1;
  for (size_t i = 0; i < 5; i++)
    assert_int_equal(asked_deadline((const char *[]){"", "0", "-5", "1s", " 1"}[i], 5, &us, &fault), ASKED_E_HEADER);
  assert_int_equal(us, 1);
  assert_string_equal(fault.param, "x-pons-deadline-ms");
}

static void priorities(void **state) {
  AskedFault fault;
  AskPriority priority = ASK_NORMAL;

  (void)state;
  assert_int_equal(asked_priority(NULL, &priority, &fault), 0);
  assert_int_equal(priority, ASK_INTERACTIVE);
  assert_int_equal(asked_priority("batch", &priority, &fault), 0);
  assert_int_equal(priority, ASK_BATCH);
  assert_int_equal(asked_priority("Normal", &priority, &fault), ASKED_E_HEADER);
  assert_int_equal(priority, ASK_BATCH);
}

static void traces(void **state) {
  static const char *const wrong[] = {
      "",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
      "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
      "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
      "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
      "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  };
  Trace trace = {{9}};

  (void)state;
  assert_false(asked_trace(NULL, &trace));
  for (size_t i = 0; i < ELEMENTS(wrong); i++)
    assert_false(asked_trace(wrong[i], &trace));
  assert_int_equal(trace.bytes[0], 9);
  assert_true(asked_trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", &trace));
  assert_int_equal(trace.bytes[0], 0x4b);
  assert_int_equal(trace.bytes[15], 0x36);
  assert_int_equal(trace.bytes[23], 0xb7);
  assert_int_equal(trace.bytes[24], 1);
  assert_true(asked_trace("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-later", &trace));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_chat_that_is_right),
      cmocka_unit_test(a_chat_that_is_wrong),
      cmocka_unit_test(the_place_of_a_syntax_error),
      cmocka_unit_test(embeddings),
      cmocka_unit_test(deadlines),
      cmocka_unit_test(priorities),
      cmocka_unit_test(traces),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
