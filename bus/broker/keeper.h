/* What:      durable requests in a process: their machine with its disk, its clock, the other broker's copy, the service
 *            `pons.durable`, and the couriers that bring them to their instances.
 * Owns:      the machine, a store of its own, its peers inside.
 * May use:   base, wire, core, loop, store, contracts.
 * Threading: the loop thread.
 * Spec:      docs/durable.md; docs/adr/0035-durable-requests.md */
#ifndef PONS_BROKER_KEEPER_H
#define PONS_BROKER_KEEPER_H

#include "bus/broker/inside.h"
#include "bus/core/changes.h"
#include "bus/core/durable.h"
#include "bus/loop/loop.h"

typedef struct Keeper Keeper;

typedef struct KeeperOptions {
  DurableOptions durable; /* but for first */
  const char *path;       /* of the store; NULL: no keeper */
  const char *broker;     /* name; both borrowed for its life */
  uint64_t life;          /* microseconds since 1970 at the start of the process */
  uint64_t deadline_us;   /* of a request that names none */
} KeeperOptions;

typedef struct KeeperHandler {
  /* Says something to the other broker, which may not hear it. */
  void (*send)(void *userdata, const char *kind, Bytes body);
  /* Adds a change to the log for the other broker. Returns its position, or 0 when there is no room now. */
  uint64_t (*append)(void *userdata, ChangeKind kind, Bytes body);
  /* Before time is looked at: authority that has run out must be given up first. */
  void (*look)(void *userdata);
  void *userdata;
} KeeperHandler;

/* Opens the store and takes in what is there. A store that can't be used is logged, and everything is refused by name. */
void keeper_new(Keeper **ret, Loop *loop, const KeeperOptions *options, const KeeperHandler *handler);
/* Writes what waits and ends it; the core is gone, or calls it no more. Takes NULL, nulls the pointer. */
void keeper_destroy(Keeper **keeper);
/* Brings it to the bus. Once. */
void keeper_enter(Keeper *keeper, Core *core, InsideSet *insides);
/* The process is going to end: who waits is told to ask elsewhere. From here on all take NULL. */
void keeper_stop(Keeper *keeper);
/* Looks at what its peers have heard. Returns whether there was something. */
bool keeper_turn(Keeper *keeper);

/* This broker leads, or no more. */
void keeper_lead(Keeper *keeper, uint64_t epoch);
void keeper_step_down(Keeper *keeper);
/* The link to the other broker is up, or lost. */
void keeper_linked(Keeper *keeper, bool is_up);
/* The other wants to know what is on disk here: what it is not known to have, or all. */
void keeper_tell(Keeper *keeper, bool all);
/* The other has on disk what was appended up to position. */
void keeper_take_done(Keeper *keeper, uint64_t position);
/* A change of the other's log: SNAPSHOT and LEVEL too, without their bodies. Returns false when it can't be taken. */
bool keeper_take(Keeper *keeper, ChangeKind kind, uint64_t position, Bytes body);
/* A message of the other that is no change: about bodies. */
void keeper_hear(Keeper *keeper, Text kind, Bytes body);
/* Whether something that the other told could not be had, or had no room: its log is to be told anew. */
bool keeper_is_short(const Keeper *keeper);
/* How far of all up to position everything that was taken is on disk. */
uint64_t keeper_done(const Keeper *keeper, uint64_t position);

#endif
