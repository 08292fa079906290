/* What:      writes a GGUF v3 file: keys, tensors, their data.
 * Owns:      the file while it is written.
 * May use:   the C library.
 * Threading: one thread.
 * Spec:      GGUF version 3 of ggml */
#ifndef PONS_DEPLOY_SELFTEST_GGUF_H
#define PONS_DEPLOY_SELFTEST_GGUF_H

#include <stdint.h>
#include <stdio.h>

enum { GGUF_TENSORS = 32, GGUF_ALIGNMENT_BYTES = 32 };

/* The types of values that we write. */
enum { GGUF_UINT32 = 4, GGUF_INT32 = 5, GGUF_FLOAT32 = 6, GGUF_BOOL = 7, GGUF_STRING = 8, GGUF_ARRAY = 9 };

typedef struct GgufTensor {
  char name[40];
  uint32_t dimensions; /* 1 or 2 */
  uint64_t columns;
  uint64_t rows;
  uint64_t offset_bytes;
} GgufTensor;

typedef struct Gguf {
  FILE *file;
  uint64_t keys;
  GgufTensor tensors[GGUF_TENSORS];
  uint32_t tensors_count;
  uint64_t data_bytes;
} Gguf;

/* Each of these ends the process with a message when it can't write. Little-endian machines only, as is GGUF. */

/* Begins a file at path. */
void gguf_begin(Gguf *gguf, const char *path);
/* A key with its value. */
void gguf_key_u32(Gguf *gguf, const char *key, uint32_t value);
void gguf_key_f32(Gguf *gguf, const char *key, float value);
void gguf_key_bool(Gguf *gguf, const char *key, uint8_t value);
void gguf_key_string(Gguf *gguf, const char *key, const char *value);
/* A key whose value is an array; the elements follow by gguf_string or gguf_write. */
void gguf_key_array(Gguf *gguf, const char *key, uint32_t type, uint64_t count);
void gguf_string(Gguf *gguf, const char *value);
void gguf_write(Gguf *gguf, const void *bytes, size_t size_bytes);
/* Announces a tensor of floats; rows 0 = one dimension. After all keys, in the order in which the data will come. */
void gguf_tensor(Gguf *gguf, const char *name, uint64_t columns, uint64_t rows);
/* Ends the announcements; then the data of each tensor follows by gguf_data. */
void gguf_begin_data(Gguf *gguf);
void gguf_data(Gguf *gguf, const float *values, uint64_t count);
/* Ends the file. */
void gguf_end(Gguf *gguf);

#endif
