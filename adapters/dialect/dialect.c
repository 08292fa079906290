#include "adapters/dialect/dialect.h"

#include <stdlib.h>

int dialect_read_chat(Json request, const AskTable *table, const char *about, DialectRequest *ret, AskChat *ret_ask,
                      DialectFault *ret_fault) {
  int r = ask_read(request, table, about, ret_ask, ret_fault);

  if (r != 0)
    return r;
  ret->asked.streams = ask_streams(ret_ask);
  ret->asked.hides_usage = ret->asked.streams && !ask_wants_usage(ret_ask);
  return 0;
}

void dialect_explain(const DialectHead *head, Buffer *message) {
  static const struct {
    unsigned status;
    const char *advice;
  } rows[] = {
      {404, ", as a server does that has no such path: correct base_url"},
      {405, ", as a server does that has another thing under this path: correct base_url"},
      {407, ", as a proxy on the way does that wants to know who asks"},
      {410, ", as a server does that had such a path once: correct base_url, or name another model"},
  };
  const char *advice = "";

  if (head->status / 100 == 3 && head->location.size > 0) {
    buffer_clear(message);
    buffer_printf(message,
                  "it answered with status %u and points to %.*s; redirects are not followed: correct base_url",
                  head->status, TEXT_ARG(head->location));
    return;
  }
  for (size_t i = 0; i < ELEMENTS(rows); i++)
    if (rows[i].status == head->status)
      advice = rows[i].advice;
  if (message->size == 0)
    buffer_printf(message, "it answered with status %u and no reason%s", head->status, advice);
}

bool dialect_read_count(Json object, const char *name, uint64_t *ret) {
  uint64_t count;

  if (json_get_uint(json_find(object, name), &count) != 0)
    return false;
  *ret = min_u64(count, UINT32_MAX);
  return true;
}

static bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

void dialect_put_segment(Buffer *path, Text text) {
  for (size_t i = 0; i < text.size;) {
    size_t begun = i;

    while (i < text.size && is_unreserved(text.data[i]))
      i++;
    buffer_append(path, text.data + begun, i - begun);
    if (i < text.size)
      buffer_printf(path, "%%%02X", (unsigned)(uint8_t)text.data[i++]);
  }
}

void dialect_put_header(Buffer *headers, const char *name, Text value) {
  buffer_append(headers, name, strlen(name));
  buffer_append(headers, ": ", 2);
  buffer_append(headers, value.data, value.size);
  buffer_append(headers, "", 1);
}

static int put_proof(const Dialect *dialect, const DialectKey *key, const DialectSend *send, Buffer *ret_headers,
                     DialectFault *ret_fault) {
  if (dialect->authorize)
    return dialect->authorize(key, send, ret_headers, ret_fault);
  if (!key->secret)
    return 0;
  buffer_put(ret_headers, text_of(dialect->key_header));
  buffer_append(ret_headers, key->secret, strlen(key->secret) + 1);
  return 0;
}

/* A file of several lines, where one word is wanted, would put its other lines among the headers. */
static bool has_line_end(const Buffer *headers, size_t from) {
  return memchr(headers->data + from, '\n', headers->size - from) ||
         memchr(headers->data + from, '\r', headers->size - from);
}

int dialect_authorize(const Dialect *dialect, const DialectKey *key, const DialectSend *send, Buffer *ret_headers,
                      DialectFault *ret_fault) {
  size_t before = ret_headers->size;
  int r = put_proof(dialect, key, send, ret_headers, ret_fault);

  if (r != 0 || ret_headers->size == before || !has_line_end(ret_headers, before))
    return r;
  explicit_bzero(ret_headers->data + before, ret_headers->size - before);
  ret_headers->size = before;
  return dialect_fault_set(
      ret_fault, &(Fault){.cause = CAUSE_AUTH,
                          .message = TEXT("its key has more than one line; the file must hold the key alone")});
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
