/* What:      the mock provider as a server: one listener, one epoll, thousands of connections.
 * Owns:      its sockets and connections, until server_run returns.
 * May use:   bus/base, dialect, stats.
 * Threading: one thread.
 * Spec:      README.md */
#ifndef PONS_TESTS_MOCK_SERVER_H
#define PONS_TESTS_MOCK_SERVER_H

#include "tests/mock-provider/knobs.h"

typedef struct ServerOptions {
  uint16_t port;      /* 0 = a free one */
  const char *key;    /* NULL = none is asked for */
  const char *models; /* "a,b"; NULL = any name is one */
  Knobs knobs;
} ServerOptions;

/* Listens on 127.0.0.1, prints "listening on 127.0.0.1:PORT" and serves until SIGTERM or SIGINT. Returns 0, or negative errno. */
int server_run(const ServerOptions *options);

#endif
