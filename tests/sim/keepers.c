/* What a client was told is kept must be executed, or be a dead letter, and if it is of a once method only once, whatever dies. Tries
   are done on the data plane; here are the machines, their disks and what they tell each other. */
#include "tests/sim/keepers.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/common.h"

enum { ROWS = 128, WRITES = 512, WISHES = 60, FIRST_STORE = 1000 };

#define SINCE_1970_US UINT64_C(1700000000000000)

/* One change of the disk; those of one moment are synced together. */
typedef struct Write {
  bool drops;
  uint64_t at_us;
  DurableEntry entry;
} Write;

typedef struct Keeper {
  Keepers *all;
  Durable *durable;
  uint64_t now_us;
  uint64_t wall_us; /* its clock, when the world's shows 0 */
  DurableEntry disk[ROWS];
  size_t n_disk;
  Write writes[WRITES];
  size_t n_writes;
  uint64_t serial;
} Keeper;

typedef struct Wished {
  bool kept;
  bool once;
  uint32_t executions;
} Wished;

struct Keepers {
  Chance chance;
  KeepersSink sink;
  Logs *logs;
  bool quiet;
  Keeper keepers[2];
  Wished wishes[WISHES + 1]; /* by the sequence of the id, from 1 */
  uint64_t n_wishes;
};

static uint64_t draw(Keepers *keepers, uint64_t n) {
  return chance_draw(&keepers->chance, n);
}

static uint64_t wall_us(const Keeper *keeper) {
  return keeper->wall_us + keeper->now_us;
}

static int index_of(const Keeper *keeper) {
  return (int)(keeper - keeper->all->keepers);
}

static Keeper *other_of(Keeper *keeper) {
  return &keeper->all->keepers[1 - index_of(keeper)];
}

static void demand(const Keepers *keepers, bool holds, const char *what) {
  if (!holds)
    keepers->sink.fail(keepers->sink.userdata, what);
}

static DurableEntry copy_of(const DurableEntry *entry) {
  DurableEntry copy = *entry;

  if (copy.body)
    block_ref(copy.body);
  if (copy.reply)
    block_ref(copy.reply);
  return copy;
}

/* --- disk --- */

static uint64_t write_later(Keeper *keeper, const DurableEntry *entry, bool drops) {
  assert(keeper->n_writes < WRITES);
  keeper->writes[keeper->n_writes++] =
      (Write){drops, keeper->now_us + 100 + draw(keeper->all, draw(keeper->all, 10) ? 5000 : 100000), copy_of(entry)};
  return ++keeper->serial;
}

static DurableEntry *find_row(Keeper *keeper, RequestId id) {
  for (size_t i = 0; i < keeper->n_disk; i++)
    if (request_id_equal(keeper->disk[i].id, id))
      return &keeper->disk[i];
  return NULL;
}

static void apply(Keeper *keeper, Write *write) {
  DurableEntry *row = find_row(keeper, write->entry.id);

  if (row)
    durable_entry_done(row);
  if (write->drops && row)
    *row = keeper->disk[--keeper->n_disk];
  if (!write->drops && !row) {
    assert(keeper->n_disk < ROWS);
    row = &keeper->disk[keeper->n_disk++];
  }
  if (!write->drops)
    *row = copy_of(&write->entry);
}

/* It writes in order; what is after n waits. */
static void sync_first(Keeper *keeper, size_t n) {
  for (size_t i = 0; i < n; i++) {
    apply(keeper, &keeper->writes[i]);
    durable_entry_done(&keeper->writes[i].entry);
  }
  memmove(keeper->writes, keeper->writes + n, (keeper->n_writes - n) * sizeof *keeper->writes);
  keeper->n_writes -= n;
}

static void run_disk(Keeper *keeper) {
  size_t n = 0;

  while (n < keeper->n_writes && keeper->writes[n].at_us <= keeper->now_us)
    n++;
  if (n == 0)
    return;
  sync_first(keeper, n);
  durable_written(keeper->durable, keeper->serial - keeper->n_writes, wall_us(keeper));
}

/* --- what the machine does --- */

static uint64_t append(Keeper *keeper, ChangeKind kind, const LogsWord *word) {
  return logs_append(keeper->all->logs, index_of(keeper), kind, word, keeper->now_us);
}

static void append_versions(Keeper *keeper, const DurableVersions *versions) {
  size_t size = versions->n * sizeof *versions->haves;
  DurableHave *haves = size ? malloc(size) : NULL;

  assert(haves || !size);
  if (size)
    memcpy(haves, versions->haves, size);
  append(keeper, CHANGE_VERSIONS, &(LogsWord){.versions = {haves, versions->n}});
}

/* What is said to be on a disk is there. */
static void note_kept(Keeper *keeper, const DurableAction *action) {
  RequestId id = action->entry->id;

  demand(keeper->all, find_row(keeper, id), "a durable request was acknowledged before it was on disk");
  demand(keeper->all, action->copies < 2 || find_row(other_of(keeper), id),
         "a durable request was acknowledged as on two disks before it was");
  keeper->all->wishes[id.sequence].kept = true;
}

/* Nobody hears of a once request before it is on disk that it may have taken effect. */
static void check_begun(Keeper *keeper, const DurableEntry *entry) {
  const DurableEntry *row = find_row(keeper, entry->id);

  demand(keeper->all, entry->idempotent || (row && row->state == DURABLE_BEGUN),
         "a durable once request was delivered before it was on disk as begun");
}

static uint64_t on_act(void *userdata, const DurableAction *action) {
  Keeper *keeper = userdata;

  switch (action->kind) {
  case DURABLE_DO_WRITE:
    return write_later(keeper, action->entry, false);
  case DURABLE_DO_FORGET:
    return write_later(keeper, action->entry, true);
  case DURABLE_DO_DELIVER:
    check_begun(keeper, action->entry);
    keeper->all->sink.deliver(keeper->all->sink.userdata, index_of(keeper), action);
    break;
  case DURABLE_DO_KEPT:
    note_kept(keeper, action);
    break;
  case DURABLE_DO_UNKEPT:
  case DURABLE_DO_ENDED:
  case DURABLE_DO_BEHIND:
    break;
  case DURABLE_DO_SEND:
    return logs_have_room(keeper->all->logs, index_of(keeper))
               ? append(keeper, CHANGE_DURABLE, &(LogsWord){.entry = copy_of(action->entry)})
               : 0;
  case DURABLE_DO_SEND_VERSIONS:
    append_versions(keeper, action->versions);
    break;
  }
  return 0;
}

/* --- processes and links --- */

void keepers_start(Keepers *keepers, int broker, uint64_t now_us) {
  Keeper *keeper = &keepers->keepers[broker];
  DurableOptions options = durable_options_default();
  DurableSink sink = {on_act, keeper};

  keeper->now_us = now_us;
  options.has_peer = true;
  options.backoff_us = US_PER_S / 10; /* so that the end of a run sees the end of each */
  options.backoff_longest_us = US_PER_S / 2;
  options.first = (RequestId){{FIRST_STORE + (uint64_t)broker}, wall_us(keeper) * DURABLE_TRIES_KEPT};
  durable_new(&keeper->durable, &options, &sink);
  for (size_t i = 0; i < keeper->n_disk; i++) {
    DurableEntry entry = copy_of(&keeper->disk[i]);

    durable_load(keeper->durable, &entry, wall_us(keeper));
  }
}

void keepers_kill(Keepers *keepers, int broker) {
  Keeper *keeper = &keepers->keepers[broker];

  durable_destroy(&keeper->durable);
  sync_first(keeper, draw(keepers, keeper->n_writes + 1)); /* of what was not synced some is there all the same */
  for (size_t i = 0; i < keeper->n_writes; i++)
    durable_entry_done(&keeper->writes[i].entry);
  keeper->n_writes = 0;
}

void keepers_lead(Keepers *keepers, int broker, uint64_t epoch, uint64_t now_us) {
  Keeper *keeper = &keepers->keepers[broker];

  keeper->now_us = now_us;
  if (keeper->durable && epoch)
    durable_lead(keeper->durable, epoch, wall_us(keeper));
  else if (keeper->durable)
    durable_step_down(keeper->durable);
}

void keepers_link(Keepers *keepers, int broker, bool up, uint64_t now_us) {
  Keeper *keeper = &keepers->keepers[broker];

  keeper->now_us = now_us;
  if (keeper->durable)
    durable_linked(keeper->durable, up, wall_us(keeper));
}

/* --- the log --- */

void keepers_tell(Keepers *keepers, int broker, bool all) {
  Keeper *keeper = &keepers->keepers[broker];

  durable_tell(keeper->durable, all, wall_us(keeper));
}

void keepers_take(Keepers *keepers, int broker, ChangeKind kind, const LogsWord *word, uint64_t position) {
  Keeper *keeper = &keepers->keepers[broker];
  uint64_t now_us = wall_us(keeper);
  DurableEntry entry;

  if (kind == CHANGE_SNAPSHOT)
    durable_take_snapshot(keeper->durable, now_us);
  else if (kind == CHANGE_VERSIONS)
    durable_take_versions(keeper->durable, &word->versions, now_us);
  else if (kind == CHANGE_LEVEL)
    durable_take_level(keeper->durable, now_us);
  if (kind != CHANGE_DURABLE)
    return;
  entry = copy_of(&word->entry);
  durable_take(keeper->durable, &entry, position, now_us);
}

uint64_t keepers_done(const Keepers *keepers, int broker, uint64_t heard) {
  return durable_done(keepers->keepers[broker].durable, heard);
}

void keepers_heard(Keepers *keepers, int broker, uint64_t position) {
  Keeper *keeper = &keepers->keepers[broker];

  durable_take_done(keeper->durable, position, wall_us(keeper));
}

/* --- what happens --- */

static void ask(Keeper *keeper) {
  Keepers *all = keeper->all;
  DurableEntry wish = {.idempotent = draw(all, 3) > 0, .patience_us = 3600 * US_PER_S};

  if (all->quiet || all->n_wishes == WISHES || draw(all, 30) > 0)
    return;
  wish.id = (RequestId){{7}, ++all->n_wishes};
  all->wishes[all->n_wishes].once = !wish.idempotent;
  snprintf(wish.service, sizeof wish.service, "work");
  snprintf(wish.method, sizeof wish.method, "%s", wish.idempotent ? "idem" : "once");
  durable_accept(keeper->durable, &wish, wall_us(keeper));
}

void keepers_run(Keepers *keepers, int broker, uint64_t now_us, bool quiet) {
  Keeper *keeper = &keepers->keepers[broker];

  keepers->quiet = quiet;
  keeper->now_us = now_us;
  if (!keeper->durable)
    return;
  run_disk(keeper);
  durable_tick(keeper->durable, wall_us(keeper));
  ask(keeper);
}

void keepers_executed(Keepers *keepers, uint64_t wish) {
  Wished *wished = &keepers->wishes[wish];

  wished->executions++;
  demand(keepers, !wished->once || wished->executions == 1, "a durable request of a once method was executed twice");
}

bool keepers_wait(const Keepers *keepers, int broker, RequestId delivery, uint32_t attempt) {
  const Durable *durable = keepers->keepers[broker].durable;

  return durable && durable_waits(durable, delivery, attempt);
}

void keepers_answered(Keepers *keepers, int broker, RequestId delivery, Status status, uint64_t now_us) {
  Keeper *keeper = &keepers->keepers[broker];

  keeper->now_us = now_us;
  if (keeper->durable)
    durable_answered(keeper->durable, delivery, status, TEXT_NONE, BYTES_NONE, TEXT_NONE, wall_us(keeper));
}

void keepers_new(Keepers **ret, uint64_t seed, const KeepersSink *sink, Logs *logs) {
  Keepers *keepers = calloc(1, sizeof *keepers);

  assert(keepers);
  keepers->chance = chance_of(seed, 11);
  keepers->sink = *sink;
  keepers->logs = logs;
  for (int i = 0; i < 2; i++) {
    keepers->keepers[i].all = keepers;
    keepers->keepers[i].wall_us = SINCE_1970_US + draw(keepers, 2 * US_PER_S);
  }
  *ret = keepers;
}

void keepers_destroy(Keepers **keepers) {
  Keepers *gone = TAKE(*keepers);

  for (int i = 0; i < 2; i++) {
    keepers_kill(gone, i);
    for (size_t k = 0; k < gone->keepers[i].n_disk; k++)
      durable_entry_done(&gone->keepers[i].disk[k]);
  }
  free(gone);
}

static bool is_in_state(const Keepers *keepers, RequestId id, DurableState state) {
  for (int i = 0; i < 2; i++) {
    const DurableEntry *entry = durable_find(keepers->keepers[i].durable, id);

    if (entry && entry->state == state)
      return true;
  }
  return false;
}

const char *keepers_check_end(Keepers *keepers, KeepersTally *tally) {
  for (uint64_t i = 1; i <= keepers->n_wishes; i++) {
    RequestId id = {{7}, i};
    bool is_dead = is_in_state(keepers, id, DURABLE_DEAD);

    if (!keepers->wishes[i].kept)
      continue;
    tally->kept++;
    tally->done += keepers->wishes[i].executions > 0;
    tally->dead += is_dead;
    if (!is_dead && keepers->wishes[i].executions == 0)
      return "a durable request that was acknowledged was not executed";
    if (!is_dead && !is_in_state(keepers, id, DURABLE_DONE))
      return "a durable request has no end";
    if (is_in_state(keepers, id, DURABLE_DONE) && keepers->wishes[i].executions == 0)
      return "a durable request is done and was not executed";
  }
  return NULL;
}
