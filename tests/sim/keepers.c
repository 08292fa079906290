/* What a client was told is kept must be executed, whatever dies. Requests are idempotent: those of once methods end as dead
   letters when nobody knows, which unit tests check. */
#include "tests/sim/keepers.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 128, WRITES = 512, MAILS = 1024, TRIES = 256, WISHES = 60 };

#define SINCE_1970_US UINT64_C(1700000000000000)

/* One change of the disk; those of one moment are synced together. */
typedef struct Write {
  bool drops;
  uint64_t at_us;
  DurableEntry entry;
} Write;

typedef struct Mail {
  DurableActionKind kind;
  uint64_t at_us;
  DurableEntry entry;
  DurableHave have;
  uint32_t index;
  bool complete;
  DurableHave *haves;
  size_t n;
} Mail;

/* Handed to an instance. */
typedef struct Try {
  RequestId id;
  RequestId delivery;
  uint64_t at_us;
  Status status;
} Try;

typedef struct Keeper {
  Keepers *all;
  Durable *durable;
  uint64_t now_us;
  uint64_t life;
  bool linked;
  DurableEntry disk[ROWS];
  size_t n_disk;
  Write writes[WRITES];
  size_t n_writes;
  uint64_t serial;
  Mail mail[MAILS]; /* to this one */
  size_t n_mail;
  Try tries[TRIES];
  size_t n_tries;
} Keeper;

typedef struct Wished {
  bool kept;
  uint32_t executions;
} Wished;

struct Keepers {
  uint64_t random;
  bool quiet;
  Keeper keepers[2];
  Wished wishes[WISHES + 1]; /* by the sequence of the id, from 1 */
  uint64_t n_wishes;
};

static uint64_t draw(Keepers *keepers, uint64_t n) {
  keepers->random ^= keepers->random >> 12;
  keepers->random ^= keepers->random << 25;
  keepers->random ^= keepers->random >> 27;
  return (keepers->random * UINT64_C(0x2545f4914f6cdd1d) >> 16) % n;
}

static uint64_t wall_us(uint64_t now_us) {
  return SINCE_1970_US + now_us;
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
  durable_written(keeper->durable, keeper->serial - keeper->n_writes, wall_us(keeper->now_us));
}

/* --- what the machine does --- */

static void post(Keeper *keeper, const DurableAction *action) {
  Keeper *to = &keeper->all->keepers[keeper == &keeper->all->keepers[0]];
  Mail *mail = &to->mail[to->n_mail];

  if (!keeper->linked || !to->durable)
    return;
  assert(to->n_mail < MAILS);
  to->n_mail++;
  *mail = (Mail){.kind = action->kind, .at_us = keeper->now_us + draw(keeper->all, 3000), .have = action->have};
  if (action->kind == DURABLE_DO_SEND)
    mail->entry = copy_of(action->entry);
  if (action->kind != DURABLE_DO_SEND_DIGEST)
    return;
  mail->index = action->digest->index;
  mail->complete = action->digest->complete;
  mail->n = action->digest->n;
  mail->haves = calloc(mail->n + 1, sizeof *mail->haves);
  assert(mail->haves);
  if (mail->n)
    memcpy(mail->haves, action->digest->haves, mail->n * sizeof *mail->haves);
}

/* Some time later its instance has done it, or has died before or after it did. */
static void deliver(Keeper *keeper, const DurableAction *action) {
  static const Status ends[] = {STATUS_OK, STATUS_OK, STATUS_NO_SERVICE, STATUS_WORKER_LOST};
  Status status = keeper->all->quiet ? STATUS_OK : ends[draw(keeper->all, 4)];

  assert(keeper->n_tries < TRIES);
  keeper->tries[keeper->n_tries++] = (Try){.id = action->entry->id,
                                           .delivery = durable_delivery(action->entry),
                                           .at_us = keeper->now_us + 1000 + draw(keeper->all, 300000),
                                           .status = status};
}

static uint64_t on_act(void *userdata, const DurableAction *action) {
  Keeper *keeper = userdata;

  switch (action->kind) {
  case DURABLE_DO_WRITE:
    return write_later(keeper, action->entry, false);
  case DURABLE_DO_FORGET:
    return write_later(keeper, action->entry, true);
  case DURABLE_DO_DELIVER:
    deliver(keeper, action);
    break;
  case DURABLE_DO_KEPT:
    keeper->all->wishes[action->entry->id.sequence].kept = true;
    break;
  case DURABLE_DO_UNKEPT:
  case DURABLE_DO_ENDED:
  case DURABLE_DO_BEHIND:
    break;
  default:
    post(keeper, action);
    break;
  }
  return 0;
}

/* --- processes and links --- */

static void drop_mail(Keeper *keeper) {
  for (size_t i = 0; i < keeper->n_mail; i++) {
    durable_entry_done(&keeper->mail[i].entry);
    free(keeper->mail[i].haves);
  }
  keeper->n_mail = 0;
}

void keepers_start(Keepers *keepers, int broker, uint64_t now_us) {
  Keeper *keeper = &keepers->keepers[broker];
  DurableOptions options = durable_options_default();
  DurableSink sink = {on_act, keeper};

  keeper->now_us = now_us;
  options.has_peer = true;
  options.backoff_longest_us = 4 * US_PER_S; /* so that the end of a run sees the end of each */
  options.first = (RequestId){{1000 + (uint64_t)broker}, wall_us(now_us) * DURABLE_TRIES_KEPT};
  durable_new(&keeper->durable, &options, &sink);
  for (size_t i = 0; i < keeper->n_disk; i++) {
    DurableEntry entry = copy_of(&keeper->disk[i]);

    durable_load(keeper->durable, &entry, wall_us(now_us));
  }
}

void keepers_kill(Keepers *keepers, int broker) {
  Keeper *keeper = &keepers->keepers[broker];

  durable_destroy(&keeper->durable);
  sync_first(keeper, draw(keepers, keeper->n_writes + 1)); /* of what was not synced some is there all the same */
  for (size_t i = 0; i < keeper->n_writes; i++)
    durable_entry_done(&keeper->writes[i].entry);
  keeper->n_writes = keeper->n_tries = 0;
  keeper->linked = false;
  drop_mail(keeper);
}

void keepers_lead(Keepers *keepers, int broker, uint64_t epoch, uint64_t now_us) {
  Keeper *keeper = &keepers->keepers[broker];

  keeper->now_us = now_us;
  if (keeper->durable && epoch)
    durable_lead(keeper->durable, epoch, wall_us(now_us));
  else if (keeper->durable)
    durable_step_down(keeper->durable);
}

void keepers_link(Keepers *keepers, int broker, bool up, uint64_t now_us) {
  Keeper *keeper = &keepers->keepers[broker];

  keeper->linked = up;
  keeper->now_us = now_us;
  if (!up)
    drop_mail(keeper);
  if (keeper->durable)
    durable_linked(keeper->durable, up, wall_us(now_us));
}

/* --- what happens --- */

static void take_mail(Keeper *keeper, Mail *mail) {
  uint64_t now_us = wall_us(keeper->now_us);

  if (mail->kind == DURABLE_DO_SEND)
    durable_take(keeper->durable, &mail->entry, now_us);
  else if (mail->kind == DURABLE_DO_SEND_KEPT)
    durable_take_kept(keeper->durable, mail->have, now_us);
  else if (mail->kind == DURABLE_DO_SEND_WANTED)
    durable_take_wanted(keeper->durable, now_us);
  else
    durable_take_digest(keeper->durable, &(DurableDigest){mail->index, mail->complete, mail->haves, mail->n}, now_us);
  free(mail->haves);
}

static void run_mail(Keeper *keeper) {
  while (keeper->n_mail > 0 && keeper->mail[0].at_us <= keeper->now_us) {
    Mail mail = keeper->mail[0];

    memmove(keeper->mail, keeper->mail + 1, --keeper->n_mail * sizeof *keeper->mail);
    take_mail(keeper, &mail);
  }
}

static void run_tries(Keeper *keeper) {
  for (size_t i = 0; i < keeper->n_tries; i++) {
    Try try = keeper->tries[i];

    if (try.at_us > keeper->now_us)
      continue;
    keeper->tries[i--] = keeper->tries[--keeper->n_tries];
    if (try.status == STATUS_OK)
      keeper->all->wishes[try.id.sequence].executions++;
    durable_answered(keeper->durable, try.delivery, try.status, TEXT_NONE, BYTES_NONE, TEXT_NONE,
                     wall_us(keeper->now_us));
  }
}

static void ask(Keeper *keeper) {
  Keepers *all = keeper->all;
  DurableEntry wish = {.idempotent = true, .patience_us = 3600 * US_PER_S};

  if (all->quiet || all->n_wishes == WISHES || draw(all, 60) > 0)
    return;
  wish.id = (RequestId){{7}, ++all->n_wishes};
  snprintf(wish.service, sizeof wish.service, "echo");
  snprintf(wish.method, sizeof wish.method, "work");
  durable_accept(keeper->durable, &wish, wall_us(keeper->now_us));
}

void keepers_run(Keepers *keepers, int broker, uint64_t now_us, bool quiet) {
  Keeper *keeper = &keepers->keepers[broker];

  keepers->quiet = quiet;
  keeper->now_us = now_us;
  if (!keeper->durable)
    return;
  run_disk(keeper);
  run_mail(keeper);
  run_tries(keeper);
  durable_tick(keeper->durable, wall_us(now_us));
  ask(keeper);
}

void keepers_new(Keepers **ret, uint64_t seed) {
  Keepers *keepers = calloc(1, sizeof *keepers);

  assert(keepers);
  keepers->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 11;
  for (int i = 0; i < 2; i++)
    keepers->keepers[i].all = keepers;
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
  }
  return NULL;
}
