/* Every dialect of the table, held against tests/golden and against what its table of members promises. A file per dialect and
   case: CASE.request.json (OpenAI's own where the dialect has none), CASE.upstream.json with what goes to the provider,
   CASE.answer.json or .sse with what it says, CASE.response.json or .sse with what the caller gets, CASE.fault.json where it is
   refused or fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "adapters/dialect/sse.h"
#include "adapters/table.h"
#include "tests/unit/adapters/golden.h"

static const char *const answers[] = {"text",        "system",    "image",  "image_url", "tools",  "tool_result",
                                      "json_schema", "reasoning", "length", "filtered",  "cached", NULL};
static const char *const streams[] = {"stream_text", "stream_tools", "stream_reasoning", "stream_error", NULL};
static const char *const errors[] = {
    "error_caller", "error_auth", "error_rate_limit", "error_overload", "error_context", "error_model", NULL};

static const DialectSettings settings = {.base_url = "https://golden.example/v1"};

static Text of(const Buffer *buffer) {
  return (Text){(const char *)buffer->data, buffer->size};
}

static DialectRequest new_request(void) {
  return (DialectRequest){.asked = {.settings = &settings, .model = TEXT("golden-model"), .now_s = 1700000000}};
}

/* --- golden files --- */

static void put_fault(const Fault *fault, Buffer *out) {
  buffer_printf(out, "{\"cause\":\"%s\",\"http_status\":%u,\"retry_after_us\":%llu,\"code\":", cause_name(fault->cause),
                fault->http_status, (unsigned long long)fault->retry_after_us);
  json_put_string(out, fault->code);
  buffer_printf(out, ",\"param\":");
  json_put_string(out, fault->param);
  buffer_printf(out, ",\"message\":");
  json_put_string(out, fault->message);
  buffer_printf(out, "}");
}

static void expect_fault(const Dialect *dialect, const char *name, const DialectFault *fault) {
  _cleanup_(buffer_done) Buffer said = {0};

  put_fault(&fault->fault, &said);
  golden_expect(dialect->name, name, "fault.json", &said);
}

static void expect_upstream(const Dialect *dialect, const char *name, const DialectRequest *request) {
  _cleanup_(buffer_done) Buffer said = {0};
  const char *at = (const char *)request->headers.data;

  buffer_printf(&said, "{\"path\":");
  json_put_string(&said, of(&request->path));
  buffer_printf(&said, ",\"headers\":[");
  for (size_t i = 0; i < request->headers.size; i += strlen(at + i) + 1) {
    buffer_append(&said, ",", i ? 1 : 0);
    json_put_string(&said, text_of(at + i));
  }
  buffer_printf(&said, "],\"body\":%.*s}", TEXT_ARG(of(&request->body)));
  golden_expect(dialect->name, name, "upstream.json", &said);
}

/* Encodes the case's request; false when the dialect refuses it, as its file says. */
static bool encode(const Dialect *dialect, const char *name, DialectRequest *request) {
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  _cleanup_(buffer_done) Buffer ask = {0};

  if (!golden_read(dialect->name, name, "request.json", &ask) && !golden_read("openai", name, "request.json", &ask))
    fail_msg("there is no request %s", name);
  if (dialect->encode_chat(golden_json(&ask, name), request, &fault) == 0) {
    expect_upstream(dialect, name, request);
    return true;
  }
  expect_fault(dialect, name, &fault);
  return false;
}

static void run_answer(const Dialect *dialect, const char *name) {
  _cleanup_(dialect_request_done) DialectRequest request = new_request();
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  _cleanup_(buffer_done) Buffer answer = {0};
  _cleanup_(buffer_done) Buffer response = {0};
  ChatUsage usage = {0};

  if (!encode(dialect, name, &request))
    return;
  if (!golden_read(dialect->name, name, "answer.json", &answer))
    fail_msg("tests/golden/%s/%s.answer.json is not there", dialect->name, name);
  if (dialect->decode_chat(&request.asked, of(&answer), &response, &usage, &fault) == 0)
    golden_expect(dialect->name, name, "response.json", &response);
  else
    expect_fault(dialect, name, &fault);
}

typedef struct Streaming {
  const char *name;
  DialectStream stream;
  DialectFault fault;
  bool failed;
} Streaming;

static void on_event(void *userdata, Text type, Text data) {
  Streaming *streaming = userdata;

  if (!streaming->failed)
    streaming->failed = streaming->stream.dialect->stream_event(&streaming->stream, type, data, &streaming->fault) != 0;
}

static void run_stream(const Dialect *dialect, const char *name) {
  _cleanup_(dialect_request_done) DialectRequest request = new_request();
  _cleanup_(buffer_done) Buffer answer = {0};
  _cleanup_(sse_done) Sse sse = {.begun = false};
  Streaming streaming = {.name = name};

  if (!encode(dialect, name, &request))
    return;
  assert_true(request.asked.streams);
  if (!golden_read(dialect->name, name, "answer.sse", &answer))
    fail_msg("tests/golden/%s/%s.answer.sse is not there", dialect->name, name);
  dialect_stream_begin(dialect, &request.asked, &streaming.stream);
  assert_int_equal(sse_feed(&sse, buffer_bytes(&answer), on_event, &streaming), 0);
  golden_expect(dialect->name, name, "response.sse", &streaming.stream.events);
  if (streaming.failed)
    expect_fault(dialect, name, &streaming.fault);
  else if (!dialect->stream_is_whole(&streaming.stream))
    fail_msg("%s: %s ends in the middle", dialect->name, name);
  dialect_stream_done(&streaming.stream);
  dialect_fault_done(&streaming.fault);
}

/* The answer of an error is {"status":…,"retry_after":…,"error_type":…,"body":…}. */
static void run_error(const Dialect *dialect, const char *name) {
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  _cleanup_(buffer_done) Buffer answer = {0};
  DialectHead head = {.now_s = 1700000000};
  uint64_t status = 0;
  Json said;

  if (!golden_read(dialect->name, name, "answer.json", &answer))
    fail_msg("tests/golden/%s/%s.answer.json is not there", dialect->name, name);
  said = golden_json(&answer, name);
  json_get_uint(json_find(said, "status"), &status);
  json_get_plain(json_find(said, "retry_after"), &head.retry_after);
  json_get_plain(json_find(said, "error_type"), &head.error_type);
  head.status = (unsigned)status;
  dialect->decode_error(&head, json_find(said, "body").text, &fault);
  expect_fault(dialect, name, &fault);
}

static void each_dialect_has_each_case(void **state) {
  (void)state;
  for (const Dialect *const *dialect = table_dialects(); *dialect; dialect++) {
    for (size_t i = 0; answers[i]; i++)
      run_answer(*dialect, answers[i]);
    for (size_t i = 0; streams[i]; i++)
      run_stream(*dialect, streams[i]);
    for (size_t i = 0; errors[i]; i++)
      run_error(*dialect, errors[i]);
  }
}

/* --- the tables of members --- */

static const char base[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}";
static const char base_stream[] =
    "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}";
static const char base_tools[] = "{\"model\":\"m\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],"
                                 "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}";

static const char *base_of(AskMember member) {
  if (member == ASK_stream_options)
    return base_stream;
  return member == ASK_tool_choice || member == ASK_parallel_tool_calls ? base_tools : base;
}

static Json checked(Text text) {
  Json value = {TEXT_NONE};

  if (json_check(text, &value, NULL) != 0)
    fail_msg("not JSON: %.*s", TEXT_ARG(text));
  return value;
}

/* Everything that goes to the provider, and what is remembered for the answer; or "refused: PARAM". */
static void say(const Dialect *dialect, Text request, Buffer *out) {
  _cleanup_(dialect_request_done) DialectRequest encoded = new_request();
  _cleanup_(dialect_fault_done) DialectFault fault = {0};

  if (dialect->encode_chat(checked(request), &encoded, &fault) != 0) {
    assert_int_equal(fault.fault.cause, CAUSE_CALLER);
    buffer_printf(out, "refused: %.*s", TEXT_ARG(fault.fault.param));
    return;
  }
  buffer_append(out, encoded.path.data, encoded.path.size);
  buffer_append(out, encoded.headers.data, encoded.headers.size);
  buffer_append(out, encoded.body.data, encoded.body.size);
  buffer_printf(out, "%d%d%u", encoded.asked.streams, encoded.asked.hides_usage, encoded.asked.marks);
}

static void hold_against(const Dialect *dialect, AskFate fate, const char *name, const char *param,
                         const Buffer *without, const Buffer *with) {
  _cleanup_(buffer_done) Buffer refused = {0};
  bool is_same = text_equal(of(without), of(with));

  buffer_printf(&refused, "refused: %s", param);
  if (fate == ASK_UNDECIDED)
    fail_msg("%s: its table has nothing for %s", dialect->name, name);
  if ((fate == ASK_REFUSED) != text_equal(of(&refused), of(with)))
    fail_msg("%s: %s is%s refused: %.*s", dialect->name, name, fate == ASK_REFUSED ? " not" : "", TEXT_ARG(of(with)));
  if ((fate == ASK_DROPPED) != is_same)
    fail_msg("%s: %s %s: %.*s", dialect->name, name,
             is_same ? "is said to be mapped and is not told" : "is said to be dropped and is told",
             TEXT_ARG(of(with)));
}

static void what_the_table_says_of_members_is_so(void **state) {
  static const char *const samples[] = {
#define MEMBER(name, type, sample, neutral) sample,
#include "adapters/dialect/members.def"
#undef MEMBER
  };

  (void)state;
  for (const Dialect *const *dialect = table_dialects(); *dialect; dialect++)
    for (AskMember member = 0; (*dialect)->table && member < ASK_MEMBER_END; member++) {
      _cleanup_(buffer_done) Buffer request = {0};
      _cleanup_(buffer_done) Buffer without = {0};
      _cleanup_(buffer_done) Buffer with = {0};
      const char *name = ask_member_name(member);
      Text ground = text_of(base_of(member));

      if (member == ASK_model || member == ASK_messages)
        continue;
      json_put_with(&request, checked(ground), name, text_of(samples[member]));
      say(*dialect, ground, &without);
      say(*dialect, of(&request), &with);
      hold_against(*dialect, (*dialect)->table->members[member], name, name, &without, &with);
    }
}

static void what_the_table_says_of_parts_is_so(void **state) {
  static const char *const samples[] = {
#define PART(name, type, sample) sample,
#include "adapters/dialect/members.def"
#undef PART
  };

  (void)state;
  for (const Dialect *const *dialect = table_dialects(); *dialect; dialect++)
    for (AskPartKind kind = 0; (*dialect)->table && kind < ASK_PART_END; kind++) {
      static const char before[] =
          "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"%s\",\"content\":[";
      const char *role = kind == ASK_PART_refusal ? "assistant" : "user";
      _cleanup_(buffer_done) Buffer bare = {0};
      _cleanup_(buffer_done) Buffer request = {0};
      _cleanup_(buffer_done) Buffer without = {0};
      _cleanup_(buffer_done) Buffer with = {0};

      buffer_printf(&bare, before, role);
      buffer_append(&request, bare.data, bare.size);
      buffer_printf(&bare, "{\"type\":\"text\",\"text\":\"y\"}]}]}");
      buffer_printf(&request, "{\"type\":\"text\",\"text\":\"y\"},%s]}]}", samples[kind]);
      say(*dialect, of(&bare), &without);
      say(*dialect, of(&request), &with);
      hold_against(*dialect, (*dialect)->table->parts[kind], ask_part_type(kind), "messages[1].content[1].type",
                   &without, &with);
    }
}

/* --- errors that say nothing --- */

/* Whatever a server that is no provider says instead: an address that leads elsewhere, a page. */
static void each_dialect_says_what_to_do(void **state) {
  static const struct {
    DialectHead head;
    const char *body;
    Cause cause;
    const char *words;
  } rows[] = {
      {{.status = 307, .location = TEXT("a.example/v1")},
       "",
       CAUSE_UNAVAILABLE,
       "points to a.example/v1; redirects are not"},
      {{.status = 308, .location = TEXT("/v1/")}, "{\"error\":{\"message\":\"Moved\"}}", CAUSE_UNAVAILABLE, "/v1/"},
      {{.status = 304}, "", CAUSE_UNAVAILABLE, "status 304 and no reason"},
      {{.status = 404}, "<html>", CAUSE_UNAVAILABLE, "correct base_url"},
      {{.status = 405}, "", CAUSE_UNAVAILABLE, "correct base_url"},
      {{.status = 407}, "", CAUSE_TRANSPORT, "proxy"},
      {{.status = 410}, "", CAUSE_UNAVAILABLE, "name another model"},
      {{.status = 502}, "<html>", CAUSE_OVERLOAD, "status 502 and no reason"},
  };

  (void)state;
  for (const Dialect *const *dialect = table_dialects(); *dialect; dialect++)
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
      _cleanup_(dialect_fault_done) DialectFault fault = {0};

      (*dialect)->decode_error(&rows[i].head, text_of(rows[i].body), &fault);
      if (fault.fault.cause != rows[i].cause || !dialect_says(fault.fault.message, rows[i].words))
        fail_msg("%s, %u: %s: %.*s", (*dialect)->name, rows[i].head.status, cause_name(fault.fault.cause),
                 TEXT_ARG(fault.fault.message));
    }
}

/* The list of a provider's own members has room in AskChat. */
static void own_members_have_room(void **state) {
  (void)state;
  for (const Dialect *const *dialect = table_dialects(); *dialect; dialect++) {
    size_t count = 0;

    while ((*dialect)->table && (*dialect)->table->own && (*dialect)->table->own[count])
      count++;
    assert_true(count <= ASK_OWN_MAX);
  }
}

static void names_are_found(void **state) {
  (void)state;
  for (const Dialect *const *dialect = table_dialects(); *dialect; dialect++)
    assert_ptr_equal(table_find_dialect((*dialect)->name), *dialect);
  assert_null(table_find_dialect("latin"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_dialect_has_each_case),
      cmocka_unit_test(what_the_table_says_of_members_is_so),
      cmocka_unit_test(what_the_table_says_of_parts_is_so),
      cmocka_unit_test(each_dialect_says_what_to_do),
      cmocka_unit_test(own_members_have_room),
      cmocka_unit_test(names_are_found),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
