/* SigV4 from the other side: the canonical request is made again of what came, by none of the adapter's code. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/mock-provider/bedrock-internal.h"
#include "tests/mock-provider/sha256.h"

enum { SKEW_S = 300 };

static const char DENIED[] =
    "The request signature we calculated does not match the signature you provided. Check your AWS "
    "Secret Access Key and signing method. Consult the service documentation for details.";

/* "AWS4-HMAC-SHA256 Credential=ID/DAY/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=HEX" */
typedef struct Proof {
  Text id;
  Text day, region, service;
  Text scope; /* DAY/REGION/SERVICE/aws4_request */
  Text names;
  Text signature;
} Proof;

/* Takes what stands before mark off, and the mark; the rest when there is none. */
static Text take_until(Text *rest, char mark) {
  const char *end = rest->size ? memchr(rest->data, mark, rest->size) : NULL;
  Text ret = {rest->data, end ? (size_t)(end - rest->data) : rest->size};

  *rest = (Text){rest->data + ret.size + (end ? 1 : 0), rest->size - ret.size - (end ? 1 : 0)};
  return ret;
}

static bool take_word(Text *rest, const char *word) {
  size_t n = strlen(word);

  if (rest->size < n || memcmp(rest->data, word, n) != 0)
    return false;
  *rest = (Text){rest->data + n, rest->size - n};
  return true;
}

static bool read_proof(Text header, Proof *ret) {
  if (!take_word(&header, "AWS4-HMAC-SHA256 Credential="))
    return false;
  ret->id = take_until(&header, '/');
  ret->scope = take_until(&header, ',');
  if (!take_word(&header, " SignedHeaders="))
    return false;
  ret->names = take_until(&header, ',');
  if (!take_word(&header, " Signature="))
    return false;
  ret->signature = header;
  header = ret->scope;
  ret->day = take_until(&header, '/');
  ret->region = take_until(&header, '/');
  ret->service = take_until(&header, '/');
  return text_is(header, "aws4_request");
}

/* --- what is signed --- */

static void put(Buffer *out, Text text) {
  buffer_append(out, text.data, text.size);
}

/* The path once more encoded, as everybody but S3 has it. */
static void put_path(Text path, Buffer *out) {
  static const char PLAIN[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~/";

  for (size_t i = 0; i < path.size; i++) {
    if (memchr(PLAIN, path.data[i], sizeof PLAIN - 1))
      buffer_append(out, path.data + i, 1);
    else
      buffer_printf(out, "%%%02X", (unsigned)(uint8_t)path.data[i]);
  }
}

static void put_value(Text value, Buffer *out) {
  for (size_t i = 0; i < value.size; i++)
    if (value.data[i] != ' ' || (i && value.data[i - 1] != ' '))
      buffer_append(out, value.data + i, 1);
}

/* Queries of Bedrock's are the mock's own knobs, one at most. */
static void put_canonical(const HttpRequest *http, const Proof *proof, Buffer *out) {
  Text names = proof->names;
  char hash[65];

  put(out, http->method);
  put(out, TEXT("\n"));
  put_path(http->path, out);
  put(out, TEXT("\n"));
  put(out, http->query);
  put(out, TEXT("\n"));
  while (names.size) {
    Text name = take_until(&names, ';');
    char copy[64];

    snprintf(copy, sizeof copy, "%.*s", TEXT_ARG(name));
    put(out, name);
    put(out, TEXT(":"));
    put_value(http_header(http, copy), out);
    put(out, TEXT("\n"));
  }
  put(out, TEXT("\n"));
  put(out, proof->names);
  put(out, TEXT("\n"));
  sha256_hex(http->body, hash);
  put(out, text_of(hash));
}

static void sign(const HttpRequest *http, const Proof *proof, Text secret, char ret[65]) {
  const Text steps[] = {proof->day, proof->region, proof->service, TEXT("aws4_request")};
  uint8_t key[SHA256_BYTES];
  Buffer first = {0}, canonical = {0}, text = {0};
  Text last;
  char hash[65];

  buffer_printf(&first, "AWS4%.*s", TEXT_ARG(secret));
  last = (Text){(const char *)first.data, first.size};
  for (size_t i = 0; i < ELEMENTS(steps); i++) {
    sha256_hmac(last, steps[i], key);
    last = (Text){(const char *)key, sizeof key};
  }
  put_canonical(http, proof, &canonical);
  sha256_hex((Text){(const char *)canonical.data, canonical.size}, hash);
  buffer_printf(&text, "AWS4-HMAC-SHA256\n%.*s\n%.*s\n%s", TEXT_ARG(http_header(http, "x-amz-date")),
                TEXT_ARG(proof->scope), hash);
  sha256_hmac(last, (Text){(const char *)text.data, text.size}, key);
  for (unsigned i = 0; i < SHA256_BYTES; i++)
    snprintf(ret + (size_t)i * 2, 3, "%02x", key[i]);
  buffer_done(&first);
  buffer_done(&canonical);
  buffer_done(&text);
}

/* --- the checks --- */

/* Whether what must be signed is: Bedrock refuses a request whose host or x-amz-... headers are not. */
static bool covers(const Proof *proof, const char *name) {
  Text names = proof->names;

  while (names.size)
    if (text_is(take_until(&names, ';'), name))
      return true;
  return false;
}

/* Whether each header of Amazon's own is signed. */
static bool covers_own(const HttpRequest *http, const Proof *proof) {
  for (unsigned i = 0; i < http->header_count; i++) {
    Text name = http->headers[i].name;
    char lower[64];

    if (name.size < 6 || name.size >= sizeof lower || !http_same((Text){name.data, 6}, TEXT("x-amz-")))
      continue;
    for (size_t k = 0; k <= name.size; k++)
      lower[k] = k == name.size
                     ? '\0'
                     : (char)(name.data[k] >= 'A' && name.data[k] <= 'Z' ? name.data[k] | 0x20 : name.data[k]);
    if (!covers(proof, lower))
      return false;
  }
  return true;
}

static bool check_moment(const HttpRequest *http, const Proof *proof, Answer *ret) {
  Text date = http_header(http, "x-amz-date");
  struct tm utc = {.tm_sec = 0};
  char copy[32];
  const char *end;
  long late_s;

  snprintf(copy, sizeof copy, "%.*s", TEXT_ARG(date));
  end = strptime(copy, "%Y%m%dT%H%M%SZ", &utc);
  if (!end || *end || proof->day.size != 8 || memcmp(date.data, proof->day.data, 8) != 0)
    return bedrock_fail(ret, 403, "IncompleteSignatureException",
                        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP");
  late_s = (long)(time(NULL) - timegm(&utc));
  if (labs(late_s) > SKEW_S)
    return bedrock_fail(ret, 403, "InvalidSignatureException", "Signature %s: %s is now %s than the server's time",
                        late_s > 0 ? "expired" : "not yet current", copy, late_s > 0 ? "earlier" : "later");
  return true;
}

static bool check_signed(const Ask *ask, const Proof *proof, Text id, Text secret, Text token, Answer *ret) {
  Text given = http_header(ask->http, "x-amz-security-token");
  char signature[65];

  if (!text_equal(proof->id, id))
    return bedrock_fail(ret, 403, "UnrecognizedClientException",
                        "The security token included in the request is invalid.");
  if (!text_is(proof->service, "bedrock"))
    return bedrock_fail(ret, 403, "InvalidSignatureException",
                        "Credential should be scoped to correct service: 'bedrock'.");
  if (!check_moment(ask->http, proof, ret))
    return false;
  if (!covers(proof, "host") || !covers(proof, "x-amz-date") || !covers_own(ask->http, proof))
    return bedrock_fail(ret, 403, "InvalidSignatureException",
                        "'Host' or headers that begin with 'x-amz-' must be a 'SignedHeader' in the AWS "
                        "Authorization.");
  if (!text_equal(given, token))
    return bedrock_fail(ret, 403, "UnrecognizedClientException",
                        "The security token included in the request is invalid.");
  sign(ask->http, proof, secret, signature);
  return text_is(proof->signature, signature) || bedrock_fail(ret, 403, "InvalidSignatureException", "%s", DENIED);
}

bool bedrock_check_signature(const Ask *ask, Answer *ret) {
  Text header = http_header(ask->http, "authorization");
  Text rest = text_of(ask->key ? ask->key : "");
  Text id = take_until(&rest, ':'), secret = take_until(&rest, ':');
  Proof proof = {.id = TEXT_NONE};

  if (!ask->key)
    return true;
  if (!header.size)
    return bedrock_fail(ret, 403, "MissingAuthenticationTokenException", "Missing Authentication Token");
  if (take_word(&header, "Bearer "))
    return text_is(header, ask->key) || bedrock_fail(ret, 403, "AccessDeniedException",
                                                     "Authentication failed: Please make sure your API Key is valid.");
  if (!read_proof(header, &proof))
    return bedrock_fail(ret, 403, "IncompleteSignatureException",
                        "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters.");
  return check_signed(ask, &proof, id, secret, rest, ret);
}
