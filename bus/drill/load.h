/* What:      requests at a fixed rate, whatever the answers do (open loop), from a process of its own, so that what the drill
 *            does meanwhile does not delay them.
 * Owns:      the process, and the memory that it shares with it.
 * May use:   base, wire, loop, client, contracts.
 * Threading: the thread that started it; the process is gone with that thread's process.
 * Spec:      docs/drills.md, "The load" */
#ifndef PONS_DRILL_LOAD_H
#define PONS_DRILL_LOAD_H

#include "bus/loop/key.h"
#include "bus/loop/loop.h"

typedef struct Load Load;

enum {
  LOAD_SAMPLES_MAX = 10000000, /* of one load: 240 MB */
  LOAD_INSTANCES_MAX = 256,    /* that one load tells apart */
  LOAD_NAME_BYTES = 96,
  LOAD_UNANSWERED = 255, /* status of a request that has not ended; no status of the wire */
};

typedef enum LoadKind {
  LOAD_ONCE,       /* echo.work, which counts how often it was done */
  LOAD_IDEMPOTENT, /* echo.say */
  LOAD_CHAT,       /* RequestCoordinator.chat */
} LoadKind;

typedef struct LoadOptions {
  const char *name; /* of where it runs */
  const char *endpoints;
  LoadKind kind;
  KeyPair *key; /* with which it asks, borrowed; NULL = none is wanted */
  int net;      /* descriptor of the network namespace that it runs in; -1 = the caller's */
  uint32_t rate;
  uint64_t length_us;
  uint64_t deadline_us; /* of each request */
} LoadOptions;

/* One request. */
typedef struct LoadSample {
  uint64_t due_us;    /* when it was to be asked, CLOCK_MONOTONIC: a stall counts against each request that it delays */
  uint64_t end_us;    /* 0 = never */
  uint32_t inside_us; /* of a chat: how long the model took, by its own account */
  uint8_t status;
} LoadSample;

/* What an instance said of itself in its answers to echo.work. */
typedef struct LoadInstance {
  char name[LOAD_NAME_BYTES + 1];
  uint64_t done; /* the greatest number that it counted */
} LoadInstance;

/* Starts the process; it connects, and begins when it is told to. on_change is called on the loop when it can begin, and
   when it has ended. Returns 0 and the caller owns *ret; -EMSGSIZE over LOAD_SAMPLES_MAX; other negative errno. */
int load_start(Loop *loop, const LoadOptions *options, void (*on_change)(void *userdata), void *userdata, Load **ret);
/* Kills the process if it still runs; takes NULL, nulls the pointer. Usable as _cleanup_. */
void load_destroy(Load **load);

/* It has a session with every broker. */
bool load_is_ready(const Load *load);
/* It has ended, in whatever way. */
bool load_has_ended(const Load *load);
/* Why it could not do its work; "" = it could. */
const char *load_error(const Load *load);
/* Has the first request asked at start_us of CLOCK_MONOTONIC, which lies ahead. */
void load_begin(Load *load, uint64_t start_us);

/* Has nothing asked that is due after last_us of CLOCK_MONOTONIC. */
void load_finish(Load *load, uint64_t last_us);

/* What has been asked, in the order of asking; whole once it has ended. Borrowed. */
const LoadSample *load_samples(const Load *load, uint32_t *ret_count);
const LoadInstance *load_instances(const Load *load, uint32_t *ret_count);
const LoadOptions *load_options(const Load *load);
const char *load_kind_name(LoadKind kind);

#endif
