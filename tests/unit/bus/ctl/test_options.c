/* The command line: what is read, and what each mistake is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/ctl/options.h"

#define PARSE(ret, errors, ...)                                                                                        \
  parse((const char *[]){"pons", __VA_ARGS__, NULL}, ELEMENTS(((const char *[]){"pons", __VA_ARGS__})), ret, errors)

static int parse(const char *const *argv, size_t argc, Options *ret, Buffer *errors) {
  return options_parse((int)argc, argv, ret, errors);
}

#define ASSERT_READS(ret, ...)                                                                                         \
  do {                                                                                                                 \
    _cleanup_(buffer_done) Buffer errors_ = {0};                                                                       \
    assert_int_equal(PARSE(ret, &errors_, __VA_ARGS__), 0);                                                            \
    assert_int_equal(errors_.size, 0);                                                                                 \
  } while (0)

#define ASSERT_REFUSES(message, ...)                                                                                   \
  do {                                                                                                                 \
    _cleanup_(buffer_done) Buffer errors_ = {0};                                                                       \
    Options untouched_ = {.count = 77};                                                                                \
    assert_int_equal(PARSE(&untouched_, &errors_, __VA_ARGS__), OPTIONS_E_USAGE);                                      \
    buffer_append(&errors_, "", 1);                                                                                    \
    assert_string_equal((const char *)errors_.data, message "\n");                                                     \
    assert_int_equal(untouched_.count, 77);                                                                            \
  } while (0)

static void test_options_stand_anywhere(void **state _unused_) {
  Options options;

  ASSERT_READS(&options, "--json", "call", "echo.say", "--timeout=250", "{\"text\":\"x\"}", "-v");
  assert_int_equal(options.command, COMMAND_call);
  assert_int_equal(options.argument_count, 2);
  assert_string_equal(options.arguments[0], "echo.say");
  assert_string_equal(options.arguments[1], "{\"text\":\"x\"}");
  assert_int_equal(options.timeout_ms, 250);
  assert_true(options.json);
  assert_true(options.verbose);
  assert_false(options.detach);
  assert_null(options.config);
}

static void test_letters(void **state _unused_) {
  Options options;

  ASSERT_READS(&options, "up", "-djv", "-pcore");
  assert_true(options.detach && options.json && options.verbose);
  assert_string_equal(options.profile, "core");
  ASSERT_READS(&options, "sub", "a.*", "-n", "5", "--config", "x.yaml");
  assert_int_equal(options.count, 5);
  assert_string_equal(options.config, "x.yaml");
}

static void test_arguments_that_look_like_options(void **state _unused_) {
  Options options;

  ASSERT_READS(&options, "call", "a.b", "-");
  assert_string_equal(options.arguments[1], "-");
  ASSERT_READS(&options, "call", "a.b", "-5");
  assert_string_equal(options.arguments[1], "-5");
  ASSERT_READS(&options, "call", "--", "a.b", "--json");
  assert_string_equal(options.arguments[1], "--json");
  assert_false(options.json);
}

static void test_help_and_version_need_no_command(void **state _unused_) {
  Options options;

  ASSERT_READS(&options, "--help");
  assert_true(options.help);
  assert_int_equal(options.command, COMMAND_END);
  ASSERT_READS(&options, "-V");
  assert_true(options.version);
  ASSERT_READS(&options, "call", "-h");
  assert_int_equal(options.command, COMMAND_call);
}

static void test_mistakes(void **state _unused_) {
  _cleanup_(buffer_done) Buffer errors = {0};
  Options options;

  assert_int_equal(options_parse(1, (const char *const[]){"pons", NULL}, &options, &errors), OPTIONS_E_USAGE);
  ASSERT_REFUSES("there is no command 'statsu'; did you mean `pons status`?", "statsu");
  ASSERT_REFUSES("there is no command 'st'; did you mean `pons status`?", "st");
  ASSERT_REFUSES("there is no command 'xyzzy'; `pons help` lists them", "xyzzy");
  ASSERT_REFUSES("there is no command ''; `pons help` lists them", "");
  ASSERT_REFUSES("there is no option '--nope'; `pons help` lists them", "up", "--nope");
  ASSERT_REFUSES("there is no option '-dq'; `pons help` lists them", "up", "-dq");
  ASSERT_REFUSES("--profile needs NAME", "up", "--profile");
  ASSERT_REFUSES("--json takes no value", "status", "--json=yes");
  ASSERT_REFUSES("--timeout takes a number from 1 to 1800000, not '0'", "status", "--timeout", "0");
  ASSERT_REFUSES("--timeout takes a number from 1 to 1800000, not '10x'", "status", "-t10x");
  ASSERT_REFUSES("--timeout takes a number from 1 to 1800000, not '-1'", "status", "-t", "-1");
  ASSERT_REFUSES("--count takes a number from 1 to 1000000000, not '99999999999999999999999'", "sub", "x", "-n",
                 "99999999999999999999999");
  ASSERT_REFUSES("an argument is missing; usage: pons call SERVICE.METHOD [JSON|-]", "call");
  ASSERT_REFUSES("'c' is one argument too many; usage: pons call SERVICE.METHOD [JSON|-]", "call", "a", "b", "c");
  ASSERT_REFUSES("`pons down` takes no --detach; `pons help down` lists its options", "down", "-d");
}

static void test_suggestions(void **state _unused_) {
  assert_int_equal(command_suggest("cal"), COMMAND_call);
  assert_int_equal(command_suggest("dwon"), COMMAND_down);
  assert_int_equal(command_suggest("subscribe"), COMMAND_END);
  assert_int_equal(command_suggest("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), COMMAND_END);
  assert_int_equal(command_find("up"), COMMAND_up);
  assert_int_equal(command_find("u"), COMMAND_END);
  assert_string_equal(command_name(COMMAND_END), "?");
}

static void test_help_names_every_command(void **state _unused_) {
  _cleanup_(buffer_done) Buffer all = {0};

  options_print_help(COMMAND_END, &all);
  buffer_append(&all, "", 1);
  for (CommandId i = 0; i < COMMAND_END; i++) {
    _cleanup_(buffer_done) Buffer one = {0};

    assert_non_null(strstr((const char *)all.data, command_name(i)));
    options_print_help(i, &one);
    buffer_append(&one, "", 1);
    assert_non_null(strstr((const char *)one.data, "--config FILE"));
    assert_int_equal(strstr((const char *)one.data, "--detach") != NULL, i == COMMAND_up);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_options_stand_anywhere),
      cmocka_unit_test(test_letters),
      cmocka_unit_test(test_arguments_that_look_like_options),
      cmocka_unit_test(test_help_and_version_need_no_command),
      cmocka_unit_test(test_mistakes),
      cmocka_unit_test(test_suggestions),
      cmocka_unit_test(test_help_names_every_command),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
