/* Faults and bounds. The codec itself allocates nothing and prints nothing; words are made here, once something is
   wrong. What a peer sent is never quoted but for numbers and for the name of an unknown field, cleaned. */
#include "bus/wire/contract.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "bus/wire/contract-internal.h"
#include "bus/wire/header.h"

#define UNKNOWN_NAME_BYTES 64 /* of a stranger's field name in a path */

const char *contract_reason(int reason) {
  static const char *const names[] = {
      [CONTRACT_E_TYPE] = "WRONG_TYPE",       [CONTRACT_E_MISSING] = "MISSING",
      [CONTRACT_E_RANGE] = "OUT_OF_RANGE",    [CONTRACT_E_UNKNOWN_FIELD] = "UNKNOWN_FIELD",
      [CONTRACT_E_DUPLICATE] = "DUPLICATE",   [CONTRACT_E_MALFORMED] = "MALFORMED",
      [CONTRACT_E_SPACE] = "TOO_MUCH_MEMORY",
  };

  return reason > 0 && (size_t)reason < ELEMENTS(names) ? names[reason] : "?";
}

/* A path under construction; what does not fit is cut. */
typedef struct PathText {
  char *at;
  size_t left; /* without the NUL */
} PathText;

static void path_put(PathText *path, Text part) {
  size_t size = part.size < path->left ? part.size : path->left;

  for (size_t i = 0; i < size; i++)
    path->at[i] = part.data[i] > ' ' && part.data[i] < 0x7f ? part.data[i] : '?';
  path->at += size;
  path->left -= size;
  *path->at = '\0';
}

static void path_write(PathText *path, const ContractPlace *place) {
  char index[24];
  Text name = place->name;

  if (place->up) {
    path_write(path, place->up);
    path_put(path, TEXT("."));
  }
  if (!place->field && name.size > UNKNOWN_NAME_BYTES)
    name.size = UNKNOWN_NAME_BYTES;
  path_put(path, name);
  if (place->has_index) {
    snprintf(index, sizeof index, "[%zu]", place->index);
    path_put(path, text_of(index));
  }
}

int contract_fail(ContractFault *fault, int reason, const ContractPlace *place, const char *format, ...) {
  va_list arguments;

  if (!fault)
    return reason;
  fault->reason = reason;
  fault->path[0] = '\0';
  if (place)
    path_write(&(PathText){fault->path, CONTRACT_PATH_BYTES}, place);
  va_start(arguments, format);
  vsnprintf(fault->message, sizeof fault->message, format, arguments);
  va_end(arguments);
  return reason;
}

static const char *type_text(MsgpackType type) {
  static const char *const names[] = {
      [MSGPACK_NIL] = "nil (leave an absent field out)",
      [MSGPACK_BOOL] = "a bool",
      [MSGPACK_UINT] = "a whole number",
      [MSGPACK_INT] = "a negative whole number",
      [MSGPACK_REAL] = "a real number",
      [MSGPACK_TEXT] = "a text",
      [MSGPACK_BYTES] = "bytes",
      [MSGPACK_ARRAY] = "a list",
      [MSGPACK_MAP] = "a map",
      [MSGPACK_EXT] = "an extension value",
  };

  return names[type];
}

int contract_fail_read(ContractFault *fault, int code, const MsgpackReader *in, const ContractPlace *place,
                       const char *wanted) {
  MsgpackType type;

  switch (code) {
  case MSGPACK_E_DEPTH:
    return contract_fail(fault, CONTRACT_E_MALFORMED, place, "wanted %s, got a value nested over %d deep", wanted,
                         MSGPACK_DEPTH_MAX);
  case MSGPACK_E_UTF8:
    return contract_fail(fault, CONTRACT_E_MALFORMED, place, "wanted %s, got one that is not UTF-8", wanted);
  case MSGPACK_E_TYPE:
    if (msgpack_peek_type(in, &type) == 0)
      return contract_fail(fault, CONTRACT_E_TYPE, place, "wanted %s, got %s", wanted, type_text(type));
    return contract_fail(fault, CONTRACT_E_MALFORMED, place, "wanted %s, got a byte that msgpack does not use", wanted);
  default:
    return contract_fail(fault, CONTRACT_E_MALFORMED, place, "wanted %s, but the body ends too early for it", wanted);
  }
}

void contract_print_bound(const ContractField *field, ContractBound bound, Buffer *buffer) {
  if (field->type == CONTRACT_INT)
    buffer_printf(buffer, "%" PRId64, bound.i);
  else if (field->type == CONTRACT_REAL)
    buffer_printf(buffer, "%.17g", bound.r);
  else
    buffer_printf(buffer, "%" PRIu64, bound.u);
}

static const char *wanted_size(const ContractField *field, const char *what, char ret[CONTRACT_WANTED_BYTES]) {
  snprintf(ret, CONTRACT_WANTED_BYTES, "%s of %" PRIu64 " to %" PRIu64 " bytes", what, field->min.u, field->max.u);
  return ret;
}

const char *contract_wanted(const ContractField *field, char ret[CONTRACT_WANTED_BYTES]) {
  const char *gap = field->unit[0] ? " " : "";

  switch ((ContractType)field->type) {
  case CONTRACT_BOOL:
    return "true or false";
  case CONTRACT_INT:
    snprintf(ret, CONTRACT_WANTED_BYTES, "a whole number from %" PRId64 " to %" PRId64 "%s%s", field->min.i,
             field->max.i, gap, field->unit);
    return ret;
  case CONTRACT_UINT:
    snprintf(ret, CONTRACT_WANTED_BYTES, "a whole number from %" PRIu64 " to %" PRIu64 "%s%s", field->min.u,
             field->max.u, gap, field->unit);
    return ret;
  case CONTRACT_REAL:
    snprintf(ret, CONTRACT_WANTED_BYTES, "a number from %g to %g%s%s", field->min.r, field->max.r, gap, field->unit);
    return ret;
  case CONTRACT_TEXT:
    if (!field->allowed)
      return wanted_size(field, "a text", ret);
    snprintf(ret, CONTRACT_WANTED_BYTES, "one of %s", field->allowed);
    return ret;
  case CONTRACT_NAME:
    return wanted_size(field, "a name (A-Z a-z 0-9 _ . -)", ret);
  case CONTRACT_BYTES:
    return wanted_size(field, "bytes,", ret);
  case CONTRACT_ANY:
    return wanted_size(field, "a msgpack value", ret);
  case CONTRACT_MESSAGE:
    break;
  }
  snprintf(ret, CONTRACT_WANTED_BYTES, "a map (%s)", field->message->name);
  return ret;
}

static int fail_range(const ContractField *field, const void *value, const ContractPlace *place, ContractFault *fault) {
  char wanted[CONTRACT_WANTED_BYTES];
  const char *what = contract_wanted(field, wanted);

  switch ((ContractType)field->type) {
  case CONTRACT_INT:
    return contract_fail(fault, CONTRACT_E_RANGE, place, "wanted %s, got %" PRId64, what, *(const int64_t *)value);
  case CONTRACT_UINT:
    return contract_fail(fault, CONTRACT_E_RANGE, place, "wanted %s, got %" PRIu64, what, *(const uint64_t *)value);
  case CONTRACT_REAL:
    return contract_fail(fault, CONTRACT_E_RANGE, place, "wanted %s, got %g", what, *(const double *)value);
  case CONTRACT_TEXT:
  case CONTRACT_NAME:
    return contract_fail(fault, CONTRACT_E_RANGE, place, "wanted %s, got %s of %zu bytes", what,
                         field->allowed ? "another text" : "one", ((const Text *)value)->size);
  default:
    return contract_fail(fault, CONTRACT_E_RANGE, place, "wanted %s, got %zu bytes", what,
                         ((const Bytes *)value)->size);
  }
}

/* Whether text is one of "a|b|c". */
static bool is_allowed(const char *allowed, Text text) {
  for (const char *at = allowed; at;) {
    const char *end = strchr(at, '|');

    if (text_equal(text, (Text){at, end ? (size_t)(end - at) : strlen(at)}))
      return true;
    at = end ? end + 1 : NULL;
  }
  return false;
}

static bool size_fits(const ContractField *field, size_t size) {
  return size >= field->min.u && size <= field->max.u;
}

int contract_check_value(const ContractField *field, const void *value, const ContractPlace *place,
                         ContractFault *fault) {
  bool fits = true;

  switch ((ContractType)field->type) {
  case CONTRACT_INT:
    fits = *(const int64_t *)value >= field->min.i && *(const int64_t *)value <= field->max.i;
    break;
  case CONTRACT_UINT:
    fits = *(const uint64_t *)value >= field->min.u && *(const uint64_t *)value <= field->max.u;
    break;
  case CONTRACT_REAL: /* false for NaN */
    fits = *(const double *)value >= field->min.r && *(const double *)value <= field->max.r;
    break;
  case CONTRACT_TEXT:
    fits = field->allowed ? is_allowed(field->allowed, *(const Text *)value)
                          : size_fits(field, ((const Text *)value)->size);
    break;
  case CONTRACT_NAME:
    fits = size_fits(field, ((const Text *)value)->size) && name_is_valid(*(const Text *)value);
    break;
  case CONTRACT_BYTES:
  case CONTRACT_ANY:
    fits = size_fits(field, ((const Bytes *)value)->size);
    break;
  case CONTRACT_BOOL:
  case CONTRACT_MESSAGE:
    break;
  }
  return fits ? 0 : fail_range(field, value, place, fault);
}

int contract_check_count(const ContractField *field, size_t count, const ContractPlace *place, ContractFault *fault) {
  if (count >= field->count_min && count <= field->count_max)
    return 0;
  return contract_fail(fault, CONTRACT_E_RANGE, place, "wanted a list of %" PRIu32 " to %" PRIu32 " values, got %zu",
                       field->count_min, field->count_max, count);
}
