/* What:      the brokers' logs of changes (bus/core/changes) in the simulated world, and the line on which each hears the other's.
 * Owns:      both logs, what their changes say, and what is on its way. What a change means is its kind's affair.
 * May use:   base, core.
 * Threading: one thread.
 * Spec:      docs/protocol.md, section 18.3; README.md of this folder */
#ifndef PONS_TESTS_SIM_LOGS_H
#define PONS_TESTS_SIM_LOGS_H

#include "bus/core/changes.h"
#include "bus/core/durable.h"
#include "bus/core/flags.h"
#include "bus/core/pair.h"

typedef struct Logs Logs;

/* What a change says. */
typedef struct LogsWord {
  DurableEntry entry;       /* DURABLE */
  DurableVersions versions; /* VERSIONS */
  PairMessage lease;        /* LEASE */
  Flag flag;                /* FLAG */
} LogsWord;

typedef struct LogsSink {
  void (*tell)(void *userdata, int broker, bool all); /* appends all that there is, or what the other may lack */
  /* A change of the other's, in order, each once; word is borrowed. */
  void (*take)(void *userdata, int broker, ChangeKind kind, const LogsWord *word, uint64_t position);
  /* Up to where, of all up to heard, what was taken of a kind is where it belongs. */
  uint64_t (*done)(void *userdata, int broker, ChangeKind kind, uint64_t heard);
  bool (*is_short)(void *userdata, int broker); /* something could not be taken: all is to be told anew, in a while */
  void (*on_heard)(void *userdata, int broker); /* logs_done or logs_settled may have risen */
  uint32_t (*loss)(void *userdata, int from, int to); /* of 1,000 that are said now so many are lost */
  void *userdata;
} LogsSink;

/* Nobody runs yet. sink is copied. Does not fail. */
void logs_new(Logs **ret, uint64_t seed, const LogsSink *sink);
/* Frees it, nulls the pointer. */
void logs_destroy(Logs **logs);
/* A broker's process starts with an empty log in a life of its own, or dies with it and with what it said last. */
void logs_start(Logs *logs, int broker, uint64_t now_us);
void logs_kill(Logs *logs, int broker);
void logs_link(Logs *logs, int broker, bool up, uint64_t now_us);
/* Adds a change. What word refers to is the log's from now on. Returns its position. */
uint64_t logs_append(Logs *logs, int broker, ChangeKind kind, const LogsWord *word, uint64_t now_us);
bool logs_have_room(const Logs *logs, int broker);
/* Up to where all changes of a kind are done at the other. */
uint64_t logs_done(const Logs *logs, int broker, ChangeKind kind);
uint64_t logs_settled(const Logs *logs, int broker, ChangeKind kind);
/* Takes what has come until now_us. */
void logs_hear(Logs *logs, int broker, uint64_t now_us);
/* Sends what waits. */
void logs_flush(Logs *logs, int broker, uint64_t now_us);

#endif
