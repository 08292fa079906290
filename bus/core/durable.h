/* What:      durable requests: kept on disk, copied to the other broker, delivered by whoever leads until they are answered or a
 *            dead letter. One machine of (event, now) -> actions; bus/core/durable.def is the table of one request.
 * Owns:      its entries; actions go to a sink as they arise and are borrowed for the call.
 * May use:   base, wire. No socket, no clock, no file: time is an argument, the disk is an action and an event.
 * Threading: one thread.
 * Spec:      docs/durable.md, docs/adr/0035-durable-requests.md */
#ifndef PONS_CORE_DURABLE_H
#define PONS_CORE_DURABLE_H

#include "bus/base/clock.h"
#include "bus/wire/header.h"

typedef struct Durable Durable;

typedef enum DurableState {
#define STATE(name, about) DURABLE_##name,
#include "bus/core/durable.def"
#undef STATE
  DURABLE_STATES
} DurableState;

typedef enum DurableChange {
#define EVENT(name, about) DURABLE_ON_##name,
#include "bus/core/durable.def"
#undef EVENT
  DURABLE_CHANGES
} DurableChange;

enum {
  DURABLE_TRIES_KEPT =
      1024, /* tries have ids of their own; after so many they come again, and the first is forgotten by then */
  DURABLE_TEXT_BYTES = 255,
};

enum {
  DURABLE_E_FULL = 1, /* as many are kept, or as many bytes, as there may be */
  DURABLE_E_NO_DISK,  /* it can't be written */
  DURABLE_E_KNOWN,    /* this id is here already: nothing was changed */
  DURABLE_E_UNKNOWN,  /* this id is not here */
  DURABLE_E_NOT_DEAD, /* it is no dead letter */
};

/* One request. Times are microseconds since 1970, so that they mean the same after a restart and at the other broker. */
typedef struct DurableEntry {
  RequestId id; /* given by its client, once for all */
  RequestId
      delivery; /* what its instance sees: plus the try, or of a once request the round; the same whoever delivers */
  DurableState state;
  bool idempotent;
  uint8_t priority;
  Status status;     /* of the last failure, or of the end */
  uint32_t round;    /* how often it was requeued */
  uint32_t tries;    /* that have ended, of all rounds */
  uint32_t attempts; /* of those and of this round, that may have begun */
  uint64_t accepted_us;
  uint64_t since_us; /* since then this try may have been begun by somebody */
  uint64_t expires_us;
  uint64_t patience_us; /* from its acceptance, or from being requeued, to expires_us */
  uint64_t ended_us;
  char service[LIMIT_TARGET_BYTES + 1];
  char method[LIMIT_METHOD_BYTES + 1];
  char content_type[LIMIT_CONTENT_TYPE_BYTES + 1]; /* of body */
  char reply_type[LIMIT_CONTENT_TYPE_BYTES + 1];
  char message[DURABLE_TEXT_BYTES + 1]; /* of the last failure */
  uint32_t body_bytes;                  /* 0 when DONE or DROPPED */
  uint32_t reply_bytes;                 /* of DONE; 0 also when it was too large to be kept: then status is GONE */
  Block *body;                          /* NULL as soon as the sink has taken it with WRITE: it is on disk, not here */
  Block *reply;                         /* the same */
  Block *annotations;
} DurableEntry;

/* Which of two copies of a request is further: the higher one, and equal ones are the same. */
uint64_t durable_version(const DurableEntry *entry);
/* The id of its try in hand. */
RequestId durable_delivery(const DurableEntry *entry);
/* DONE or DROPPED: nothing more happens to it. WAITING or BEGUN: something will. */
bool durable_is_over(const DurableEntry *entry);
bool durable_is_live(const DurableEntry *entry);
/* What an answer of this status means for a request. */
DurableChange durable_outcome(Status status, bool idempotent);
/* The state that follows. */
DurableState durable_next(DurableState state, DurableChange change);
/* Bytes that it takes up. */
size_t durable_size(const DurableEntry *entry);
const char *durable_state_name(DurableState state);
const char *durable_change_name(DurableChange change);
/* Drops what an entry points to. */
void durable_entry_done(DurableEntry *entry);

typedef struct DurableOptions {
  bool has_peer;
  uint32_t rows;       /* kept at a time, dead letters and answers included */
  uint64_t bytes;      /* and their sizes together; the other broker's may be as many again */
  uint32_t attempts;   /* that may have begun, before it is a dead letter */
  uint64_t backoff_us; /* before the second try, doubled by each further one */
  uint64_t backoff_longest_us;
  uint64_t attempt_us; /* the longest that one try may take */
  uint64_t keep_us;    /* how long the end of one is kept */
  uint64_t copy_us;    /* how long an acceptance waits for the other broker's disk */
  uint64_t level_us;   /* how long a leader waits for what the other knows before it delivers what it has */
  RequestId first;     /* sequence: of the first delivery id that this process may give; client: of all of them */
} DurableOptions;

/* All options but first. */
DurableOptions durable_options_default(void);

/* A request that the other broker has on disk, and how far. */
typedef struct DurableHave {
  RequestId id;
  uint64_t version;
} DurableHave;

enum { DURABLE_HAVES = 512 /* told at once */ };

/* Some of what is on disk. */
typedef struct DurableVersions {
  const DurableHave *haves;
  size_t n;
} DurableVersions;

typedef enum DurableActionKind {
  DURABLE_DO_WRITE, /* entry to disk, its body and reply too where they are given, and without the body of one that is over; the sink
                       returns the serial that durable_written will have reached, 0 = not now */
  DURABLE_DO_FORGET,        /* takes all of entry from disk */
  DURABLE_DO_SEND,          /* entry to the log; the sink returns its position, 0 = there is no room now */
  DURABLE_DO_SEND_VERSIONS, /* versions to the log: what is on disk here */
  DURABLE_DO_DELIVER,       /* entry, as durable_delivery with attempt, age_us and deadline_us; then durable_answered */
  DURABLE_DO_KEPT,          /* entry was accepted: it is on copies disks */
  DURABLE_DO_UNKEPT,        /* entry was not accepted: it can't be written, and is forgotten */
  DURABLE_DO_ENDED,         /* entry is DONE or DEAD, and this is on disk */
  DURABLE_DO_BEHIND,        /* the other broker knew count requests better; told for log and metric */
} DurableActionKind;

typedef struct DurableAction {
  DurableActionKind kind;
  const DurableEntry *entry;
  const DurableVersions *versions;
  uint32_t attempt;
  uint64_t age_us;
  uint64_t deadline_us;
  uint32_t copies;
  uint64_t count;
} DurableAction;

/* Where actions go. The function must not call the machine. Its result matters for WRITE and SEND. */
typedef struct DurableSink {
  uint64_t (*act)(void *userdata, const DurableAction *action);
  void *userdata;
} DurableSink;

/* Makes a machine without entries, that does not lead and is not linked. sink is copied. Returns 0. */
int durable_new(Durable **ret, const DurableOptions *options, const DurableSink *sink);
/* Frees it, tells the sink nothing. Takes NULL, nulls the pointer. */
void durable_destroy(Durable **durable);
/* An entry that was on disk; what it points to is taken over, and goes to disk by itself if it is a body. Before anything else. */
void durable_load(Durable *durable, DurableEntry *entry, uint64_t now_us);

/* A client wants this request done: id, service, method, body, idempotent, priority and patience_us of *wish are read, and what it points
   to is taken over, also after an error. Returns 0, and KEPT or UNKEPT follows; DURABLE_E_FULL, _NO_DISK, _KNOWN. */
int durable_accept(Durable *durable, DurableEntry *wish, uint64_t now_us);
/* A person's word about a dead letter. Returns 0, DURABLE_E_UNKNOWN or DURABLE_E_NOT_DEAD. */
int durable_requeue(Durable *durable, RequestId id, uint64_t now_us);
int durable_drop(Durable *durable, RequestId id, uint64_t now_us);

/* From now on this broker delivers, in epoch, until it leads no more. */
void durable_lead(Durable *durable, uint64_t epoch, uint64_t now_us);
void durable_step_down(Durable *durable);
/* Whether the try of this id, sent with attempt, is still waited for. */
bool durable_waits(const Durable *durable, RequestId delivery, uint32_t attempt);
/* A try has ended. message, reply and reply_type are copied. */
void durable_answered(Durable *durable, RequestId delivery, Status status, Text message, Bytes reply, Text reply_type,
                      uint64_t now_us);

/* The body of a request, or its reply, is not what was written, and nobody has another: its try comes to this. */
void durable_spoilt(Durable *durable, RequestId id, Text why, uint64_t now_us);

/* Everything up to serial is on disk. */
void durable_written(Durable *durable, uint64_t serial, uint64_t now_us);
/* The disk takes nothing: what is not on it yet is refused, nothing new is accepted. is_well: it takes things again. */
void durable_disk(Durable *durable, bool is_well, uint64_t now_us);

/* The link to the other broker has come up, or is lost. */
void durable_linked(Durable *durable, bool is_up, uint64_t now_us);
/* The other wants to know what is on disk here: what it is not known to have, or all, since it may be another process. */
void durable_tell(Durable *durable, bool all, uint64_t now_us);
/* The other has on disk what was sent up to position of the log. */
void durable_take_done(Durable *durable, uint64_t position, uint64_t now_us);

/* What the other's log says, in its order. It begins anew: what is known of the other's disk counts no more. */
void durable_take_snapshot(Durable *durable, uint64_t now_us);
/* What the other has on disk. */
void durable_take_versions(Durable *durable, const DurableVersions *versions, uint64_t now_us);
/* entry, at position of the log, or 0 of one that counts no more: what it points to is taken over; a body or reply that it does not
   have is on disk here. */
void durable_take(Durable *durable, DurableEntry *entry, uint64_t position, uint64_t now_us);
/* That was all that the other had when it was asked. */
void durable_take_level(Durable *durable, uint64_t now_us);
/* How far of all up to position everything that was taken is on disk here. */
uint64_t durable_done(const Durable *durable, uint64_t position);
/* Whether something had no room: it has to be told anew. */
bool durable_is_short(const Durable *durable);

/* Does what is due at now_us. */
void durable_tick(Durable *durable, uint64_t now_us);
/* When durable_tick has something to do next, or TIME_NEVER. */
uint64_t durable_next_us(const Durable *durable);

/* The entry, or NULL; borrowed until the next call. */
const DurableEntry *durable_find(const Durable *durable, RequestId id);
/* Whether ENDED was told of it, in this life or before. */
bool durable_has_ended(const Durable *durable, RequestId id);
/* On how many disks it is known to be: 0 while that is not decided. */
uint32_t durable_copies(const Durable *durable, RequestId id);
/* Tells every entry, in no order. */
void durable_each(const Durable *durable, void (*each)(void *userdata, const DurableEntry *entry), void *userdata);

typedef struct DurableStats {
  uint32_t rows;
  uint64_t bytes;
  uint32_t states[DURABLE_STATES];
  uint32_t delivering;
  uint32_t uncopied; /* that the other broker is not known to have */
  bool level;        /* all that the other broker knows is known */
} DurableStats;

/* A snapshot; linear in the entries. */
DurableStats durable_stats(const Durable *durable);

#endif
