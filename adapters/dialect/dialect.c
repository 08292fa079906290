#include "adapters/dialect/dialect.h"

#include <stdlib.h>

void dialect_put_segment(Buffer *path, Text text) {
  for (size_t i = 0; i < text.size; i++) {
    uint8_t c = (uint8_t)text.data[i];
    bool unreserved =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));

    if (unreserved)
      buffer_append(path, &c, 1);
    else
      buffer_printf(path, "%%%02X", c);
  }
}

void dialect_put_header(Buffer *headers, const char *name, Text value) {
  buffer_append(headers, name, strlen(name));
  buffer_append(headers, ": ", 2);
  buffer_append(headers, value.data, value.size);
  buffer_append(headers, "", 1);
}

int dialect_authorize(const Dialect *dialect, const DialectKey *key, const DialectSend *send, Buffer *ret_headers,
                      DialectFault *ret_fault) {
  if (dialect->authorize)
    return dialect->authorize(key, send, ret_headers, ret_fault);
  if (!key->secret)
    return 0;
  buffer_append(ret_headers, dialect->key_header, strlen(dialect->key_header));
  buffer_append(ret_headers, key->secret, strlen(key->secret) + 1);
  return 0;
}

void dialect_stream_begin(const Dialect *dialect, const DialectAsked *asked, DialectStream *ret) {
  *ret = (DialectStream){.asked = *asked, .dialect = dialect};
  if (dialect->stream_bytes == 0)
    return;
  ret->own = calloc(1, dialect->stream_bytes);
  if (!ret->own)
    abort();
}

void dialect_stream_done(DialectStream *stream) {
  if (stream->own && stream->dialect->stream_done)
    stream->dialect->stream_done(stream->own);
  free(TAKE(stream->own));
  buffer_done(&stream->events);
}

void dialect_made_done(DialectMade *made) {
  buffer_done(&made->texts);
  free(TAKE(made->segments));
  made->segments_count = 0;
}

void dialect_models_done(DialectModels *models) {
  buffer_done(&models->names);
  buffer_done(&models->next);
}

void dialect_tuned_done(DialectTuned *tuned) {
  buffer_done(&tuned->texts);
  free(TAKE(tuned->events));
}

void dialect_request_done(DialectRequest *request) {
  if (request->headers.size > 0)
    explicit_bzero(request->headers.data, request->headers.size);
  buffer_done(&request->path);
  buffer_done(&request->headers);
  buffer_done(&request->body);
  buffer_done(&request->base_url);
}

int dialect_read_names(Json list, const char *member, const char *prefix, Buffer *ret_names, DialectFault *ret_fault) {
  JsonWalk walk = json_walk(list);
  size_t n = strlen(prefix);
  Json one;

  if (json_type(list) != JSON_ARRAY)
    return dialect_fault_malformed(ret_fault, "its answer has no list of models");
  while (json_next_element(&walk, &one)) {
    _cleanup_(buffer_done) Buffer name = {0};
    size_t from;

    json_get_string(json_find(one, member), &name);
    if (!name.data)
      continue;
    from = name.size >= n && memcmp(name.data, prefix, n) == 0 ? n : 0;
    if (name.size == from || memchr(name.data, 0, name.size))
      continue;
    buffer_append(ret_names, name.data + from, name.size - from);
    buffer_append(ret_names, "", 1);
  }
  return 0;
}
