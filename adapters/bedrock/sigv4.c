/* The path is encoded once for the request line and once more for the signature: only S3 does without the second time. A
   model's id has a ':' and often '/' in it, so a signature that forgets it fits no request of Bedrock. */
#include "adapters/bedrock/sigv4.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char algorithm[] = "AWS4-HMAC-SHA256";

typedef struct Digest {
  uint8_t bytes[SHA256_DIGEST_LENGTH];
} Digest;

/* The moment, as x-amz-date has it: 20150830T123600Z. */
typedef struct Moment {
  char text[17];
} Moment;

static Moment moment_of(uint64_t now_s) {
  time_t seconds = (time_t)now_s;
  struct tm utc;
  Moment ret;

  gmtime_r(&seconds, &utc);
  strftime(ret.text, sizeof ret.text, "%Y%m%dT%H%M%SZ", &utc);
  return ret;
}

static void put_hex(Buffer *buffer, const uint8_t *bytes, size_t size_bytes) {
  uint8_t *at = buffer_reserve(buffer, 2 * size_bytes);

  for (size_t i = 0; i < size_bytes; i++) {
    *at++ = (uint8_t) "0123456789abcdef"[bytes[i] >> 4];
    *at++ = (uint8_t) "0123456789abcdef"[bytes[i] & 15];
  }
  buffer->size += 2 * size_bytes;
}

/* libcrypto without SHA-256, or without memory, is a broken machine. */
static Digest hash(Bytes bytes) {
  static const uint8_t nothing[1];
  Digest ret;

  if (!SHA256(bytes.data ? bytes.data : nothing, bytes.size, ret.bytes))
    abort();
  return ret;
}

/* The hash of a key's block, each byte of it changed by pad, and what is behind it. */
static Digest hash_behind(const uint8_t block[SHA256_CBLOCK], uint8_t pad, Bytes behind) {
  _cleanup_(buffer_done) Buffer all = {0};
  uint8_t *at = buffer_reserve(&all, SHA256_CBLOCK + behind.size);
  Digest ret;

  for (size_t i = 0; i < SHA256_CBLOCK; i++)
    at[i] = block[i] ^ pad;
  memcpy(at + SHA256_CBLOCK, behind.data, behind.size);
  all.size = SHA256_CBLOCK + behind.size;
  ret = hash(buffer_bytes(&all));
  explicit_bzero(all.data, all.size);
  return ret;
}

/* HMAC (RFC 2104, section 2) by two hashes: libcrypto's own looks its algorithm up each time, which takes as long as these. */
static Digest authenticate(Bytes key, Text text) {
  uint8_t block[SHA256_CBLOCK] = {0};
  Digest inner;

  if (key.size > sizeof block) {
    Digest hashed = hash(key);

    memcpy(block, hashed.bytes, sizeof hashed.bytes);
    explicit_bzero(&hashed, sizeof hashed);
  } else {
    memcpy(block, key.data, key.size);
  }
  inner = hash_behind(block, 0x36, (Bytes){(const uint8_t *)text.data, text.size});
  inner = hash_behind(block, 0x5c, (Bytes){inner.bytes, sizeof inner.bytes});
  explicit_bzero(block, sizeof block);
  return inner;
}

/* --- the canonical request --- */

static bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.' || c == '~';
}

/* All but slashes are encoded once more. */
static void put_path(Text path, Buffer *ret) {
  for (size_t i = 0; i < path.size;) {
    size_t begun = i;

    while (i < path.size && (is_unreserved(path.data[i]) || path.data[i] == '/'))
      i++;
    buffer_append(ret, path.data + begun, i - begun);
    if (i < path.size)
      buffer_printf(ret, "%%%02X", (unsigned)(uint8_t)path.data[i++]);
  }
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

/* Appends a value without the blanks around it, and one for several inside. */
static void put_value(Buffer *ret, Text value) {
  size_t begun = ret->size;

  for (size_t i = 0; i < value.size;) {
    size_t word = i;

    while (i < value.size && !is_blank(value.data[i]))
      i++;
    if (i > word)
      buffer_append(ret, " ", ret->size > begun ? 1 : 0);
    buffer_append(ret, value.data + word, i - word);
    while (i < value.size && is_blank(value.data[i]))
      i++;
  }
}

typedef void PutHeader(Buffer *ret, const Sigv4Header *header);

/* Puts all that are signed, in order. */
static void each_header(const Sigv4Signer *signer, const Sigv4Request *request, const Moment *now,
                        PutHeader *put_header, Buffer *ret) {
  const Sigv4Header ours[] = {{TEXT("x-amz-date"), text_of(now->text)},
                              {TEXT("x-amz-security-token"), signer->session_token}};
  size_t ours_count = signer->session_token.size > 0 ? 2 : 1;
  size_t next = 0;

  for (size_t i = 0; i < request->headers_count; i++) {
    Text name = request->headers[i].name;

    for (; next < ours_count && strncmp(ours[next].name.data, name.data, name.size) < 0; next++)
      put_header(ret, &ours[next]);
    put_header(ret, &request->headers[i]);
  }
  while (next < ours_count)
    put_header(ret, &ours[next++]);
}

static void put_line(Buffer *ret, const Sigv4Header *header) {
  buffer_put(ret, header->name);
  buffer_put(ret, TEXT(":"));
  put_value(ret, header->value);
  buffer_put(ret, TEXT("\n"));
}

static void put_name(Buffer *ret, const Sigv4Header *header) {
  buffer_put(ret, header->name);
  buffer_put(ret, TEXT(";"));
}

static void put_names(const Sigv4Signer *signer, const Sigv4Request *request, const Moment *now, Buffer *ret) {
  each_header(signer, request, now, put_name, ret);
  ret->size--; /* the last ';' */
}

static void put_request(const Sigv4Signer *signer, const Sigv4Request *request, const Moment *now, Buffer *ret) {
  Digest body = hash(request->body);

  /* All at once: a buffer that grows leaves what was in it behind. */
  buffer_reserve(ret, 3 * request->path.size + request->query.size + signer->session_token.size + 4096);
  buffer_put(ret, request->method);
  buffer_put(ret, TEXT("\n"));
  put_path(request->path.size > 0 ? request->path : TEXT("/"), ret);
  buffer_put(ret, TEXT("\n"));
  buffer_put(ret, request->query);
  buffer_put(ret, TEXT("\n"));
  each_header(signer, request, now, put_line, ret);
  buffer_put(ret, TEXT("\n"));
  put_names(signer, request, now, ret);
  buffer_put(ret, TEXT("\n"));
  put_hex(ret, body.bytes, sizeof body.bytes);
}

void sigv4_canonical_request(const Sigv4Signer *signer, const Sigv4Request *request, Buffer *ret) {
  Moment now = moment_of(request->now_s);

  put_request(signer, request, &now, ret);
}

/* --- the signature --- */

/* Each step's result is the key of the next. */
static Digest derive(const Sigv4Signer *signer, Text day) {
  const Text steps[] = {day, signer->region, signer->service, TEXT("aws4_request")};
  _cleanup_(buffer_done) Buffer first = {0};
  Digest key = {{0}};

  buffer_reserve(&first, 4 + signer->secret.size);
  buffer_put(&first, TEXT("AWS4"));
  buffer_put(&first, signer->secret);
  for (size_t i = 0; i < ELEMENTS(steps); i++)
    key = authenticate(i == 0 ? buffer_bytes(&first) : (Bytes){key.bytes, sizeof key.bytes}, steps[i]);
  explicit_bzero(first.data, first.size);
  return key;
}

static void refresh(const Sigv4Signer *signer, Text day, Sigv4Key *key) {
  char scope[sizeof key->scope];
  Digest made;

  snprintf(scope, sizeof scope, "%.*s/%.*s/%.*s", TEXT_ARG(day), TEXT_ARG(signer->region), TEXT_ARG(signer->service));
  if (strcmp(scope, key->scope) == 0)
    return;
  made = derive(signer, day);
  memcpy(key->scope, scope, sizeof key->scope);
  memcpy(key->bytes, made.bytes, sizeof key->bytes);
  explicit_bzero(&made, sizeof made);
}

static Digest sign(const Sigv4Signer *signer, const Sigv4Request *request, const Moment *now, const Sigv4Key *key) {
  _cleanup_(buffer_done) Buffer canonical = {0};
  _cleanup_(buffer_done) Buffer text = {0};
  Digest hashed;

  put_request(signer, request, now, &canonical);
  hashed = hash(buffer_bytes(&canonical));
  if (signer->session_token.size > 0)
    explicit_bzero(canonical.data, canonical.size);
  buffer_printf(&text, "%s\n%s\n%s/aws4_request\n", algorithm, now->text, key->scope);
  put_hex(&text, hashed.bytes, sizeof hashed.bytes);
  return authenticate((Bytes){key->bytes, sizeof key->bytes}, buffer_text(&text));
}

void sigv4_sign(const Sigv4Signer *signer, const Sigv4Request *request, Sigv4Key *key, Buffer *ret_headers) {
  Moment now = moment_of(request->now_s);
  Digest signature;

  refresh(signer, (Text){now.text, 8}, key);
  signature = sign(signer, request, &now, key);
  buffer_reserve(ret_headers, signer->session_token.size + signer->access_key_id.size + 4096);
  buffer_printf(ret_headers, "X-Amz-Date: %s", now.text);
  buffer_append(ret_headers, "", 1);
  if (signer->session_token.size > 0) {
    buffer_put(ret_headers, TEXT("X-Amz-Security-Token: "));
    buffer_put(ret_headers, signer->session_token);
    buffer_append(ret_headers, "", 1);
  }
  buffer_printf(ret_headers, "Authorization: %s Credential=%.*s/%s/aws4_request, SignedHeaders=", algorithm,
                TEXT_ARG(signer->access_key_id), key->scope);
  put_names(signer, request, &now, ret_headers);
  buffer_put(ret_headers, TEXT(", Signature="));
  put_hex(ret_headers, signature.bytes, sizeof signature.bytes);
  buffer_append(ret_headers, "", 1);
}
