/* What:      AWS's signature, version 4, of one HTTP request.
 * Owns:      nothing: a Sigv4Key is a value that holds the key of one day.
 * May use:   base, libcrypto.
 * Threading: any; pure: the time is an argument.
 * Spec:      AWS IAM User Guide, "Create a signed AWS API request" */
#ifndef PONS_BEDROCK_SIGV4_H
#define PONS_BEDROCK_SIGV4_H

#include "bus/base/buffer.h"

/* Who signs, and for what. Borrowed. */
typedef struct Sigv4Signer {
  Text access_key_id;
  Text secret;
  Text session_token; /* empty: of an account that has none */
  Text region;        /* "eu-central-1" */
  Text service;       /* "bedrock" */
} Sigv4Signer;

typedef struct Sigv4Header {
  Text name; /* in lower case */
  Text value;
} Sigv4Header;

/* What is signed. Borrowed. */
typedef struct Sigv4Request {
  Text method;
  Text path;  /* as the request line has it: percent-encoded, without dot segments; empty is "/" */
  Text query; /* sorted and encoded as the specification wants it; may be empty */
  /* Those that are signed beside x-amz-date and x-amz-security-token, among them host: sorted by name, each name once. */
  const Sigv4Header *headers;
  size_t headers_count;
  Bytes body;
  uint64_t now_s; /* seconds since 1970 */
} Sigv4Request;

/* A key that is good for one day, region and service. All zero is none. */
typedef struct Sigv4Key {
  char scope[128]; /* day/region/service it was made for */
  uint8_t bytes[32];
} Sigv4Key;

enum { SIGV4_REGION_MAX_BYTES = 64, SIGV4_SERVICE_MAX_BYTES = 32 };

/* Appends the headers of a signed request: "X-Amz-Date: ...", "X-Amz-Security-Token: ..." where there is one, and
   "Authorization: ...", each with a NUL behind it. key keeps what was worked out for the day; whoever changes the secret
   empties it. Region and service are at most SIGV4_..._MAX_BYTES. */
void sigv4_sign(const Sigv4Signer *signer, const Sigv4Request *request, Sigv4Key *key, Buffer *ret_headers);

/* Appends what is hashed into the signature, for whoever looks for a mismatch; no secret is in it but the session token. */
void sigv4_canonical_request(const Sigv4Signer *signer, const Sigv4Request *request, Buffer *ret);

#endif
