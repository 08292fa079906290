/* The machine's words go over the wire and come back the same; what is none is refused. */
#include "bus/broker/words.h"

#include <setjmp.h>
#include <stdarg.h>
/* cmocka wants the above first */
#include <cmocka.h>

static const PairMessage words[] = {
    {.kind = PAIR_SAY_ASK, .epoch = 2, .life = 9, .ask_us = 7, .leading = true},
    {.kind = PAIR_SAY_GIVE, .epoch = 2, .seen = 4, .life = 9, .ask_us = 7},
    {.kind = PAIR_SAY_DENY, .epoch = 2, .seen = 4, .life = 9, .ask_us = 7, .wait_us = 5},
    {.kind = PAIR_SAY_ANNOUNCE, .epoch = 2},
    {.kind = PAIR_SAY_YIELD},
    {.kind = PAIR_SAY_HAND_OVER, .epoch = 2, .position = 3, .wait_us = 5},
    {.kind = PAIR_SAY_REPLICATE, .epoch = 2, .position = 1, .change = PAIR_CLEAR},
    {.kind = PAIR_SAY_REPLICATE,
     .epoch = 2,
     .position = 2,
     .change = PAIR_PUT,
     .lease = {.name = "hub", .holder = {77}, .token = {2, 1}, .duration_us = 1000, .may_double = true}},
    {.kind = PAIR_SAY_REPLICATE,
     .epoch = 2,
     .position = 3,
     .change = PAIR_DROP,
     .lease = {.name = "hub", .holder = {77}, .token = {2, 1}}},
};

static void each_word_comes_back(void **state _unused_) {
  for (size_t i = 0; i < ELEMENTS(words); i++) {
    _cleanup_(buffer_done) Buffer body = {0};
    _cleanup_(buffer_done) Buffer again = {0};
    PairMessage back = {0};
    const char *kind = words_encode(&words[i], &body);

    assert_true(words_decode(text_of(kind), buffer_bytes(&body), &back));
    assert_int_equal(back.kind, words[i].kind);
    assert_int_equal(back.change, words[i].change);
    assert_int_equal(back.epoch, words[i].epoch);
    assert_int_equal(back.ask_us, words[i].ask_us);
    assert_int_equal(back.position, words[i].position);
    assert_string_equal(back.lease.name, words[i].lease.name);
    assert_int_equal(back.lease.duration_us, words[i].lease.duration_us);
    words_encode(&back, &again);
    assert_int_equal(again.size, body.size);
    assert_memory_equal(again.data, body.data, body.size);
  }
}

static void what_is_no_word_is_refused(void **state _unused_) {
  static const struct {
    const char *kind;
    const char *bytes;
    size_t size;
  } rows[] = {
      {"beat", "\x80", 1},
      {"vote", "\x80", 1},
      {"vote", "", 0},
      {"vote",
       "\x82\xa3say\xa5shout\xa5"
       "epoch\x02",
       18},
      {"lease",
       "\x83\xa5"
       "epoch\x02\xa8position\x02\xa6"
       "change\xa3put",
       28}, /* a put without a name */
  };
  PairMessage message = {.epoch = 42};

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    assert_false(words_decode(text_of(rows[i].kind), (Bytes){(const uint8_t *)rows[i].bytes, rows[i].size}, &message));
  assert_int_equal(message.epoch, 42);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_word_comes_back),
      cmocka_unit_test(what_is_no_word_is_refused),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
