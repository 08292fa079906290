/* What:      the files of a supervisor in runtime_dir and state_dir.
 * Owns:      nothing.
 * May use:   base, config.
 * Threading: any.
 * Spec:      docs/pons.1.md, "Files" */
#ifndef PONS_CTL_FOLDER_H
#define PONS_CTL_FOLDER_H

#include "bus/config/config.h"

enum { FOLDER_PATH_BYTES = 4096, FOLDER_E_FOREIGN = 1 /* the folder belongs to another user */ };

/* Crash records are state_dir/crash-CHILD; of an earlier run with .old behind it. */
#define FOLDER_CRASH "crash-"

/* The paths of a supervisor; a text is cut when it is too long, and opening it then fails. */
typedef struct Folder {
  char pid[FOLDER_PATH_BYTES];     /* runtime_dir/pons.pid */
  char control[FOLDER_PATH_BYTES]; /* runtime_dir/ctl.sock */
  char log[FOLDER_PATH_BYTES];     /* state_dir/pons.log */
} Folder;

/* Where the files of this configuration are. */
void folder_name(const Config *config, Folder *ret);
/* Makes a folder and those above it, with mode 0700. Returns 0, also when it was there; FOLDER_E_FOREIGN when it
   belongs to neither this user nor root, so that nobody lays a trap in /tmp; negative errno. */
int folder_make(const char *path);
/* Writes all of it to a descriptor. Returns 0 or negative errno. */
int folder_write(int fd, Bytes bytes);

#endif
