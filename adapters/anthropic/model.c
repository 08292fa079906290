#include "adapters/anthropic/model.h"

/* A number of at most two digits, which a date is not; *at stands behind it. */
static bool read_number(Text name, size_t *at, unsigned *ret) {
  size_t begin = *at;
  unsigned number = 0;

  while (*at < name.size && name.data[*at] >= '0' && name.data[*at] <= '9' && *at - begin < 3)
    number = number * 10 + (unsigned)(name.data[(*at)++] - '0');
  if (*at == begin || *at - begin > 2)
    return false;
  *ret = number;
  return true;
}

/* Ten times the version: claude-3-haiku 30, claude-3-5-sonnet 35, claude-opus-4-20250514 40, claude-sonnet-4-5 45. 0: unknown. */
static unsigned version_of(Text name) {
  static const char family[] = "claude-";
  const char *found = name.size > 0 ? memmem(name.data, name.size, family, sizeof family - 1) : NULL;
  size_t at = found ? (size_t)(found - name.data) + sizeof family - 1 : name.size;
  unsigned major;
  unsigned minor = 0;

  if (at < name.size && (name.data[at] < '0' || name.data[at] > '9')) {
    const char *dash = memchr(name.data + at, '-', name.size - at);

    at = dash ? (size_t)(dash - name.data) + 1 : name.size;
  }
  if (!read_number(name, &at, &major))
    return 0;
  if (at < name.size && (name.data[at] == '-' || name.data[at] == '.')) {
    at++;
    if (!read_number(name, &at, &minor))
      minor = 0;
  }
  return major * 10 + (minor < 9 ? minor : 9);
}

ModelTraits model_traits(Text name) {
  static const struct {
    unsigned last; /* version */
    ModelTraits traits;
  } generations[] = {
      {34, {.budgets = true, .samples = true, .max_tokens = 4096}},
      {36, {.budgets = true, .samples = true, .max_tokens = 8192}},
      {44, {.budgets = true, .samples = true, .max_tokens = 16384}},
      {45, {.budgets = true, .samples = true, .has_schemas = true, .max_tokens = 16384}},
      {46, {.samples = true, .has_schemas = true, .max_tokens = 16384}},
      {UINT32_MAX, {.has_xhigh = true, .has_schemas = true, .max_tokens = 16384}},
  };
  static const ModelTraits unknown = {.samples = true, .has_xhigh = true, .has_schemas = true, .max_tokens = 16384};
  unsigned version = version_of(name);
  size_t i = 0;

  if (version == 0)
    return unknown;
  while (version > generations[i].last)
    i++;
  return generations[i].traits;
}
