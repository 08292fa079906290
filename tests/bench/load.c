#include "tests/bench/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int parse_number(const char *text, uint32_t least, uint32_t most, const char *what, uint32_t *ret) {
  char *end = NULL;
  unsigned long value = strtoul(text, &end, 10);

  if (end == text || *end || value < least || value > most) {
    fprintf(stderr, "%s: '%s' is not a number from %u to %u\n", what, text, least, most);
    return -EINVAL;
  }
  *ret = (uint32_t)value;
  return 0;
}

static int parse(Load *load, char **argv) {
  uint32_t warm_ms = 0, measure_ms = 0;

  load->endpoint = argv[1];
  if (parse_number(argv[2], 0, 100000, "CLIENT", &load->client) ||
      parse_number(argv[3], 1, 100000, "OUTSTANDING", &load->outstanding) ||
      parse_number(argv[4], LOAD_HEAD_BYTES, LOAD_BODY_MAX, "SIZE_BYTES", &load->size_bytes) ||
      parse_number(argv[5], 0, 600000, "WARM_MS", &warm_ms) ||
      parse_number(argv[6], 1, 600000, "MEASURE_MS", &measure_ms))
    return -EINVAL;
  load->warm_ns = warm_ms * UINT64_C(1000000);
  load->measure_ns = measure_ms * UINT64_C(1000000);
  return 0;
}

int load_init(Load *load, int argc, char **argv) {
  memset(load, 0, sizeof *load);
  if (argc != 7) {
    fprintf(stderr, "usage: %s ENDPOINT CLIENT OUTSTANDING SIZE_BYTES WARM_MS MEASURE_MS\n", argv[0]);
    return -EINVAL;
  }
  if (parse(load, argv))
    return -EINVAL;
  load->sent_at_ns = calloc(load->outstanding, sizeof *load->sent_at_ns);
  load->body = calloc(1, load->size_bytes);
  if (!load->sent_at_ns || !load->body)
    abort();
  for (uint32_t i = LOAD_HEAD_BYTES; i < load->size_bytes; i++)
    load->body[i] = (char)('a' + i % 26);
  return 0;
}

void load_done(Load *load) {
  free(load->sent_at_ns);
  free(load->body);
  load->sent_at_ns = NULL;
  load->body = NULL;
}

int load_ready(Load *load) {
  char line[16];

  puts("ready");
  fflush(stdout);
  if (read(STDIN_FILENO, line, sizeof line) <= 0)
    return -EPIPE;
  load->from_ns = now_ns() + load->warm_ns;
  load->until_ns = load->from_ns + load->measure_ns;
  return 0;
}

const char *load_body(Load *load, uint32_t slot, uint32_t kind) {
  LoadHead head = {.client = load->client, .kind = kind, .slot = slot};

  memcpy(load->body, &head, sizeof head);
  return load->body;
}

void load_sent(Load *load, uint32_t slot) {
  load->sent_at_ns[slot] = now_ns();
  load->sent++;
}

bool load_reply(Load *load, const void *body, size_t size, uint32_t *ret_slot) {
  LoadHead head;
  uint64_t now = now_ns();

  if (size != load->size_bytes)
    return false;
  memcpy(&head, body, sizeof head);
  if (head.slot >= load->outstanding || !load->sent_at_ns[head.slot])
    return false;
  load->received++;
  if (now >= load->from_ns && now < load->until_ns)
    histogram_add(&load->histogram, now - load->sent_at_ns[head.slot]);
  if (now >= load->until_ns) {
    load->sent_at_ns[head.slot] = 0;
    return false;
  }
  load->sent_at_ns[head.slot] = now;
  load->sent++;
  *ret_slot = head.slot;
  return true;
}

bool load_finished(const Load *load) {
  return load->received >= load->sent;
}

void load_print(const Load *load) {
  const Histogram *h = &load->histogram;

  printf("{\"sent\":%llu,\"received\":%llu,\"count\":%llu,\"seconds\":%.6f,\"p50_us\":%.2f,\"p99_us\":%.2f,"
         "\"p999_us\":%.2f,\"histogram\":",
         (unsigned long long)load->sent, (unsigned long long)load->received, (unsigned long long)h->total,
         (double)load->measure_ns / 1e9, (double)histogram_percentile_ns(h, 0.5) / 1e3,
         (double)histogram_percentile_ns(h, 0.99) / 1e3, (double)histogram_percentile_ns(h, 0.999) / 1e3);
  histogram_print(h, stdout);
  puts("}");
  fflush(stdout);
}
