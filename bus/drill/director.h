/* What:      one run of a drill from calm to report: waits until all is there, starts the loads, lets the event happen, counts.
 * Owns:      the loads of the run.
 * May use:   base, wire, loop, client, contracts.
 * Threading: the main thread; blocks, turning its loop.
 * Spec:      docs/drills.md */
#ifndef PONS_DRILL_DIRECTOR_H
#define PONS_DRILL_DIRECTOR_H

#include "bus/drill/event.h"
#include "bus/drill/report.h"

enum { DIRECTOR_E_INTERRUPTED = 1 /* somebody sent SIGINT or SIGTERM */ };

/* A machine from which is asked. */
typedef struct DirectorPlace {
  const char *name;
  const char *endpoints; /* NULL = there is no such machine */
  int net;               /* descriptor of its network namespace, or -1 */
} DirectorPlace;

typedef struct DirectorOptions {
  const Drill *drill;
  DirectorPlace places[LAB_MACHINES];
  const char *endpoints; /* where the director itself finds the brokers */
  KeyPair *key;          /* with which all of them ask; NULL = none is wanted */
  Cutter *cutter;        /* of a live fleet that is to be cut */
  Lab *lab;              /* NULL = a live fleet */
  FindProcess *find;
  void *find_userdata;
  const char *config;                                  /* of the live fleet; NULL = as the pons command finds it */
  void (*on_event)(void *userdata, const char *words); /* it has happened */
  void *on_event_userdata;
  uint32_t least;   /* instances that have to be there before anything begins */
  uint64_t vote_us; /* of the brokers */
  uint32_t rate;
  uint64_t length_us;
  uint64_t deadline_us; /* of a request */
  uint64_t patience_us; /* until all has to be there */
} DirectorOptions;

/* Does run number `run`, from 1. Returns 0 and the caller owns *ret, not judged yet; DIRECTOR_E_INTERRUPTED; negative errno with
   errors filled. Whatever happens, the event has been undone. */
int director_run(const DirectorOptions *options, uint32_t run, Buffer *errors, Report **ret);

#endif
