/* Every method of the service `pons` is asked of a real core and its reply held against agents/contracts/pons.def. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agents/contracts/contracts.h"
#include "tests/unit/bus/core/harness.h"

static void check_reply(Harness *h, const char *method, Bytes body) {
  const MethodContract *contract = contract_find(TEXT("pons"), text_of(method));
  ContractFault fault = {0};
  Heard *reply;

  assert_non_null(contract);
  harness_ask(h, &h->client, "pons", method, body);
  reply = harness_last(&h->client);
  assert_int_equal(reply->header.kind, KIND_REPLY);
  if (contract_check(contract->reply, buffer_bytes(&reply->body), &fault) != 0)
    fail_msg("pons.%s: %s: %s", method, fault.path, fault.message);
}

static void test_replies_fit_their_contracts(void **state) {
  Harness h;

  (void)state;
  harness_start(&h, NULL);
  harness_ask(&h, &h.client, "echo", "say", (Bytes){(const uint8_t *)"x", 1});
  for (const char *const *method =
           (const char *const[]){"ping", "info", "stats", "registry", "requests", "connections", NULL};
       *method; method++)
    check_reply(&h, *method, (Bytes){(const uint8_t *)"\x80", 1});
  harness_stop(&h);
}

static void test_trace_of_a_request(void **state) {
  _cleanup_(buffer_done) Buffer body = {0};
  char id[REQUEST_ID_TEXT_SIZE];
  Harness h;

  (void)state;
  harness_start(&h, NULL);
  harness_ask(&h, &h.client, "echo", "say", (Bytes){(const uint8_t *)"x", 1});
  msgpack_put_map(&body, 1);
  msgpack_put_text(&body, TEXT("request"));
  msgpack_put_text(&body, text_of(request_id_format((RequestId){h.client.client, h.client.sequence}, id)));
  check_reply(&h, "trace", buffer_bytes(&body));
  assert_non_null(memmem(harness_last(&h.client)->body.data, harness_last(&h.client)->body.size, "SENT", 4));
  harness_stop(&h);
}

static void test_bad_questions_are_named(void **state) {
  Harness h;

  (void)state;
  harness_start(&h, NULL);
  harness_ask(&h, &h.client, "pons", "trace", (Bytes){(const uint8_t *)"\x80", 1});
  assert_int_equal(harness_last(&h.client)->header.status, STATUS_INVALID);
  harness_ask(&h, &h.client, "pons", "stats", (Bytes){(const uint8_t *)"\x80", 1});
  assert_int_equal(harness_last(&h.client)->header.kind, KIND_REPLY);
  harness_ask(&h, &h.client, "pons", "registry", (Bytes){(const uint8_t *)"\x81\xa1x\x01", 4});
  assert_int_equal(harness_last(&h.client)->header.status, STATUS_INVALID);
  harness_ask(&h, &h.client, "pons", "nothing", BYTES_NONE);
  assert_int_equal(harness_last(&h.client)->header.status, STATUS_NO_METHOD);
  harness_stop(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_replies_fit_their_contracts),
      cmocka_unit_test(test_trace_of_a_request),
      cmocka_unit_test(test_bad_questions_are_named),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
