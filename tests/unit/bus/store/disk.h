/* What:      a disk under SQLite that keeps a diary of what is written and synced, fails when told, and shows what a power cut
 *            at any moment may have left.
 * Owns:      the diary.
 * May use:   SQLite.
 * Threading: any; one mutex.
 * Spec:      - */
#ifndef PONS_TESTS_DISK_H
#define PONS_TESTS_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum DiskCall { DISK_WRITE, DISK_SYNC, DISK_TRUNCATE, DISK_CALLS } DiskCall;

/* Puts the disk under every file that SQLite opens from now on. Once per process. */
void disk_install(void);
/* Forgets the diary. */
void disk_begin(void);
/* The nth call of this kind from now on, counted from 1, and all later ones fail with this SQLite code; 0 = none. */
void disk_fail(DiskCall call, int nth, int code);
/* How many calls of this kind there were since disk_begin. */
int disk_count(DiskCall call);
/* How many entries the diary has. */
size_t disk_size(void);
/* Notes in the diary that number has been acknowledged. */
void disk_acknowledge(uint64_t number);
/* The highest number acknowledged among the first entries. */
uint64_t disk_acknowledged(size_t entries);
/* Writes into folder the files as a power cut after so many entries may leave them: what was synced is there; of what was
   not, seed decides: 0 = nothing, 1 = all, else each write is there, or not, or torn at a sector. */
void disk_image(size_t entries, uint64_t seed, const char *folder);

#endif
