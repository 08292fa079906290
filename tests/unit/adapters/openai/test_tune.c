/* Jobs of fine-tuning: what is sent, and what of the answer is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapters/openai/openai.h"

static void sends(const DialectTune *tune, const char *method, const char *path, const char *body) {
  _cleanup_(dialect_request_done) DialectRequest request = {.content_type = ""};
  _cleanup_(dialect_fault_done) DialectFault fault = {0};

  assert_int_equal(openai_dialect.encode_tune(tune, &request, &fault), 0);
  buffer_append(&request.path, "", 1);
  buffer_append(&request.body, "", 1);
  assert_string_equal(request.method, method);
  assert_string_equal((const char *)request.path.data, path);
  assert_string_equal((const char *)request.body.data, body);
}

static void what_is_sent(void **state _unused_) {
  FineTuneAsk ask = {.model = TEXT("m"), .training_file = TEXT("file-1")};
  FineTuneEventsAsk page = {.has_after = true, .after = TEXT("a b"), .has_limit = true, .limit = 5};

  sends(&(DialectTune){.what = TUNING_CREATE, .create = &ask}, "POST", "/fine_tuning/jobs",
        "{\"model\":\"m\",\"training_file\":\"file-1\"}");
  ask.has_validation_file = ask.has_suffix = ask.has_seed = ask.has_epochs = true;
  ask.validation_file = TEXT("file-2");
  ask.suffix = TEXT("\"s\"");
  ask.seed = 7;
  ask.epochs = 3;
  sends(&(DialectTune){.what = TUNING_CREATE, .create = &ask}, "POST", "/fine_tuning/jobs",
        "{\"model\":\"m\",\"training_file\":\"file-1\",\"validation_file\":\"file-2\",\"suffix\":\"\\\"s\\\"\","
        "\"seed\":7,"
        "\"method\":{\"type\":\"supervised\",\"supervised\":{\"hyperparameters\":{\"n_epochs\":3}}}}");
  sends(&(DialectTune){.what = TUNING_STATUS, .job = TEXT("j/1")}, "GET", "/fine_tuning/jobs/j%2F1", "");
  sends(&(DialectTune){.what = TUNING_CANCEL, .job = TEXT("j")}, "POST", "/fine_tuning/jobs/j/cancel", "");
  sends(&(DialectTune){.what = TUNING_EVENTS, .job = TEXT("j"), .page = &page}, "GET",
        "/fine_tuning/jobs/j/events?limit=5&after=a%20b", "");
}

static void a_job_is_read(void **state _unused_) {
  _cleanup_(dialect_tuned_done) DialectTuned tuned = {.has_more = false};
  _cleanup_(dialect_fault_done) DialectFault fault = {0};

  assert_int_equal(
      openai_dialect.decode_tune(
          TUNING_STATUS,
          TEXT("{\"id\":\"j\",\"status\":\"failed\",\"model\":\"m\",\"fine_tuned_model\":null,\"created_at\":5,"
               "\"finished_at\":99999999999,\"trained_tokens\":null,\"error\":{\"message\":\"\\u00e9\"}}"),
          &tuned, &fault),
      0);
  assert_true(text_is(tuned.job.job, "j") && text_is(tuned.job.status, "failed") && text_is(tuned.job.model, "m"));
  assert_false(tuned.job.has_tuned || tuned.job.has_trained_tokens);
  assert_true(tuned.job.has_why && text_is(tuned.job.why, "\u00e9"));
  assert_int_equal(tuned.job.created_s, 5);
  assert_int_equal(tuned.job.finished_s, UINT32_MAX);
}

static void events_are_read(void **state _unused_) {
  _cleanup_(dialect_tuned_done) DialectTuned tuned = {.has_more = false};
  _cleanup_(dialect_fault_done) DialectFault fault = {0};

  assert_int_equal(openai_dialect.decode_tune(TUNING_EVENTS,
                                              TEXT("{\"data\":[{\"id\":\"e\",\"created_at\":5,\"level\":\"info\","
                                                   "\"message\":\"a\"},7],\"has_more\":true}"),
                                              &tuned, &fault),
                   0);
  assert_int_equal(tuned.events_count, 2);
  assert_true(text_is(tuned.events[0].message, "a") && tuned.events[0].at_s == 5 && tuned.has_more);
  assert_int_equal(tuned.events[1].message.size, 0);
}

static void what_is_no_job_is_a_fault(void **state _unused_) {
  static const char *const rows[] = {"", "[]", "{}", "{\"id\":\"j\"}", "{\"status\":\"x\"}"};

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    for (DialectTuning what = TUNING_CREATE; what <= TUNING_CANCEL; what++) {
      _cleanup_(dialect_tuned_done) DialectTuned tuned = {.has_more = false};
      _cleanup_(dialect_fault_done) DialectFault fault = {0};

      assert_int_equal(openai_dialect.decode_tune(what, text_of(rows[i]), &tuned, &fault), DIALECT_E_FAULT);
      assert_int_equal(fault.fault.cause, CAUSE_MALFORMED);
    }
}

static int feed(DialectStream *stream, const char *data) {
  _cleanup_(dialect_fault_done) DialectFault fault = {0};

  return openai_dialect.transcribe_event(stream, TEXT_NONE, text_of(data), &fault);
}

static void a_transcription_in_pieces(void **state _unused_) {
  _cleanup_(dialect_stream_done) DialectStream stream;

  dialect_stream_begin(&openai_dialect, &(DialectAsked){.streams = true}, &stream);
  assert_int_equal(feed(&stream, "{\"type\":\"transcript.text.delta\",\"delta\":\"h\\u00e9\"}"), 0);
  assert_int_equal(feed(&stream, "{\"type\":\"something.new\"}"), 0);
  assert_false(stream.finished);
  assert_int_equal(feed(&stream,
                        "{\"type\":\"transcript.text.done\",\"text\":\"h\\u00e9\",\"usage\":{\"input_tokens\":3,"
                        "\"output_tokens\":1,\"input_token_details\":{\"audio_tokens\":3}}}"),
                   0);
  assert_true(stream.finished && text_is((Text){(const char *)stream.events.data, stream.events.size}, "h\u00e9"));
  assert_true(stream.usage.has_input_audio_tokens && stream.usage.input_audio_tokens == 3);
  stream.done = false;
  assert_int_equal(feed(&stream, "{"), DIALECT_E_FAULT);
  assert_int_equal(feed(&stream, "{\"type\":\"error\",\"error\":{\"message\":\"x\"}}"), DIALECT_E_FAULT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_sent),
      cmocka_unit_test(a_job_is_read),
      cmocka_unit_test(events_are_read),
      cmocka_unit_test(what_is_no_job_is_a_fault),
      cmocka_unit_test(a_transcription_in_pieces),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
