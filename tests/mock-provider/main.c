#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/mock-provider/server.h"

static void usage(void) {
  puts("mock-provider [--port N] [--key KEY] [--models A,B] [--KNOB VALUE]...\n"
       "A provider of language models that speaks OpenAI's, Gemini's and Bedrock's dialect and can misbehave on "
       "command. Prints\n"
       "\"listening on 127.0.0.1:PORT\" and serves until SIGTERM. Port 0, the default, is a free one.\n"
       "The knobs, here as defaults for all requests, are:");
  knobs_print();
}

static int fail(const char *argument, const char *why) {
  fprintf(stderr, "mock-provider: %s: %s\n", argument, why);
  return 2;
}

static int parse_port(const char *value, uint16_t *ret) {
  char *end = NULL;
  unsigned long port = strtoul(value, &end, 10);

  if (end == value || *end || port > 65535)
    return fail("--port", "wants a number from 0 to 65535");
  *ret = (uint16_t)port;
  return 0;
}

static int parse(int argc, char **argv, ServerOptions *ret) {
  const char *wrong;

  for (int i = 1; i < argc; i += 2) {
    const char *name = argv[i], *value = argv[i + 1];

    if (strncmp(name, "--", 2) != 0)
      return fail(name, "is no option (--help lists them)");
    if (!value)
      return fail(name, "wants a value");
    if (strcmp(name, "--port") == 0) {
      if (parse_port(value, &ret->port))
        return 2;
    } else if (strcmp(name, "--key") == 0) {
      ret->key = value;
    } else if (strcmp(name, "--models") == 0) {
      ret->models = value;
    } else {
      wrong = knobs_set(&ret->knobs, text_of(name + 2), text_of(value));
      if (wrong)
        return fail(name, wrong);
    }
  }
  return 0;
}

int main(int argc, char **argv) {
  ServerOptions options = {.knobs = knobs_default()};
  struct rlimit files;
  int r;

  if (argc > 1 && strcmp(argv[1], "--help") == 0) {
    usage();
    return 0;
  }
  r = parse(argc, argv, &options);
  if (r)
    return r;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  r = server_run(&options);
  if (r < 0)
    fprintf(stderr, "mock-provider: can't serve on port %u: %s\n", options.port, strerror(-r));
  return r ? 1 : 0;
}
