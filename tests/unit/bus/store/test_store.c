/* The store: what was acknowledged is there again, what is damaged is named, what can't be written is said. */
#include "bus/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include "tests/unit/bus/store/disk.h"

#define DEADLINE_US (20 * US_PER_S) /* for what is certain to come */

typedef struct Scene {
  char folder[64];
  char path[128];
  Loop *loop;
  Store *store;
  uint64_t written;
  uint64_t wanted;
  bool failed;
  char text[STORE_TEXT_BYTES];
  char rows[4096];  /* "key=value " of each */
  char damage[256]; /* "[key]" of each */
  int full;
  int well;
} Scene;

static void on_written(void *userdata, uint64_t serial) {
  ((Scene *)userdata)->written = serial;
}

static void on_failed(void *userdata, const char *text) {
  Scene *s = userdata;

  assert_false(s->failed);
  s->failed = true;
  snprintf(s->text, sizeof s->text, "%s", text);
}

static int reopen(Scene *s) {
  StoreHandler handler = {on_written, on_failed, .userdata = s};
  Store *before;
  int r;

  store_close(&s->store);
  before = s->store;
  s->written = 0;
  s->failed = false;
  s->text[0] = '\0';
  r = store_open(&s->store, s->loop, s->path, &handler, s->text);
  if (r != 0)
    assert_ptr_equal(s->store, before);
  return r;
}

static void make_folder(Scene *s) {
  snprintf(s->folder, sizeof s->folder, "/tmp/pons-store-XXXXXX");
  assert_non_null(mkdtemp(s->folder));
  snprintf(s->path, sizeof s->path, "%s/a.db", s->folder);
}

static void remove_files(const Scene *s) {
  char path[160];

  unlink(s->path);
  snprintf(path, sizeof path, "%s-journal", s->path);
  unlink(path);
}

static int set_up(void **state) {
  Scene *s = calloc(1, sizeof *s);

  make_folder(s);
  assert_int_equal(loop_new(&s->loop), 0);
  disk_begin();
  assert_int_equal(reopen(s), 0);
  *state = s;
  return 0;
}

static int tear_down(void **state) {
  Scene *s = *state;

  disk_fail(DISK_WRITE, 0, 0);
  store_close(&s->store);
  loop_destroy(&s->loop);
  remove_files(s);
  rmdir(s->folder);
  free(s);
  disk_begin();
  return 0;
}

static bool is_over(void *userdata) {
  const Scene *s = userdata;

  return s->failed || s->written >= s->wanted;
}

/* Waits until all that was asked for is on disk, or can't be. */
static void settle(Scene *s) {
  assert_int_equal(loop_run_until(s->loop, is_over, s, clock_monotonic_us() + DEADLINE_US), 0);
}

static void put(Scene *s, const char *key, const char *value) {
  Bytes bytes = {(const uint8_t *)value, strlen(value)};

  assert_int_equal(store_put(s->store, text_of(key), bytes, &s->wanted), 0);
}

static void print_row(void *userdata, Text key, Bytes value) {
  Scene *s = userdata;
  size_t at = strlen(s->rows);

  snprintf(s->rows + at, sizeof s->rows - at, "%.*s=%.*s ", TEXT_ARG(key), (int)value.size,
           value.data ? (const char *)value.data : "");
}

static const char *rows(Scene *s) {
  s->rows[0] = '\0';
  store_each(s->store, print_row, s);
  return s->rows;
}

static void keeps_rows_over_a_restart(void **state) {
  Scene *s = *state;

  put(s, "b", "2");
  put(s, "a", "1");
  put(s, "c", "");
  settle(s);
  assert_string_equal(rows(s), ""); /* what it had when it was opened */
  assert_int_equal(reopen(s), 0);
  assert_string_equal(rows(s), "a=1 b=2 c= ");
  put(s, "a", "3");
  assert_int_equal(store_drop(s->store, TEXT("b"), &s->wanted), 0);
  assert_int_equal(store_drop(s->store, TEXT("unknown"), &s->wanted), 0);
  settle(s);
  assert_int_equal(reopen(s), 0);
  assert_string_equal(rows(s), "a=3 c= ");
}

static void closing_writes_what_waits(void **state) {
  Scene *s = *state;

  for (int i = 0; i < 100; i++)
    put(s, "a", i < 99 ? "early" : "last");
  assert_int_equal(reopen(s), 0);
  assert_string_equal(rows(s), "a=last ");
}

static void the_file_is_its_owners_alone(void **state) {
  Scene *s = *state;
  struct stat about;

  assert_int_equal(stat(s->path, &about), 0);
  assert_int_equal(about.st_mode & 0777, 0600);
}

static void a_second_process_is_refused(void **state) {
  Scene *s = *state;
  StoreHandler handler = {on_written, on_failed, .userdata = s};
  char text[STORE_TEXT_BYTES];
  Store *second = NULL;

  put(s, "a", "1");
  settle(s);
  assert_int_equal(store_open(&second, s->loop, s->path, &handler, text), STORE_E_LOCKED);
  assert_null(second);
  assert_non_null(strstr(text, "state_dir of its own"));
}

static void another_file_is_not_touched(void **state) {
  Scene *s = *state;
  static const char text[] =
      "something else that somebody wrote, longer than the header of a database, and dear to him."
      " It is not ours to change, and that it is no database is seen by its first bytes.";
  char after[sizeof text] = "";
  int fd;

  store_close(&s->store);
  fd = open(s->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
  assert_int_equal(write(fd, text, sizeof text), sizeof text);
  close(fd);
  assert_int_equal(reopen(s), STORE_E_NEWER);
  fd = open(s->path, O_RDONLY | O_CLOEXEC);
  assert_int_equal(read(fd, after, sizeof after), sizeof after);
  close(fd);
  assert_string_equal(after, text);
}

/* Does something to the file behind the store's back. */
static void tamper(Scene *s, const char *sql) {
  sqlite3 *db = NULL;

  store_close(&s->store);
  assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
}

static void damage_is_named(void **state) {
  static const struct {
    const char *sql;
    int error;
    const char *says;
  } cases[] = {
      {"UPDATE rows SET value = x'39' WHERE key = 'b'", STORE_E_DAMAGED, "at row b"},
      {"UPDATE rows SET key = 'x' WHERE key = 'b'", STORE_E_DAMAGED, "at row x"},
      {"DELETE FROM rows WHERE key = 'b'", STORE_E_DAMAGED, "rows are missing"},
      {"DELETE FROM rows WHERE key = ''", STORE_E_DAMAGED, "rows are missing"},
      {"DELETE FROM rows WHERE key <> ''", STORE_E_DAMAGED, "rows are missing"},
      {"UPDATE rows SET value = x'39' WHERE key = ''", STORE_E_DAMAGED, "at row "},
      {"PRAGMA user_version=2", STORE_E_NEWER, "another version"},
      {"PRAGMA application_id=7", STORE_E_NEWER, "another version"},
  };
  Scene *s = *state;

  for (size_t i = 0; i < ELEMENTS(cases); i++) {
    put(s, "a", "1");
    put(s, "b", "2");
    settle(s);
    tamper(s, cases[i].sql);
    assert_int_equal(reopen(s), cases[i].error);
    assert_non_null(strstr(s->text, cases[i].says));
    unlink(s->path);
    assert_int_equal(reopen(s), 0);
  }
}

/* Whichever bit flips, what is read is what was written, or the damage is named. */
static void no_flipped_bit_goes_unnoticed(void **state) {
  Scene *s = *state;
  char *bytes;
  long size;
  int named = 0;
  int fd;

  put(s, "first", "the value of the first");
  put(s, "second", "the value of the second");
  settle(s);
  store_close(&s->store);
  fd = open(s->path, O_RDWR | O_CLOEXEC);
  size = lseek(fd, 0, SEEK_END);
  bytes = malloc((size_t)size);
  assert_int_equal(pread(fd, bytes, (size_t)size, 0), size);
  for (long at = 0; at < size; at += bytes[at] == 0 ? 37 : 1) {
    char flipped = (char)(bytes[at] ^ 1 << (at % 8));

    assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
    if (reopen(s) != 0)
      named++;
    else
      assert_string_equal(rows(s), "first=the value of the first second=the value of the second ");
    store_close(&s->store);
    assert_int_equal(pwrite(fd, bytes, (size_t)size, 0), size);
    assert_int_equal(ftruncate(fd, size), 0);
  }
  free(bytes);
  close(fd);
  assert_true(named > 100);
}

static void a_full_disk_is_said_once_and_ends_it(void **state) {
  static const DiskCall calls[] = {DISK_WRITE, DISK_SYNC, DISK_TRUNCATE};
  Scene *s = *state;

  for (size_t i = 0; i < ELEMENTS(calls); i++)
    for (int nth = 1; nth <= 3; nth++) {
      put(s, "a", "before");
      settle(s);
      disk_fail(calls[i], nth, calls[i] == DISK_WRITE ? SQLITE_FULL : SQLITE_IOERR_FSYNC);
      for (int k = 0; k < 4 && !s->failed; k++) {
        put(s, "a", "after");
        settle(s);
      }
      assert_true(s->failed);
      if (calls[i] == DISK_WRITE)
        assert_non_null(strstr(s->text, "full"));
      assert_int_equal(store_put(s->store, TEXT("b"), BYTES_NONE, NULL), -EIO);
      disk_fail(calls[i], 0, 0);
      assert_int_equal(reopen(s), 0);
      assert_true(strcmp(rows(s), "a=before ") == 0 || strcmp(rows(s), "a=after ") == 0);
    }
}

static void what_waits_is_bounded(void **state) {
  static uint8_t value[64 << 10];
  Scene *s = *state;
  int r = 0;
  int n = 0;

  while (r == 0 && n < 2 * STORE_QUEUE_BYTES / (int)sizeof value) {
    r = store_put(s->store, TEXT("a"), (Bytes){value, sizeof value}, &s->wanted);
    n += r == 0;
  }
  /* the writer may have kept up; else it is refused at the bound */
  assert_true(r == 0 || (r == -ENOBUFS && n >= STORE_QUEUE_BYTES / (int)sizeof value - 1));
  settle(s);
  put(s, "a", "again");
  settle(s);
}

static void an_unreachable_file_is_named(void **state) {
  Scene *s = *state;
  StoreHandler handler = {on_written, on_failed, .userdata = s};
  char text[STORE_TEXT_BYTES];
  Store *none = NULL;

  assert_int_equal(store_open(&none, s->loop, "/nowhere/at/all.db", &handler, text), -ENOENT);
  assert_null(none);
  assert_non_null(strstr(text, "/nowhere/at/all.db can't be opened: No such file"));
}

/* --- for who goes on with what is sound, and waits for room --- */

static void on_damaged(void *userdata, Text key, Bytes value _unused_, const char *text) {
  Scene *s = userdata;
  size_t at = strlen(s->damage);

  snprintf(s->damage + at, sizeof s->damage - at, "[%.*s]", TEXT_ARG(key));
  assert_non_null(strstr(text, "is damaged"));
}

static void on_full(void *userdata, bool is_full, const char *text) {
  Scene *s = userdata;

  s->full += is_full;
  s->well += !is_full;
  if (is_full)
    assert_non_null(strstr(text, "full"));
}

static int reopen_patient(Scene *s) {
  StoreHandler handler = {on_written, on_failed, on_full, on_damaged, NULL, s};

  store_close(&s->store);
  s->written = 0;
  s->damage[0] = '\0';
  return store_open(&s->store, s->loop, s->path, &handler, s->text);
}

/* What is damaged is named once more at each opening until it is taken out; the seal is made anew with the next row. */
static void sound_rows_go_on_without_damaged_ones(void **state) {
  static const struct {
    const char *sql;
    const char *damage;
    const char *rows;
  } cases[] = {
      {"UPDATE rows SET value = x'39' WHERE key = 'b'", "[b]", "a=1 c=3 "},
      {"UPDATE rows SET crc = crc + 1 WHERE key = 'b'", "[b]", "a=1 c=3 "},
      {"UPDATE rows SET key = 'x' WHERE key = 'b'", "[x]", "a=1 c=3 "},
      {"DELETE FROM rows WHERE key = 'b'", "[]", "a=1 c=3 "},
      {"DELETE FROM rows WHERE key = ''", "[]", "a=1 b=2 c=3 "},
      {"UPDATE rows SET value = x'39' WHERE key = ''", "[]", "a=1 b=2 c=3 "},
  };
  Scene *s = *state;

  for (size_t i = 0; i < ELEMENTS(cases); i++) {
    put(s, "a", "1");
    put(s, "b", "2");
    put(s, "c", "3");
    settle(s);
    tamper(s, cases[i].sql);
    for (int again = 0; again < 2; again++) {
      assert_int_equal(reopen_patient(s), 0);
      assert_string_equal(s->damage, cases[i].damage);
      assert_string_equal(rows(s), cases[i].rows);
    }
    assert_int_equal(store_drop(s->store, TEXT("b"), &s->wanted), 0);
    assert_int_equal(store_drop(s->store, TEXT("x"), &s->wanted), 0);
    put(s, "d", "4");
    settle(s);
    assert_int_equal(reopen_patient(s), 0);
    assert_string_equal(s->damage, "");
    assert_string_equal(rows(s), "a=1 c=3 d=4 ");
    store_forget(s->store);
    assert_string_equal(rows(s), "");
    store_close(&s->store);
    unlink(s->path);
    assert_int_equal(reopen(s), 0);
  }
}

static bool has_become_full(void *userdata) {
  return ((Scene *)userdata)->full > 0;
}

/* a=before is on disk, which is full now, and a=after waits for room. */
static void fill_disk(Scene *s) {
  assert_int_equal(reopen_patient(s), 0);
  put(s, "a", "before");
  settle(s);
  disk_fail(DISK_WRITE, 1, SQLITE_FULL);
  put(s, "a", "after");
  assert_int_equal(loop_run_until(s->loop, has_become_full, s, clock_monotonic_us() + DEADLINE_US), 0);
}

static void make_room(Scene *s) {
  disk_fail(DISK_WRITE, 0, 0);
  settle(s);
}

/* What was asked for meanwhile is in the same transaction: a row that is taken back was never there. */
static void a_full_disk_is_tried_again(void **state) {
  Scene *s = *state;

  fill_disk(s);
  put(s, "b", "refused");
  assert_int_equal(store_drop(s->store, TEXT("b"), &s->wanted), 0);
  make_room(s);
  assert_int_equal(s->full, 1);
  assert_int_equal(s->well, 1);
  assert_false(s->failed);
  assert_int_equal(reopen(s), 0);
  assert_string_equal(rows(s), "a=after ");
}

/* --- rows that are read --- */

typedef struct Read {
  int n;
  int r;
  char value[32];
  char text[STORE_TEXT_BYTES];
} Read;

static void on_read(void *userdata, int r, Block *value, const char *text) {
  Read *read = userdata;
  Bytes bytes = block_bytes(value);

  read->n++;
  read->r = r;
  snprintf(read->value, sizeof read->value, "%.*s", (int)bytes.size, bytes.data ? (const char *)bytes.data : "");
  snprintf(read->text, sizeof read->text, "%s", text);
}

static bool was_read(void *userdata) {
  return ((Read *)userdata)->n > 0;
}

static Read read_row(Scene *s, const char *key) {
  Read read = {.n = 0};

  store_read(s->store, text_of(key), on_read, &read);
  assert_int_equal(read.n, 0); /* never in here */
  assert_int_equal(loop_run_until(s->loop, was_read, &read, clock_monotonic_us() + DEADLINE_US), 0);
  return read;
}

static void a_row_is_read_from_disk(void **state) {
  Scene *s = *state;
  Block *block = block_copy((Bytes){(const uint8_t *)"by reference", 12});
  Read read;

  assert_int_equal(store_put_block(s->store, TEXT("a"), block, &s->wanted), 0);
  block_unref(&block);
  settle(s);
  read = read_row(s, "a");
  assert_int_equal(read.r, 0);
  assert_string_equal(read.value, "by reference");
  read = read_row(s, "b");
  assert_int_equal(read.r, -ENOENT);
  assert_non_null(strstr(read.text, "no row b"));
}

/* Behind the back of a store that is open, as a disk does it: in the file, and not in what SQLite has in memory. */
static void a_row_that_rots_is_named(void **state) {
  Scene *s = *state;
  char bytes[8192];
  char *found;
  Read read;
  int fd;

  put(s, "a", "the value that will rot away");
  settle(s);
  fd = open(s->path, O_RDWR | O_CLOEXEC);
  assert_int_equal(pread(fd, bytes, sizeof bytes, 0), sizeof bytes);
  found = memmem(bytes, sizeof bytes, "rot away", 8);
  assert_non_null(found);
  store_close(&s->store);
  assert_int_equal(pwrite(fd, "ROT", 3, found - bytes), 3);
  close(fd);
  assert_int_equal(reopen_patient(s), 0);
  assert_string_equal(s->damage, "[a]");
  read = read_row(s, "a");
  assert_int_equal(read.r, STORE_E_DAMAGED);
  assert_non_null(strstr(read.text, "at row a"));
}

static void rows_are_read_while_the_disk_is_full(void **state) {
  Scene *s = *state;

  fill_disk(s);
  assert_string_equal(read_row(s, "a").value, "before");
  make_room(s);
  assert_string_equal(read_row(s, "a").value, "after");
}

static bool keeps(void *userdata, Text key) {
  (void)userdata;
  return !text_is(key, "large");
}

/* What is not to be in memory is held against its checksum all the same. */
static void the_value_of_a_row_may_stay_on_disk(void **state) {
  Scene *s = *state;
  StoreHandler handler = {on_written, on_failed, .on_damaged = on_damaged, .keeps = keeps, .userdata = s};

  put(s, "large", "12345");
  put(s, "small", "1");
  settle(s);
  store_close(&s->store);
  assert_int_equal(store_open(&s->store, s->loop, s->path, &handler, s->text), 0);
  assert_string_equal(rows(s), "large= small=1 ");
  tamper(s, "UPDATE rows SET value = x'39' WHERE key = 'large'");
  s->damage[0] = '\0';
  assert_int_equal(store_open(&s->store, s->loop, s->path, &handler, s->text), 0);
  assert_string_equal(s->damage, "[large]");
}

/* --- power cuts --- */

static void number_of(void *userdata, Text key, Bytes value) {
  uint64_t *numbers = userdata;
  int i = text_is(key, "one") ? 0 : 1;
  char text[24];

  snprintf(text, sizeof text, "%.*s", (int)value.size, (const char *)value.data);
  numbers[i] = strtoull(text, NULL, 10);
}

/* Opens what a power cut after so many entries may have left, and looks at it. */
typedef void CheckImage(const Scene *cut, size_t entries, uint64_t seed);

static void check_image(Scene *cut, size_t entries, uint64_t seed, CheckImage *check) {
  disk_image(entries, seed, cut->folder);
  assert_int_equal(reopen(cut), 0);
  check(cut, entries, seed);
  store_close(&cut->store);
  remove_files(cut);
}

enum { SEEDS = 8 };

/* All that the power cuts of this test may leave. Images are opened without being noted. */
static void check_all_images(const Scene *s, CheckImage *check) {
  Scene cut = {.loop = s->loop};
  size_t entries = disk_size();

  make_folder(&cut);
  for (size_t at = 0; at <= entries; at++)
    for (uint64_t seed = 0; seed < SEEDS; seed++)
      check_image(&cut, at, seed, check);
  rmdir(cut.folder);
}

/* What was acknowledged is there, and nothing is without what was asked for before it. */
static void check_numbers(const Scene *cut, size_t entries, uint64_t seed) {
  uint64_t numbers[2] = {0, 0};

  store_each(cut->store, number_of, numbers);
  if (numbers[1] < disk_acknowledged(entries) || numbers[0] < numbers[1] || numbers[0] > numbers[1] + 1)
    fail_msg("cut after %zu, seed %llu: %llu and %llu, acknowledged %llu", entries, (unsigned long long)seed,
             (unsigned long long)numbers[0], (unsigned long long)numbers[1],
             (unsigned long long)disk_acknowledged(entries));
}

enum { COMMITS = 12 };

static void a_power_cut_takes_nothing_back(void **state) {
  Scene *s = *state;
  char value[600];

  for (unsigned i = 1; i <= COMMITS; i++) {
    snprintf(value, sizeof value, "%u%*s", i, (int)(i * 40), ""); /* they grow over a page */
    put(s, "one", value);
    put(s, "two", value);
    settle(s);
    disk_acknowledge(i);
  }
  check_all_images(s, check_numbers);
}

/* A body, and the row that speaks of it: as durable requests are written. */
typedef struct Pairing {
  uint64_t row;
  uint64_t bodies; /* a bit for each that is whole */
} Pairing;

enum { BODY_BYTES = 9000, BODIES = 6 };

static void pair_up(void *userdata, Text key, Bytes value) {
  Pairing *pairing = userdata;
  bool whole = value.size == BODY_BYTES;

  if (key.data[0] == 'r') {
    pairing->row = (uint64_t)(value.data[0] - '0');
    return;
  }
  for (size_t i = 0; i < value.size; i++)
    whole = whole && value.data[i] == (uint8_t)key.data[1];
  assert_true(whole);
  pairing->bodies |= UINT64_C(1) << (key.data[1] - '0');
}

static void check_pair(const Scene *cut, size_t entries, uint64_t seed _unused_) {
  Pairing pairing = {0};

  store_each(cut->store, pair_up, &pairing);
  assert_true(pairing.row >= disk_acknowledged(entries));
  assert_true(pairing.row == 0 || (pairing.bodies & UINT64_C(1) << pairing.row));
}

static void a_power_cut_leaves_no_row_without_its_body(void **state) {
  Scene *s = *state;

  for (int i = 1; i <= BODIES; i++) {
    char key[] = {'b', (char)('0' + i), '\0'};
    char before[] = {'b', (char)('0' + i - 1), '\0'};
    uint8_t bytes[BODY_BYTES];
    Block *body;

    memset(bytes, '0' + i, sizeof bytes);
    body = block_copy((Bytes){bytes, sizeof bytes});
    assert_int_equal(store_put_block(s->store, text_of(key), body, &s->wanted), 0);
    block_unref(&body);
    put(s, "row", key + 1);
    assert_int_equal(store_drop(s->store, text_of(before), &s->wanted), 0);
    settle(s);
    disk_acknowledge((uint64_t)i);
  }
  check_all_images(s, check_pair);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(keeps_rows_over_a_restart),
      TEST(closing_writes_what_waits),
      TEST(the_file_is_its_owners_alone),
      TEST(a_second_process_is_refused),
      TEST(another_file_is_not_touched),
      TEST(damage_is_named),
      TEST(no_flipped_bit_goes_unnoticed),
      TEST(a_full_disk_is_said_once_and_ends_it),
      TEST(what_waits_is_bounded),
      TEST(an_unreachable_file_is_named),
      TEST(sound_rows_go_on_without_damaged_ones),
      TEST(a_full_disk_is_tried_again),
      TEST(a_row_is_read_from_disk),
      TEST(a_row_that_rots_is_named),
      TEST(rows_are_read_while_the_disk_is_full),
      TEST(the_value_of_a_row_may_stay_on_disk),
      TEST(a_power_cut_takes_nothing_back),
      TEST(a_power_cut_leaves_no_row_without_its_body),
  };

  disk_install();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
