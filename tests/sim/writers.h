/* What:      flags in the simulated world: who leads writes them, disks are slow and lose what was not synced, the other broker
 *            has a copy. As bus/broker/authority-flags.c does it around bus/core/flags.
 * Owns:      all of it; who leads, dies and is linked it is told.
 * May use:   base, wire, core.
 * Threading: one thread.
 * Spec:      docs/authority.md, "Flags"; the invariants are listed in README.md of this folder */
#ifndef PONS_TESTS_SIM_WRITERS_H
#define PONS_TESTS_SIM_WRITERS_H

#include "bus/base/clock.h"
#include "bus/core/flags.h"
#include "tests/sim/logs.h"

typedef struct Writers Writers;

typedef struct WritersTally {
  uint64_t written;
  uint64_t copied;
} WritersTally;

typedef struct WritersSink {
  void (*fail)(void *userdata, const char *what); /* a rule is broken; must not return */
  void *userdata;
} WritersSink;

/* Nobody runs yet. sink is copied; logs, by which the brokers tell each other of them, are borrowed. Does not fail. */
void writers_new(Writers **ret, uint64_t seed, const WritersSink *sink, Logs *logs);
/* Frees it, disks included; nulls the pointer. */
void writers_destroy(Writers **writers);
/* A broker's process starts with what is on its disk, or dies, and what was not synced may be lost. */
void writers_start(Writers *writers, int broker, uint64_t now_us);
void writers_kill(Writers *writers, int broker);
/* It leads in epoch; 0 = it leads no more. */
void writers_lead(Writers *writers, int broker, uint64_t epoch);
void writers_link(Writers *writers, int broker, bool up, uint64_t now_us);
/* The other is to be told what is here: all, or what it may lack. */
void writers_tell(Writers *writers, int broker, bool all);
/* A change of the other's log; of kinds that are none of theirs nothing follows. */
void writers_take(Writers *writers, int broker, ChangeKind kind, const LogsWord *word, uint64_t position);
/* Up to where, of all up to heard, what was taken is on disk. */
uint64_t writers_done(const Writers *writers, int broker, uint64_t heard);
/* Whether a flag of the other's could not be taken: it has to be told anew. */
bool writers_are_short(const Writers *writers, int broker);
/* The other has on disk what was told it up to position; of what it had up to settled nothing older can come from it any more. */
void writers_heard(Writers *writers, int broker, uint64_t position, uint64_t settled);
/* What happens at a broker that runs until now_us. quiet: nothing new. forced: an operator may have made two leaders. */
void writers_run(Writers *writers, int broker, uint64_t now_us, bool quiet, bool forced);
/* Both brokers have the same flags, and none that was acknowledged is lost, unless an operator has made two leaders. */
void writers_check_end(Writers *writers, bool forced, WritersTally *tally);

#endif
