/* A key is what `aws configure` or `aws configure export-credentials` writes: id, secret and session token in one file, so that
   who rotates them replaces one file, and never is a new id used with an old secret. A single word is an API key of Bedrock's. */
#include <ctype.h>
#include <strings.h>

#include "adapters/bedrock/bedrock-internal.h"
#include "adapters/bedrock/sigv4.h"

typedef struct Credentials {
  Text id;
  Text secret;
  Text token;
} Credentials;

static Text trim(Text text) {
  while (text.size > 0 && isspace((unsigned char)text.data[0]))
    text = (Text){text.data + 1, text.size - 1};
  while (text.size > 0 && isspace((unsigned char)text.data[text.size - 1]))
    text.size--;
  return text;
}

static Text take_line(Text *rest) {
  const char *end = memchr(rest->data, '\n', rest->size);
  Text line = {rest->data, end ? (size_t)(end - rest->data) : rest->size};
  size_t size = line.size + (end != NULL);

  *rest = (Text){rest->data + size, rest->size - size};
  return trim(line);
}

/* "name = value", "NAME=value", "export NAME=value". */
static void read_line(Text line, Credentials *ret) {
  const struct {
    const char *name;
    Text *value;
  } rows[] = {
      {"aws_access_key_id", &ret->id}, {"aws_secret_access_key", &ret->secret}, {"aws_session_token", &ret->token}};
  const char *equals = memchr(line.data, '=', line.size);
  Text name;

  if (!equals)
    return;
  name = trim((Text){line.data, (size_t)(equals - line.data)});
  if (name.size > 7 && strncasecmp(name.data, "export ", 7) == 0)
    name = trim((Text){name.data + 7, name.size - 7});
  for (size_t i = 0; i < ELEMENTS(rows); i++)
    if (name.size == strlen(rows[i].name) && strncasecmp(name.data, rows[i].name, name.size) == 0)
      *rows[i].value = trim((Text){equals + 1, (size_t)(line.data + line.size - equals) - 1});
}

/* Of several profiles the first counts: what is of two must not be mixed. */
static Credentials read_credentials(Text text) {
  Credentials ret = {.id = TEXT_NONE};

  while (text.size > 0) {
    Text line = take_line(&text);

    if (line.size > 0 && line.data[0] == '[' && ret.id.size + ret.secret.size + ret.token.size > 0)
      break;
    if (line.size > 0 && line.data[0] != '#' && line.data[0] != ';' && line.data[0] != '[')
      read_line(line, &ret);
  }
  return ret;
}

static bool is_word(Text text) {
  for (size_t i = 0; i < text.size; i++)
    if (isspace((unsigned char)text.data[i]))
      return false;
  return text.size > 0;
}

/* bedrock-runtime.REGION.amazonaws.com, with or without something before and behind the first word. */
static Text region_of_host(Text host) {
  static const char service[] = "bedrock-runtime";
  const char *found = memmem(host.data, host.size, service, sizeof service - 1);
  const char *end = host.data + host.size;
  const char *dot = found ? memchr(found, '.', (size_t)(end - found)) : NULL;
  const char *next = dot ? memchr(dot + 1, '.', (size_t)(end - dot) - 1) : NULL;

  return next ? (Text){dot + 1, (size_t)(next - dot) - 1} : TEXT_NONE;
}

/* The key of a day is kept with the secret that it was worked out of: that is most of the work of a signature. */
static void sign(const Credentials *credentials, Text region, const DialectSend *send, DialectMemo *memo,
                 Buffer *ret_headers) {
  const char *query = memchr(send->path.data, '?', send->path.size);
  size_t path_size = query ? (size_t)(query - send->path.data) : send->path.size;
  const Sigv4Header headers[] = {{TEXT("content-type"), TEXT("application/json")}, {TEXT("host"), send->host}};
  size_t first = send->body.size > 0 ? 0 : 1; /* without a body there is no type of it */
  Sigv4Key key = {.scope = ""};

  _Static_assert(sizeof key <= sizeof memo->bytes, "a key of a day is kept in a memo");
  if (memo)
    memcpy(&key, memo->bytes, sizeof key);
  sigv4_sign(&(Sigv4Signer){.access_key_id = credentials->id,
                            .secret = credentials->secret,
                            .session_token = credentials->token,
                            .region = region,
                            .service = TEXT("bedrock")},
             &(Sigv4Request){.method = text_of(send->method),
                             .path = {send->path.data, path_size},
                             .query = query ? (Text){query + 1, send->path.size - path_size - 1} : TEXT_NONE,
                             .headers = headers + first,
                             .headers_count = ELEMENTS(headers) - first,
                             .body = send->body,
                             .now_s = send->now_s},
             &key, ret_headers);
  if (memo)
    memcpy(memo->bytes, &key, sizeof key);
  explicit_bzero(&key, sizeof key);
}

static int refuse(DialectFault *ret_fault, Cause cause, const char *message) {
  return dialect_fault_set(ret_fault, &(Fault){.cause = cause, .message = text_of(message)});
}

int bedrock_authorize(const DialectKey *key, const DialectSend *send, Buffer *ret_headers, DialectFault *ret_fault) {
  Text text = trim(text_of(key->secret));
  Text region = text_of(send->settings->region);
  Credentials credentials = read_credentials(text);

  if (!key->secret)
    return 0;
  if (credentials.id.size == 0 && credentials.secret.size == 0 && is_word(text)) {
    buffer_printf(ret_headers, "Authorization: Bearer %.*s%c", TEXT_ARG(text), 0);
    return 0;
  }
  if (credentials.id.size == 0 || credentials.secret.size == 0)
    return refuse(
        ret_fault, CAUSE_AUTH,
        "its key has no aws_access_key_id or no aws_secret_access_key; docs/providers.md shows what it holds");
  if (region.size == 0)
    region = region_of_host(send->host);
  if (region.size == 0 || region.size > SIGV4_REGION_MAX_BYTES)
    return refuse(ret_fault, CAUSE_UNAVAILABLE, "its region is not known; set region in pons.yaml");
  sign(&credentials, region, send, key->memo, ret_headers);
  return 0;
}
