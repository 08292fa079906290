/* The tables against each other and against what people read: ports, variables, docs/configuration.md,
   deploy/pons.yaml. With PONS_TEST_UPDATE=1 in the environment the table in docs/configuration.md is written anew. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus/config/ports.h"
#include "bus/config/schema-internal.h"
#include "tests/unit/bus/config/files.h"

static const struct {
  const char *name;
  unsigned port;
} ports[] = {
#define PORT(name, number, program, about) {#name, number},
#include "bus/config/ports.def"
#undef PORT
};

static void test_ports(void **state _unused_) {
  for (size_t i = 0; i < ELEMENTS(ports); i++) {
    unsigned port = ports[i].port;

    if (!((port >= 7100 && port <= 7199) || (port >= 8100 && port <= 8199)))
      fail_msg("%s: %u is neither in 7100-7199 nor in 8100-8199", ports[i].name, port);
    for (size_t k = 0; k < i; k++)
      if (ports[k].port == port)
        fail_msg("%s and %s have the same port %u", ports[k].name, ports[i].name, port);
  }
  assert_int_equal(PORT_BUS, 7100);
  assert_int_equal(PORT_TEXT_TO_SPEECH, 8103);
}

static void test_default_port_is_the_bus(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = files_load("");
  char expected[64];

  snprintf(expected, sizeof expected, "tcp://127.0.0.1:%d", PORT_BUS);
  assert_string_equal(config->broker.listen[0], expected);
}

typedef struct Variables {
  char names[256][KEY_VARIABLE_SIZE];
  size_t count;
} Variables;

static void on_key(const char *path, const Key *key, const cyaml_schema_field_t *field, void *at _unused_,
                   void *context) {
  Variables *variables = context;
  char standard[KEY_STANDARD_SIZE];
  char variable[KEY_VARIABLE_SIZE];
  _cleanup_(buffer_done) Buffer wrong = {0};

  assert_string_equal(key->name, field->key);
  assert_non_null(key->about);
  if (key_standard(key, standard))
    assert_null(strchr(standard, '{'));
  if (key->standard && key->kind != KEY_STRINGS)
    if (!key_check(key, text_of(standard), &wrong))
      fail_msg("default of %s %.*s", path, (int)wrong.size, (const char *)wrong.data);
  if (!key->standard)
    assert_non_null(key->otherwise);
  if (key->kind == KEY_NUMBER && field->value.data_size == sizeof(uint32_t))
    assert_true(key->most <= UINT32_MAX);
  key_variable(variable, path);
  for (size_t i = 0; i < variables->count; i++)
    assert_string_not_equal(variables->names[i], variable);
  assert_true(variables->count < 256);
  memcpy(variables->names[variables->count++], variable, sizeof variable);
}

static void test_keys(void **state _unused_) {
  static Variables variables;

  keys_visit(mapping_top, "", NULL, true, on_key, &variables);
  assert_true(variables.count > 50);
}

#define DOCUMENT PONS_SOURCE_DIR "/docs/configuration.md"

static void write_table(const char *document, const char *begin, const char *end, const Buffer *table) {
  FILE *stream = fopen(DOCUMENT, "w");

  assert_non_null(stream);
  fprintf(stream, "%.*s%.*s%s", (int)(begin - document), document, (int)table->size, (const char *)table->data, end);
  assert_int_equal(fclose(stream), 0);
}

/* Holds the table between two marks of the document against what the keys say, or writes it there. */
static void check_table(const char *mark, void (*print)(Buffer *ret)) {
  _cleanup_(buffer_done) Buffer table = {0};
  char *document = files_read(DOCUMENT);
  char edge[2][64];
  char *begin;
  char *end;

  snprintf(edge[0], sizeof edge[0], "<!-- %s: begin -->\n", mark);
  snprintf(edge[1], sizeof edge[1], "<!-- %s: end -->\n", mark);
  begin = strstr(document, edge[0]);
  end = strstr(document, edge[1]);
  assert_non_null(begin);
  assert_non_null(end);
  begin += strlen(edge[0]);
  print(&table);
  if (getenv("PONS_TEST_UPDATE"))
    write_table(document, begin, end, &table);
  else if ((size_t)(end - begin) != table.size || memcmp(begin, table.data, table.size) != 0)
    fail_msg(
        "docs/configuration.md is not what bus/config/keys.def says; run this test with PONS_TEST_UPDATE=1 and commit");
  free(document);
}

static void test_document(void **state _unused_) {
  check_table("keys", config_schema_print);
  check_table("price list", config_price_list_print);
}

static char *printed(const char *text) {
  _cleanup_(config_destroy) Config *config = files_load(text);
  _cleanup_(buffer_done) Buffer print = {0};

  config_print(config, &print);
  buffer_append(&print, "", 1);
  return (char *)TAKE(print.data);
}

/* deploy/pons.yaml is the defaults written down: it says the same with each value as without the file, and it also
   loads with each of its examples ("#| " in front) switched on. */
static void test_deployed_file(void **state _unused_) {
  char *file = files_read(PONS_SOURCE_DIR "/deploy/pons.yaml");
  char *from_file = printed(file);
  char *from_nothing = printed("");
  char *examples;
  unsigned switched = 0;

  assert_string_equal(from_file, from_nothing);
  for (char *line = file; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
    if (strncmp(line, "#| ", 3) == 0) {
      memmove(line, line + 3, strlen(line + 3) + 1);
      switched++;
    }
  assert_true(switched > 10);
  examples = printed(file);
  assert_string_not_equal(examples, from_nothing);
  free(examples);
  free(from_nothing);
  free(from_file);
  free(file);
}

/* Each key that is not in a list stands in deploy/pons.yaml with its name. */
static void on_deployed(const char *path, const Key *key, const cyaml_schema_field_t *field _unused_, void *at _unused_,
                        void *context) {
  char name[80];

  snprintf(name, sizeof name, "%s:", key->name);
  if (!strstr(context, name))
    fail_msg("deploy/pons.yaml does not show %s", path);
}

static void test_deployed_file_is_complete(void **state _unused_) {
  char *file = files_read(PONS_SOURCE_DIR "/deploy/pons.yaml");

  keys_visit(mapping_top, "", NULL, true, on_deployed, file);
  free(file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ports),         cmocka_unit_test(test_default_port_is_the_bus),
      cmocka_unit_test(test_keys),          cmocka_unit_test(test_document),
      cmocka_unit_test(test_deployed_file), cmocka_unit_test(test_deployed_file_is_complete),
  };

  return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
