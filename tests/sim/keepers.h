/* What:      durable requests in the simulated world: a machine at each broker, its disk, and clients that remember what was acknowledged.
 * Owns:      all of it; who leads, dies and is linked it is told.
 * May use:   base, wire, core.
 * Threading: one thread.
 * Spec:      docs/durable.md; the invariants are listed in README.md of this folder */
#ifndef PONS_TESTS_SIM_KEEPERS_H
#define PONS_TESTS_SIM_KEEPERS_H

#include "bus/base/clock.h"
#include "bus/core/durable.h"
#include "tests/sim/logs.h"

typedef struct Keepers Keepers;

typedef struct KeepersTally {
  uint64_t kept;
  uint64_t done;
  uint64_t dead;
} KeepersTally;

typedef struct KeepersSink {
  void (*fail)(void *userdata, const char *what); /* a rule is broken; must not return */
  void (*deliver)(void *userdata, int broker, const DurableAction *action);
  void *userdata;
} KeepersSink;

/* Nobody runs yet. sink is copied; logs, by which the brokers tell each other of them, are borrowed. Does not fail. */
void keepers_new(Keepers **ret, uint64_t seed, const KeepersSink *sink, Logs *logs);
/* Frees it, disks included; nulls the pointer. */
void keepers_destroy(Keepers **keepers);
/* A broker's process starts with what is on its disk, or dies, and what was not synced may be lost. */
void keepers_start(Keepers *keepers, int broker, uint64_t now_us);
void keepers_kill(Keepers *keepers, int broker);
/* It leads in epoch; 0 = it leads no more. */
void keepers_lead(Keepers *keepers, int broker, uint64_t epoch, uint64_t now_us);
void keepers_link(Keepers *keepers, int broker, bool up, uint64_t now_us);
/* The other is to be told what is here: all, or what it may lack. */
void keepers_tell(Keepers *keepers, int broker, bool all);
/* A change of the other's log; of kinds that are none of theirs nothing follows. */
void keepers_take(Keepers *keepers, int broker, ChangeKind kind, const LogsWord *word, uint64_t position);
/* Up to where, of all up to heard, what was taken is on disk. */
uint64_t keepers_done(const Keepers *keepers, int broker, uint64_t heard);
/* The other has on disk what was told it up to position. */
void keepers_heard(Keepers *keepers, int broker, uint64_t position);
/* What happens at a broker that runs until now_us. quiet: nothing new, and nothing fails any more. */
void keepers_run(Keepers *keepers, int broker, uint64_t now_us, bool quiet);
/* An instance begins a try of this request. */
void keepers_executed(Keepers *keepers, uint64_t wish);
/* Whether the broker still waits for a try that was sent with this attempt. */
bool keepers_wait(const Keepers *keepers, int broker, RequestId delivery, uint32_t attempt);
/* A try has ended at this broker. */
void keepers_answered(Keepers *keepers, int broker, RequestId delivery, Status status, uint64_t now_us);
/* Every request that was acknowledged was executed, or is a dead letter at one of the brokers. Returns what is wrong, or NULL. */
const char *keepers_check_end(Keepers *keepers, KeepersTally *tally);

#endif
