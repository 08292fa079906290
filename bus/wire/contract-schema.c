/* JSON Schema counts characters where contracts count bytes, so maxLength is only the upper bound of a text, and the
   description says the rest. */
#include <inttypes.h>

#include "bus/wire/contract-internal.h"

static void put(Buffer *buffer, const char *text) {
  buffer_append(buffer, text, strlen(text));
}

/* Text of our own tables as a JSON string. */
static void put_string(Buffer *buffer, const char *text, size_t size) {
  put(buffer, "\"");
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)text[i];

    if (c == '"' || c == '\\')
      buffer_printf(buffer, "\\%c", c);
    else if (c < 0x20)
      buffer_printf(buffer, "\\u%04x", c);
    else
      buffer_append(buffer, &c, 1);
  }
  put(buffer, "\"");
}

static bool is_bounded_above(const ContractField *field) {
  if (field->type == CONTRACT_INT)
    return field->max.i < INT64_MAX;
  return field->type == CONTRACT_UINT ? field->max.u < UINT64_MAX : field->max.r < DBL_MAX;
}

static bool is_bounded_below(const ContractField *field) {
  if (field->type == CONTRACT_INT)
    return field->min.i > INT64_MIN;
  return field->type == CONTRACT_UINT || field->min.r > -DBL_MAX;
}

/* The bounds of the C type itself are left out: not every reader of JSON can hold them. */
static void put_bounds(const ContractField *field, Buffer *buffer) {
  if (is_bounded_below(field)) {
    put(buffer, ",\"minimum\":");
    contract_print_bound(field, field->min, buffer);
  }
  if (is_bounded_above(field)) {
    put(buffer, ",\"maximum\":");
    contract_print_bound(field, field->max, buffer);
  }
}

static void put_allowed(const char *allowed, Buffer *buffer) {
  const char *at = allowed;

  put(buffer, ",\"enum\":[");
  while (at) {
    const char *end = strchr(at, '|');

    put_string(buffer, at, end ? (size_t)(end - at) : strlen(at));
    at = end ? end + 1 : NULL;
    put(buffer, at ? "," : "]");
  }
}

static void put_text(const ContractField *field, Buffer *buffer) {
  put(buffer, "\"type\":\"string\"");
  if (field->allowed) {
    put_allowed(field->allowed, buffer);
    return;
  }
  if (field->type == CONTRACT_BYTES) {
    buffer_printf(buffer, ",\"contentEncoding\":\"base64\",\"minLength\":%" PRIu64 ",\"maxLength\":%" PRIu64,
                  (field->min.u + 2) / 3 * 4, (field->max.u + 2) / 3 * 4);
    return;
  }
  if (field->type == CONTRACT_NAME)
    put(buffer, ",\"pattern\":\"^[A-Za-z0-9_.-]+$\"");
  /* a character is 1 to 4 bytes */
  buffer_printf(buffer, ",\"minLength\":%" PRIu64 ",\"maxLength\":%" PRIu64, (field->min.u + 3) / 4, field->max.u);
}

static void put_message(const Contract *contract, Buffer *buffer);

/* The members of the schema of one value, without braces. */
static void put_value(const ContractField *field, Buffer *buffer) {
  switch ((ContractType)field->type) {
  case CONTRACT_BOOL:
    put(buffer, "\"type\":\"boolean\"");
    return;
  case CONTRACT_INT:
  case CONTRACT_UINT:
    put(buffer, "\"type\":\"integer\"");
    put_bounds(field, buffer);
    return;
  case CONTRACT_REAL:
    put(buffer, "\"type\":\"number\"");
    put_bounds(field, buffer);
    return;
  case CONTRACT_TEXT:
  case CONTRACT_NAME:
  case CONTRACT_BYTES:
    put_text(field, buffer);
    return;
  case CONTRACT_ANY:
    put(buffer, "\"type\":[\"null\",\"boolean\",\"number\",\"string\",\"array\",\"object\"]");
    return;
  case CONTRACT_MESSAGE:
    put_message(field->message, buffer);
    return;
  }
}

static bool is_sized(const ContractField *field) {
  return field->type >= CONTRACT_TEXT && field->type <= CONTRACT_ANY && !field->allowed;
}

static void put_about(const ContractField *field, Buffer *buffer) {
  _cleanup_(buffer_done) Buffer about = {0};

  put(&about, field->about);
  if (field->unit[0])
    buffer_printf(&about, " (%s)", field->unit);
  if (is_sized(field))
    buffer_printf(&about, "; %" PRIu64 " to %" PRIu64 " bytes%s", field->min.u, field->max.u,
                  field->is_list ? " each" : "");
  put(buffer, ",\"description\":");
  put_string(buffer, (const char *)about.data, about.size);
  if (field->unit[0]) {
    put(buffer, ",\"x-unit\":");
    put_string(buffer, field->unit, strlen(field->unit));
  }
}

static void put_field(const ContractField *field, Buffer *buffer) {
  put_string(buffer, field->name, field->name_size);
  put(buffer, ":{");
  if (field->is_list) {
    buffer_printf(buffer, "\"type\":\"array\",\"minItems\":%u,\"maxItems\":%u,\"items\":{", field->count_min,
                  field->count_max);
    put_value(field, buffer);
    put(buffer, "}");
  } else {
    put_value(field, buffer);
  }
  /* a nested message brings its own description; a second member of that name would be invalid */
  if (field->is_list || field->type != CONTRACT_MESSAGE)
    put_about(field, buffer);
  put(buffer, "}");
}

static void put_message(const Contract *contract, Buffer *buffer) {
  ContractFields fields = contract->fields();
  const char *gap = "";

  put(buffer, "\"title\":");
  put_string(buffer, contract->name, strlen(contract->name));
  put(buffer, ",\"description\":");
  put_string(buffer, contract->about, strlen(contract->about));
  buffer_printf(buffer, ",\"type\":\"object\",\"additionalProperties\":%s,\"properties\":{",
                contract->is_open ? "true" : "false");
  for (size_t i = 0; i < fields.count; i++) {
    put(buffer, i ? "," : "");
    put_field(&fields.rows[i], buffer);
  }
  put(buffer, "},\"required\":[");
  for (size_t i = 0; i < fields.count; i++) {
    if (!fields.rows[i].required)
      continue;
    put(buffer, gap);
    put_string(buffer, fields.rows[i].name, fields.rows[i].name_size);
    gap = ",";
  }
  put(buffer, "]");
}

void contract_schema(const Contract *contract, Buffer *buffer) {
  put(buffer, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",");
  put_message(contract, buffer);
  put(buffer, "}");
}
