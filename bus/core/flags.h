/* What:      flags: names with a value and a version, written by whoever leads and copied everywhere; the higher version wins.
 * Owns:      its rows; all of it is values.
 * May use:   base, wire.
 * Threading: one thread.
 * Spec:      docs/authority.md, "Flags" */
#ifndef PONS_CORE_FLAGS_H
#define PONS_CORE_FLAGS_H

#include "bus/wire/header.h"

/* Versions rise from write to write, whoever leads, since epochs do. */
typedef struct FlagVersion {
  uint64_t epoch;   /* of the leader that wrote it */
  uint64_t counter; /* of that leader's writes, from 1 */
} FlagVersion;

typedef struct Flag {
  char name[LIMIT_NAME_BYTES + 1];
  char value[LIMIT_FLAG_BYTES + 1];
  FlagVersion version;
  bool removed;  /* its row tells whoever still has a value that there is none any more */
  uint64_t told; /* position in the log at which the other broker was told; 0 = it was not */
  bool copied;   /* nobody has an older one: the other broker has it on disk too, or there is none */
} Flag;

enum {
  FLAGS_E_OLD = 1, /* the table has this version or a higher one */
  FLAGS_E_FULL,    /* the table is */
  FLAGS_E_BEHIND,  /* there are flags of a higher epoch than the writer's */
};

/* All zero is an empty table. */
typedef struct Flags {
  Flag *rows; /* by name */
  uint32_t n;
  uint32_t room;
  FlagVersion last; /* the highest that was seen or given */
} Flags;

/* Below 0, 0 or above 0, as a is lower than, equal to or higher than b. */
int flag_version_compare(FlagVersion a, FlagVersion b);
/* Makes a flag of texts that are within their limits. */
Flag flag_of(Text name, Text value, FlagVersion version);
/* The row of name, or NULL; also of one that was removed. It is borrowed until the table changes. */
const Flag *flags_find(const Flags *flags, Text name);
/* Takes a flag over when its version is above that of the row. Returns 0, FLAGS_E_OLD or FLAGS_E_FULL. */
int flags_put(Flags *flags, const Flag *flag);
/* How many are not removed. */
uint32_t flags_count(const Flags *flags);
/* The other broker has the flag of this version, or a later one of its name. */
void flags_mark_copied(Flags *flags, FlagVersion version);
/* The other broker has all on disk that it was told up to position. */
void flags_mark_copied_to(Flags *flags, uint64_t position);
/* The flag of this name was told at position. */
void flags_note_told(Flags *flags, Text name, uint64_t position);
/* Takes the row out that was removed first, of those that are copied, and copies it to ret. Returns false and leaves ret alone
   when there is none. */
bool flags_forget(Flags *flags, Flag *ret);
/* The version of the next write of the leader of epoch; the table is not changed but for what it has given. Returns 0;
   FLAGS_E_BEHIND, or FLAGS_E_FULL when the name is new and no row is free or to be forgotten, and *ret is left alone. */
int flags_next(Flags *flags, Text name, uint64_t epoch, FlagVersion *ret);
/* Frees the rows; the table is empty and can be used again. */
void flags_done(Flags *flags);

#endif
