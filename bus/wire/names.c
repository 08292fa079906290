/* The names and properties of kinds and statuses, from their tables. */
#include "bus/wire/header.h"

static const char *const kind_names[KIND_END] = {
#define MSG(number, name, from, fields) [number] = #name,
#include "bus/wire/msgs.def"
#undef MSG
};

enum { FROM_PEER = 1, FROM_BROKER = 2 };

static const uint8_t kind_from[KIND_END] = {
#define FROM_P FROM_PEER
#define FROM_B FROM_BROKER
#define FROM_PB (FROM_PEER | FROM_BROKER)
#define FROM_X 0
#define MSG(number, name, from, fields) [number] = FROM_##from,
#include "bus/wire/msgs.def"
#undef MSG
};

static const struct StatusRow {
  const char *name;
  Retry retry;
  uint16_t http;
  const char *about;
} status_rows[STATUS_END] = {
#define STATUS(number, name, retry, http, about) [number] = {#name, RETRY_##retry, http, about},
#include "bus/wire/status.def"
#undef STATUS
};

const char *kind_name(Kind kind) {
  return kind < KIND_END && kind_names[kind] ? kind_names[kind] : "?";
}

bool kind_from_peer(Kind kind) {
  return kind < KIND_END && (kind_from[kind] & FROM_PEER);
}

bool kind_from_broker(Kind kind) {
  return kind < KIND_END && (kind_from[kind] & FROM_BROKER);
}

/* The row of a status, or that of INTERNAL for a number from a newer peer. */
static const struct StatusRow *row(Status status) {
  return &status_rows[status < STATUS_END ? status : STATUS_INTERNAL];
}

const char *status_name(Status status) {
  return status < STATUS_END ? status_rows[status].name : "?";
}

const char *status_about(Status status) {
  return row(status)->about;
}

Retry status_retry(Status status) {
  return row(status)->retry;
}

unsigned status_http(Status status) {
  return row(status)->http;
}

bool name_is_valid(Text name) {
  if (name.size == 0 || name.size > LIMIT_NAME_BYTES)
    return false;
  for (size_t i = 0; i < name.size; i++) {
    char c = name.data[i];
    bool ok =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';

    if (!ok)
      return false;
  }
  return true;
}
