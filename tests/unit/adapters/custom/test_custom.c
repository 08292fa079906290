/* Templates of paths and headers filled in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapters/custom/custom.h"
#include "adapters/openai/openai.h"

static const char *const headers[] = {"X-Team: blue", "X-Zone: 7"};

static DialectRequest encoded(const DialectSettings *settings, bool is_embedding) {
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
  DialectRequest request = {.asked = {.settings = settings, .model = TEXT("org/model:7b")}};
  Json ask = {TEXT_NONE};

  assert_int_equal(json_check(TEXT("{\"stream\":true,\"model\":\"m\",\"messages\":[]}"), &ask, NULL), 0);
  assert_int_equal(is_embedding ? custom_dialect.encode_embed(ask, &request, &fault)
                                : custom_dialect.encode_chat(ask, &request, &fault),
                   0);
  return request;
}

static void expect_path(DialectSettings settings, bool is_embedding, const char *path) {
  _cleanup_(dialect_request_done) DialectRequest request = encoded(&settings, is_embedding);

  assert_true(text_is((Text){(const char *)request.path.data, request.path.size}, path));
}

static void paths(void **state) {
  (void)state;
  expect_path((DialectSettings){.base_url = "x"}, false, "/chat/completions");
  expect_path((DialectSettings){.base_url = "x"}, true, "/embeddings");
  expect_path((DialectSettings){.chat_path = "/serve/{model}/chat?m={model}"}, false,
              "/serve/org%2Fmodel%3A7b/chat?m=org%2Fmodel%3A7b");
  expect_path((DialectSettings){.embed_path = "/v2/embed"}, true, "/v2/embed");
}

static void headers_of_ones_own(void **state) {
  DialectSettings settings = {.headers = headers, .headers_count = 2};
  _cleanup_(dialect_request_done) DialectRequest request = encoded(&settings, false);

  (void)state;
  assert_int_equal(request.headers.size, 23);
  assert_memory_equal(request.headers.data, "X-Team: blue\0X-Zone: 7\0", 23);
}

static void expect_key(const char *template, const char *secret, const char *header) {
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
  _cleanup_(buffer_done) Buffer written = {0};
  DialectSettings settings = {.key_header = template};
  DialectSend send = {.settings = &settings};

  assert_int_equal(dialect_authorize(&custom_dialect, &(DialectKey){.secret = secret}, &send, &written, &fault), 0);
  if (!header) {
    assert_int_equal(written.size, 0);
    return;
  }
  assert_int_equal(written.size, strlen(header) + 1);
  assert_string_equal((const char *)written.data, header);
}

static void the_header_of_the_key(void **state) {
  (void)state;
  expect_key(NULL, "sk-1", "Authorization: Bearer sk-1");
  expect_key("X-Key: Token {key}, v2", "sk-1", "X-Key: Token sk-1, v2");
  expect_key("X-Key: {key}", "a{key}b", "X-Key: a{key}b");
  expect_key("X-Key: {key}", NULL, NULL);
}

/* Its other lines would become headers. */
static void a_key_of_two_lines_is_none(void **state) {
  const Dialect *dialects[] = {&custom_dialect, &openai_dialect};
  DialectSettings settings = {.base_url = "x"};
  DialectKey key = {.secret = "sk-1\nX-Other: sk-2"};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(dialects); i++) {
    _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
    _cleanup_(buffer_done) Buffer proof = {0};

    buffer_append(&proof, "A: b", 5);
    assert_int_equal(dialect_authorize(dialects[i], &key, &(DialectSend){.settings = &settings}, &proof, &fault),
                     DIALECT_E_FAULT);
    assert_int_equal(fault.fault.cause, CAUSE_AUTH);
    assert_null(memmem(fault.texts.data, fault.texts.size, "sk-", 3));
    assert_int_equal(proof.size, 5);
  }
}

static void usage_that_is_not_asked_for(void **state) {
  DialectSettings settings = {.without_usage = true};
  _cleanup_(dialect_request_done) DialectRequest without = encoded(&settings, false);
  DialectSettings standard = {.base_url = "x"};
  _cleanup_(dialect_request_done) DialectRequest with = encoded(&standard, false);

  (void)state;
  assert_null(memmem(without.body.data, without.body.size, "stream_options", 14));
  assert_false(without.asked.hides_usage);
  assert_true(without.asked.streams);
  assert_non_null(memmem(with.body.data, with.body.size, "stream_options", 14));
  assert_true(with.asked.hides_usage);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(paths), cmocka_unit_test(headers_of_ones_own), cmocka_unit_test(the_header_of_the_key),
      cmocka_unit_test(a_key_of_two_lines_is_none), cmocka_unit_test(usage_that_is_not_asked_for)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
