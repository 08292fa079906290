/* What:      what libcurl's codes mean here.
 * Owns:      nothing.
 * May use:   libcurl.
 * Threading: any; pure.
 * Spec:      libcurl-errors(3) */
#ifndef PONS_HTTP_ERROR_INTERNAL_H
#define PONS_HTTP_ERROR_INTERNAL_H

#include <curl/curl.h>

#include "adapters/http/http.h"

/* Why the transfer of easy has ended with code. */
HttpError http_error_of(CURL *easy, CURLcode code);

#endif
