/* What a contract does not care about (numbers for reals, keys in any order) is left to contract_check, which speaks of
   all faults alike; only BYTES need the contract here, since JSON has none. */
#include "bus/ctl/contract-json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "bus/base/base64.h"

/* From JSON: a walk over jansson's tree with the contract beside it. */
typedef struct Reading {
  Buffer *body;
  ContractFault *fault;
  unsigned depth;
  char path[CONTRACT_PATH_BYTES + 1];
} Reading;

static int read_value(Reading *reading, const json_t *value, const ContractField *field, bool is_item);
static int read_object(Reading *reading, const json_t *object, const Contract *contract);

static int fail_at_path(Reading *reading, int reason, const char *message) {
  if (reading->fault) {
    reading->fault->reason = reason;
    snprintf(reading->fault->path, sizeof reading->fault->path, "%s", reading->path);
    snprintf(reading->fault->message, sizeof reading->fault->message, "%s", message);
  }
  return reason;
}

/* Adds ".name" or "[index]" to the path and returns where it ended before. */
static size_t path_push(Reading *reading, const char *name, size_t index) {
  size_t size = strlen(reading->path);
  size_t room = sizeof reading->path - size;

  if (name)
    snprintf(reading->path + size, room, "%s%s", size ? "." : "", name);
  else
    snprintf(reading->path + size, room, "[%zu]", index);
  return size;
}

static int read_string(Reading *reading, const json_t *value, const ContractField *field) {
  Text text = {json_string_value(value), json_string_length(value)};
  _cleanup_(buffer_done) Buffer bytes = {0};

  if (!field || field->type != CONTRACT_BYTES) {
    msgpack_put_text(reading->body, text);
    return 0;
  }
  if (!base64_get(text, &bytes))
    return fail_at_path(reading, CONTRACT_E_TYPE, "wanted bytes as base64, got a text that is none");
  msgpack_put_bytes(reading->body, buffer_bytes(&bytes));
  return 0;
}

static int read_array(Reading *reading, const json_t *array, const ContractField *field) {
  msgpack_put_array(reading->body, (uint32_t)json_array_size(array));
  for (size_t i = 0; i < json_array_size(array); i++) {
    size_t end = path_push(reading, NULL, i);
    int r = read_value(reading, json_array_get(array, i), field, true);

    if (r)
      return r;
    reading->path[end] = '\0';
  }
  return 0;
}

/* The row of name; NULL if the contract has none, which contract_check will say. */
static const ContractField *find_field(const Contract *contract, const char *name) {
  ContractFields fields = contract ? contract->fields() : (ContractFields){NULL, 0};

  for (size_t i = 0; i < fields.count; i++)
    if (strcmp(fields.rows[i].name, name) == 0)
      return &fields.rows[i];
  return NULL;
}

static int read_object(Reading *reading, const json_t *object, const Contract *contract) {
  const char *key;
  json_t *value;

  msgpack_put_map(reading->body, (uint32_t)json_object_size(object));
  json_object_foreach((json_t *)object, key, value) {
    size_t end = path_push(reading, key, 0);
    int r;

    msgpack_put_text(reading->body, text_of(key));
    r = read_value(reading, value, find_field(contract, key), false);
    if (r)
      return r;
    reading->path[end] = '\0';
  }
  return 0;
}

static int read_nested(Reading *reading, const json_t *value, const ContractField *field, bool is_item) {
  int r;

  if (++reading->depth > MSGPACK_DEPTH_MAX)
    return fail_at_path(reading, CONTRACT_E_MALFORMED, "nested too deep");
  if (json_is_object(value))
    r = read_object(reading, value, field && (!field->is_list || is_item) ? field->message : NULL);
  else
    r = read_array(reading, value, field && field->is_list && !is_item ? field : NULL);
  reading->depth--;
  return r;
}

/* is_item: value is an element of field's list. */
static int read_value(Reading *reading, const json_t *value, const ContractField *field, bool is_item) {
  switch (json_typeof(value)) {
  case JSON_OBJECT:
  case JSON_ARRAY:
    return read_nested(reading, value, field, is_item);
  case JSON_STRING:
    return read_string(reading, value, field && field->is_list && !is_item ? NULL : field);
  case JSON_INTEGER:
    msgpack_put_int(reading->body, json_integer_value(value));
    return 0;
  case JSON_REAL:
    msgpack_put_real(reading->body, json_real_value(value));
    return 0;
  case JSON_TRUE:
  case JSON_FALSE:
    msgpack_put_bool(reading->body, json_is_true(value));
    return 0;
  case JSON_NULL:
    msgpack_put_nil(reading->body);
    return 0;
  }
  return 0;
}

static int fail_syntax(ContractFault *fault, const json_error_t *error) {
  if (fault) {
    *fault = (ContractFault){.reason = CONTRACT_JSON_E_SYNTAX};
    snprintf(fault->message, sizeof fault->message, "line %d, column %d: %s", error->line, error->column, error->text);
  }
  return CONTRACT_JSON_E_SYNTAX;
}

int contract_json_to_body(const Contract *contract, Text json, Buffer *body, ContractFault *fault) {
  const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
  Reading reading = {.body = body, .fault = fault};
  size_t size = body->size;
  json_error_t error;
  json_t *tree = json_loadb(json.data ? json.data : "", json.size, flags, &error);
  int r;

  if (!tree)
    return fail_syntax(fault, &error);
  if (json_is_object(tree)) {
    reading.depth = 1;
    r = read_object(&reading, tree, contract);
  } else {
    r = read_value(&reading, tree, NULL, false);
  }
  json_decref(tree);
  if (r == 0 && contract)
    r = contract_check(contract, (Bytes){body->data + size, body->size - size}, fault);
  if (r)
    body->size = size;
  return r;
}

/* To JSON: written as it is read, so that numbers above INT64_MAX come through, which jansson can't hold. */
typedef struct Writing {
  MsgpackReader in;
  Buffer *json;
  unsigned indent;
  unsigned depth;
} Writing;

static int write_value(Writing *writing);

static void put(Buffer *json, const char *text) {
  buffer_append(json, text, strlen(text));
}

static void put_line(const Writing *writing) {
  if (writing->indent)
    buffer_printf(writing->json, "\n%*s", (int)(writing->indent * writing->depth), "");
}

static void put_string(Buffer *json, Text text) {
  put(json, "\"");
  for (size_t i = 0; i < text.size; i++) {
    unsigned char c = (unsigned char)text.data[i];

    if (c == '"' || c == '\\')
      buffer_printf(json, "\\%c", c);
    else if (c == '\n')
      put(json, "\\n");
    else if (c < 0x20 || c == 0x7f) /* a terminal must not see them */
      buffer_printf(json, "\\u%04x", c);
    else
      buffer_append(json, &c, 1);
  }
  put(json, "\"");
}

static void put_base64(Buffer *json, Bytes bytes) {
  put(json, "\"");
  base64_put(json, bytes);
  put(json, "\"");
}

static int write_array(Writing *writing) {
  uint32_t count;
  int r = msgpack_get_array(&writing->in, &count);

  put(writing->json, "[");
  writing->depth++;
  for (uint32_t i = 0; i < count && r == 0; i++) {
    put(writing->json, i ? (writing->indent ? "," : ", ") : "");
    put_line(writing);
    r = write_value(writing);
  }
  writing->depth--;
  if (count)
    put_line(writing);
  put(writing->json, "]");
  return r;
}

static int write_key(Writing *writing) {
  MsgpackType type = MSGPACK_NIL;
  uint64_t number;
  int64_t below;
  Text text;
  int r = msgpack_peek_type(&writing->in, &type);

  if (r == 0 && type == MSGPACK_UINT && (r = msgpack_get_uint(&writing->in, &number)) == 0)
    buffer_printf(writing->json, "\"%" PRIu64 "\"", number);
  else if (r == 0 && type == MSGPACK_INT && (r = msgpack_get_int(&writing->in, &below)) == 0)
    buffer_printf(writing->json, "\"%" PRId64 "\"", below);
  else if (r == 0 && (r = msgpack_get_text(&writing->in, &text)) == 0)
    put_string(writing->json, text);
  return r;
}

static int write_map(Writing *writing) {
  uint32_t count;
  int r = msgpack_get_map(&writing->in, &count);

  put(writing->json, "{");
  writing->depth++;
  for (uint32_t i = 0; i < count && r == 0; i++) {
    put(writing->json, i ? (writing->indent ? "," : ", ") : "");
    put_line(writing);
    r = write_key(writing);
    put(writing->json, ": ");
    if (r == 0)
      r = write_value(writing);
  }
  writing->depth--;
  if (count)
    put_line(writing);
  put(writing->json, "}");
  return r;
}

/* The shortest of the usual precisions that reads back as the same number. */
static void put_real(Buffer *json, double value) {
  char text[40];
  double back = 0;

  if (value - value != 0) { /* NaN and infinities */
    put(json, "null");
    return;
  }
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    if (sscanf(text, "%lf", &back) == 1 && back - value == 0)
      break;
  }
  put(json, text);
  if (!strpbrk(text, ".e"))
    put(json, ".0");
}

static int write_scalar(Writing *writing, MsgpackType type) {
  MsgpackReader *in = &writing->in;
  union {
    bool flag;
    uint64_t number;
    int64_t below;
    double real;
    Text text;
    Bytes bytes;
  } value;
  int r;

  switch (type) {
  case MSGPACK_BOOL:
    r = msgpack_get_bool(in, &value.flag);
    if (r == 0)
      put(writing->json, value.flag ? "true" : "false");
    return r;
  case MSGPACK_UINT:
    r = msgpack_get_uint(in, &value.number);
    if (r == 0)
      buffer_printf(writing->json, "%" PRIu64, value.number);
    return r;
  case MSGPACK_INT:
    r = msgpack_get_int(in, &value.below);
    if (r == 0)
      buffer_printf(writing->json, "%" PRId64, value.below);
    return r;
  case MSGPACK_REAL:
    r = msgpack_get_real(in, &value.real);
    if (r == 0)
      put_real(writing->json, value.real);
    return r;
  case MSGPACK_TEXT:
    r = msgpack_get_text(in, &value.text);
    if (r == 0)
      put_string(writing->json, value.text);
    return r;
  case MSGPACK_BYTES:
    r = msgpack_get_bytes(in, &value.bytes);
    if (r == 0)
      put_base64(writing->json, value.bytes);
    return r;
  default:
    put(writing->json, "null");
    return msgpack_skip(in);
  }
}

static int write_value(Writing *writing) {
  MsgpackType type = MSGPACK_NIL;
  int r = msgpack_peek_type(&writing->in, &type);

  if (r)
    return r;
  if (type == MSGPACK_ARRAY)
    return write_array(writing);
  if (type == MSGPACK_MAP)
    return write_map(writing);
  return write_scalar(writing, type);
}

int contract_json_from_body(Bytes body, unsigned indent, Buffer *json) {
  MsgpackReader whole = msgpack_reader(body);
  Writing writing = {.in = msgpack_reader(body), .json = json, .indent = indent};
  size_t size = json->size;
  int r;

  /* once the whole is known to be sound and not too deep, the walk below is bounded */
  if (msgpack_skip(&whole) != 0 || !msgpack_at_end(&whole))
    return CONTRACT_E_MALFORMED;
  r = write_value(&writing);
  if (r == 0)
    return 0;
  json->size = size;
  return r == MSGPACK_E_TYPE ? CONTRACT_E_TYPE : CONTRACT_E_MALFORMED;
}
