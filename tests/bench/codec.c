/* Times what each message costs in the codec: encode a header, decode it again. Prints "KIND nanoseconds" per line; the
   figure is the median of several batches, so that a preemption does not count. */
#include "bus/base/buffer.h"
#include "bus/base/clock.h"
#include "bus/wire/header.h"

#include <stdio.h>
#include <stdlib.h>

#define BATCHES 15
#define PAIRS_PER_BATCH 200000u

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;

  return (x > y) - (x < y);
}

/* Nanoseconds per pair in one batch; negative when what was encoded can't be decoded. */
static double batch_ns(const Header *header, Buffer *buffer) {
  uint64_t start_us = clock_monotonic_us();
  Header decoded;

  for (uint32_t i = 0; i < PAIRS_PER_BATCH; i++) {
    buffer_clear(buffer);
    header_encode(header, buffer);
    if (header_decode(buffer_bytes(buffer), &decoded) || decoded.id.sequence != header->id.sequence)
      return -1;
    __asm__ volatile("" : : "m"(decoded) : "memory");
  }
  return (double)(clock_monotonic_us() - start_us) * 1000.0 / PAIRS_PER_BATCH;
}

static int time_one(const char *what, const Header *header) {
  _cleanup_(buffer_done) Buffer buffer = {0};
  double ns[BATCHES];

  for (int i = 0; i < BATCHES; i++) {
    ns[i] = batch_ns(header, &buffer);
    if (ns[i] < 0) {
      fprintf(stderr, "%s: the header does not survive the codec\n", what);
      return 1;
    }
  }
  qsort(ns, BATCHES, sizeof ns[0], compare);
  printf("%s, %zu bytes %.1f\n", what, buffer.size, ns[BATCHES / 2]);
  return 0;
}

int main(void) {
  Header reply = {.kind = KIND_REPLY, .id = {{UINT64_C(0x0123456789abcdef)}, 70000}};
  Header request = {.kind = KIND_REQUEST,
                    .id = reply.id,
                    .service = TEXT("RequestCoordinator"),
                    .method = TEXT("chat"),
                    .deadline_us = 30000000,
                    .window_bytes = 262144,
                    .priority = PRIORITY_NORMAL};
  Header full = request;

  full.attempt = 1;
  full.hop = 2;
  full.flags = FLAG_STREAM | FLAG_IDEMPOTENT;
  full.window_bytes = 1048576;
  full.content_type = TEXT("application/json");
  for (size_t i = 0; i < sizeof full.trace.bytes; i++)
    full.trace.bytes[i] = (uint8_t)(i + 1);
  return time_one("REQUEST", &request) || time_one("REQUEST with trace and stream", &full) || time_one("REPLY", &reply);
}
