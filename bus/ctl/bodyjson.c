#include "bus/ctl/bodyjson.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "bus/base/base64.h"
#include "bus/wire/msgpack.h"

bool bodyjson_next_value(Bytes *bytes, Bytes *ret) {
  MsgpackReader reader = msgpack_reader(*bytes);

  if (bytes->size == 0 || msgpack_get_span(&reader, ret) != 0)
    return false;
  *bytes = (Bytes){reader.at, (size_t)(reader.end - reader.at)};
  return true;
}

static json_t *base64(Bytes body) {
  _cleanup_(buffer_done) Buffer text = {0};

  base64_put(&text, body);
  return jsontext_new((Text){(const char *)text.data, text.size});
}

static json_t *take_value(MsgpackReader *reader);

/* jansson's whole numbers have 63 bits and a sign; what is larger, a hash for instance, is written as text. */
static json_t *take_uint(MsgpackReader *reader) {
  char text[24];
  uint64_t value;

  if (msgpack_get_uint(reader, &value) != 0)
    return NULL;
  if (value <= INT64_MAX)
    return json_integer((json_int_t)value);
  snprintf(text, sizeof text, "%" PRIu64, value);
  return json_string(text);
}

static json_t *take_array(MsgpackReader *reader) {
  json_t *array = json_array();
  uint32_t count;

  if (msgpack_get_array(reader, &count) != 0)
    count = 0;
  for (uint32_t i = 0; i < count; i++)
    if (json_array_append_new(array, take_value(reader)) < 0) {
      json_decref(array);
      return NULL;
    }
  return array;
}

/* A key as text: JSON has no other. */
static bool take_key(MsgpackReader *reader, char number[24], Text *ret) {
  uint64_t value;

  if (msgpack_get_text(reader, ret) == 0)
    return true;
  if (msgpack_get_uint(reader, &value) != 0)
    return false;
  *ret = (Text){number, (size_t)snprintf(number, 24, "%" PRIu64, value)};
  return true;
}

static json_t *take_map(MsgpackReader *reader) {
  json_t *object = json_object();
  uint32_t count;

  if (msgpack_get_map(reader, &count) != 0)
    count = 0;
  for (uint32_t i = 0; i < count; i++) {
    char number[24];
    Text key;

    if (!take_key(reader, number, &key) || json_object_setn_new(object, key.data, key.size, take_value(reader)) < 0) {
      json_decref(object);
      return NULL;
    }
  }
  return object;
}

static json_t *take_scalar(MsgpackReader *reader, MsgpackType type) {
  bool truth = false;
  int64_t whole = 0;
  double real = 0;
  Text text = TEXT_NONE;
  Bytes bytes = BYTES_NONE;

  switch (type) {
  case MSGPACK_BOOL:
    return msgpack_get_bool(reader, &truth) ? NULL : json_boolean(truth);
  case MSGPACK_INT:
    return msgpack_get_int(reader, &whole) ? NULL : json_integer((json_int_t)whole);
  case MSGPACK_REAL:
    if (msgpack_get_real(reader, &real) != 0)
      return NULL;
    return isfinite(real) ? json_real(real) : json_null();
  case MSGPACK_TEXT:
    return msgpack_get_text(reader, &text) ? NULL : jsontext_new(text);
  case MSGPACK_BYTES:
    return msgpack_get_bytes(reader, &bytes) ? NULL : base64(bytes);
  default: /* nil, and extension types, which have no JSON */
    return msgpack_skip(reader) ? NULL : json_null();
  }
}

/* The next value; NULL for what is no JSON. Depth is bounded: the caller has found the value's end with msgpack_skip. */
static json_t *take_value(MsgpackReader *reader) {
  MsgpackType type;

  if (msgpack_peek_type(reader, &type) != 0)
    return NULL;
  if (type == MSGPACK_UINT)
    return take_uint(reader);
  if (type == MSGPACK_ARRAY)
    return take_array(reader);
  if (type == MSGPACK_MAP)
    return take_map(reader);
  return take_scalar(reader, type);
}

/* NULL unless all of body is msgpack. */
static json_t *from_msgpack(Bytes body) {
  json_t *array = json_array();
  json_t *result = NULL;
  Bytes value;

  while (bodyjson_next_value(&body, &value)) {
    MsgpackReader reader = msgpack_reader(value);

    if (json_array_append_new(array, take_value(&reader)) < 0) {
      json_decref(array);
      return NULL;
    }
  }
  if (body.size == 0)
    result = json_incref(json_array_size(array) == 1 ? json_array_get(array, 0) : array);
  json_decref(array);
  return result;
}

json_t *bodyjson_new(Bytes body, Text content_type) {
  Text text = {(const char *)body.data, body.size};
  bool is_msgpack = content_type.size == 0 || text_is(content_type, "application/msgpack");
  json_t *json = NULL;

  if (body.size == 0)
    return json_null();
  if (is_msgpack)
    json = from_msgpack(body);
  else if (text_is(content_type, "application/json"))
    json = json_loadb(text.data, text.size, JSON_DECODE_ANY, NULL);
  if (!json && text_is_utf8(text))
    json = json_stringn(text.data, text.size);
  return json ? json : json_pack("{s:o}", "base64", base64(body));
}
