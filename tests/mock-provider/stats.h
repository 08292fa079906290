/* What:      what the mock has seen: counters, requests per path, the last request without its secrets.
 * Owns:      copies of paths and of the last request.
 * May use:   bus/base, bus/json, http, sha256.
 * Threading: one thread.
 * Spec:      README.md, "What it has seen" */
#ifndef PONS_TESTS_MOCK_STATS_H
#define PONS_TESTS_MOCK_STATS_H

#include "bus/base/table.h"
#include "tests/mock-provider/http.h"

typedef struct Stats {
  uint64_t requests;
  uint64_t refused; /* bytes that were no request */
  uint64_t connections_total;
  uint64_t connections_open;
  uint64_t streams_running;
  uint64_t bytes_in;
  uint64_t bytes_out;
  uint64_t cancelled; /* the peer closed before its answer was whole */
  uint64_t cancelled_at_us;
  uint64_t cancelled_chunks; /* told until then, by the last one that was cancelled */
  Table paths;
  uint32_t path_count;
  Buffer last_head;
  Buffer last_body;
  size_t last_body_size;
} Stats;

/* Counts a request: its path as it came, knobs included. head lies at the front of `in`. Returns how often this path was
   asked for, this time included; of the 1,024th and later paths together. */
uint64_t stats_request(Stats *stats, const HttpRequest *request, const Buffer *in);

/* Appends all of it as JSON. */
void stats_put(const Stats *stats, uint64_t now_us, Buffer *out);

/* Sets all but the open connections and running streams to nothing; frees. */
void stats_reset(Stats *stats);

#endif
