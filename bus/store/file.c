/* One table of rows. Each row has the CRC of its key and value, so a flipped bit is found. The row with the empty key is the
   seal: how many rows there are and the exclusive or of their checksums, written in the same transaction, so that rows which are
   missing are found too.

   A rollback journal that is truncated, with synchronous=FULL: SQLite syncs the journal, the file, and the truncated journal, and
   after that the commit can't come undone. (Its default, deleting the journal, does not sync the folder, and the last commit may
   be rolled back after a power cut; a write-ahead log with a flipped bit is silently cut there.) */
#include "bus/store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/store/crc.h"

enum { APPLICATION_ID = 0x706f6e73 /* "pons" */, FORMAT = 1 };

typedef enum Statement { BEGIN, COMMIT, ROLLBACK, FIND, READ, PUT, DROP, EACH, STATEMENTS } Statement;

static const char *const texts[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [FIND] = "SELECT crc FROM rows WHERE key = ?1",
    [READ] = "SELECT key, value, crc FROM rows WHERE key = ?1",
    [PUT] = "INSERT OR REPLACE INTO rows (key, value, crc) VALUES (?1, ?2, ?3)",
    [DROP] = "DELETE FROM rows WHERE key = ?1",
    [EACH] = "SELECT key, value, crc FROM rows ORDER BY key",
};

typedef struct Seal {
  uint64_t rows;
  uint32_t sum;
} Seal;

struct StoreFile {
  sqlite3 *db;
  sqlite3_stmt *statements[STATEMENTS];
  Seal seal;    /* of what is committed */
  Seal pending; /* of the transaction */
};

static int fail(const StoreFile *file, const char *doing, char *ret_text) {
  snprintf(ret_text, STORE_TEXT_BYTES, "%s: %s", doing, sqlite3_errmsg(file->db));
  return (sqlite3_errcode(file->db) & 0xff) == SQLITE_FULL ? -ENOSPC : -EIO;
}

static uint32_t row_crc(Text key, Bytes value) {
  uint32_t crc = crc_add(0, (Bytes){(const uint8_t *)key.data, key.size});

  return crc_add(crc_add(crc, (Bytes){(const uint8_t *)"", 1}), value);
}

/* --- one statement --- */

static int step(sqlite3_stmt *statement) {
  int r = sqlite3_step(statement);

  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return r == SQLITE_ROW ? SQLITE_DONE : r;
}

static void bind_key(sqlite3_stmt *statement, Text key) {
  sqlite3_bind_text(statement, 1, key.data ? key.data : "", (int)key.size, SQLITE_STATIC);
}

/* Returns whether the row is there, and its checksum. */
static bool find_crc(StoreFile *file, Text key, uint32_t *ret) {
  sqlite3_stmt *find = file->statements[FIND];
  bool found;

  bind_key(find, key);
  found = sqlite3_step(find) == SQLITE_ROW;
  if (found)
    *ret = (uint32_t)sqlite3_column_int64(find, 0);
  sqlite3_reset(find);
  return found;
}

static int put_row(StoreFile *file, Text key, Bytes value) {
  sqlite3_stmt *put = file->statements[PUT];

  bind_key(put, key);
  sqlite3_bind_blob(put, 2, value.data ? (const void *)value.data : "", (int)value.size, SQLITE_STATIC);
  sqlite3_bind_int64(put, 3, row_crc(key, value));
  return step(put);
}

static Bytes seal_bytes(const Seal *seal, char *room, size_t room_bytes) {
  int n = snprintf(room, room_bytes, "%llu %u", (unsigned long long)seal->rows, seal->sum);

  return (Bytes){(const uint8_t *)room, (size_t)n};
}

/* --- a transaction --- */

int store_file_begin(StoreFile *file, char *ret_text) {
  file->pending = file->seal;
  return step(file->statements[BEGIN]) == SQLITE_DONE ? 0 : fail(file, "can't begin to write", ret_text);
}

static int undo(StoreFile *file, const char *doing, char *ret_text) {
  int r = fail(file, doing, ret_text);

  if (!sqlite3_get_autocommit(file->db))
    step(file->statements[ROLLBACK]);
  return r;
}

int store_file_change(StoreFile *file, const StoreChange *change, char *ret_text) {
  uint32_t crc;
  int r = SQLITE_DONE;

  if (find_crc(file, change->key, &crc)) {
    file->pending.rows--;
    file->pending.sum ^= crc;
  }
  if (change->value.data) {
    file->pending.rows++;
    file->pending.sum ^= row_crc(change->key, change->value);
    r = put_row(file, change->key, change->value);
  } else {
    bind_key(file->statements[DROP], change->key);
    r = step(file->statements[DROP]);
  }
  return r == SQLITE_DONE ? 0 : undo(file, "can't write a row", ret_text);
}

int store_file_commit(StoreFile *file, char *ret_text) {
  char room[40];

  if (put_row(file, TEXT(""), seal_bytes(&file->pending, room, sizeof room)) != SQLITE_DONE)
    return undo(file, "can't write the seal", ret_text);
  if (step(file->statements[COMMIT]) != SQLITE_DONE)
    return undo(file, "can't commit", ret_text);
  file->seal = file->pending;
  return 0;
}

/* --- opening --- */

static int number_of(sqlite3 *db, const char *pragma) {
  sqlite3_stmt *statement = NULL;
  int value = -1;

  if (sqlite3_prepare_v2(db, pragma, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
    value = sqlite3_column_int(statement, 0);
  sqlite3_finalize(statement);
  return value;
}

static bool run(sqlite3 *db, const char *text) {
  return sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK;
}

static int why_not(const StoreFile *file, const char *path, char *ret_text) {
  int code = sqlite3_errcode(file->db) & 0xff;

  if (code == SQLITE_BUSY || code == SQLITE_LOCKED) {
    snprintf(ret_text, STORE_TEXT_BYTES, "%s is in use by another process: give each broker a state_dir of its own",
             path);
    return STORE_E_LOCKED;
  }
  if (code == SQLITE_CORRUPT) {
    snprintf(ret_text, STORE_TEXT_BYTES, "%s is damaged (%s): docs/authority.md, \"The disk\", says what to do", path,
             sqlite3_errmsg(file->db));
    return STORE_E_DAMAGED;
  }
  if (code == SQLITE_NOTADB) {
    snprintf(ret_text, STORE_TEXT_BYTES, "%s is no store of pons: move it away, or choose another state_dir", path);
    return STORE_E_NEWER;
  }
  snprintf(ret_text, STORE_TEXT_BYTES, "%s can't be opened: %s", path, sqlite3_errmsg(file->db));
  return -EIO;
}

/* An exclusive lock is taken by the first transaction and kept. A journal that a crash has left is played back here. */
static bool set_up(sqlite3 *db) {
  return run(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=FULL;"
                 "PRAGMA cache_size=-256; PRAGMA mmap_size=0; PRAGMA trusted_schema=OFF; BEGIN EXCLUSIVE; COMMIT");
}

static bool is_empty(sqlite3 *db) {
  return number_of(db, "PRAGMA application_id") == 0 && number_of(db, "SELECT count(*) FROM sqlite_schema") == 0;
}

static bool create(StoreFile *file) {
  return run(file->db,
             "BEGIN EXCLUSIVE;"
             "PRAGMA application_id=0x706f6e73; PRAGMA user_version=1;"
             "CREATE TABLE rows (key TEXT PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID;"
             "COMMIT");
}

static int check_format(const StoreFile *file, const char *path, char *ret_text) {
  if (number_of(file->db, "PRAGMA application_id") == APPLICATION_ID &&
      number_of(file->db, "PRAGMA user_version") == FORMAT)
    return 0;
  snprintf(ret_text, STORE_TEXT_BYTES,
           "%s is of another version of pons, or no store of pons: move it away, or choose another state_dir", path);
  return STORE_E_NEWER;
}

static bool prepare(StoreFile *file) {
  for (int i = 0; i < STATEMENTS; i++)
    if (sqlite3_prepare_v3(file->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &file->statements[i], NULL) != SQLITE_OK)
      return false;
  return true;
}

static int damaged(const char *path, const char *what, Text key, char *ret_text) {
  snprintf(ret_text, STORE_TEXT_BYTES, "%s is damaged: %s%.*s: docs/authority.md, \"The disk\", says what to do", path,
           what, TEXT_ARG(key));
  return STORE_E_DAMAGED;
}

static Bytes column_bytes(sqlite3_stmt *statement, int column) {
  const void *data = sqlite3_column_blob(statement, column);

  return (Bytes){data, (size_t)sqlite3_column_bytes(statement, column)};
}

static Text column_key(sqlite3_stmt *statement) {
  Bytes bytes = column_bytes(statement, 0);

  return (Text){(const char *)bytes.data, bytes.size};
}

static bool read_seal(Bytes value, Seal *ret) {
  char text[40];
  unsigned long long rows;

  snprintf(text, sizeof text, "%.*s", (int)min_u64(value.size, sizeof text - 1),
           value.data ? (const char *)value.data : "");
  if (sscanf(text, "%llu %u", &rows, &ret->sum) != 2)
    return false;
  ret->rows = rows;
  return true;
}

static bool is_sound(sqlite3_stmt *rows) {
  return row_crc(column_key(rows), column_bytes(rows, 1)) == (uint32_t)sqlite3_column_int64(rows, 2);
}

/* What is found while the rows are held against their checksums. */
typedef struct Check {
  const char *path;
  const StoreReader *reader;
  Seal found;
  uint64_t damaged;
  bool seal_is_lost;
} Check;

/* Something is not what was written: tells who goes on without it, or ends the opening. */
static int on_damage(Check *check, const char *what, Text key, Bytes value, char *ret_text) {
  int r = damaged(check->path, what, key, ret_text);

  if (!check->reader->on_damaged)
    return r;
  check->damaged++;
  check->reader->on_damaged(check->reader->userdata, key, value, ret_text);
  return 0;
}

/* The seal, read once: what is wrong with it is one damage. */
static int check_seal(StoreFile *file, Check *check, char *ret_text) {
  sqlite3_stmt *rows = file->statements[EACH];

  if (is_sound(rows) && read_seal(column_bytes(rows, 1), &file->seal))
    return 0;
  check->seal_is_lost = true;
  return on_damage(check, "the checksum does not fit at row ", TEXT_NONE, BYTES_NONE, ret_text);
}

/* Holds the row in hand against its checksum and adds it to what the seal should say. */
static int check_row(StoreFile *file, Check *check, char *ret_text) {
  sqlite3_stmt *rows = file->statements[EACH];
  Text key = column_key(rows);

  if (key.size == 0)
    return check_seal(file, check, ret_text);
  check->found.rows++;
  check->found.sum ^= (uint32_t)sqlite3_column_int64(rows, 2);
  return is_sound(rows) ? 0
                        : on_damage(check, "the checksum does not fit at row ", key, column_bytes(rows, 1), ret_text);
}

/* A row whose checksum is damaged is not a missing one too. */
static bool is_sealed(const StoreFile *file, const Check *check) {
  return check->seal_is_lost ||
         (check->found.rows == file->seal.rows && (check->damaged > 0 || check->found.sum == file->seal.sum));
}

static int check_rows(StoreFile *file, const char *path, const StoreReader *reader, char *ret_text) {
  sqlite3_stmt *rows = file->statements[EACH];
  Check check = {.path = path, .reader = reader};
  int step_code = SQLITE_ROW;
  int r = 0;

  while (r == 0 && (step_code = sqlite3_step(rows)) == SQLITE_ROW)
    r = check_row(file, &check, ret_text);
  if (r == 0 && step_code != SQLITE_DONE)
    r = why_not(file, path, ret_text);
  sqlite3_reset(rows);
  if (r == 0 && !is_sealed(file, &check))
    r = on_damage(&check, "rows are missing, or are there without the seal", TEXT_NONE, BYTES_NONE, ret_text);
  file->seal = check.found;
  return r;
}

static void tell_rows(StoreFile *file, const StoreReader *reader) {
  sqlite3_stmt *rows = file->statements[EACH];

  while (sqlite3_step(rows) == SQLITE_ROW)
    if (column_key(rows).size > 0 && is_sound(rows))
      reader->on_row(reader->userdata, column_key(rows), column_bytes(rows, 1));
  sqlite3_reset(rows);
}

static int read_row(StoreFile *file, Text key, int step_code, Block **ret, char *ret_text) {
  sqlite3_stmt *read = file->statements[READ];

  if (step_code == SQLITE_DONE) {
    snprintf(ret_text, STORE_TEXT_BYTES, "there is no row %.*s", TEXT_ARG(key));
    return -ENOENT;
  }
  if (step_code != SQLITE_ROW) {
    fail(file, "can't read a row", ret_text);
    return (sqlite3_errcode(file->db) & 0xff) == SQLITE_CORRUPT ? STORE_E_DAMAGED : -EIO;
  }
  if (!is_sound(read)) {
    snprintf(ret_text, STORE_TEXT_BYTES, "the checksum does not fit at row %.*s", TEXT_ARG(key));
    return STORE_E_DAMAGED;
  }
  *ret = block_copy(column_bytes(read, 1));
  return 0;
}

int store_file_read(StoreFile *file, Text key, Block **ret, char *ret_text) {
  sqlite3_stmt *read = file->statements[READ];
  int r;

  bind_key(read, key);
  r = read_row(file, key, sqlite3_step(read), ret, ret_text);
  sqlite3_reset(read);
  sqlite3_clear_bindings(read);
  return r;
}

/* SQLite would make the file with the rights that the umask leaves. */
static int touch(const char *path, char *ret_text) {
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  int error = errno;

  if (fd >= 0) {
    close(fd);
    return 0;
  }
  snprintf(ret_text, STORE_TEXT_BYTES, "%s can't be opened: %s", path, strerror(error));
  return -error;
}

int store_file_open(StoreFile **ret, const char *path, const StoreReader *reader, char *ret_text) {
  _cleanup_(store_file_close) StoreFile *file = calloc(1, sizeof *file);
  int r = touch(path, ret_text);

  if (!file)
    abort();
  if (r < 0)
    return r;
  if (sqlite3_open_v2(path, &file->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
      !set_up(file->db) || (is_empty(file->db) && !create(file)))
    return why_not(file, path, ret_text);
  r = check_format(file, path, ret_text);
  if (r == 0 && !prepare(file))
    r = why_not(file, path, ret_text);
  if (r == 0)
    r = check_rows(file, path, reader, ret_text);
  if (r != 0)
    return r;
  tell_rows(file, reader);
  *ret = TAKE(file);
  return 0;
}

void store_file_close(StoreFile **file) {
  StoreFile *gone = TAKE(*file);

  if (!gone)
    return;
  for (int i = 0; i < STATEMENTS; i++)
    sqlite3_finalize(gone->statements[i]);
  sqlite3_close(gone->db);
  free(gone);
}
