/* What:      the log of changes that a broker tells the other, and what it has heard of the other's: positions, what is sent next,
 *            what is acknowledged, how far the other is behind. It knows nothing of what a change says.
 * Owns:      the entries that the other has not heard, bounded: what does not fit is dropped, and all is told anew.
 * May use:   base. No socket, no clock: time is an argument.
 * Threading: one thread.
 * Spec:      docs/protocol.md, section 18.3; docs/adr/0043-one-log.md */
#ifndef PONS_CORE_CHANGES_H
#define PONS_CORE_CHANGES_H

#include "bus/base/types.h"

typedef struct Changes Changes;

typedef enum ChangeKind {
#define CHANGE(name, word, contract, about) CHANGE_##name,
#include "bus/core/changes.def"
#undef CHANGE
  CHANGE_KINDS /* also: one that this version does not know */
} ChangeKind;

enum {
  CHANGES_KEPT = 1024,           /* entries that are kept for the other, beside those of an answer to it */
  CHANGES_KEPT_BYTES = 4 << 20,  /* and about their bytes */
  CHANGES_FLYING_BYTES = 262144, /* that are sent and not heard: no beat waits behind more */
  CHANGES_AGAIN_US = 500000,     /* without a word about what is sent, it is sent again */
};

enum {
  CHANGES_E_KNOWN = 1, /* it was heard before */
  CHANGES_E_GAP,       /* what comes before it was not heard: it is not taken */
};

typedef struct Change {
  uint64_t position;
  ChangeKind kind;
  Bytes body;
} Change;

/* How far one has heard the other's log. */
typedef struct ChangesHeard {
  uint64_t life;               /* of the log: its owner's process; 0 = none was heard */
  uint64_t heard;              /* all up to here has been taken, in order */
  uint64_t done[CHANGE_KINDS]; /* and of this kind all up to here is where it belongs, on disk if that is its place */
  bool again;                  /* the link has come up: go on from here, and tell who is with you */
  uint64_t own_life; /* of the speaker's own log, and its last change when this was said; 0 = it does not say */
  uint64_t own_last;
} ChangesHeard;

/* What the owner of a log has to append when it was asked to go on. */
typedef enum ChangesAnswer {
  CHANGES_NOTHING,
  CHANGES_TELL_REST, /* RESUME, its instances, LEVEL: the log reaches back to what was heard */
  CHANGES_TELL_ALL,  /* SNAPSHOT, everything, LEVEL */
} ChangesAnswer;

/* How far the other is behind. */
typedef struct ChangesBehind {
  uint64_t positions; /* from the last of which everything is done there, to the end; 0 = it is level */
  uint64_t for_us;    /* since it was level last; 0 = it is */
} ChangesBehind;

/* Word of a kind on the wire, and the kind of a word; CHANGE_KINDS for one that is not known. */
const char *change_word(ChangeKind kind);
ChangeKind change_of(Text word);

/* Makes an empty log of the process that was started at life. Returns 0. */
int changes_new(Changes **ret, uint64_t life);
/* Frees it. Takes NULL, nulls the pointer. */
void changes_destroy(Changes **changes);

/* --- the own log --- */

/* Adds a change; body is copied. Returns its position. SNAPSHOT drops what was there before; what comes from SNAPSHOT or RESUME to
   LEVEL is kept whatever its size, as it is bounded by what it tells. */
uint64_t changes_append(Changes *changes, ChangeKind kind, Bytes body, uint64_t now_us);
/* Whether there is room for what can wait without loss. */
bool changes_have_room(const Changes *changes);
/* Whether something was dropped before it was heard: then all is to be told (CHANGES_TELL_ALL) as soon as the link is up. */
bool changes_are_lost(const Changes *changes);
/* Position of the last change; 0 = none yet. */
uint64_t changes_last(const Changes *changes);
/* What is to be sent now; ret->body is borrowed until the next call. Returns false and leaves ret alone when there is nothing, or too
   much is on its way. It is the same until changes_sent. */
bool changes_next(Changes *changes, Change *ret, uint64_t now_us);
/* That was sent, or was to be: whether it arrives is seen by what is heard. */
void changes_sent(Changes *changes, uint64_t now_us);
/* The link has come up, to the other's process of this life. Nothing is sent to a new process before it has said what it has heard: it may
   have on disk all that its former self had heard, and what is kept here would tell it flags as they once were. What was on its way
   may be lost, and is sent again. */
void changes_linked(Changes *changes, uint64_t peer_life, uint64_t now_us);
/* The other says what it has heard. */
ChangesAnswer changes_take_heard(Changes *changes, const ChangesHeard *heard, uint64_t now_us);
/* Up to where all changes of this kind are done at the other. Those before a snapshot must be told anew to count. */
uint64_t changes_done(const Changes *changes, ChangeKind kind);
/* The same of what the other said before this broker had heard all that the other's own log said until then: nothing older than what is
   done there can come from it any more. */
uint64_t changes_settled(const Changes *changes, ChangeKind kind);
ChangesBehind changes_behind(const Changes *changes, uint64_t now_us);

/* --- the other's --- */

/* A change of the log of life has come. Returns 0: it is the next, and to be taken now; CHANGES_E_KNOWN or CHANGES_E_GAP. */
int changes_hear(Changes *changes, uint64_t life, uint64_t position, ChangeKind kind);
/* How far the other's log was heard: life and heard, done of every kind as heard. */
ChangesHeard changes_heard(const Changes *changes);
/* Forgets what was heard, so that all is told anew. */
void changes_forget(Changes *changes);

#endif
