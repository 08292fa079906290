/* A write is acknowledged when it is on the leader's disk, and on the other's or after half a second. Nobody reads a flag before
   it is on disk, so what was read at a broker is never older later on, whatever dies. */
#include "tests/sim/writers.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/common.h"

enum { NAMES = 3, QUEUE = 256, COPY_US = 500000 };

/* On its way to a disk. */
typedef struct Write {
  Flag flag;
  bool drops;        /* the row, which is forgotten */
  bool copied;       /* the other wrote it */
  uint64_t position; /* then: in the other's log; 0 = of one that counts no more */
  uint64_t at_us;
} Write;

/* On the own disk, and not yet acknowledged. */
typedef struct Waiting {
  Flag flag;
  uint64_t position; /* in the own log */
  uint64_t due_us;
} Waiting;

typedef struct Writer {
  Writers *all;
  bool alive;
  bool linked;
  uint64_t epoch; /* 0 = it leads not */
  uint64_t now_us;
  Flags flags;
  Flag disk[NAMES];
  bool on_disk[NAMES];
  FlagVersion dropped[NAMES]; /* the last row that was forgotten there, of a removed flag */
  Write writes[QUEUE];
  size_t n_writes;
  Waiting waiting[QUEUE];
  size_t n_waiting;
  uint64_t upto;           /* of the own log the other has all flags */
  uint64_t refused;        /* the first of the other's that could not be taken; 0 = none */
  FlagVersion read[NAMES]; /* the highest that was read here */
} Writer;

struct Writers {
  Chance chance;
  WritersSink sink;
  Logs *logs;
  bool quiet;
  bool forced;
  Writer writers[2];
  FlagVersion last; /* given */
  FlagVersion acknowledged[NAMES];
  FlagVersion removed[NAMES]; /* the last removal that was given */
  WritersTally tally;
};

static uint64_t draw(Writers *writers, uint64_t n) {
  return chance_draw(&writers->chance, n);
}

static void demand(const Writers *writers, bool holds, const char *what) {
  if (!holds)
    writers->sink.fail(writers->sink.userdata, what);
}

static Writer *other_of(Writer *writer) {
  return &writer->all->writers[writer == &writer->all->writers[0]];
}

static Text name_of(unsigned place) {
  static const char *const names[NAMES] = {"flag-0", "flag-1", "flag-2"};

  return text_of(names[place]);
}

static unsigned place_of(const Flag *flag) {
  return (unsigned)(flag->name[5] - '0');
}

static bool is_lower(FlagVersion a, FlagVersion b) {
  return flag_version_compare(a, b) < 0;
}

/* --- to disk --- */

static void write_later(Writer *writer, const Flag *flag, bool drops, uint64_t position) {
  uint64_t takes_us = 100 + draw(writer->all, draw(writer->all, 10) ? 5000 : 300000);

  assert(writer->n_writes < QUEUE);
  writer->writes[writer->n_writes++] = (Write){*flag, drops, position > 0, position, writer->now_us + takes_us};
}

/* The write of this name that the disk does last, or NULL. */
static const Write *find_write(const Writer *writer, const Flag *flag) {
  for (size_t i = writer->n_writes; i-- > 0;)
    if (place_of(&writer->writes[i].flag) == place_of(flag))
      return &writer->writes[i];
  return NULL;
}

static void apply(Writer *writer, const Write *write) {
  unsigned place = place_of(&write->flag);

  writer->disk[place] = write->flag;
  writer->on_disk[place] = !write->drops;
  if (write->drops)
    writer->dropped[place] = write->flag.version;
}

/* Or was, and is forgotten since: then the flag is not there, as its row said. */
static bool is_on_disk(const Writer *writer, const Flag *flag) {
  unsigned place = place_of(flag);
  bool is_there = writer->on_disk[place] && !is_lower(writer->disk[place].version, flag->version);

  return is_there || !is_lower(writer->dropped[place], flag->version);
}

/* --- to the other --- */

static uint64_t tell_other(Writer *writer, const Flag *flag) {
  Writers *all = writer->all;
  uint64_t position =
      logs_append(all->logs, writer != &all->writers[0], CHANGE_FLAG, &(LogsWord){.flag = *flag}, writer->now_us);

  flags_note_told(&writer->flags, text_of(flag->name), position);
  return position;
}

/* What was told before counts no more, so who waits for a copy waits for these. */
void writers_tell(Writers *writers, int broker, bool all) {
  Writer *writer = &writers->writers[broker];
  uint64_t last = 0;

  if (!all)
    return;
  writer->upto = 0;
  for (uint32_t i = 0; i < writer->flags.n; i++)
    last = tell_other(writer, &writer->flags.rows[i]);
  for (size_t i = 0; i < writer->n_waiting; i++)
    writer->waiting[i].position = last;
}

/* --- what readers and writers see --- */

static void read_flag(Writer *writer, const Flag *flag) {
  FlagVersion *read = &writer->read[place_of(flag)];

  demand(writer->all, !is_lower(flag->version, *read), "a flag has gone back to what it was before");
  *read = flag->version;
}

static void acknowledge(Writer *writer, const Flag *flag, unsigned copies) {
  Writers *all = writer->all;
  FlagVersion *acknowledged = &all->acknowledged[place_of(flag)];

  demand(all, is_on_disk(writer, flag), "a flag was acknowledged before it was on disk");
  demand(all,
         copies < 2 || other_of(writer)->on_disk[place_of(flag)] ||
             !is_lower(all->removed[place_of(flag)], flag->version),
         "a flag was acknowledged as on two disks before it was");
  if (is_lower(*acknowledged, flag->version))
    *acknowledged = flag->version;
  all->tally.written++;
  all->tally.copied += copies == 2;
}

/* --- what happens --- */

/* It is on disk: it is a flag now. */
static void finish(Writer *writer, Write *write) {
  write->flag.copied = write->copied;
  if (flags_put(&writer->flags, &write->flag) == 0)
    read_flag(writer, &write->flag);
  if (write->copied)
    return;
  assert(writer->n_waiting < QUEUE);
  writer->waiting[writer->n_waiting++] =
      (Waiting){write->flag, tell_other(writer, &write->flag), writer->now_us + COPY_US};
  if (!writer->linked)
    acknowledge(writer, &writer->waiting[--writer->n_waiting].flag, 1);
}

static void run_disk(Writer *writer) {
  while (writer->n_writes > 0 && writer->writes[0].at_us <= writer->now_us) {
    Write write = writer->writes[0];

    memmove(writer->writes, writer->writes + 1, --writer->n_writes * sizeof write);
    apply(writer, &write);
    if (!write.drops)
      finish(writer, &write);
  }
}

/* A later one that is on its way to the disk must stay the last there. */
static void take_flag(Writer *writer, const Flag *flag, uint64_t position) {
  const Flag *row = flags_find(&writer->flags, text_of(flag->name));
  const Write *last = find_write(writer, flag);

  if (row && !is_lower(row->version, flag->version))
    flags_mark_copied(&writer->flags, flag->version);
  else if (!last || last->drops || is_lower(last->flag.version, flag->version))
    write_later(writer, flag, false, position);
  else if (writer->refused == 0)
    writer->refused = position;
}

void writers_take(Writers *writers, int broker, ChangeKind kind, const LogsWord *word, uint64_t position) {
  Writer *writer = &writers->writers[broker];

  if (kind == CHANGE_FLAG)
    take_flag(writer, &word->flag, position);
  if (kind != CHANGE_SNAPSHOT)
    return;
  writer->refused = 0;
  for (size_t i = 0; i < writer->n_writes; i++)
    writer->writes[i].position = 0;
}

uint64_t writers_done(const Writers *writers, int broker, uint64_t heard) {
  const Writer *writer = &writers->writers[broker];

  if (writer->refused)
    heard = min_u64(heard, writer->refused - 1);
  for (size_t i = 0; i < writer->n_writes; i++)
    if (writer->writes[i].position > 0)
      heard = min_u64(heard, writer->writes[i].position - 1);
  return heard;
}

bool writers_are_short(const Writers *writers, int broker) {
  return writers->writers[broker].refused > 0;
}

void writers_heard(Writers *writers, int broker, uint64_t position, uint64_t settled) {
  Writer *writer = &writers->writers[broker];

  flags_mark_copied_to(&writer->flags, settled);
  if (position == writer->upto)
    return;
  writer->upto = position;
  for (size_t i = 0; i < writer->n_waiting; i++)
    if (writer->waiting[i].position <= position) {
      acknowledge(writer, &writer->waiting[i].flag, 2);
      writer->waiting[i--] = writer->waiting[--writer->n_waiting];
    }
}

/* Nobody has said that it has them. */
static void sweep(Writer *writer, bool all) {
  for (size_t i = 0; i < writer->n_waiting; i++)
    if (all || writer->waiting[i].due_us <= writer->now_us) {
      acknowledge(writer, &writer->waiting[i].flag, 1);
      writer->waiting[i--] = writer->waiting[--writer->n_waiting];
    }
}

static void note_version(Writers *all, const Flag *flag) {
  demand(all, is_lower(all->last, flag->version) || all->forced, "the version of a flag does not rise");
  all->last = flag->version;
  if (flag->removed)
    all->removed[place_of(flag)] = flag->version;
}

static void write_flag(Writer *writer) {
  Writers *all = writer->all;
  Flag flag = flag_of(name_of((unsigned)draw(all, NAMES)), TEXT("on"), (FlagVersion){0});

  flag.removed = draw(all, 3) == 0;
  if (flags_next(&writer->flags, text_of(flag.name), writer->epoch, &flag.version) != 0)
    return;
  note_version(all, &flag);
  write_later(writer, &flag, false, 0);
}

/* As if the table were full: the row of one that was removed makes room. */
static void forget_flag(Writer *writer) {
  Flag gone;

  if (flags_forget(&writer->flags, &gone) && !find_write(writer, &gone)) /* else a later one takes its row */
    write_later(writer, &gone, true, 0);
}

static void act(Writer *writer) {
  Writers *all = writer->all;

  if (all->quiet)
    return;
  if (writer->epoch > 0 && draw(all, 20) == 0)
    write_flag(writer);
  if (draw(all, 60) == 0)
    forget_flag(writer);
}

void writers_run(Writers *writers, int broker, uint64_t now_us, bool quiet, bool forced) {
  Writer *writer = &writers->writers[broker];

  writers->quiet = quiet;
  writers->forced = forced;
  writer->now_us = now_us;
  if (!writer->alive)
    return;
  run_disk(writer);
  sweep(writer, false);
  act(writer);
}

/* --- processes and links --- */

void writers_start(Writers *writers, int broker, uint64_t now_us) {
  Writer *writer = &writers->writers[broker];

  writer->alive = true;
  writer->now_us = now_us;
  for (unsigned i = 0; i < NAMES; i++) {
    if (!writer->on_disk[i])
      continue;
    writer->disk[i].copied = false;
    flags_put(&writer->flags, &writer->disk[i]);
    read_flag(writer, &writer->disk[i]);
  }
}

void writers_kill(Writers *writers, int broker) {
  Writer *writer = &writers->writers[broker];
  size_t n = draw(writers, writer->n_writes + 1);

  for (size_t i = 0; i < n; i++) /* of what was not synced some is there all the same */
    apply(writer, &writer->writes[i]);
  writer->n_writes = writer->n_waiting = 0;
  writer->upto = writer->refused = 0;
  writer->alive = writer->linked = false;
  writer->epoch = 0;
  flags_done(&writer->flags);
}

void writers_lead(Writers *writers, int broker, uint64_t epoch) {
  writers->writers[broker].epoch = epoch;
}

void writers_link(Writers *writers, int broker, bool up, uint64_t now_us) {
  Writer *writer = &writers->writers[broker];

  writer->now_us = now_us;
  writer->linked = up;
  if (writer->alive && !up)
    sweep(writer, true);
}

void writers_new(Writers **ret, uint64_t seed, const WritersSink *sink, Logs *logs) {
  Writers *writers = calloc(1, sizeof *writers);

  assert(writers);
  writers->chance = chance_of(seed, 13);
  writers->sink = *sink;
  writers->logs = logs;
  for (int i = 0; i < 2; i++)
    writers->writers[i].all = writers;
  *ret = writers;
}

void writers_destroy(Writers **writers) {
  Writers *gone = TAKE(*writers);

  for (int i = 0; i < 2; i++)
    flags_done(&gone->writers[i].flags);
  free(gone);
}

/* --- the end --- */

/* What readers get at this broker. */
static const Flag *find(const Writer *writer, unsigned place) {
  const Flag *row = flags_find(&writer->flags, name_of(place));

  return row && !row->removed ? row : NULL;
}

static void check_name(const Writers *writers, unsigned place, bool forced) {
  const Flag *a = find(&writers->writers[0], place);
  const Flag *b = find(&writers->writers[1], place);
  FlagVersion acknowledged = writers->acknowledged[place];
  bool same = a && b ? flag_version_compare(a->version, b->version) == 0 : !a && !b;

  demand(writers, same, "all is well, but the brokers have different flags");
  demand(writers, (!a || a->copied) && (!b || b->copied),
         "all is well, but a broker does not know that the other has a flag");
  if (forced)
    return;
  demand(writers, !a || !is_lower(a->version, acknowledged), "a flag that was acknowledged is lost");
  demand(writers, a || !is_lower(writers->removed[place], acknowledged), "a flag that was set is gone");
}

void writers_check_end(Writers *writers, bool forced, WritersTally *tally) {
  for (unsigned i = 0; i < NAMES; i++)
    check_name(writers, i, forced);
  tally->written += writers->tally.written;
  tally->copied += writers->tally.copied;
}
