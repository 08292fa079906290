/* Whoever is told of a header may write it down, so none is kept with what would not be text there, and an address without what
   may be a secret in it. */
#include "adapters/http/head-internal.h"

#include <strings.h>

/* The value of a line whose name this is; without data when it is another's. */
static Text value_of(Text line, const char *name) {
  size_t size = strlen(name);
  const char *at = line.data + size + 1;
  const char *stop = line.data + line.size;

  if (line.size <= size || line.data[size] != ':' || strncasecmp(line.data, name, size) != 0)
    return TEXT_NONE;
  while (at < stop && (*at == ' ' || *at == '\t'))
    at++;
  while (stop > at && (stop[-1] == '\r' || stop[-1] == '\n' || stop[-1] == ' '))
    stop--;
  return (Text){at, (size_t)(stop - at)};
}

static const char *find(Text text, char c) {
  return text.size > 0 ? memchr(text.data, c, text.size) : NULL;
}

static Text behind(Text text, const char *at) {
  return (Text){at, text.size - (size_t)(at - text.data)};
}

static Text before(Text text, const char *at) {
  return at ? (Text){text.data, (size_t)(at - text.data)} : text;
}

/* Host and path of an address: a query may hold a key, and what stands before the host a password. */
static Text host_and_path(Text url) {
  const char *at;

  url = before(url, find(url, '#'));
  url = before(url, find(url, '?'));
  at = find(url, '/');
  if (!at || at + 1 == url.data + url.size || at[1] != '/' || (at > url.data && at[-1] != ':'))
    return url; /* a path alone */
  url = behind(url, at + 2);
  while ((at = find(before(url, find(url, '/')), '@')))
    url = behind(url, at + 1);
  return url;
}

static void keep(Text value, char ret[HEAD_VALUE_BYTES]) {
  size_t size = min_u64(value.size, HEAD_VALUE_BYTES - 1);

  for (size_t i = 0; i < size; i++)
    ret[i] = (char)(value.data[i] >= ' ' && value.data[i] <= '~' ? value.data[i] : '?');
  ret[size] = '\0';
}

void head_take(Head *head, Text line) {
  static const struct {
    const char *name;
    HeadValue value;
  } kept[] = {{"content-type", HEAD_CONTENT_TYPE},     {"retry-after", HEAD_RETRY_AFTER},
              {"retry-after-ms", HEAD_RETRY_AFTER_MS}, {"request-id", HEAD_REQUEST_ID},
              {"x-request-id", HEAD_REQUEST_ID},       {"x-amzn-requestid", HEAD_REQUEST_ID},
              {"x-amzn-errortype", HEAD_ERROR_TYPE},   {"location", HEAD_LOCATION}};

  if (line.size > 5 && memcmp(line.data, "HTTP/", 5) == 0)
    *head = (Head){.values = {""}}; /* what came before was a proxy's, or no answer yet */
  for (size_t i = 0; i < ELEMENTS(kept); i++) {
    Text value = value_of(line, kept[i].name);

    if (!value.data)
      continue;
    keep(kept[i].value == HEAD_LOCATION ? host_and_path(value) : value, head->values[kept[i].value]);
    return;
  }
}

HttpHead head_tell(const Head *head, unsigned status) {
  return (HttpHead){.status = status,
                    .content_type = text_of(head->values[HEAD_CONTENT_TYPE]),
                    .retry_after = text_of(head->values[HEAD_RETRY_AFTER]),
                    .retry_after_ms = text_of(head->values[HEAD_RETRY_AFTER_MS]),
                    .request_id = text_of(head->values[HEAD_REQUEST_ID]),
                    .error_type = text_of(head->values[HEAD_ERROR_TYPE]),
                    .location = text_of(head->values[HEAD_LOCATION])};
}
