#include "bus/ctl/environment.h"

#include <stdio.h>
#include <stdlib.h>

/* A name that ends in '*' stands for all that begin so. As under systemd, an agent's other variables are named in the
   configuration. */
static const char *const inherited[] = {
    "PATH",         "HOME",         "USER",         "LOGNAME",       "SHELL",        "LANG",
    "LANGUAGE",     "LC_*",         "TZ",           "TMPDIR",        "XDG_*",        "LD_LIBRARY_PATH",
    "http_proxy",   "https_proxy",  "no_proxy",     "HTTP_PROXY",    "HTTPS_PROXY",  "NO_PROXY",
    "SSL_CERT_*",   "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LLVM_PROFILE_FILE",
    "GCOV_PREFIX*", "PYTHONPATH",   "PONS_*",
};

static bool may_inherit(Text name) {
  for (size_t i = 0; i < ELEMENTS(inherited); i++) {
    size_t size = strlen(inherited[i]);

    if (inherited[i][size - 1] == '*') {
      if (name.size >= size - 1 && memcmp(name.data, inherited[i], size - 1) == 0)
        return true;
    } else if (text_is(name, inherited[i])) {
      return true;
    }
  }
  return false;
}

static Text name_of(const char *variable) {
  return (Text){variable, strcspn(variable, "=")};
}

static void wipe(char *variable) {
  explicit_bzero(variable, strlen(variable));
  free(variable);
}

/* Takes variable over. */
static void put(Environment *environment, char *variable) {
  for (uint32_t i = 0; i < environment->count; i++)
    if (text_equal(name_of(environment->variables[i]), name_of(variable))) {
      wipe(environment->variables[i]);
      environment->variables[i] = variable;
      return;
    }
  if (environment->count + 1 >= environment->room) {
    environment->room = environment->room ? 2 * environment->room : 32;
    environment->variables = realloc(environment->variables, environment->room * sizeof *environment->variables);
    if (!environment->variables)
      abort();
  }
  environment->variables[environment->count++] = variable;
  environment->variables[environment->count] = NULL;
}

void environment_set(Environment *environment, const char *name, const char *value) {
  char *variable = NULL;

  if (asprintf(&variable, "%s=%s", name, value) < 0)
    abort();
  put(environment, variable);
}

void environment_inherit(Environment *environment, char *const *from) {
  for (; *from; from++)
    if (strchr(*from, '=') && may_inherit(name_of(*from))) {
      char *variable = strdup(*from);

      if (!variable)
        abort();
      put(environment, variable);
    }
}

const char *environment_find(const Environment *environment, const char *name) {
  for (uint32_t i = 0; i < environment->count; i++) {
    Text found = name_of(environment->variables[i]);

    if (text_is(found, name))
      return found.data + found.size + 1;
  }
  return NULL;
}

void environment_done(Environment *environment) {
  for (uint32_t i = 0; i < environment->count; i++)
    wipe(environment->variables[i]);
  free(environment->variables);
  *environment = (Environment){0};
}
