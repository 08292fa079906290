/* curl_easy_reset would be simpler; but it, and saying everything anew, was a good part of what a request cost beyond libcurl. */
#include <errno.h>
#include <strings.h>

#include "adapters/http/handle-internal.h"

enum { BUFFER_BYTES = 16384 };

/* Whether url is this machine, where no proxy of the environment leads. */
static bool is_here(const char *url) {
  const char *host = strstr(url, "://");
  size_t size = host ? strcspn(host + 3, ":/") : 0;

  if (!host)
    return false;
  host += 3;
  return (size == 9 && strncasecmp(host, "localhost", 9) == 0) || strncmp(host, "[::1]", 5) == 0 ||
         (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == size);
}

CURL *handle_new(const HttpOptions *options, HandleTake *on_header, HandleTake *on_body) {
  CURL *easy = curl_easy_init();

  if (!easy)
    return NULL;
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* else taking out one whose name is being resolved waits for that */
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  if (options->ca_file)
    curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
  if (options->proxy) {
    curl_easy_setopt(easy, CURLOPT_PROXY, options->proxy);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, ""); /* one of this provider's own is meant, whatever no_proxy says */
  }
  return easy;
}

static void set_body(CURL *easy, const HttpRequest *request) {
  if (request->body.size == 0 && !request->posts) {
    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    return;
  }
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.size > 0 ? (const char *)request->body.data : "");
}

void handle_aim(CURL *easy, const HttpOptions *options, const HttpRequest *request, struct curl_slist *headers) {
  curl_easy_setopt(easy, CURLOPT_URL, request->url);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 0L);
  /* Of a stream of HTTP/2 that is paused libcurl keeps up to 32 MiB, and the caller's other requests go on beside it. */
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                   (long)(request->pauses ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
  /* The first answer of a server says whether it has HTTP/2: others wait for that rather than connect by themselves. */
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, !request->pauses && strncmp(request->url, "https:", 6) == 0 ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->limits.connect_ms);
  if (!options->proxy)
    curl_easy_setopt(easy, CURLOPT_PROXY, is_here(request->url) ? "" : NULL);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  set_body(easy, request);
}

void handle_clear(CURL *easy) {
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
}

static void add_header(struct curl_slist *list, size_t *count, const char *header) {
  if (*count > 0)
    list[*count - 1].next = &list[*count];
  memcpy(&list[(*count)++].data, &header, sizeof header); /* libcurl writes to none, whatever its type says */
}

int handle_list_headers(const HttpRequest *request, struct curl_slist *ret) {
  size_t count = 0;

  add_header(ret, &count, "Expect:"); /* no round trip before the body */
  if (request->body.size == 0)
    add_header(ret, &count, "Content-Type:"); /* else libcurl says that nothing is a form */
  for (const char *const *at = request->headers; at && *at; at++) {
    if (count == HANDLE_HEADERS_MAX)
      return -E2BIG;
    add_header(ret, &count, *at);
  }
  return 0;
}
