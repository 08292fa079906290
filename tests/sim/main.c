/* pons-sim [--seeds N] [--first SEED] [--steps N]: runs the seeds; stops at the first that fails, and prints the one
   command that replays it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/sim.h"

void world_run(uint64_t seed, uint32_t steps, uint64_t *ret_ended, uint64_t *ret_asked);

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
  uint64_t ended = 0;
  uint64_t asked = 0;

  signal(SIGABRT, on_abort);
  signal(SIGSEGV, on_abort);
  for (uint64_t seed = first; seed < first + seeds; seed++) {
    snprintf(replay, sizeof replay, "replay: %s --first %llu --seeds 1 --steps %u\n", argv[0], (unsigned long long)seed,
             steps);
    world_run(seed, steps, &ended, &asked);
  }
  printf("%llu seeds, %llu requests, %llu of them answered with success\n", (unsigned long long)seeds,
         (unsigned long long)asked, (unsigned long long)ended);
  if (ended == 0) {
    fprintf(stderr, "sim: no request was ever answered: the world is broken\n");
    return 1;
  }
  return 0;
}
