#include "tests/mock-provider/stats.h"

#include <stdio.h>
#include <stdlib.h>

#include "bus/base/clock.h"
#include "bus/json/json.h"
#include "tests/mock-provider/sha256.h"

enum { PATHS_MAX = 1024, LAST_BODY_MAX = 1 << 20 };

typedef struct PathCount {
  TableLink link;
  uint64_t requests;
  size_t size;
  char text[];
} PathCount;

static const char *const SECRETS[] = {"authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key",
                                      "cookie",        "x-amz-security-token"};

static PathCount *find_path(const Stats *stats, Text path, uint64_t hash) {
  for (TableLink *at = table_bucket(&stats->paths, hash); at; at = at->next) {
    PathCount *found = CONTAINER_OF(at, PathCount, link);

    if (at->hash == hash && text_equal((Text){found->text, found->size}, path))
      return found;
  }
  return NULL;
}

static PathCount *get_path(Stats *stats, Text path) {
  uint64_t hash = text_hash(path);
  PathCount *found = find_path(stats, path, hash);

  if (!found && stats->path_count >= PATHS_MAX) {
    path = TEXT("(other)");
    hash = text_hash(path);
    found = find_path(stats, path, hash);
  }
  if (found)
    return found;
  found = calloc(1, sizeof *found + path.size);
  if (!found)
    abort();
  found->size = path.size;
  memcpy(found->text, path.data, path.size);
  table_add(&stats->paths, &found->link, hash);
  stats->path_count++;
  return found;
}

uint64_t stats_request(Stats *stats, const HttpRequest *request, const Buffer *in) {
  size_t body = request->body.size;

  stats->requests++;
  buffer_clear(&stats->last_head);
  buffer_append(&stats->last_head, in->data, request->head_size);
  buffer_clear(&stats->last_body);
  buffer_append(&stats->last_body, request->body.data, body > LAST_BODY_MAX ? LAST_BODY_MAX : body);
  stats->last_body_size = body;
  return ++get_path(stats, request->path)->requests;
}

static bool is_secret(Text name) {
  for (size_t i = 0; i < ELEMENTS(SECRETS); i++)
    if (http_same(name, text_of(SECRETS[i])))
      return true;
  return false;
}

static void put_lower(Text name, Buffer *out) {
  buffer_append(out, "\"", 1);
  for (size_t i = 0; i < name.size; i++)
    buffer_printf(out, "%c", name.data[i] >= 'A' && name.data[i] <= 'Z' ? name.data[i] | 0x20 : name.data[i]);
  buffer_append(out, "\":", 2);
}

/* Either the headers that are no secrets, with their values, or the secrets, with the hash of theirs. */
static void put_headers(const HttpRequest *request, bool secrets, Buffer *out) {
  bool first = true;
  char hash[65];

  for (unsigned i = 0; i < request->header_count; i++) {
    const HttpHeader *header = &request->headers[i];

    if (is_secret(header->name) != secrets)
      continue;
    buffer_printf(out, "%s", first ? "" : ",");
    put_lower(header->name, out);
    sha256_hex(header->value, hash);
    json_put_string(out, secrets ? text_of(hash) : header->value);
    first = false;
  }
}

/* A query may hold a key (Gemini's do); then it isn't shown. */
static void put_last(const Stats *stats, Buffer *out) {
  HttpRequest request = {0};
  Buffer head = {0};
  const char *why;
  size_t size;

  buffer_append(&head, stats->last_head.data, stats->last_head.size);
  http_step(&request, &head, &size, &why);
  buffer_printf(out, "{\"method\":");
  json_put_string(out, request.method);
  buffer_printf(out, ",\"path\":");
  json_put_string(out, request.path);
  buffer_printf(out, ",\"query\":");
  json_put_string(out, request.query.size && memmem(request.query.data, request.query.size, "key=", 4)
                           ? TEXT("(hidden)")
                           : request.query);
  buffer_printf(out, ",\"authorization\":\"%s\",\"headers\":{",
                http_header(&request, "authorization").size ? "present" : "absent");
  put_headers(&request, false, out);
  buffer_printf(out, "},\"sha256\":{");
  put_headers(&request, true, out);
  buffer_printf(out, "},\"body_bytes\":%zu,\"body\":", stats->last_body_size);
  json_put_string(out, (Text){(const char *)stats->last_body.data, stats->last_body.size});
  buffer_printf(out, "}");
  buffer_done(&head);
}

void stats_put(const Stats *stats, uint64_t now_us, Buffer *out) {
  bool first = true;

  buffer_printf(out, "{\"requests\":%llu,\"refused\":%llu,\"connections\":{\"open\":%llu,\"total\":%llu},",
                (unsigned long long)stats->requests, (unsigned long long)stats->refused,
                (unsigned long long)stats->connections_open, (unsigned long long)stats->connections_total);
  buffer_printf(out, "\"streams_running\":%llu,\"bytes\":{\"in\":%llu,\"out\":%llu},\"cancelled\":{\"count\":%llu,",
                (unsigned long long)stats->streams_running, (unsigned long long)stats->bytes_in,
                (unsigned long long)stats->bytes_out, (unsigned long long)stats->cancelled);
  if (stats->cancelled)
    buffer_printf(out, "\"last_ms_ago\":%.3f,\"last_chunks\":%llu},",
                  (double)(now_us - stats->cancelled_at_us) / (double)US_PER_MS,
                  (unsigned long long)stats->cancelled_chunks);
  else
    buffer_printf(out, "\"last_ms_ago\":null,\"last_chunks\":null},");
  buffer_printf(out, "\"paths\":{");
  TABLE_EACH (&stats->paths, PathCount, link, path) {
    buffer_printf(out, "%s", first ? "" : ",");
    json_put_string(out, (Text){path->text, path->size});
    buffer_printf(out, ":%llu", (unsigned long long)path->requests);
    first = false;
  }
  buffer_printf(out, "},\"last_request\":");
  if (stats->last_head.size)
    put_last(stats, out);
  else
    buffer_printf(out, "null");
  buffer_printf(out, "}\n");
}

void stats_reset(Stats *stats) {
  uint64_t open = stats->connections_open, running = stats->streams_running;

  TABLE_EACH (&stats->paths, PathCount, link, path) {
    table_remove(&stats->paths, &path->link);
    free(path);
  }
  table_done(&stats->paths);
  buffer_done(&stats->last_head);
  buffer_done(&stats->last_body);
  *stats = (Stats){.connections_open = open, .connections_total = open, .streams_running = running};
}
