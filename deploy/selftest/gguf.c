#include "deploy/selftest/gguf.h"

#include <stdlib.h>
#include <string.h>

enum { COUNTS_AT = 8 /* behind the magic and the version */ };

static void die(const char *what) {
  perror(what);
  exit(1);
}

void gguf_write(Gguf *gguf, const void *bytes, size_t size_bytes) {
  if (fwrite(bytes, 1, size_bytes, gguf->file) != size_bytes)
    die("write");
}

static void write_u32(Gguf *gguf, uint32_t value) {
  gguf_write(gguf, &value, sizeof value);
}

static void write_u64(Gguf *gguf, uint64_t value) {
  gguf_write(gguf, &value, sizeof value);
}

static void pad(Gguf *gguf, uint64_t size_bytes) {
  static const char zeros[GGUF_ALIGNMENT_BYTES];

  if (size_bytes % GGUF_ALIGNMENT_BYTES)
    gguf_write(gguf, zeros, GGUF_ALIGNMENT_BYTES - size_bytes % GGUF_ALIGNMENT_BYTES);
}

void gguf_begin(Gguf *gguf, const char *path) {
  *gguf = (Gguf){.file = fopen(path, "wb")};
  if (!gguf->file)
    die(path);
  gguf_write(gguf, "GGUF", 4);
  write_u32(gguf, 3);
  write_u64(gguf, 0); /* both counts are filled in at the end */
  write_u64(gguf, 0);
}

void gguf_string(Gguf *gguf, const char *value) {
  write_u64(gguf, strlen(value));
  gguf_write(gguf, value, strlen(value));
}

static void begin_key(Gguf *gguf, const char *key, uint32_t type) {
  gguf_string(gguf, key);
  write_u32(gguf, type);
  gguf->keys++;
}

void gguf_key_u32(Gguf *gguf, const char *key, uint32_t value) {
  begin_key(gguf, key, GGUF_UINT32);
  write_u32(gguf, value);
}

void gguf_key_f32(Gguf *gguf, const char *key, float value) {
  begin_key(gguf, key, GGUF_FLOAT32);
  gguf_write(gguf, &value, sizeof value);
}

void gguf_key_bool(Gguf *gguf, const char *key, uint8_t value) {
  begin_key(gguf, key, GGUF_BOOL);
  gguf_write(gguf, &value, sizeof value);
}

void gguf_key_string(Gguf *gguf, const char *key, const char *value) {
  begin_key(gguf, key, GGUF_STRING);
  gguf_string(gguf, value);
}

void gguf_key_array(Gguf *gguf, const char *key, uint32_t type, uint64_t count) {
  begin_key(gguf, key, GGUF_ARRAY);
  write_u32(gguf, type);
  write_u64(gguf, count);
}

void gguf_tensor(Gguf *gguf, const char *name, uint64_t columns, uint64_t rows) {
  GgufTensor *tensor = &gguf->tensors[gguf->tensors_count++];
  uint64_t bytes = columns * (rows ? rows : 1) * sizeof(float);

  if (gguf->tensors_count > GGUF_TENSORS)
    die("too many tensors");
  *tensor =
      (GgufTensor){.dimensions = rows ? 2 : 1, .columns = columns, .rows = rows, .offset_bytes = gguf->data_bytes};
  snprintf(tensor->name, sizeof tensor->name, "%s", name);
  gguf->data_bytes += (bytes + GGUF_ALIGNMENT_BYTES - 1) / GGUF_ALIGNMENT_BYTES * GGUF_ALIGNMENT_BYTES;
}

void gguf_begin_data(Gguf *gguf) {
  for (uint32_t i = 0; i < gguf->tensors_count; i++) {
    const GgufTensor *tensor = &gguf->tensors[i];

    gguf_string(gguf, tensor->name);
    write_u32(gguf, tensor->dimensions);
    write_u64(gguf, tensor->columns);
    if (tensor->dimensions > 1)
      write_u64(gguf, tensor->rows);
    write_u32(gguf, 0); /* 32-bit floats */
    write_u64(gguf, tensor->offset_bytes);
  }
  pad(gguf, (uint64_t)ftell(gguf->file));
}

void gguf_data(Gguf *gguf, const float *values, uint64_t count) {
  gguf_write(gguf, values, count * sizeof *values);
  pad(gguf, count * sizeof *values);
}

void gguf_end(Gguf *gguf) {
  if (fseek(gguf->file, COUNTS_AT, SEEK_SET) != 0)
    die("seek");
  write_u64(gguf, gguf->tensors_count);
  write_u64(gguf, gguf->keys);
  if (fclose(gguf->file) != 0)
    die("close");
}
