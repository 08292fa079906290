/* Flags on their way: written here, copied to the peer, told to subscribers, answered. A write waits in one list, in the order of
   its serials: first for the own disk, then, when there is a peer, for the peer's. Nobody reads a flag before it is on disk.
   A flag that is removed keeps its row, or a peer that has not heard of it would bring the flag back. Such a row makes room for
   another flag once the peer has it too. */
#include <stdio.h>
#include <stdlib.h>

#include "bus/base/log.h"
#include "bus/broker/authority-internal.h"
#include "bus/wire/arena.h"

enum {
  FLAG_WRITES = 2 * LIMIT_FLAGS, /* on their way at a time: the peer may send all of its own */
  COPY_US = 500000,              /* how long a write waits for the peer's disk */
};

typedef struct Write {
  List in_authority;
  Flag flag;
  uint64_t serial;   /* of the store; 0 = on the own disk */
  uint64_t due_us;   /* on the own disk: until when the peer's is waited for */
  bool copied;       /* the peer wrote it */
  uint64_t position; /* in the log: the peer's, if that wrote it; 0 = of a log that counts no more */
  AuthorityAsker asker;
} Write;

static bool has_peer(const Authority *a) {
  return a->link && peerlink_is_up(a->link);
}

static void drop(Authority *a, Write *write) {
  list_remove(&write->in_authority);
  a->n_flag_writes--;
  free(write);
}

static void answer(Authority *a, Write *write, uint64_t copies) {
  FlagWritten written = {.name = text_of(write->flag.name),
                         .epoch = write->flag.version.epoch,
                         .counter = write->flag.version.counter,
                         .copies = copies};

  if (!write->copied)
    authority_reply(a, &write->asker, CONTRACT(FlagWritten), &written);
  drop(a, write);
}

/* --- to others --- */

static PeerFlag peer_flag(const Flag *flag) {
  return (PeerFlag){.name = text_of(flag->name),
                    .value = text_of(flag->value),
                    .epoch = flag->version.epoch,
                    .counter = flag->version.counter,
                    .has_removed = flag->removed,
                    .removed = flag->removed};
}

static Flag flag_of_peer(const PeerFlag *row) {
  Flag flag = flag_of(row->name, row->value, (FlagVersion){row->epoch, row->counter});

  flag.removed = row->removed;
  return flag;
}

static void encode(const Contract *contract, const void *value, Buffer *buffer) {
  if (contract_encode(contract, value, buffer, NULL) != 0)
    abort();
}

static uint64_t tell_peer(Authority *a, const Flag *flag) {
  PeerFlag row = peer_flag(flag);
  uint64_t position = loglink_append(a, CHANGE_FLAG, CONTRACT(PeerFlag), &row);

  flags_note_told(&a->flags, text_of(flag->name), position);
  return position;
}

/* What was told before counts no more, so who waits for a copy waits for these. */
void flagstore_tell_peer(Authority *a) {
  uint64_t last = 0;

  a->log.flags = 0;
  for (uint32_t i = 0; i < a->flags.n; i++)
    last = tell_peer(a, &a->flags.rows[i]);
  LIST_EACH (&a->flag_writes, Write, in_authority, write) {
    if (!write->copied)
      write->position = last;
  }
}

static void publish(Authority *a, const Flag *flag, Bytes body) {
  char topic[LIMIT_NAME_BYTES + 16];

  snprintf(topic, sizeof topic, "pons.flags.%s", flag->name);
  if (a->core)
    core_publish(a->core, text_of(topic), body, loop_now_us(a->loop));
}

static void tell(Authority *a, const Flag *flag) {
  _cleanup_(buffer_done) Buffer body = {0};
  FlagRow row = {.name = text_of(flag->name),
                 .value = text_of(flag->value),
                 .epoch = flag->version.epoch,
                 .counter = flag->version.counter,
                 .has_removed = flag->removed,
                 .removed = flag->removed};

  encode(CONTRACT(FlagRow), &row, &body);
  publish(a, flag, buffer_bytes(&body));
}

void flagstore_tell_all(Authority *a) {
  for (uint32_t i = 0; i < a->flags.n; i++)
    tell(a, &a->flags.rows[i]);
}

/* --- to disk --- */

static void name_row(const Flag *flag, char key[LIMIT_NAME_BYTES + 8]) {
  snprintf(key, LIMIT_NAME_BYTES + 8, "flag/%s", flag->name);
}

static void drop_row(Authority *a, const Flag *flag) {
  char key[LIMIT_NAME_BYTES + 8];

  name_row(flag, key);
  if (a->store)
    store_drop(a->store, text_of(key), NULL);
}

/* The write of this name that goes to disk last, of those that are not there yet; or NULL. */
static const Write *find_unwritten(const Authority *a, Text name) {
  const Write *last = NULL;

  LIST_EACH (&a->flag_writes, Write, in_authority, write)
    if (write->serial > 0 && text_is(name, write->flag.name))
      last = write;
  return last;
}

/* One that was removed gives its place to a new one, on disk before that is there; its row is left to who writes it anew. */
static void make_room(Authority *a, const Flag *flag) {
  Flag gone;

  if (a->flags.n < LIMIT_FLAGS || flags_find(&a->flags, text_of(flag->name)) || !flags_forget(&a->flags, &gone))
    return;
  if (!find_unwritten(a, text_of(gone.name)))
    drop_row(a, &gone);
  publish(a, &gone, BYTES_NONE);
}

void flagstore_load(Authority *a, Bytes value) {
  PeerFlag row;
  Flag flag;

  if (contract_decode(CONTRACT(PeerFlag), value, NULL, &row, NULL) != 0)
    return;
  flag = flag_of_peer(&row);
  flag.copied = !a->link;
  flags_put(&a->flags, &flag);
}

/* Hands a flag to the store. Returns the write that waits for it, or NULL when it can't be written. */
static Write *begin(Authority *a, const Flag *flag) {
  _cleanup_(buffer_done) Buffer value = {0};
  char key[LIMIT_NAME_BYTES + 8];
  PeerFlag row = peer_flag(flag);
  uint64_t serial;
  Write *write;

  make_room(a, flag);
  name_row(flag, key);
  encode(CONTRACT(PeerFlag), &row, &value);
  if (!a->store || a->n_flag_writes == FLAG_WRITES ||
      store_put(a->store, text_of(key), buffer_bytes(&value), &serial) < 0)
    return NULL;
  write = calloc(1, sizeof *write);
  if (!write)
    abort();
  write->flag = *flag;
  write->serial = serial;
  list_push(&a->flag_writes, &write->in_authority);
  a->n_flag_writes++;
  return write;
}

static void refuse(Authority *a, const AuthorityAsker *asker, int r) {
  if (r == FLAGS_E_FULL)
    authority_fail(a, asker, STATUS_LIMIT, "flags_full", 0, "there are as many flags as there may be: use one of them");
  else
    authority_fail(a, asker, STATUS_UNAVAILABLE, "flags_behind", 0,
                   "there are flags of a higher epoch than the leader's: `pons lead` once more on this side");
}

static void write_flag(Authority *a, const AuthorityAsk *ask, Flag flag) {
  AuthorityAsker asker = authority_asker(ask);
  Write *write;
  int r;

  if (!authority_leads(a)) {
    authority_fail_leaderless(a, &asker);
    return;
  }
  r = flags_next(&a->flags, text_of(flag.name), pair_epoch(a->pair), &flag.version);
  if (r != 0) {
    refuse(a, &asker, r);
    return;
  }
  write = begin(a, &flag);
  if (write)
    write->asker = asker;
  else
    authority_fail(a, &asker, STATUS_FAILED, "no_disk", 0, "the flag can't be written to disk: see the broker's log");
}

void flagstore_write(Authority *a, const AuthorityAsk *ask, const FlagWrite *wish) {
  write_flag(a, ask, flag_of(wish->name, wish->value, (FlagVersion){0}));
}

void flagstore_unset(Authority *a, const AuthorityAsk *ask, Text name) {
  AuthorityAsker asker = authority_asker(ask);
  Flag flag = flag_of(name, TEXT_NONE, (FlagVersion){0});

  flag.removed = true;
  if (!authority_leads(a) || flags_find(&a->flags, name))
    write_flag(a, ask, flag);
  else
    authority_fail(a, &asker, STATUS_REFUSED, "flag_unknown", 0, "this flag was never set");
}

/* Others on their way have taken the last places. */
static void give_up(Authority *a, Write *write) {
  drop_row(a, &write->flag);
  if (write->copied)
    loglink_refuse(a, CHANGE_FLAG, write->position);
  else
    refuse(a, &write->asker, FLAGS_E_FULL);
  drop(a, write);
}

/* It is on the own disk: it is a flag now. */
static void finish(Authority *a, Write *write) {
  int r;

  write->flag.copied = write->copied || !a->link;
  r = flags_put(&a->flags, &write->flag);
  if (r == FLAGS_E_FULL) {
    give_up(a, write);
    return;
  }
  write->serial = 0;
  if (r == 0)
    tell(a, &write->flag);
  if (!write->copied && a->core)
    core_count(a->core, COUNTER_FLAGS_WRITTEN, 1);
  if (write->copied) {
    drop(a, write);
    return;
  }
  write->position = tell_peer(a, &write->flag);
  write->due_us = loop_now_us(a->loop) + COPY_US;
  if (!has_peer(a))
    answer(a, write, 1);
}

void flagstore_on_written(Authority *a, uint64_t serial) {
  LIST_EACH (&a->flag_writes, Write, in_authority, write)
    if (write->serial > 0 && write->serial <= serial)
      finish(a, write);
}

void flagstore_on_failed(Authority *a) {
  LIST_EACH (&a->flag_writes, Write, in_authority, write) {
    if (write->serial == 0)
      continue;
    if (write->copied)
      loglink_refuse(a, CHANGE_FLAG, write->position);
    else
      authority_fail(a, &write->asker, STATUS_FAILED, "no_disk", 0,
                     "the flag can't be written to disk: see the broker's log");
    drop(a, write);
  }
}

/* --- from others --- */

static bool is_newer(const Authority *a, const Flag *flag) {
  const Flag *row = flags_find(&a->flags, text_of(flag->name));

  return !row || flag_version_compare(flag->version, row->version) > 0;
}

bool flagstore_take(Authority *a, uint64_t position, Bytes body) {
  const Write *unwritten;
  PeerFlag row;
  Write *write;
  Flag flag;

  if (contract_decode(CONTRACT(PeerFlag), body, NULL, &row, NULL) != 0 || row.epoch > EPOCH_HIGHEST)
    return false;
  flag = flag_of_peer(&row);
  if (!is_newer(a, &flag)) {
    flags_mark_copied(&a->flags, flag.version);
    return false;
  }
  unwritten = find_unwritten(a, row.name);
  /* A later one that is on its way to the disk must stay the last there: this one is told again. */
  write = unwritten && flag_version_compare(unwritten->flag.version, flag.version) >= 0 ? NULL : begin(a, &flag);
  if (write) {
    write->copied = true;
    write->position = position;
  } else {
    loglink_refuse(a, CHANGE_FLAG, position);
  }
  return true;
}

void flagstore_take_snapshot(Authority *a) {
  LIST_EACH (&a->flag_writes, Write, in_authority, write) {
    if (write->copied)
      write->position = 0;
  }
}

uint64_t flagstore_taken(const Authority *a, uint64_t position) {
  LIST_EACH (&a->flag_writes, Write, in_authority, write) {
    if (write->copied && write->position > 0)
      return min_u64(position, write->position - 1);
  }
  return position;
}

void flagstore_on_heard(Authority *a) {
  uint64_t done = changes_done(a->log.changes, CHANGE_FLAG);
  uint64_t settled = changes_settled(a->log.changes, CHANGE_FLAG);

  if (settled != a->log.flags_settled)
    flags_mark_copied_to(&a->flags, settled);
  a->log.flags_settled = settled;
  if (done == a->log.flags)
    return;
  a->log.flags = done;
  LIST_EACH (&a->flag_writes, Write, in_authority, write) {
    if (write->serial == 0 && write->position > 0 && write->position <= done)
      answer(a, write, 2);
  }
}

void flagstore_sweep(Authority *a, uint64_t now_us) {
  LIST_EACH (&a->flag_writes, Write, in_authority, write)
    if (write->serial == 0 && write->due_us <= now_us)
      answer(a, write, 1);
}

void flagstore_done(Authority *a) {
  LIST_EACH (&a->flag_writes, Write, in_authority, write)
    drop(a, write);
  flags_done(&a->flags);
}
