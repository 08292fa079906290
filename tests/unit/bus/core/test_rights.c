/* What patterns allow, and which are none. */
#include "bus/core/rights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the above first */
#include <cmocka.h>

static void services_and_methods(void **state _unused_) {
  static const struct {
    const char *pattern;
    const char *service;
    const char *method;
    bool allowed;
  } rows[] = {
      {"*", "echo", "say", true},
      {"*", "pons.authority", "lead", true},
      {"echo", "echo", "say", true},
      {"echo", "echo2", "say", false},
      {"echo.*", "echo", "say", true},
      {"echo.say", "echo", "say", true},
      {"echo.say", "echo", "fail", false},
      {"echo.say", "echo@echo:7", "say", true},
      {"echo.say", "echo@*", "say", true},
      {"echo.st*", "echo", "stream", true},
      {"echo.st*", "echo", "say", false},
      {"Model*", "ModelManagerSuite", "chat", true},
      {"Model*.chat", "ModelManagerSuite", "settle", false},
      {"pons.authority.*", "pons.authority", "lead", true},
      {"pons.authority.*", "pons", "authority", false},
      {"pons.stats", "pons", "stats", true},
      {"pons.stats", "pons.stats", "x", false},
  };

  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(rights_destroy) Rights *rights = rights_new();

    assert_int_equal(rights_allow(rights, RIGHTS_CALL, text_of(rows[i].pattern)), 0);
    if (rights_cover(rights, RIGHTS_CALL, text_of(rows[i].service), text_of(rows[i].method)) != rows[i].allowed)
      fail_msg("%s and %s.%s", rows[i].pattern, rows[i].service, rows[i].method);
    assert_false(rights_cover(rights, RIGHTS_SERVE, text_of(rows[i].service), text_of(rows[i].method)));
  }
}

/* What shows others' bodies is for whom somebody meant it. */
static void what_is_guarded_is_spelt_out(void **state _unused_) {
  static const char *const stars[] = {
      "*", "pons*", "pons.*", "pons.durable", "pons.durable.*", "pons.durable.sho*", "pons.d*.show"};
  _cleanup_(rights_destroy) Rights *rights = rights_new();
  Text service = TEXT("pons.durable");

  for (size_t i = 0; i < ELEMENTS(stars); i++)
    assert_int_equal(rights_allow(rights, RIGHTS_CALL, text_of(stars[i])), 0);
  assert_true(rights_is_guarded(service, TEXT("show")));
  assert_true(rights_is_guarded(TEXT("pons.durable@b1"), TEXT("show")));
  assert_false(rights_cover(rights, RIGHTS_CALL, service, TEXT("show")));
  assert_false(rights_cover(rights, RIGHTS_CALL, TEXT("pons.durable@*"), TEXT("show")));
  assert_true(rights_cover(rights, RIGHTS_CALL, service, TEXT("list")));
  assert_true(rights_cover(rights, RIGHTS_CALL, TEXT("pons.contract"), TEXT("show")));
  assert_int_equal(rights_allow(rights, RIGHTS_CALL, TEXT("pons.durable.show")), 0);
  assert_true(rights_cover(rights, RIGHTS_CALL, service, TEXT("show")));
  assert_true(rights_cover(rights, RIGHTS_CALL, TEXT("pons.durable@b1"), TEXT("show")));
  assert_true(rights_cover(NULL, RIGHTS_CALL, service, TEXT("show")));
}

static void topics(void **state _unused_) {
  _cleanup_(rights_destroy) Rights *rights = rights_new();

  assert_int_equal(rights_allow(rights, RIGHTS_PUBLISH, TEXT("usage.*")), 0);
  assert_int_equal(rights_allow(rights, RIGHTS_SUBSCRIBE, TEXT("usage.>")), 0);
  assert_true(rights_cover(rights, RIGHTS_PUBLISH, TEXT("usage.chat"), TEXT_NONE));
  assert_false(rights_cover(rights, RIGHTS_PUBLISH, TEXT("usage.chat.x"), TEXT_NONE));
  assert_true(rights_cover(rights, RIGHTS_SUBSCRIBE, TEXT("usage.*"), TEXT_NONE));
  assert_false(rights_cover(rights, RIGHTS_SUBSCRIBE, TEXT(">"), TEXT_NONE));
}

static void rows_add_up_and_nothing_is_nothing(void **state _unused_) {
  _cleanup_(rights_destroy) Rights *rights = rights_new();

  assert_false(rights_cover(rights, RIGHTS_CALL, TEXT("a"), TEXT("b")));
  for (char name[] = "a"; *name <= 'z'; ++*name)
    assert_int_equal(rights_allow(rights, RIGHTS_CALL, text_of(name)), 0);
  assert_true(rights_cover(rights, RIGHTS_CALL, TEXT("z"), TEXT("b")));
  assert_false(rights_cover(rights, RIGHTS_CALL, TEXT("zz"), TEXT("b")));
  assert_true(rights_cover(NULL, RIGHTS_CALL, TEXT("zz"), TEXT("b")));
}

static void what_is_no_pattern_is_refused(void **state _unused_) {
  static const char *const services[] = {"", ".", "a.", ".b", "**", "a b", "*a", "a.*b", "a@b"};
  static const char *const topics_[] = {"", ".", "a.", ">.a", "a b", "a*"};
  _cleanup_(rights_destroy) Rights *rights = rights_new();

  for (size_t i = 0; i < ELEMENTS(services); i++)
    if (rights_allow(rights, RIGHTS_CALL, text_of(services[i])) != RIGHTS_E_PATTERN)
      fail_msg("'%s' is taken", services[i]);
  for (size_t i = 0; i < ELEMENTS(topics_); i++)
    if (rights_allow(rights, RIGHTS_SUBSCRIBE, text_of(topics_[i])) != RIGHTS_E_PATTERN)
      fail_msg("'%s' is taken", topics_[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(services_and_methods),
      cmocka_unit_test(what_is_guarded_is_spelt_out),
      cmocka_unit_test(topics),
      cmocka_unit_test(rows_add_up_and_nothing_is_nothing),
      cmocka_unit_test(what_is_no_pattern_is_refused),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
