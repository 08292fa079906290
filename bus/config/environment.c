/* One rule and no table: the variable of a key is PONS_ and its path in capitals with _ for the dots. Lists of mappings
   (agents, groups, profiles, routes) have none. What begins like a section but is no key is an error, for a setting
   that is silently ignored is the worst of the three; what is like nothing of ours gets a warning. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/base/spelling.h"
#include "bus/config/check-internal.h"

/* Variables of ours that are no settings; an entry that ends in '_' stands for all that begin with it. */
static const char *const not_settings[] = {"PONS_CONFIG", "PONS_AGENT_", "PONS_TEST_", "PONS_BENCH_"};

static const char *value_of(const char *path, char variable[KEY_VARIABLE_SIZE]) {
  return getenv(key_variable(variable, path));
}

const char *environment_source(const char *path, char ret[KEY_VARIABLE_SIZE]) {
  return value_of(path, ret) ? ret : NULL;
}

static bool has_variable(const Key *key) {
  return key->kind != KEY_ENTRIES && key->kind != KEY_SECRET;
}

static void check_each(Report *report, const Key *key, const char *variable, const char *value) {
  const char *rest = value;
  uint32_t count = 0;

  while (*rest) {
    size_t skip = strspn(rest, ", ");
    size_t size = strcspn(rest + skip, ",");
    Text text = {rest + skip, size};
    _cleanup_(buffer_done) Buffer wrong = {0};

    while (text.size && text.data[text.size - 1] == ' ')
      text.size--;
    rest += skip + size;
    if (text.size == 0)
      continue;
    count++;
    if (!key_check(key, text, &wrong))
      report_place(report, variable, "%.*s", (int)wrong.size, (const char *)wrong.data);
  }
  if (count == 0)
    report_place(report, variable, "is empty; write values with commas between them, or unset it");
  if (count > key->most)
    report_place(report, variable, "has %u values, at most %.0f are allowed", count, key->most);
}

static void on_check(const char *path, const Key *key, const cyaml_schema_field_t *field, void *at, void *context) {
  Report *report = context;
  char variable[KEY_VARIABLE_SIZE];
  const char *value = has_variable(key) ? value_of(path, variable) : NULL;
  _cleanup_(buffer_done) Buffer wrong = {0};

  (void)field;
  (void)at;
  if (!value)
    return;
  if (key->kind == KEY_STRINGS)
    check_each(report, key, variable, value);
  else if (!key_check(key, text_of(value), &wrong))
    report_place(report, variable, "%.*s", (int)wrong.size, (const char *)wrong.data);
}

static void on_apply(const char *path, const Key *key, const cyaml_schema_field_t *field, void *at, void *context) {
  char variable[KEY_VARIABLE_SIZE];
  const char *value = has_variable(key) ? value_of(path, variable) : NULL;

  (void)context;
  if (value)
    key_set(key, field, at, value);
}

/* A search among all variables for one name. */
typedef struct Search {
  Text name;
  bool known;
  bool in_list; /* the name of a list of mappings */
  char near[KEY_VARIABLE_SIZE];
} Search;

static void on_search(const char *path, const Key *key, const cyaml_schema_field_t *field, void *at, void *context) {
  Search *search = context;
  char variable[KEY_VARIABLE_SIZE];

  (void)field;
  (void)at;
  key_variable(variable, path);
  if (text_is(search->name, variable)) {
    search->known = has_variable(key);
    search->in_list = !search->known;
  } else if (has_variable(key) &&
             spelling_is_near((Text){search->name.data + 5, search->name.size - 5}, text_of(variable + 5))) {
    memcpy(search->near, variable, sizeof variable);
  }
}

static bool is_not_setting(Text name) {
  for (size_t i = 0; i < ELEMENTS(not_settings); i++) {
    Text entry = text_of(not_settings[i]);
    bool prefix = entry.data[entry.size - 1] == '_';

    if (text_equal(name, entry) || (prefix && name.size > entry.size && memcmp(name.data, entry.data, entry.size) == 0))
      return true;
  }
  return false;
}

static bool begins_like_section(Text name) {
  for (uint32_t i = 0; i < mapping_top->count; i++) {
    const Key *key = &mapping_top->keys[i];
    char section[KEY_VARIABLE_SIZE];
    size_t size;

    if (key->kind != KEY_GROUP && key->kind != KEY_ENTRIES)
      continue;
    size = strlen(key_variable(section, key->name));
    if (name.size >= size && memcmp(name.data, section, size) == 0 && (name.size == size || name.data[size] == '_'))
      return true;
  }
  return false;
}

static void check_name(Report *report, Text name) {
  Search search = {.name = name};
  char shown[KEY_VARIABLE_SIZE];

  if (is_not_setting(name))
    return;
  keys_visit(mapping_top, "", NULL, false, on_search, &search);
  if (search.known)
    return;
  snprintf(shown, sizeof shown, "%.*s", TEXT_ARG(name));
  if (search.near[0])
    report_place(report, shown, "no such setting; did you mean %s? Else unset it", search.near);
  else if (search.in_list || begins_like_section(name))
    report_place(report, shown,
                 "no such setting; docs/configuration.md lists those that a variable can set. Set it in "
                 "pons.yaml, or unset it");
  else
    report_warning(report, shown, "begins with PONS_ and is no setting; it is ignored");
}

void environment_check(Report *report) {
  for (char **variable = environ; variable && *variable; variable++) {
    size_t size = strcspn(*variable, "=");

    if (size > 5 && memcmp(*variable, "PONS_", 5) == 0)
      check_name(report, (Text){*variable, size});
  }
  keys_visit(mapping_top, "", NULL, false, on_check, report);
}

void environment_apply(Config *config) {
  keys_visit(mapping_top, "", config, false, on_apply, NULL);
}
