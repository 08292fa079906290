/* What:      the SQLite file of a store: opening and checking it, reading its rows, one commit.
 * Owns:      the connection.
 * May use:   base; SQLite.
 * Threading: one thread at a time.
 * Spec:      file.c */
#ifndef PONS_STORE_FILE_H
#define PONS_STORE_FILE_H

#include "bus/store/store.h"

typedef struct StoreFile StoreFile;

/* A row to be written; value.data NULL = to be taken out. */
typedef struct StoreChange {
  Text key;
  Bytes value;
} StoreChange;

/* Who is told what a file has. */
typedef struct StoreReader {
  void (*on_row)(void *userdata, Text key, Bytes value);
  /* As StoreHandler.on_damaged; NULL: nothing is told of a damaged file. */
  void (*on_damaged)(void *userdata, Text key, Bytes value, const char *text);
  void *userdata;
} StoreReader;

/* As store_open, without a writer. */
int store_file_open(StoreFile **ret, const char *path, const StoreReader *reader, char *ret_text);
/* Closes it. Takes NULL, nulls the pointer. Usable as _cleanup_. */
void store_file_close(StoreFile **file);
/* The row of this key. Returns 0 and the caller owns *ret; -ENOENT; STORE_E_DAMAGED; -EIO; then ret_text says why. */
int store_file_read(StoreFile *file, Text key, Block **ret, char *ret_text);
/* One transaction: begin, changes, commit, which has synced when it returns 0. After -ENOSPC (the disk is full) and -EIO ret_text
   says why, and the file is as before the last begin. */
int store_file_begin(StoreFile *file, char *ret_text);
int store_file_change(StoreFile *file, const StoreChange *change, char *ret_text);
int store_file_commit(StoreFile *file, char *ret_text);

#endif
