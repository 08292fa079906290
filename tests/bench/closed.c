#include "tests/bench/closed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)

static uint64_t now_ns(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000 * NS_PER_MS + (uint64_t)t.tv_nsec;
}

static int read_number(const char *text, unsigned long least, unsigned long most, const char *what, uint64_t *ret) {
  char *end = NULL;

  *ret = strtoul(text, &end, 10);
  if (end != text && !*end && *ret >= least && *ret <= most)
    return 0;
  fprintf(stderr, "%s: '%s' is no number from %lu to %lu\n", what, text, least, most);
  return -EINVAL;
}

/* "600000:1000000": two numbers. */
static int read_window(char *word, uint64_t *ret_ms, uint64_t *ret_most) {
  char *colon = strchr(word, ':');
  int r = 0;

  *ret_most = 0;
  if (colon) {
    *colon = '\0';
    r = read_number(colon + 1, 1, 1000000000, "MEASURE_MS:N", ret_most);
  }
  return r ? r : read_number(word, 1, 600000, "MEASURE_MS", ret_ms);
}

int closed_init(Closed *load, char **words) {
  uint64_t outstanding = 0, warm_ms = 0, measure_ms = 0;

  *load = (Closed){.outstanding = 0};
  if (read_number(words[0], 1, 100000, "OUTSTANDING", &outstanding) ||
      read_number(words[1], 0, 600000, "WARM_MS", &warm_ms) || read_window(words[2], &measure_ms, &load->most))
    return -EINVAL;
  load->outstanding = (uint32_t)outstanding;
  load->warm_ns = warm_ms * NS_PER_MS;
  load->measure_ns = measure_ms * NS_PER_MS;
  load->sent_at_ns = calloc(outstanding, sizeof *load->sent_at_ns);
  load->heard = calloc(outstanding, sizeof *load->heard);
  if (!load->sent_at_ns || !load->heard)
    abort();
  return 0;
}

void closed_done(Closed *load) {
  free(load->sent_at_ns);
  free(load->heard);
  load->sent_at_ns = NULL;
  load->heard = NULL;
}

int closed_begin(Closed *load) {
  char line[16];

  puts("ready");
  fflush(stdout);
  if (read(STDIN_FILENO, line, sizeof line) <= 0)
    return -EPIPE;
  load->from_ns = now_ns() + load->warm_ns;
  load->until_ns = load->from_ns + load->measure_ns;
  return 0;
}

void closed_sent(Closed *load, uint32_t slot) {
  load->sent_at_ns[slot] = now_ns();
  load->heard[slot] = false;
  load->sent++;
}

static bool is_in_window(const Closed *load, uint64_t at_ns) {
  return at_ns >= load->from_ns && at_ns < load->until_ns;
}

void closed_heard(Closed *load, uint32_t slot) {
  uint64_t now;

  if (load->heard[slot])
    return;
  load->heard[slot] = true;
  now = now_ns();
  if (is_in_window(load, now))
    histogram_add(&load->first, now - load->sent_at_ns[slot]);
}

bool closed_ended(Closed *load, uint32_t slot, bool good) {
  uint64_t now = now_ns();

  load->received += good;
  load->failed += !good;
  if (good && is_in_window(load, now))
    histogram_add(&load->whole, now - load->sent_at_ns[slot]);
  if (load->most > 0 && load->received >= load->most && now < load->until_ns) {
    load->until_ns = now;
    load->measure_ns = now > load->from_ns ? now - load->from_ns : 1;
  }
  return good && now < load->until_ns;
}

bool closed_is_over(const Closed *load) {
  return load->received + load->failed >= load->sent;
}

int closed_left_ms(const Closed *load, uint32_t grace_ms) {
  uint64_t now = now_ns(), until = load->until_ns + grace_ms * NS_PER_MS;

  return now >= until ? 0 : (int)((until - now) / NS_PER_MS) + 1;
}

void closed_print(const Closed *load) {
  char line[16];

  printf("{\"sent\":%llu,\"received\":%llu,\"failed\":%llu,\"count\":%llu,\"seconds\":%.6f,\"histogram\":",
         (unsigned long long)load->sent, (unsigned long long)load->received, (unsigned long long)load->failed,
         (unsigned long long)load->whole.total, (double)load->measure_ns / 1e9);
  histogram_print(&load->whole, stdout);
  printf(",\"first\":");
  histogram_print(&load->first, stdout);
  puts("}");
  fflush(stdout);
  while (read(STDIN_FILENO, line, sizeof line) > 0)
    continue;
}
