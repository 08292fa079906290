#include "tests/unit/bus/store/disk.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILES = 4, SECTOR = 512, IMAGE_BYTES = 1 << 22 };

typedef enum Kind { WRITE, TRUNCATE, SYNC, ACKNOWLEDGED } Kind;

typedef struct Entry {
  Kind kind;
  int file;
  int64_t offset; /* TRUNCATE: the size; ACKNOWLEDGED: the number */
  int size;
  char *data;
} Entry;

typedef struct File {
  sqlite3_file base;
  int number;
  sqlite3_file *real;
} File;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static Entry *diary;
static size_t n_diary;
static char names[FILES][64]; /* without their folder */
static int counts[DISK_CALLS];
static DiskCall failing;
static int fails_at;
static int fails_with;
static sqlite3_vfs *real_vfs;
static sqlite3_io_methods methods;

static void note(Entry entry, const void *data) {
  pthread_mutex_lock(&mutex);
  diary = realloc(diary, (n_diary + 1) * sizeof *diary);
  if (data) {
    entry.data = malloc((size_t)entry.size);
    memcpy(entry.data, data, (size_t)entry.size);
  }
  diary[n_diary++] = entry;
  pthread_mutex_unlock(&mutex);
}

/* The code to fail with, or 0. */
static int count(DiskCall call) {
  int r = 0;

  pthread_mutex_lock(&mutex);
  counts[call]++;
  if (fails_at > 0 && call == failing && counts[call] >= fails_at)
    r = fails_with;
  pthread_mutex_unlock(&mutex);
  return r;
}

/* --- a file --- */

static File *file_of(sqlite3_file *base) {
  return (File *)(void *)base;
}

static int file_close(sqlite3_file *base) {
  File *file = file_of(base);
  int r = file->real->pMethods ? file->real->pMethods->xClose(file->real) : SQLITE_OK;

  free(file->real);
  return r;
}

static int file_read(sqlite3_file *base, void *data, int size, sqlite3_int64 offset) {
  sqlite3_file *real = file_of(base)->real;

  return real->pMethods->xRead(real, data, size, offset);
}

static int file_write(sqlite3_file *base, const void *data, int size, sqlite3_int64 offset) {
  File *file = file_of(base);
  int r = count(DISK_WRITE);

  if (r != 0)
    return r;
  note((Entry){.kind = WRITE, .file = file->number, .offset = offset, .size = size}, data);
  return file->real->pMethods->xWrite(file->real, data, size, offset);
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size) {
  File *file = file_of(base);
  int r = count(DISK_TRUNCATE);

  if (r != 0)
    return r;
  note((Entry){.kind = TRUNCATE, .file = file->number, .offset = size}, NULL);
  return file->real->pMethods->xTruncate(file->real, size);
}

/* Tests need no real sync: the diary is the disk. */
static int file_sync(sqlite3_file *base, int flags) {
  int r = count(DISK_SYNC);

  (void)flags;
  if (r != 0)
    return r;
  note((Entry){.kind = SYNC, .file = file_of(base)->number}, NULL);
  return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *ret) {
  sqlite3_file *real = file_of(base)->real;

  return real->pMethods->xFileSize(real, ret);
}

static int file_lock(sqlite3_file *base, int level) {
  sqlite3_file *real = file_of(base)->real;

  return real->pMethods->xLock(real, level);
}

static int file_unlock(sqlite3_file *base, int level) {
  sqlite3_file *real = file_of(base)->real;

  return real->pMethods->xUnlock(real, level);
}

static int file_check_lock(sqlite3_file *base, int *ret) {
  sqlite3_file *real = file_of(base)->real;

  return real->pMethods->xCheckReservedLock(real, ret);
}

static int file_control(sqlite3_file *base, int what, void *argument) {
  sqlite3_file *real = file_of(base)->real;

  return real->pMethods->xFileControl(real, what, argument);
}

static int file_sector(sqlite3_file *base) {
  sqlite3_file *real = file_of(base)->real;

  return real->pMethods->xSectorSize(real);
}

static int file_traits(sqlite3_file *base) {
  sqlite3_file *real = file_of(base)->real;

  return real->pMethods->xDeviceCharacteristics(real);
}

static int number_of(const char *path) {
  const char *slash = path ? strrchr(path, '/') : NULL;
  const char *name = slash ? slash + 1 : "temporary";

  for (int i = 0; i < FILES; i++) {
    if (!names[i][0])
      snprintf(names[i], sizeof names[i], "%s", name);
    if (strcmp(names[i], name) == 0)
      return i;
  }
  abort();
}

static int open_file(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags, int *ret_flags) {
  File *file = file_of(base);
  int r;

  (void)vfs;
  file->number = number_of(path);
  file->real = calloc(1, (size_t)real_vfs->szOsFile);
  r = real_vfs->xOpen(real_vfs, path, file->real, flags, ret_flags);
  file->base.pMethods = r == SQLITE_OK ? &methods : NULL;
  if (r != SQLITE_OK)
    free(file->real);
  return r;
}

void disk_install(void) {
  static sqlite3_vfs vfs;

  real_vfs = sqlite3_vfs_find(NULL);
  vfs = *real_vfs;
  vfs.zName = "diary";
  vfs.szOsFile = (int)sizeof(File);
  vfs.xOpen = open_file;
  methods = (sqlite3_io_methods){1,
                                 file_close,
                                 file_read,
                                 file_write,
                                 file_truncate,
                                 file_sync,
                                 file_size,
                                 file_lock,
                                 file_unlock,
                                 file_check_lock,
                                 file_control,
                                 file_sector,
                                 file_traits,
                                 NULL,
                                 NULL,
                                 NULL,
                                 NULL,
                                 NULL,
                                 NULL};
  sqlite3_vfs_register(&vfs, 1);
}

/* --- the diary --- */

void disk_begin(void) {
  for (size_t i = 0; i < n_diary; i++)
    free(diary[i].data);
  free(diary);
  diary = NULL;
  n_diary = 0;
  memset(names, 0, sizeof names);
  memset(counts, 0, sizeof counts);
  fails_at = 0;
}

void disk_fail(DiskCall call, int nth, int code) {
  pthread_mutex_lock(&mutex);
  counts[call] = 0;
  failing = call;
  fails_at = nth;
  fails_with = code;
  pthread_mutex_unlock(&mutex);
}

int disk_count(DiskCall call) {
  return counts[call];
}

size_t disk_size(void) {
  return n_diary;
}

void disk_acknowledge(uint64_t number) {
  note((Entry){.kind = ACKNOWLEDGED, .offset = (int64_t)number}, NULL);
}

uint64_t disk_acknowledged(size_t entries) {
  uint64_t highest = 0;

  for (size_t i = 0; i < entries; i++)
    if (diary[i].kind == ACKNOWLEDGED)
      highest = (uint64_t)diary[i].offset;
  return highest;
}

/* --- after a power cut --- */

typedef struct Image {
  char *bytes;
  int64_t size;
} Image;

static void apply(Image *image, const Entry *entry, int size) {
  if (entry->kind == TRUNCATE && entry->offset < image->size) {
    memset(image->bytes + entry->offset, 0, (size_t)(image->size - entry->offset));
    image->size = entry->offset;
  } else if (entry->kind == WRITE && entry->offset + size <= IMAGE_BYTES) {
    memcpy(image->bytes + entry->offset, entry->data, (size_t)size);
    image->size = image->size > entry->offset + size ? image->size : entry->offset + size;
  }
}

static uint64_t draw(uint64_t *random, uint64_t n) {
  *random ^= *random << 13;
  *random ^= *random >> 7;
  *random ^= *random << 17;
  return *random % n;
}

/* How much of a write that was not synced is there. */
static int survives(const Entry *entry, uint64_t seed, uint64_t *random) {
  if (seed < 2)
    return seed == 1 ? entry->size : -1;
  switch (draw(random, 3)) {
  case 0:
    return -1;
  case 1:
    return entry->size;
  default:
    return entry->size < SECTOR ? -1 : (int)draw(random, (uint64_t)(entry->size / SECTOR)) * SECTOR;
  }
}

static size_t last_sync(size_t entries, int file) {
  for (size_t i = entries; i > 0; i--)
    if (diary[i - 1].kind == SYNC && diary[i - 1].file == file)
      return i;
  return 0;
}

static void write_image(const char *path, const Image *image) {
  int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

  if (fd < 0 || write(fd, image->bytes, (size_t)image->size) != image->size)
    abort();
  close(fd);
}

void disk_image(size_t entries, uint64_t seed, const char *folder) {
  uint64_t random = seed * 0x9e3779b97f4a7c15 + entries + 1;
  char path[1024];

  for (int file = 0; file < FILES && names[file][0]; file++) {
    size_t synced = last_sync(entries, file);
    Image image = {.bytes = calloc(1, IMAGE_BYTES)};

    for (size_t i = 0; i < entries; i++) {
      const Entry *entry = &diary[i];
      int size = entry->size;

      if (entry->kind > TRUNCATE || entry->file != file)
        continue;
      if (i >= synced)
        size = survives(entry, seed, &random);
      if (size >= 0)
        apply(&image, entry, size);
    }
    snprintf(path, sizeof path, "%s/%s", folder, names[file]);
    write_image(path, &image);
    free(image.bytes);
  }
}
