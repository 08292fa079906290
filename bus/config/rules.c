/* What a value may be, and how text becomes one. Numbers are decimal digits and nothing else: libcyaml would take 010
   for eight and 0x10 for sixteen, and any word but "false", "no", "disable" and "0" for true. */
#include <stdlib.h>

#include "bus/config/schema-internal.h"

#define LETTERS_SMALL "abcdefghijklmnopqrstuvwxyz"
#define LETTERS LETTERS_SMALL "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define SHOWN_BYTES 80

static bool consists_of(Text text, const char *allowed, size_t most_bytes) {
  if (text.size == 0 || text.size > most_bytes)
    return false;
  for (size_t i = 0; i < text.size; i++)
    if (!text.data[i] || !strchr(allowed, text.data[i]))
      return false;
  return true;
}

static bool begins_with(Text text, const char *prefix) {
  size_t size = strlen(prefix);

  return text.size >= size && memcmp(text.data, prefix, size) == 0;
}

static bool is_name(Text text) {
  return consists_of(text, LETTERS_SMALL DIGITS "_-", 63) && text.data[0] != '-' && text.data[0] != '_';
}

static bool is_endpoint(Text text) {
  const char *colon;
  Text rest;
  Text port;

  if (text.size <= 6 || text.size > 255 || memchr(text.data, ',', text.size))
    return false;
  for (size_t i = 0; i < text.size; i++)
    if ((unsigned char)text.data[i] <= ' ' || text.data[i] == 127)
      return false;
  if (begins_with(text, "ipc://"))
    return true;
  rest = (Text){text.data + 6, text.size - 6};
  colon = memrchr(rest.data, ':', rest.size);
  if (!begins_with(text, "tcp://") || !colon || colon == rest.data)
    return false;
  port = (Text){colon + 1, rest.size - (size_t)(colon + 1 - rest.data)};
  return text_is(port, "*") || (consists_of(port, DIGITS, 5) && strtoul(port.data, NULL, 10) <= 65535);
}

/* Visible ASCII without a quote, which would end a text of JSON. */
static bool is_model(Text text) {
  if (text.size == 0 || text.size > 128)
    return false;
  for (size_t i = 0; i < text.size; i++)
    if (text.data[i] <= ' ' || text.data[i] >= 127 || text.data[i] == '"' || text.data[i] == '\\')
      return false;
  return true;
}

/* Digits with at most one point inside: 15, 0.15. */
static bool is_price(Text text) {
  const char *dot = text.size ? memchr(text.data, '.', text.size) : NULL;
  Text whole = {text.data, dot ? (size_t)(dot - text.data) : text.size};

  return consists_of(whole, DIGITS, 7) && (!dot || consists_of((Text){dot + 1, text.size - whole.size - 1}, DIGITS, 9));
}

/* http:// or https://, a host, no user, no query: keys belong into secrets, and paths are appended (RFC 3986, 3). */
static bool is_url(Text text) {
  size_t scheme = begins_with(text, "https://") ? 8 : 7;

  if ((scheme == 7 && !begins_with(text, "http://")) || text.size <= scheme || text.size > 1024)
    return false;
  for (size_t i = 0; i < text.size; i++)
    if (text.data[i] <= ' ' || text.data[i] >= 127 || strchr("@?#\"\\<>", text.data[i]))
      return false;
  return text.data[scheme] != '/' && text.data[scheme] != ':';
}

static bool ends_with(Text text, const char *suffix) {
  size_t size = strlen(suffix);

  return text.size >= size && memcmp(text.data + text.size - size, suffix, size) == 0;
}

/* As a browser writes it (RFC 6454, 6.2): lower case, and no port that goes without saying. */
static bool is_origin(Text text) {
  const char *colon = text.size && text.size <= 255 ? memchr(text.data, ':', text.size) : NULL;
  Text scheme = {text.data, colon ? (size_t)(colon - text.data) : 0};
  Text host;

  if (!consists_of(scheme, LETTERS_SMALL DIGITS "+-.", 63) || text.size < scheme.size + 3 ||
      memcmp(colon, "://", 3) != 0)
    return false;
  host = (Text){colon + 3, text.size - scheme.size - 3};
  return consists_of(host, LETTERS_SMALL DIGITS "-._:[]", 252) && host.data[0] != ':' && !ends_with(host, ":") &&
         !(text_is(scheme, "http") && ends_with(host, ":80")) && !(text_is(scheme, "https") && ends_with(host, ":443"));
}

/* A host's name (RFC 1123, 2.1), without a port: the gateway has its own. */
static bool is_host(Text text) {
  return consists_of(text, LETTERS DIGITS "-._", 253) && text.data[0] != '.' && text.data[0] != '-';
}

/* A path behind a base URL, with {model} in it or not, and maybe a query: visible ASCII without what ends a URL. */
static bool is_route(Text text) {
  static const char mark[] = "{model}";

  if (text.size == 0 || text.size > 512 || text.data[0] != '/')
    return false;
  for (size_t i = 0; i < text.size; i++) {
    if (text.data[i] == '{' && text.size - i >= sizeof mark - 1 && memcmp(text.data + i, mark, sizeof mark - 1) == 0)
      i += sizeof mark - 2;
    else if (text.data[i] <= ' ' || text.data[i] >= 127 || strchr("#{}\"\\<>", text.data[i]))
      return false;
  }
  return true;
}

/* "Name: value" (RFC 9110, 5.1 and 5.5), the value of visible ASCII and blanks inside. */
static bool is_header(Text text) {
  const char *colon = text.size ? memchr(text.data, ':', text.size) : NULL;
  size_t name = colon ? (size_t)(colon - text.data) : 0;

  if (!consists_of((Text){text.data, name}, LETTERS DIGITS "-_", 64) || text.size > 512 || text.size < name + 3)
    return false;
  if (text.data[name + 1] != ' ' || text.data[name + 2] == ' ' || text.data[text.size - 1] == ' ')
    return false;
  for (size_t i = name; i < text.size; i++)
    if (text.data[i] < ' ' || text.data[i] >= 127)
      return false;
  return true;
}

/* A name (RFC 1123, 2.1), or "*." before one for all below it. */
static bool is_domain(Text text) {
  size_t star = begins_with(text, "*.") ? 2 : 0;

  return consists_of((Text){text.data + star, text.size - star}, LETTERS_SMALL DIGITS "-.", 253) &&
         text.data[star] != '.' && text.data[star] != '-';
}

/* YYYY-MM-DD (ISO 8601). */
static bool is_date(Text text) {
  Text year = {text.data, 4}, month = {text.data + 5, 2}, day = {text.data + 8, 2};
  unsigned long m, d;

  if (text.size != 10 || text.data[4] != '-' || text.data[7] != '-' || !consists_of(year, DIGITS, 4) ||
      !consists_of(month, DIGITS, 2) || !consists_of(day, DIGITS, 2))
    return false;
  m = strtoul(month.data, NULL, 10);
  d = strtoul(day.data, NULL, 10);
  return m >= 1 && m <= 12 && d >= 1 && d <= 31;
}

static bool follows_rule(KeyRule rule, Text text) {
  switch (rule) {
  case RULE_ANY:
    return true;
  case RULE_NAME:
    return is_name(text);
  case RULE_AGENT:
    return text_is(text, "*") || is_name(text);
  case RULE_SERVICE:
    return consists_of(text, LETTERS DIGITS "_.-", 63);
  case RULE_VERSION:
    return consists_of(text, LETTERS DIGITS "_.-", 31);
  case RULE_ENDPOINT:
    return is_endpoint(text);
  case RULE_PATH:
    return begins_with(text, "/");
  case RULE_FILE:
    return text.size > 0;
  case RULE_VARIABLE:
    return consists_of(text, LETTERS DIGITS "_", 127) && !strchr(DIGITS, text.data[0]);
  case RULE_MODEL:
    return is_model(text);
  case RULE_PRICE:
    return is_price(text);
  case RULE_URL:
    return is_url(text);
  case RULE_ROUTE:
    return is_route(text);
  case RULE_HEADER:
    return is_header(text);
  case RULE_ORIGIN:
    return is_origin(text);
  case RULE_HOST:
    return is_host(text);
  case RULE_DOMAIN:
    return is_domain(text);
  case RULE_DATE:
    return is_date(text);
  case RULE_KEY:
    return text.size == 40 && consists_of(text, LETTERS DIGITS ".-:+=^!/*?&<>()[]{}@%$#", 40);
  case RULE_RIGHT:
    return consists_of(text, LETTERS DIGITS "_.-*>", 195);
  }
  return false;
}

static const char *rule_text(KeyRule rule) {
  static const char *const texts[] = {
      [RULE_ANY] = "any text without a NUL byte",
      [RULE_NAME] = "1 to 63 characters of a-z, 0-9, _ and -, the first a letter or a digit",
      [RULE_AGENT] = "the name of an agent, or \"*\" for all",
      [RULE_SERVICE] = "1 to 63 characters of A-Z, a-z, 0-9, _, . and -",
      [RULE_VERSION] = "1 to 31 characters of A-Z, a-z, 0-9, _, . and -",
      [RULE_ENDPOINT] = "tcp://ADDRESS:PORT with a port up to 65535, or ipc://PATH, of at most 255 bytes and no spaces",
      [RULE_PATH] = "a path that begins with /",
      [RULE_FILE] = "a path or a file name, not empty",
      [RULE_VARIABLE] = "the name of an environment variable: A-Z, a-z, 0-9 and _, the first no digit",
      [RULE_MODEL] = "1 to 128 visible characters without spaces, quotes and backslashes",
      [RULE_PRICE] = "an amount such as 0.15, without a currency",
      [RULE_ROUTE] = "a path that begins with /, with no other braces than {model}",
      [RULE_HEADER] = "a header `Name: value` of at most 512 visible characters",
      [RULE_URL] = "http:// or https:// with a host, and no user, query or fragment",
      [RULE_DOMAIN] = "the name of a host in lower case, as in api.example.com, or *.example.com",
      [RULE_DATE] = "a day as in 2026-11-27",
      [RULE_ORIGIN] = "SCHEME://HOST[:PORT] as browsers write it: lower case, no path, no default port",
      [RULE_HOST] = "the name of a host, without a port",
      [RULE_KEY] = "40 characters, as `pons keys add` prints them",
      [RULE_RIGHT] = "\"*\", SERVICE, SERVICE.METHOD or a pattern of topics",
  };

  return texts[rule];
}

static bool is_word(const char *words, Text text) {
  size_t size;

  for (const char *word = words; *word; word += size + (word[size] == ' ')) {
    size = strcspn(word, " ");
    if (text_equal(text, (Text){word, size}))
      return true;
  }
  return false;
}

static bool is_number(const Key *key, Text text) {
  unsigned long long number;

  if (!consists_of(text, DIGITS, 15) || (text.size > 1 && text.data[0] == '0'))
    return false;
  number = strtoull(text.data, NULL, 10);
  return (double)number >= key->least && (double)number <= key->most;
}

static bool is_ratio(const Key *key, Text text) {
  const char *dot = text.size ? memchr(text.data, '.', text.size) : NULL;
  Text whole = {text.data, dot ? (size_t)(dot - text.data) : text.size};
  double ratio;

  if (!consists_of(whole, DIGITS, 9))
    return false;
  if (dot && !consists_of((Text){dot + 1, text.size - whole.size - 1}, DIGITS, 9))
    return false;
  ratio = strtod(text.data, NULL);
  return ratio >= key->least && ratio <= key->most;
}

/* Text from outside in a message: cut, and without what a terminal would act on. */
static void show(Buffer *ret, Text text) {
  size_t size = (size_t)min_u64(text.size, SHOWN_BYTES);

  buffer_append(ret, "is '", 4);
  for (size_t i = 0; i < size; i++) {
    char c = (unsigned char)text.data[i] < ' ' || text.data[i] == 127 ? '?' : text.data[i];

    buffer_append(ret, &c, 1);
  }
  buffer_printf(ret, "%s', must be ", text.size > size ? "..." : "");
}

static bool key_allows(const Key *key, Text text) {
  switch (key->kind) {
  case KEY_NUMBER:
    return is_number(key, text);
  case KEY_RATIO:
    return is_ratio(key, text);
  case KEY_SWITCH:
    return text_is(text, "true") || text_is(text, "false");
  case KEY_WORD:
    return is_word(key->words, text);
  default:
    return text.size <= STRING_MAX_BYTES && (text.size == 0 || !memchr(text.data, '\0', text.size)) &&
           follows_rule(key->rule, text);
  }
}

void key_bounds(const Key *key, Buffer *ret) {
  switch (key->kind) {
  case KEY_NUMBER:
    buffer_printf(ret, "a whole number from %.0f to %.0f", key->least, key->most);
    break;
  case KEY_RATIO:
    buffer_printf(ret, "a number from %g to %g", key->least, key->most);
    break;
  case KEY_SWITCH:
    buffer_printf(ret, "true or false");
    break;
  case KEY_WORD:
    buffer_printf(ret, "one of: %s", key->words);
    break;
  default:
    buffer_printf(ret, "%s", rule_text(key->rule));
  }
}

bool key_check(const Key *key, Text text, Buffer *ret) {
  if (key_allows(key, text))
    return true;
  if ((key->rule == RULE_ANY || key->rule == RULE_HEADER) && (key->kind == KEY_STRING || key->kind == KEY_STRINGS))
    buffer_printf(ret, "must be "); /* what may be anything may be a secret */
  else
    show(ret, text);
  if (text.size > STRING_MAX_BYTES)
    buffer_printf(ret, "at most %d bytes", STRING_MAX_BYTES);
  else
    key_bounds(key, ret);
  return false;
}

static char *copy_text(const char *data, size_t size_bytes) {
  char *copy = strndup(data, size_bytes);

  if (!copy)
    abort(); /* as buffer_reserve: the file is bounded, so that is a broken machine */
  return copy;
}

static void set_strings(const cyaml_schema_field_t *field, void *base, const char *text) {
  char ***strings = (char ***)(void *)((char *)base + field->data_offset);
  uint32_t *count = (uint32_t *)(void *)((char *)base + field->count_offset);
  const char *rest = text;

  while (*count)
    free((*strings)[--*count]);
  while (*rest) {
    size_t skip = strspn(rest, ", ");
    size_t size = strcspn(rest + skip, ",");
    size_t kept = size;

    while (kept && rest[skip + kept - 1] == ' ')
      kept--;
    if (kept) {
      char **grown = realloc(*strings, (*count + 1) * sizeof **strings);

      if (!grown)
        abort();
      *strings = grown;
      grown[(*count)++] = copy_text(rest + skip, kept);
    }
    rest += skip + size;
  }
}

void key_set(const Key *key, const cyaml_schema_field_t *field, void *base, const char *text) {
  char *at = (char *)base + field->data_offset;

  switch (key->kind) {
  case KEY_NUMBER:
    if (field->value.data_size == sizeof(uint64_t))
      *(uint64_t *)(void *)at = strtoull(text, NULL, 10);
    else
      *(uint32_t *)(void *)at = (uint32_t)strtoull(text, NULL, 10);
    break;
  case KEY_RATIO:
    *(double *)(void *)at = strtod(text, NULL);
    break;
  case KEY_SWITCH:
    *(bool *)(void *)at = strcmp(text, "true") == 0;
    break;
  case KEY_STRINGS:
    set_strings(field, base, text);
    break;
  default:
    free(*(char **)(void *)at);
    *(char **)(void *)at = copy_text(text, strlen(text));
  }
}
