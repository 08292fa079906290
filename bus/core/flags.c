#include "bus/core/flags.h"

#include <stdio.h>
#include <stdlib.h>

int flag_version_compare(FlagVersion a, FlagVersion b) {
  if (a.epoch != b.epoch)
    return a.epoch < b.epoch ? -1 : 1;
  return a.counter < b.counter ? -1 : a.counter > b.counter;
}

Flag flag_of(Text name, Text value, FlagVersion version) {
  Flag flag = {.version = version};

  snprintf(flag.name, sizeof flag.name, "%.*s", TEXT_ARG(name));
  snprintf(flag.value, sizeof flag.value, "%.*s", TEXT_ARG(value));
  return flag;
}

static int compare(Text name, const Flag *flag) {
  size_t size = strlen(flag->name);
  int r = memcmp(name.data, flag->name, min_u64(name.size, size));

  return r != 0 ? r : name.size < size ? -1 : name.size > size;
}

/* The first row whose name is not below; n when there is none. */
static uint32_t place_of(const Flags *flags, Text name) {
  uint32_t low = 0;
  uint32_t high = flags->n;

  while (low < high) {
    uint32_t middle = (low + high) / 2;

    if (compare(name, &flags->rows[middle]) > 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static Flag *find(const Flags *flags, Text name) {
  uint32_t place = place_of(flags, name);

  return place < flags->n && text_is(name, flags->rows[place].name) ? &flags->rows[place] : NULL;
}

const Flag *flags_find(const Flags *flags, Text name) {
  return find(flags, name);
}

uint32_t flags_count(const Flags *flags) {
  uint32_t n = 0;

  for (uint32_t i = 0; i < flags->n; i++)
    n += !flags->rows[i].removed;
  return n;
}

void flags_mark_copied(Flags *flags, FlagVersion version) {
  for (uint32_t i = 0; i < flags->n; i++)
    if (flag_version_compare(flags->rows[i].version, version) == 0)
      flags->rows[i].copied = true;
}

void flags_mark_copied_to(Flags *flags, uint64_t position) {
  for (uint32_t i = 0; i < flags->n; i++)
    if (flags->rows[i].told > 0 && flags->rows[i].told <= position)
      flags->rows[i].copied = true;
}

void flags_note_told(Flags *flags, Text name, uint64_t position) {
  Flag *row = find(flags, name);

  if (row)
    row->told = position;
}

/* The row that may be forgotten first, or NULL. */
static Flag *find_forgettable(const Flags *flags) {
  Flag *oldest = NULL;

  for (uint32_t i = 0; i < flags->n; i++) {
    Flag *row = &flags->rows[i];

    if (row->removed && row->copied && (!oldest || flag_version_compare(row->version, oldest->version) < 0))
      oldest = row;
  }
  return oldest;
}

bool flags_forget(Flags *flags, Flag *ret) {
  Flag *row = find_forgettable(flags);

  if (!row)
    return false;
  *ret = *row;
  flags->n--;
  memmove(row, row + 1, (size_t)(flags->rows + flags->n - row) * sizeof *row);
  return true;
}

static void grow(Flags *flags) {
  if (flags->n < flags->room)
    return;
  flags->room = flags->room ? flags->room * 2 : 16;
  flags->rows = realloc(flags->rows, flags->room * sizeof *flags->rows);
  if (!flags->rows)
    abort();
}

static void note(Flags *flags, FlagVersion version) {
  if (flag_version_compare(version, flags->last) > 0)
    flags->last = version;
}

int flags_put(Flags *flags, const Flag *flag) {
  Flag *row = find(flags, text_of(flag->name));
  uint32_t place;

  if (row && flag_version_compare(flag->version, row->version) <= 0)
    return FLAGS_E_OLD;
  if (!row && flags->n == LIMIT_FLAGS)
    return FLAGS_E_FULL;
  note(flags, flag->version);
  if (row) {
    *row = *flag;
    return 0;
  }
  grow(flags);
  place = place_of(flags, text_of(flag->name));
  memmove(&flags->rows[place + 1], &flags->rows[place], (flags->n - place) * sizeof *flags->rows);
  flags->rows[place] = *flag;
  flags->n++;
  return 0;
}

int flags_next(Flags *flags, Text name, uint64_t epoch, FlagVersion *ret) {
  if (epoch < flags->last.epoch)
    return FLAGS_E_BEHIND;
  if (!find(flags, name) && flags->n == LIMIT_FLAGS && !find_forgettable(flags))
    return FLAGS_E_FULL;
  flags->last = (FlagVersion){epoch, epoch == flags->last.epoch ? flags->last.counter + 1 : 1};
  *ret = flags->last;
  return 0;
}

void flags_done(Flags *flags) {
  free(flags->rows);
  *flags = (Flags){0};
}
