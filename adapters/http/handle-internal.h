/* What:      libcurl's handles as requests want them: set up once for a provider, aimed at each request.
 * Owns:      nothing; a handle belongs to who made it.
 * May use:   libcurl; http.
 * Threading: the loop thread.
 * Spec:      curl_easy_setopt(3); docs/adr/0019-http-transport.md */
#ifndef PONS_HTTP_HANDLE_INTERNAL_H
#define PONS_HTTP_HANDLE_INTERNAL_H

#include <curl/curl.h>

#include "adapters/http/http.h"

/* The caller's headers, and two that take away what libcurl would say by itself. */
enum { HANDLE_HEADERS_MAX = HTTP_HEADERS_MAX + 2 };

typedef size_t HandleTake(const char *data, size_t one, size_t size, void *userdata);

/* A handle with all that is the same for each request to a provider; on_header and on_body get what comes. options outlive it.
   The caller owns it; NULL: there is no memory. */
CURL *handle_new(const HttpOptions *options, HandleTake *on_header, HandleTake *on_body);
/* Says everything that another request may have said otherwise on the same handle. headers are those that handle_list_headers
   made; they and what request points at are borrowed until handle_clear. */
void handle_aim(CURL *easy, const HttpOptions *options, const HttpRequest *request, struct curl_slist *headers);
/* Takes out what was of one request. */
void handle_clear(CURL *easy);
/* Makes a list that points at the headers of request; ret is all zero and has room for HANDLE_HEADERS_MAX. Returns 0, or -E2BIG. */
int handle_list_headers(const HttpRequest *request, struct curl_slist *ret);

#endif
