#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/loop/key-internal.h"
#include "bus/zmtp/z85.h"

_Static_assert(sizeof(PublicKey) == CURVE_KEY_BYTES && (int)KEY_TEXT_SIZE == (int)Z85_KEY_SIZE, "keys");

static void close_file(const int *fd) {
  if (*fd >= 0)
    close(*fd);
}

static KeyPair *make(const uint8_t secret[CURVE_KEY_BYTES]) {
  KeyPair *key = calloc(1, sizeof *key);

  if (!key)
    abort();
  key->references = 1;
  curve_keys_of(secret, &key->keys);
  return key;
}

void key_new(KeyPair **ret) {
  uint8_t secret[CURVE_KEY_BYTES];

  curve_random(secret, sizeof secret);
  *ret = make(secret);
  curve_wipe(secret, sizeof secret);
}

static int check_file(int fd) {
  struct stat stat;

  if (fstat(fd, &stat) < 0)
    return -errno;
  if (!S_ISREG(stat.st_mode))
    return KEY_E_NO_KEY;
  return stat.st_mode & (S_IRWXG | S_IRWXO) ? KEY_E_READABLE : 0;
}

/* Key and newline and one byte more, to notice what is longer. */
static int read_text(int fd, char text[KEY_TEXT_SIZE + 1], uint8_t ret[CURVE_KEY_BYTES]) {
  ssize_t n = read(fd, text, KEY_TEXT_SIZE + 1);

  if (n < 0)
    return -errno;
  if (n == KEY_TEXT_SIZE && text[n - 1] == '\n')
    n--;
  return z85_decode((Text){text, (size_t)n}, ret) == 0 ? 0 : KEY_E_NO_KEY;
}

/* From the first key on a core dump of this process has none of its memory (core(5), coredump_filter): keys are in many places, of which
   those of libsodium are not ours. */
static void keep_out_of_dumps(void) {
  int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);

  if (fd < 0)
    return; /* a kernel without core dumps */
  (void)!write(fd, "0", 1);
  close(fd);
}

int key_read(const char *path, KeyPair **ret) {
  _cleanup_(close_file) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  char text[KEY_TEXT_SIZE + 1];
  uint8_t secret[CURVE_KEY_BYTES];
  int r = fd < 0 ? -errno : check_file(fd);

  if (r == 0)
    r = read_text(fd, text, secret);
  if (r == 0)
    keep_out_of_dumps();
  if (r == 0)
    *ret = make(secret);
  curve_wipe(text, sizeof text);
  curve_wipe(secret, sizeof secret);
  return r;
}

int key_write(const KeyPair *key, const char *path) {
  _cleanup_(close_file) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  char text[Z85_KEY_SIZE];
  ssize_t n;
  int r;

  if (fd < 0)
    return -errno;
  z85_encode(key->keys.secret_key, text);
  text[Z85_KEY_CHARS] = '\n';
  n = write(fd, text, sizeof text);
  r = n < 0 ? -errno : n < (ssize_t)sizeof text ? -ENOSPC : 0;
  if (r == 0 && fsync(fd) < 0)
    r = -errno;
  curve_wipe(text, sizeof text);
  if (r < 0)
    unlink(path);
  return r;
}

const char *key_error(int code) {
  switch (code) {
  case KEY_E_READABLE:
    return "others may read it; chmod 600 it, and replace the key if somebody may have";
  case KEY_E_NO_KEY:
    return "it has no key; `pons keys add` makes one";
  default:
    return strerror(-code);
  }
}

KeyPair *key_ref(KeyPair *key) {
  key->references++;
  return key;
}

void key_unref(KeyPair **p) {
  KeyPair *key = TAKE(*p);

  if (!key || --key->references > 0)
    return;
  curve_wipe(key, sizeof *key);
  free(key);
}

PublicKey key_public(const KeyPair *key) {
  PublicKey ret;

  memcpy(ret.bytes, key->keys.public_key, sizeof ret.bytes);
  return ret;
}

bool public_key_equal(PublicKey a, PublicKey b) {
  return curve_key_equal(a.bytes, b.bytes);
}

const char *public_key_print(PublicKey key, char ret[KEY_TEXT_SIZE]) {
  return z85_encode(key.bytes, ret);
}

int public_key_read(Text text, PublicKey *ret) {
  return z85_decode(text, ret->bytes) == 0 ? 0 : KEY_E_NO_KEY;
}
