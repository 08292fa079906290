/* pons-sim, pons-sim-two [--blind] [--seeds N] [--first SEED] [--steps N]: runs the seeds; stops at the first that fails, and prints the
   one command that replays it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/run.h"

static char replay[256];

/* Says how to see it again, after whatever found the fault has said what it is. */
static void on_abort(int signo) {
  (void)signo;
  if (write(STDERR_FILENO, replay, strlen(replay)) < 0)
    _exit(3);
  _exit(2);
}

static uint64_t option(int argc, char **argv, const char *name, uint64_t otherwise) {
  for (int i = 1; i + 1 < argc; i++)
    if (strcmp(argv[i], name) == 0)
      return strtoull(argv[i + 1], NULL, 10);
  return otherwise;
}

int main(int argc, char **argv) {
  uint64_t seeds = option(argc, argv, "--seeds", 1);
  uint64_t first = option(argc, argv, "--first", 1);
  uint32_t steps = (uint32_t)option(argc, argv, "--steps", 4000);
  bool blind = argc > 1 && strcmp(argv[1], "--blind") == 0;
  Tally tally = {0};

  signal(SIGABRT, on_abort);
  signal(SIGSEGV, on_abort);
  for (uint64_t seed = first; seed < first + seeds; seed++) {
    snprintf(replay, sizeof replay, "replay: %s%s --first %llu --seeds 1 --steps %u\n", argv[0],
             blind ? " --blind" : "", (unsigned long long)seed, steps);
    world_run(seed, steps, blind, &tally);
  }
  printf("%llu seeds, %llu requests:", (unsigned long long)seeds, (unsigned long long)tally.asked);
  for (int i = 0; i < STATUS_END; i++)
    if (tally.statuses[i] > 0)
      printf(" %s %llu", status_name((Status)i), (unsigned long long)tally.statuses[i]);
  if (tally.moved > 0)
    printf("; sent again %llu, taken over %llu", (unsigned long long)tally.moved, (unsigned long long)tally.taken_over);
  if (tally.pairs.leaders > 0)
    printf("; %llu leaders, %llu leases, %llu renewals", (unsigned long long)tally.pairs.leaders,
           (unsigned long long)tally.pairs.leases, (unsigned long long)tally.pairs.renewals);
  if (tally.pairs.durable.kept > 0)
    printf("; %llu durable requests kept, %llu done, %llu dead letters", (unsigned long long)tally.pairs.durable.kept,
           (unsigned long long)tally.pairs.durable.done, (unsigned long long)tally.pairs.durable.dead);
  if (tally.pairs.flags.written > 0)
    printf("; %llu flags written, %llu on two disks", (unsigned long long)tally.pairs.flags.written,
           (unsigned long long)tally.pairs.flags.copied);
  printf("\n");
  if (tally.statuses[STATUS_OK] == 0) {
    fprintf(stderr, "sim: no request was ever answered: the world is broken\n");
    return 1;
  }
  return 0;
}
