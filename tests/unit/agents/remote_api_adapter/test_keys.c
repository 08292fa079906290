/* Keys in real files, replaced as people replace them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "agents/remote_api_adapter/keys.h"

#define S UINT64_C(1000000)

typedef struct Scene {
  char folder[64];
  char paths[3][96];
  ConfigSecret keys[2];
  ConfigProvider provider;
  Keys made;
} Scene;

static void put(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  assert_true(file >= 0);
  assert_int_equal(write(file, text, strlen(text)), strlen(text));
  close(file);
}

/* As an editor, a secrets manager or `mv` does it. */
static void replace(Scene *scene, const char *path, const char *text) {
  put(scene->paths[2], text);
  assert_int_equal(rename(scene->paths[2], path), 0);
}

static int set_up(void **state) {
  static const char *const names[] = {"first", "second", "new"};
  static Scene scene;

  scene = (Scene){.folder = "/tmp/pons-keys-XXXXXX"};
  assert_non_null(mkdtemp(scene.folder));
  for (size_t i = 0; i < ELEMENTS(names); i++)
    snprintf(scene.paths[i], sizeof scene.paths[i], "%s/%s", scene.folder, names[i]);
  scene.provider.name = scene.folder + 5;
  scene.provider.key.file = scene.paths[0];
  scene.keys[0].file = scene.paths[1];
  scene.provider.keys = scene.keys;
  scene.provider.keys_count = 1;
  put(scene.paths[0], "sk-first\n");
  put(scene.paths[1], "sk-second\n");
  assert_int_equal(keys_init(&scene.provider, &scene.made), 0);
  *state = &scene;
  return 0;
}

static int tear_down(void **state) {
  Scene *scene = *state;

  keys_done(&scene->made);
  for (size_t i = 0; i < ELEMENTS(scene->paths); i++)
    unlink(scene->paths[i]);
  return rmdir(scene->folder);
}

static void expect(Scene *scene, const char *secret, uint64_t now_us) {
  int key = keys_take(&scene->made, 0, now_us);

  if (secret)
    assert_string_equal(keys_value(&scene->made, key).secret, secret);
  else
    assert_int_equal(key, KEY_NONE);
}

static void they_take_turns(void **state) {
  Scene *scene = *state;

  expect(scene, "sk-first", 1);
  expect(scene, "sk-second", 2);
  expect(scene, "sk-first", 3);
  assert_string_equal(keys_name(&scene->made, 0), "first");
  assert_string_equal(keys_name(&scene->made, 1), "second");
  assert_int_equal(keys_take(&scene->made, 3, 4), KEY_NONE);
  assert_null(keys_value(&scene->made, KEY_NONE).secret);
}

static void a_refused_key_is_passed_over(void **state) {
  Scene *scene = *state;
  _cleanup_(buffer_done) Buffer trouble = {0};

  assert_int_equal(keys_take(&scene->made, 0, 1), 0);
  assert_false(keys_fail(&scene->made, 0, keys_generation(&scene->made, 0), CAUSE_AUTH, 0, 1));
  assert_int_equal(keys_take(&scene->made, 1, 1), 1);
  expect(scene, "sk-second", 2);
  expect(scene, "sk-second", 3);
  keys_put_trouble(&scene->made, 1, &trouble);
  assert_true(text_is((Text){(const char *)trouble.data, trouble.size},
                      "key first is passed over for 31 s: the provider does not take our key, or not for this"));
  keys_work(&scene->made, 0, keys_generation(&scene->made, 0));
  expect(scene, "sk-first", 4);
}

/* Within a second, without a restart; a file that is gone for a moment changes nothing. */
static void a_new_value_is_taken(void **state) {
  Scene *scene = *state;

  expect(scene, "sk-first", 1 * S);
  replace(scene, scene->paths[0], "sk-renewed");
  replace(scene, scene->paths[1], "sk-second\n");
  expect(scene, "sk-second", 1 * S + 1);
  expect(scene, "sk-first", 2 * S - 1);
  expect(scene, "sk-second", 2 * S);
  expect(scene, "sk-renewed", 2 * S);
  unlink(scene->paths[0]);
  unlink(scene->paths[1]);
  expect(scene, "sk-second", 5 * S);
  expect(scene, "sk-renewed", 8 * S);
}

/* A refusal is the moment to look, and what it was refused for is forgotten with it. */
static void a_refused_key_may_be_new_already(void **state) {
  Scene *scene = *state;

  expect(scene, "sk-first", 1);
  assert_false(keys_fail(&scene->made, 0, keys_generation(&scene->made, 0), CAUSE_AUTH, 0, 2));
  keys_value(&scene->made, 0).memo->bytes[0] = 1;
  replace(scene, scene->paths[0], "sk-renewed");
  assert_true(keys_fail(&scene->made, 0, keys_generation(&scene->made, 0), CAUSE_AUTH, 0, 3));
  assert_string_equal(keys_value(&scene->made, 0).secret, "sk-renewed");
  assert_int_equal(keys_value(&scene->made, 0).memo->bytes[0], 0);
  assert_int_equal(scene->made.turns[0].until_us, 0);
  assert_false(keys_fail(&scene->made, 0, keys_generation(&scene->made, 0), CAUSE_AUTH, 0, 4));
}

/* Requests that went out with the old value are refused when the new one has long been taken. */
static void a_late_refusal_is_of_the_old_value(void **state) {
  Scene *scene = *state;
  uint32_t old;

  expect(scene, "sk-first", 1 * S);
  old = keys_generation(&scene->made, 0);
  replace(scene, scene->paths[0], "sk-renewed");
  expect(scene, "sk-second", 3 * S);
  expect(scene, "sk-renewed", 3 * S);
  assert_int_not_equal(keys_generation(&scene->made, 0), old);
  assert_true(keys_fail(&scene->made, 0, old, CAUSE_AUTH, 0, 4 * S));
  assert_int_equal(scene->made.turns[0].until_us, 0);
  assert_false(keys_fail(&scene->made, 0, keys_generation(&scene->made, 0), CAUSE_AUTH, 0, 4 * S));
  keys_work(&scene->made, 0, old);
  assert_int_not_equal(scene->made.turns[0].until_us, 0);
  assert_int_equal(keys_generation(&scene->made, KEY_NONE), 0);
}

/* What can't be read any more leaves the value that was good; what could never be read is looked for again. */
static void files_that_are_bad(void **state) {
  Scene *scene = *state;
  _cleanup_(buffer_done) Buffer trouble = {0};

  keys_done(&scene->made);
  put(scene->paths[0], "");
  unlink(scene->paths[1]);
  assert_int_equal(keys_init(&scene->provider, &scene->made), 0);
  assert_true(keys_are_missing(&scene->made));
  expect(scene, NULL, 1 * S);
  keys_put_trouble(&scene->made, 1, &trouble);
  buffer_append(&trouble, "", 1);
  assert_non_null(strstr((const char *)trouble.data, "is empty; write the secret into it; key second: "));
  replace(scene, scene->paths[1], "sk-late");
  expect(scene, "sk-late", 3 * S);
  assert_false(keys_are_missing(&scene->made));
  put(scene->paths[1], "");
  expect(scene, "sk-late", 5 * S);
}

static void no_key_is_repeated(void **state) {
  Scene *scene = *state;
  char text[] = "sk-first and sk-second, not sk-third; sk-renewed";

  keys_redact(&scene->made, text, strlen(text));
  assert_string_equal(text, "******** and *********, not sk-third; sk-renewed");
  replace(scene, scene->paths[0], "sk-renewed");
  keys_take(&scene->made, 0, 2 * S);
  memcpy(text, "sk-first", 8);
  keys_redact(&scene->made, text, strlen(text));
  assert_string_equal(text, "******** and *********, not sk-third; **********");
}

/* One of Bedrock's has several parts, and the names of them are no secret. */
static void no_part_of_a_key_is_repeated(void **state) {
  Scene *scene = *state;
  char text[] = "aws_session_token is not tok/en+of=, and AKIDEXAMPLE is not [default]";

  replace(scene, scene->paths[0], "[default]\naws_access_key_id = AKIDEXAMPLE\r\naws_session_token=tok/en+of=\n");
  keys_take(&scene->made, 0, 2 * S);
  keys_redact(&scene->made, text, strlen(text));
  assert_string_equal(text, "aws_session_token is not **********, and *********** is not *********");
}

static void without_any(void **state) {
  ConfigProvider provider = {.name = NULL};
  Keys keys;

  (void)state;
  assert_int_equal(keys_init(&provider, &keys), 0);
  assert_int_equal(keys_take(&keys, 0, 1), KEY_NONE);
  assert_false(keys_are_missing(&keys));
  keys_done(&keys);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {CASE(they_take_turns),
                                     CASE(a_refused_key_is_passed_over),
                                     CASE(a_new_value_is_taken),
                                     CASE(a_refused_key_may_be_new_already),
                                     CASE(a_late_refusal_is_of_the_old_value),
                                     CASE(files_that_are_bad),
                                     CASE(no_key_is_repeated),
                                     CASE(no_part_of_a_key_is_repeated),
                                     cmocka_unit_test(without_any)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
