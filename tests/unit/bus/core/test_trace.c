/* The ring behind `pons trace`. */
#include <stdio.h>

#include "bus/core/core-internal.h"
#include "tests/unit/bus/core/harness.h"

/* The steps of the request, joined by blanks. */
static void steps_of(Harness *h, RequestId id, char *ret, size_t room) {
  _cleanup_(buffer_done) Buffer rows = {0};
  uint32_t n = trace_rows(h->core, id, &rows);
  MsgpackReader reader = msgpack_reader(buffer_bytes(&rows));

  *ret = '\0';
  for (uint32_t i = 0; i < n; i++) {
    uint32_t fields;

    assert_int_equal(msgpack_get_map(&reader, &fields), 0);
    for (uint32_t k = 0; k < fields; k++) {
      Text key;
      Text step;

      assert_int_equal(msgpack_get_text(&reader, &key), 0);
      if (!text_is(key, "step")) {
        assert_int_equal(msgpack_skip(&reader), 0);
        continue;
      }
      assert_int_equal(msgpack_get_text(&reader, &step), 0);
      snprintf(ret + strlen(ret), room - strlen(ret), "%s%.*s", i ? " " : "", TEXT_ARG(step));
    }
  }
}

#define assert_steps(h, id, expected)                                                                                  \
  do {                                                                                                                 \
    char steps_[512];                                                                                                  \
    steps_of(h, id, steps_, sizeof steps_);                                                                            \
    assert_string_equal(steps_, expected);                                                                             \
  } while (0)

static void test_the_path_of_a_request(void **state) {
  static const ForwardTarget target = {TEXT("echo"), TEXT("stream")};
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  harness_credit(&h, &h.worker, 0);
  id = harness_request(&h, &h.client, (Header){.flags = FLAG_STREAM}, BYTES_NONE);
  harness_credit(&h, &h.worker, 1);
  harness_say(&h, &h.worker, KIND_NACK, id, STATUS_BUSY);
  harness_credit(&h, &h.worker, 1);
  harness_forward(&h, &h.worker, id, &target, 1);
  harness_chunk(&h, &h.worker, id, 0, 0, BYTES_NONE);
  harness_reply(&h, &h.worker, id);
  assert_steps(&h, id, "RECEIVED QUEUED SENT RETURNED QUEUED SENT FORWARDED SENT FIRST_CHUNK REPLIED");
  harness_stop(&h);
}

static void test_the_ways_to_end(void **state) {
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = harness_ask(&h, &h.client, "nobody", "say", BYTES_NONE);
  assert_steps(&h, id, "RECEIVED FAILED");
  id = harness_request(&h, &h.client, (Header){.id = {{99}, 1}}, BYTES_NONE);
  assert_steps(&h, id, "REFUSED");
  id = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_say(&h, &h.client, KIND_CANCEL, id, STATUS_OK);
  assert_steps(&h, id, "RECEIVED SENT CANCELLED");
  id = harness_ask(&h, &h.client, "echo", "once", BYTES_NONE);
  harness_cut(&h, &h.client);
  harness_cut(&h, &h.worker);
  harness_wait(&h, TIME_CLIENT_GRACE_US);
  assert_steps(&h, id, "RECEIVED SENT WORKER_LOST HELD CLIENT_LOST CANCELLED");
  harness_stop(&h);
}

static void test_an_instance_is_named_after_it_has_gone(void **state) {
  _cleanup_(buffer_done) Buffer rows = {0};
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = harness_ask(&h, &h.client, "echo", "once", BYTES_NONE);
  harness_cut(&h, &h.worker);
  assert_true(trace_rows(h.core, id, &rows) > 0);
  assert_non_null(memmem(rows.data, rows.size, "worker:0000000000000016", 23));
  harness_stop(&h);
}

static void test_the_oldest_steps_make_room(void **state) {
  Harness h;
  RequestId first;
  RequestId last;

  (void)state;
  harness_start(&h, NULL);
  first = harness_ask(&h, &h.client, "nobody", "say", BYTES_NONE);
  for (int i = 0; i < LIMIT_TRACE_STEPS / 2 - 1; i++)
    last = harness_ask(&h, &h.client, "nobody", "say", BYTES_NONE);
  assert_steps(&h, first, "RECEIVED FAILED");
  last = harness_ask(&h, &h.client, "nobody", "say", BYTES_NONE);
  assert_steps(&h, first, "");
  assert_steps(&h, last, "RECEIVED FAILED");
  harness_stop(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_path_of_a_request),
      cmocka_unit_test(test_the_ways_to_end),
      cmocka_unit_test(test_an_instance_is_named_after_it_has_gone),
      cmocka_unit_test(test_the_oldest_steps_make_room),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
