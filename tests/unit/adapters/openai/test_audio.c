/* Speech at OpenAI: what a transcription's answers mean, and what is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapters/openai/openai.h"

static Text of(const Buffer *buffer) {
  return (Text){(const char *)buffer->data, buffer->size};
}

static void a_transcription_is_read(void **state) {
  static const char body[] = "{\"text\":\"h\\u00e9\",\"language\":\"english\",\"duration\":2.5,\"segments\":[{"
                             "\"start\":0,\"end\":1.5,\"text\":\"h\"},"
                             "{\"start\":\"x\"},7,{\"start\":1.5,\"end\":2,\"text\":\"\\n\"}],\"usage\":{\"input_"
                             "tokens\":3,\"output_tokens\":9999999999}}";
  _cleanup_(dialect_made_done) DialectMade made = {.text = TEXT_NONE};
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  ChatUsage usage = {.estimated = false};

  (void)state;
  assert_int_equal(openai_dialect.decode_transcribe(text_of(body), &made, &usage, &fault), 0);
  assert_true(text_is(made.text, "h\u00e9"));
  assert_true(text_is(made.language, "english"));
  assert_true(made.has_duration && made.duration_s > 2.4 && made.duration_s < 2.6);
  assert_int_equal(made.segments_count, 2);
  assert_true(text_is(made.segments[1].text, "\n"));
  assert_int_equal(usage.input_tokens, 3);
  assert_int_equal(usage.output_tokens, UINT32_MAX);
}

static void what_is_said_of_nothing_stays_unsaid(void **state) {
  _cleanup_(dialect_made_done) DialectMade made = {.text = TEXT_NONE};
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  ChatUsage usage = {.estimated = false};

  (void)state;
  assert_int_equal(openai_dialect.decode_transcribe(
                       TEXT("{\"text\":\"\",\"segments\":{},\"usage\":{\"type\":\"duration\",\"seconds\":3}}"), &made,
                       &usage, &fault),
                   0);
  assert_true(usage.has_audio_ms && usage.audio_ms == 3000);
  assert_false(made.has_duration || usage.has_input_tokens || usage.has_output_tokens);
  assert_int_equal(made.language.size + made.segments_count, 0);
}

/* What no recording has is left out, since the caller's contract would not take it and lose all of the answer. */
static void figures_that_are_none_are_left_out(void **state) {
  static const char body[] =
      "{\"text\":\"a\",\"duration\":-1,\"language\":"
      "\"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\","
      "\"segments\":[{\"start\":-0.1,\"end\":1,\"text\":\"b\"},{\"start\":0,\"end\":1e300,\"text\":\"c\"},"
      "{\"start\":0,\"end\":1,\"text\":\"d\"}]}";
  _cleanup_(dialect_made_done) DialectMade made = {.text = TEXT_NONE};
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  ChatUsage usage = {.estimated = false};

  (void)state;
  assert_int_equal(openai_dialect.decode_transcribe(text_of(body), &made, &usage, &fault), 0);
  assert_false(made.has_duration);
  assert_int_equal(made.language.size, 0);
  assert_int_equal(made.segments_count, 1);
  assert_true(text_is(made.segments[0].text, "d"));
}

static void what_is_no_transcription_is_a_fault(void **state) {
  static const char *const rows[] = {"", "<html>", "[]", "{}", "{\"text\":7}"};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(dialect_made_done) DialectMade made = {.text = TEXT_NONE};
    _cleanup_(dialect_fault_done) DialectFault fault = {0};
    ChatUsage usage = {.estimated = false};

    assert_int_equal(openai_dialect.decode_transcribe(text_of(rows[i]), &made, &usage, &fault), DIALECT_E_FAULT);
    assert_int_equal(fault.fault.cause, CAUSE_MALFORMED);
  }
}

/* Some servers fail with status 200. */
static void an_error_is_told_as_one(void **state) {
  _cleanup_(dialect_made_done) DialectMade made = {.text = TEXT_NONE};
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  ChatUsage usage = {.estimated = false};

  (void)state;
  assert_int_equal(
      openai_dialect.decode_transcribe(TEXT("{\"error\":{\"message\":\"later\",\"code\":429}}"), &made, &usage, &fault),
      DIALECT_E_FAULT);
  assert_int_equal(fault.fault.cause, CAUSE_RATE_LIMIT);
  assert_true(text_is(fault.fault.message, "later"));
}

static void only_what_was_said_is_sent(void **state) {
  _cleanup_(dialect_request_done) DialectRequest request = {.asked = {.model = TEXT("up")}};
  _cleanup_(dialect_request_done) DialectRequest speech = {.asked = {.model = TEXT("up")}};
  _cleanup_(dialect_fault_done) DialectFault fault = {0};

  (void)state;
  assert_int_equal(
      openai_dialect.encode_transcribe(&(TranscribeAsk){.audio = {(const uint8_t *)"x", 1}}, &request, &fault), 0);
  assert_true(text_is(of(&request.path), "/audio/transcriptions"));
  assert_string_equal(request.content_type, "multipart/form-data; boundary=pons-form-0000000000000000");
  assert_null(memmem(request.body.data, request.body.size, "temperature", 11));
  assert_non_null(
      memmem(request.body.data, request.body.size, "filename=\"audio.wav\"\r\nContent-Type: audio/wav", 45));
  assert_int_equal(openai_dialect.encode_speak(&(SpeakAsk){.text = TEXT("a\n"), .voice = TEXT("v")}, &speech, &fault),
                   0);
  assert_true(
      text_is(of(&speech.body), "{\"model\":\"up\",\"input\":\"a\\n\",\"voice\":\"v\",\"response_format\":\"mp3\"}"));
  assert_string_equal(speech.content_type, "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_transcription_is_read),
      cmocka_unit_test(what_is_said_of_nothing_stays_unsaid),
      cmocka_unit_test(figures_that_are_none_are_left_out),
      cmocka_unit_test(what_is_no_transcription_is_a_fault),
      cmocka_unit_test(an_error_is_told_as_one),
      cmocka_unit_test(only_what_was_said_is_sent),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
