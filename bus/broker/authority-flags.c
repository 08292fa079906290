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
  AT_ONCE = 32,                  /* flags in one message */
};

typedef struct Write {
  List in_authority;
  Flag flag;
  uint64_t serial; /* of the store; 0 = on the own disk */
  uint64_t due_us; /* on the own disk: until when the peer's is waited for */
  bool copied;     /* the peer wrote it, and is to be told */
  AuthorityAsker asker;
} Write;

static PairNode peer_of(const Authority *a) {
  return a->options.pair.node == PAIR_A ? PAIR_B : PAIR_A;
}

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

static void send_flags(Authority *a, const Flag *flags, uint32_t n) {
  _cleanup_(buffer_done) Buffer body = {0};
  PeerFlag rows[AT_ONCE];
  PeerFlags message = {.flags = {rows, n}};

  for (uint32_t i = 0; i < n; i++)
    rows[i] = peer_flag(&flags[i]);
  encode(CONTRACT(PeerFlags), &message, &body);
  peerlink_send(a->link, peer_of(a), "flags", buffer_bytes(&body));
}

void flagstore_send_all(Authority *a) {
  for (uint32_t i = 0; i < a->flags.n; i += AT_ONCE)
    send_flags(a, &a->flags.rows[i], (uint32_t)min_u64(AT_ONCE, a->flags.n - i));
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

static void send_kept(Authority *a, FlagVersion version) {
  _cleanup_(buffer_done) Buffer body = {0};
  PeerFlagsKept kept = {version.epoch, version.counter};

  if (!has_peer(a))
    return;
  encode(CONTRACT(PeerFlagsKept), &kept, &body);
  peerlink_send(a->link, peer_of(a), "flags_kept", buffer_bytes(&body));
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

/* One that was removed gives its place to a new one, on disk before that is there. */
static void make_room(Authority *a, const Flag *flag) {
  Flag gone;

  if (a->flags.n < LIMIT_FLAGS || flags_find(&a->flags, text_of(flag->name)) || !flags_forget(&a->flags, &gone))
    return;
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
  if (!write->copied)
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
    send_kept(a, write->flag.version);
    drop(a, write);
  } else if (has_peer(a)) {
    send_flags(a, &write->flag, 1);
    write->due_us = loop_now_us(a->loop) + COPY_US;
  } else {
    answer(a, write, 1);
  }
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
    if (!write->copied)
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

void flagstore_take(Authority *a, Bytes body) {
  _cleanup_(arena_done) Arena arena = {0};
  PeerFlags message;
  uint32_t newer = 0;

  if (contract_decode(CONTRACT(PeerFlags), body, &arena, &message, NULL) != 0)
    return;
  for (size_t i = 0; i < message.flags.count; i++) {
    const PeerFlag *row = &message.flags.items[i];
    Flag flag = flag_of_peer(row);
    Write *write;

    if (row->epoch > EPOCH_HIGHEST)
      continue;
    if (!is_newer(a, &flag)) {
      flags_mark_copied(&a->flags, flag.version);
      send_kept(a, flag.version);
      continue;
    }
    newer++;
    write = begin(a, &flag);
    if (write)
      write->copied = true;
  }
  if (newer > 1) {
    a->behind++;
    if (a->core)
      core_count(a->core, COUNTER_BEHIND, 1);
    log_info("PONS-AUTHORITY-BEHIND", "%s was behind: it takes over %u flags of %s", a->options.broker, newer,
             peerlink_peer(a->link));
  }
}

void flagstore_take_kept(Authority *a, Bytes body) {
  PeerFlagsKept kept;
  FlagVersion version;

  if (contract_decode(CONTRACT(PeerFlagsKept), body, NULL, &kept, NULL) != 0)
    return;
  version = (FlagVersion){kept.epoch, kept.counter};
  flags_mark_copied(&a->flags, version);
  LIST_EACH (&a->flag_writes, Write, in_authority, write) {
    if (write->serial == 0 && flag_version_compare(write->flag.version, version) == 0)
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
