#include "adapters/dialect/multipart.h"

#include <inttypes.h>
#include <stdio.h>

static bool has(const Bytes *values, size_t count, const char *boundary) {
  for (size_t i = 0; i < count; i++)
    if (values[i].size > 0 && memmem(values[i].data, values[i].size, boundary, strlen(boundary)))
      return true;
  return false;
}

Multipart multipart_begin(const Bytes *values, size_t count, uint64_t number, Buffer *out) {
  Multipart form = {.out = out};

  do
    snprintf(form.boundary, sizeof form.boundary, "pons-form-%016" PRIx64, number++);
  while (has(values, count, form.boundary));
  return form;
}

static void put_name(Buffer *out, Text name) {
  for (size_t i = 0; i < name.size; i++)
    if (name.data[i] == '"' || name.data[i] == '\r' || name.data[i] == '\n')
      buffer_printf(out, "%%%02X", (unsigned)(unsigned char)name.data[i]);
    else
      buffer_append(out, &name.data[i], 1);
}

static void put_value(Buffer *out, Bytes value) {
  buffer_append(out, "\r\n\r\n", 4);
  buffer_append(out, value.data, value.size);
  buffer_append(out, "\r\n", 2);
}

void multipart_put(Multipart *form, const char *name, Bytes value) {
  buffer_printf(form->out, "--%s\r\nContent-Disposition: form-data; name=\"%s\"", form->boundary, name);
  put_value(form->out, value);
}

void multipart_put_file(Multipart *form, const char *name, Text file_name, const char *type, Bytes value) {
  buffer_printf(form->out, "--%s\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"", form->boundary, name);
  put_name(form->out, file_name);
  buffer_printf(form->out, "\"\r\nContent-Type: %s", type);
  put_value(form->out, value);
}

void multipart_end(Multipart *form, char *ret, size_t size_bytes) {
  buffer_printf(form->out, "--%s--\r\n", form->boundary);
  snprintf(ret, size_bytes, "multipart/form-data; boundary=%s", form->boundary);
}
