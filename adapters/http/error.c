#include "adapters/http/error-internal.h"

static const struct {
  const char *name;
  const char *about;
} errors[] = {
#define HTTP_ERROR(name, text, about) [HTTP_##name] = {text, about},
#include "adapters/http/errors.def"
#undef HTTP_ERROR
};

const char *http_error_name(HttpError error) {
  return errors[error].name;
}

const char *http_error_about(HttpError error) {
  return errors[error].about;
}

static HttpError error_of(CURLcode code) {
  switch (code) {
  case CURLE_OK:
    return HTTP_OK;
  case CURLE_COULDNT_RESOLVE_HOST:
    return HTTP_RESOLVE;
  case CURLE_COULDNT_CONNECT:
    return HTTP_CONNECT;
  case CURLE_OPERATION_TIMEDOUT: /* the one time limit that libcurl keeps for us is that of connecting */
    return HTTP_CONNECT_SLOW;
  case CURLE_COULDNT_RESOLVE_PROXY:
  case CURLE_PROXY:
    return HTTP_PROXY;
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_ISSUER_ERROR:
  case CURLE_USE_SSL_FAILED:
    return HTTP_TLS;
  case CURLE_PARTIAL_FILE:
  case CURLE_GOT_NOTHING:
  case CURLE_RECV_ERROR:
  case CURLE_SEND_ERROR:
  case CURLE_HTTP2_STREAM:
  case CURLE_HTTP2:
    return HTTP_CUT;
  default:
    return HTTP_PROTOCOL;
  }
}

HttpError http_error_of(CURL *easy, CURLcode code) {
  long proxy_status = 0;

  if (code == CURLE_RECV_ERROR) /* a proxy's refusal of CONNECT has no code of its own */
    curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
  return proxy_status >= 300 ? HTTP_PROXY : error_of(code);
}
