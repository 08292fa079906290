#include "bus/config/whole-internal.h"

#include <stdarg.h>
#include <stdio.h>

/* Takes the last part off a path: "a.b[3].c", "a.b[3]", "a.b", "a", "". */
static void cut_last(char *path) {
  char *cut = path;

  for (char *c = path; *c; c++)
    if (*c == '.' || *c == '[')
      cut = c;
  *cut = '\0';
}

void whole_wrong(const Whole *whole, const char *path, const char *format, ...) {
  char variable[KEY_VARIABLE_SIZE];
  char around[KEY_PATH_SIZE];
  char text[768];
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  for (snprintf(around, sizeof around, "%s", path); *around; cut_last(around))
    if (environment_source(around, variable)) {
      report_place(whole->report, variable, "%s", text);
      return;
    }
  for (snprintf(around, sizeof around, "%s", path); *around; cut_last(around)) {
    const Node *node = tree_find(whole->tree, around);

    if (node) {
      report_line(whole->report, node->line, node->column, path, "%s", text);
      return;
    }
  }
  report_place(whole->report, "default", "%s: %s", path, text);
}

const char *whole_path(char ret[KEY_PATH_SIZE], const char *list, uint32_t index, const char *key) {
  snprintf(ret, KEY_PATH_SIZE, "%s[%u]%s%s", list, index, *key ? "." : "", key);
  return ret;
}

void whole_unique(const Whole *whole, const char *list, const char *key, const void *entries, uint32_t count,
                  size_t entry_bytes) {
  for (uint32_t i = 1; i < count; i++)
    for (uint32_t k = 0; k < i; k++) {
      const char *a = *(char *const *)(const void *)((const char *)entries + i * entry_bytes);
      const char *b = *(char *const *)(const void *)((const char *)entries + k * entry_bytes);
      char path[KEY_PATH_SIZE];

      if (strcmp(a, b) == 0) {
        whole_wrong(whole, whole_path(path, list, i, key),
                    "'%s' is there already as %s[%u]; merge the two or rename one", a, list, k);
        break;
      }
    }
}

void whole_order(const Whole *whole, const char *path, uint64_t value, bool strictly, const char *least_path,
                 uint64_t least) {
  if (value < least || (strictly && value == least))
    whole_wrong(whole, path, "is %llu, must be %s %s, which is %llu", (unsigned long long)value,
                strictly ? "above" : "at least", least_path, (unsigned long long)least);
}
