/* What:      rows on disk that outlive the process: a key and a few bytes each, in one SQLite file, every row with its
 *            checksum and all of them with one seal.
 * Owns:      the file, its connection, and the one thread that writes and syncs.
 * May use:   base, loop; SQLite. This is the one room that syncs.
 * Threading: the loop thread; what the writer has to say comes on it too.
 * Spec:      docs/authority.md, "The disk"; docs/adr/0028-authority-wired-in.md */
#ifndef PONS_STORE_STORE_H
#define PONS_STORE_STORE_H

#include "bus/base/buffer.h"
#include "bus/loop/loop.h"

typedef struct Store Store;

enum {
  STORE_E_DAMAGED = 1, /* a row, the seal or the file is not what was written */
  STORE_E_LOCKED,      /* another process has the file */
  STORE_E_NEWER,       /* a later version of pons wrote it, or it is no store */
};

enum {
  STORE_KEY_BYTES = 128,
  STORE_VALUE_BYTES = 16 << 20,
  STORE_QUEUE_BYTES = 40 << 20, /* that wait to be written */
  STORE_TEXT_BYTES = 256,
};

typedef struct StoreHandler {
  /* Everything up to serial is on disk. */
  void (*on_written)(void *userdata, uint64_t serial);
  /* Nothing is written any more, from here on and until the process starts anew: text says why. Once. */
  void (*on_failed)(void *userdata, const char *text);
  /* The disk is full, and what waits is tried again every second; or (is_full false) all of it is on disk now. NULL: a full disk is a
     failure like any other. */
  void (*on_full)(void *userdata, bool is_full, const char *text);
  /* From store_open: this row is not what was written (key may not be either; empty: rows are missing, or the seal is not what was written).
     The others are told, and the seal is made anew with the next row that is written. NULL: nothing is believed of such a file. */
  void (*on_damaged)(void *userdata, Text key, Bytes value, const char *text);
  /* Whether store_each is to have the value of this row in memory; else it tells the key alone. NULL: of all. */
  bool (*keeps)(void *userdata, Text key);
  void *userdata;
} StoreHandler;

/* What has become of a store_read: 0 and value, which is borrowed; -ENOENT; STORE_E_DAMAGED; -EIO; and text says why. */
typedef void StoreRead(void *userdata, int r, Block *value, const char *text);

/* Opens the file at path, or makes it with mode 0600, reads every row and holds it against its checksum and all of them against the
   seal; then starts the writer. Blocks. Returns 0; STORE_E_: or -errno, and ret_text (STORE_TEXT_BYTES) says what is
   wrong and what to do; *ret is left alone then. */
int store_open(Store **ret, Loop *loop, const char *path, const StoreHandler *handler, char *ret_text);
/* Writes what waits, ends the writer, closes the file; nothing is told after this. Blocks for as long as the disk takes. Takes
   NULL, nulls the pointer. */
void store_close(Store **store);

/* Tells each row that the file had when it was opened, in the order of the keys. Both are borrowed for the call. */
void store_each(const Store *store, void (*row)(void *userdata, Text key, Bytes value), void *userdata);
/* Drops what store_each tells. */
void store_forget(Store *store);
/* Has a row written, or taken out (store_drop), behind all that was asked for before; what is asked for in one turn is mostly one commit.
   key: 1 to STORE_KEY_BYTES; value: at most STORE_VALUE_BYTES. Returns 0 and *ret_serial (may be NULL) is what
   on_written will have reached when it is on disk; -EIO when the store has failed; -ENOBUFS when too much waits. */
int store_put(Store *store, Text key, Bytes value, uint64_t *ret_serial);
int store_drop(Store *store, Text key, uint64_t *ret_serial);
/* The same as store_put, with a reference instead of a copy. */
int store_put_block(Store *store, Text key, Block *value, uint64_t *ret_serial);
/* Has a row read that is on disk, and held against its checksum: on_read is told later, from the loop, and in the order of asking; not at
   all when the store is closed before. One that waits to be written is not there. */
void store_read(Store *store, Text key, StoreRead *on_read, void *userdata);

#endif
