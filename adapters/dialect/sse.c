#include "adapters/dialect/sse.h"

static void end_event(Sse *sse, OnSse *on_event, void *userdata) {
  if (sse->has_data)
    on_event(userdata, (Text){(const char *)sse->event.data, sse->event.size},
             (Text){(const char *)sse->data.data, sse->data.size - 1});
  buffer_clear(&sse->event);
  buffer_clear(&sse->data);
  sse->has_data = false;
}

static bool field_is(Text line, size_t name_size, const char *name) {
  return text_equal((Text){line.data, name_size}, text_of(name));
}

/* One line without its end: "name: value", "name:value", "name", ": comment". */
static void take_line(Sse *sse, Text line, OnSse *on_event, void *userdata) {
  const char *colon = line.size ? memchr(line.data, ':', line.size) : NULL;
  size_t name_size = colon ? (size_t)(colon - line.data) : line.size;
  size_t skip = colon ? name_size + 1 : line.size;
  Text value;

  if (line.size == 0) {
    end_event(sse, on_event, userdata);
    return;
  }
  skip += skip < line.size && line.data[skip] == ' ';
  value = (Text){line.data + skip, line.size - skip};
  if (field_is(line, name_size, "data")) {
    buffer_append(&sse->data, value.data, value.size);
    buffer_append(&sse->data, "\n", 1);
    sse->has_data = true;
  } else if (field_is(line, name_size, "event")) {
    buffer_clear(&sse->event);
    buffer_append(&sse->event, value.data, value.size);
  }
}

/* Where the line ends, or NULL: CR, LF or both. */
static const char *find_end(const char *at, size_t size) {
  const char *lf = memchr(at, '\n', size);
  const char *cr = memchr(at, '\r', lf ? (size_t)(lf - at) : size);

  return cr ? cr : lf;
}

static bool is_too_large(const Sse *sse, size_t more_bytes) {
  return sse->line.size + sse->data.size + more_bytes > SSE_EVENT_MAX_BYTES;
}

/* The line that ends at end; most lines come in one piece and are not copied. */
static void close_line(Sse *sse, const char *at, const char *end, OnSse *on_event, void *userdata) {
  Text line = {at, (size_t)(end - at)};

  if (sse->line.size > 0) {
    buffer_append(&sse->line, line.data, line.size);
    line = (Text){(const char *)sse->line.data, sse->line.size};
  }
  if (!sse->begun && line.size >= 3 && memcmp(line.data, "\xef\xbb\xbf", 3) == 0)
    line = (Text){line.data + 3, line.size - 3};
  sse->begun = true;
  take_line(sse, line, on_event, userdata);
  buffer_clear(&sse->line);
}

int sse_feed(Sse *sse, Bytes bytes, OnSse *on_event, void *userdata) {
  const char *at = (const char *)bytes.data;
  const char *stop = at + bytes.size;

  while (at < stop) {
    const char *end;

    if (sse->was_cr && *at == '\n') {
      sse->was_cr = false;
      at++;
      continue;
    }
    sse->was_cr = false;
    end = find_end(at, (size_t)(stop - at));
    if (is_too_large(sse, (size_t)((end ? end : stop) - at)))
      return SSE_E_TOO_LARGE;
    if (!end) {
      buffer_append(&sse->line, at, (size_t)(stop - at));
      return 0;
    }
    close_line(sse, at, end, on_event, userdata);
    sse->was_cr = *end == '\r';
    at = end + 1;
  }
  return 0;
}

void sse_done(Sse *sse) {
  buffer_done(&sse->line);
  buffer_done(&sse->event);
  buffer_done(&sse->data);
  *sse = (Sse){.begun = false};
}
