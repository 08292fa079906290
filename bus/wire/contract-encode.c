#include "bus/wire/contract-internal.h"

typedef struct Encoder {
  Buffer *out;
  ContractFault *fault;
} Encoder;

static int encode_message(Encoder *encoder, const Contract *contract, const uint8_t *value, const ContractPlace *up);

static bool is_one_value(Bytes bytes) {
  MsgpackReader reader = msgpack_reader(bytes);

  return msgpack_skip(&reader) == 0 && msgpack_at_end(&reader);
}

static int encode_text(Encoder *encoder, Text text, const ContractPlace *place) {
  if (!text_is_utf8(text))
    return contract_fail(encoder->fault, CONTRACT_E_MALFORMED, place, "wanted a text, got one that is not UTF-8");
  msgpack_put_text(encoder->out, text);
  return 0;
}

static int encode_any(Encoder *encoder, Bytes bytes, const ContractPlace *place) {
  if (!is_one_value(bytes))
    return contract_fail(encoder->fault, CONTRACT_E_MALFORMED, place,
                         "wanted one msgpack value, got %zu bytes that are none", bytes.size);
  msgpack_put_raw(encoder->out, bytes);
  return 0;
}

static int encode_value(Encoder *encoder, const ContractField *field, const uint8_t *value,
                        const ContractPlace *place) {
  const void *typed = value;
  int r;

  if (field->type == CONTRACT_MESSAGE)
    return encode_message(encoder, field->message, value, place);
  r = contract_check_value(field, value, place, encoder->fault);
  if (r)
    return r;
  switch ((ContractType)field->type) {
  case CONTRACT_BOOL:
    msgpack_put_bool(encoder->out, *(const bool *)typed);
    break;
  case CONTRACT_INT:
    msgpack_put_int(encoder->out, *(const int64_t *)typed);
    break;
  case CONTRACT_UINT:
    msgpack_put_uint(encoder->out, *(const uint64_t *)typed);
    break;
  case CONTRACT_REAL:
    msgpack_put_real(encoder->out, *(const double *)typed);
    break;
  case CONTRACT_TEXT:
  case CONTRACT_NAME:
    return encode_text(encoder, *(const Text *)typed, place);
  case CONTRACT_BYTES:
    msgpack_put_bytes(encoder->out, *(const Bytes *)typed);
    break;
  case CONTRACT_ANY:
    return encode_any(encoder, *(const Bytes *)typed, place);
  case CONTRACT_MESSAGE:
    break;
  }
  return 0;
}

static int encode_list(Encoder *encoder, const ContractField *field, const uint8_t *value, ContractPlace *place) {
  ContractList list;
  int r;

  memcpy(&list, value, sizeof list);
  r = contract_check_count(field, list.count, place, encoder->fault);
  if (r)
    return r;
  msgpack_put_array(encoder->out, (uint32_t)list.count);
  place->has_index = true;
  for (size_t i = 0; i < list.count; i++) {
    place->index = i;
    r = encode_value(encoder, field, (const uint8_t *)list.items + i * field->size_bytes, place);
    if (r)
      return r;
  }
  return 0;
}

static bool is_present(const ContractField *field, const uint8_t *value) {
  return field->required || *(const bool *)(value + field->has_offset);
}

static int encode_message(Encoder *encoder, const Contract *contract, const uint8_t *value, const ContractPlace *up) {
  ContractFields fields = contract->fields();
  uint32_t present = 0;

  for (size_t i = 0; i < fields.count; i++)
    present += is_present(&fields.rows[i], value);
  msgpack_put_map(encoder->out, present);
  for (size_t i = 0; i < fields.count; i++) {
    const ContractField *field = &fields.rows[i];
    ContractPlace place = {.up = up, .name = {field->name, field->name_size}, .field = field};
    const uint8_t *at = value + field->offset;
    int r;

    if (!is_present(field, value))
      continue;
    msgpack_put_text(encoder->out, place.name);
    r = field->is_list ? encode_list(encoder, field, at, &place) : encode_value(encoder, field, at, &place);
    if (r)
      return r;
  }
  return 0;
}

int contract_encode(const Contract *contract, const void *value, Buffer *buffer, ContractFault *fault) {
  Encoder encoder = {.out = buffer, .fault = fault};
  size_t size = buffer->size;
  int r = encode_message(&encoder, contract, value, NULL);

  if (r)
    buffer->size = size;
  return r;
}
