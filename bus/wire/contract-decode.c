/* Decoding and checking are the same walk; without a struct to fill, values go to a scratch place. */
#include "bus/wire/contract-internal.h"

typedef struct Decoder {
  MsgpackReader in;
  Arena *arena;
  ContractFault *fault;
} Decoder;

static int decode_message(Decoder *decoder, const Contract *contract, uint8_t *ret, const ContractPlace *up);

static int fail_value(Decoder *decoder, int code, const ContractField *field, const ContractPlace *place) {
  char wanted[CONTRACT_WANTED_BYTES];

  return contract_fail_read(decoder->fault, code, &decoder->in, place, contract_wanted(field, wanted));
}

/* A whole number that the C type can't hold is out of range, not of another type. */
static int fail_number(Decoder *decoder, int code, const ContractField *field, const ContractPlace *place) {
  char wanted[CONTRACT_WANTED_BYTES];
  MsgpackType type;
  bool is_other_half = code == MSGPACK_E_TYPE && msgpack_peek_type(&decoder->in, &type) == 0 &&
                       type == (field->type == CONTRACT_UINT ? MSGPACK_INT : MSGPACK_UINT);

  if (!is_other_half)
    return fail_value(decoder, code, field, place);
  return contract_fail(decoder->fault, CONTRACT_E_RANGE, place, "wanted %s, got a number %s",
                       contract_wanted(field, wanted),
                       field->type == CONTRACT_UINT ? "below 0" : "above 9223372036854775807");
}

/* Reads one value that is no message into to, which has its C type. */
static int decode_scalar(Decoder *decoder, const ContractField *field, void *to, const ContractPlace *place) {
  MsgpackReader *in = &decoder->in;
  int r = 0;

  switch ((ContractType)field->type) {
  case CONTRACT_BOOL:
    r = msgpack_get_bool(in, to);
    break;
  case CONTRACT_INT:
    r = msgpack_get_int(in, to);
    if (r)
      return fail_number(decoder, r, field, place);
    break;
  case CONTRACT_UINT:
    r = msgpack_get_uint(in, to);
    if (r)
      return fail_number(decoder, r, field, place);
    break;
  case CONTRACT_REAL:
    r = msgpack_get_real(in, to);
    break;
  case CONTRACT_TEXT:
  case CONTRACT_NAME:
    r = msgpack_get_text(in, to);
    break;
  case CONTRACT_BYTES:
    r = msgpack_get_bytes(in, to);
    break;
  case CONTRACT_ANY:
  case CONTRACT_MESSAGE:
    r = msgpack_get_span(in, to);
    break;
  }
  if (r)
    return fail_value(decoder, r, field, place);
  return contract_check_value(field, to, place, decoder->fault);
}

static int decode_value(Decoder *decoder, const ContractField *field, uint8_t *to, const ContractPlace *place) {
  union {
    uint64_t number;
    Text text;
    Bytes bytes;
  } scratch;

  if (field->type == CONTRACT_MESSAGE)
    return decode_message(decoder, field->message, to, place);
  return decode_scalar(decoder, field, to ? (void *)to : (void *)&scratch, place);
}

static int decode_list(Decoder *decoder, const ContractField *field, uint8_t *to, ContractPlace *place) {
  ContractList list = {NULL, 0};
  uint8_t *items = NULL;
  uint32_t count;
  int r = msgpack_get_array(&decoder->in, &count);

  if (r)
    return contract_fail_read(decoder->fault, r, &decoder->in, place, "a list");
  r = contract_check_count(field, count, place, decoder->fault);
  if (r)
    return r;
  if (to && count > 0) {
    items = decoder->arena ? arena_take(decoder->arena, (size_t)count * field->size_bytes) : NULL;
    if (!items)
      return contract_fail(decoder->fault, CONTRACT_E_SPACE, place, "a list of %u values takes too much memory", count);
  }
  place->has_index = true;
  for (uint32_t i = 0; i < count; i++) {
    place->index = i;
    r = decode_value(decoder, field, items ? items + (size_t)i * field->size_bytes : NULL, place);
    if (r)
      return r;
  }
  if (to) {
    list = (ContractList){items, count};
    memcpy(to, &list, sizeof list);
  }
  return 0;
}

/* Takes the name of field if it is what comes next, in its smallest encoding: most senders keep the table's order, and
   then a name costs one comparison. */
static inline bool take_name(MsgpackReader *in, const ContractField *field) {
  size_t size = field->name_size;

  if ((size_t)(in->end - in->at) <= size || in->at[0] != (0xa0 | size) || memcmp(in->at + 1, field->name, size) != 0)
    return false;
  in->at += 1 + size;
  return true;
}

/* Reads a name and finds its row: *at is where it is looked for first, and then where it is; fields.count = none. */
static int decode_name(Decoder *decoder, ContractFields fields, size_t *at, ContractPlace *place) {
  int r;

  if (*at < fields.count && take_name(&decoder->in, &fields.rows[*at])) {
    place->name = (Text){fields.rows[*at].name, fields.rows[*at].name_size};
    return 0;
  }
  r = msgpack_get_text(&decoder->in, &place->name);
  if (r)
    return contract_fail_read(decoder->fault, r, &decoder->in, place->up, "a text as field name");
  for (*at = 0; *at < fields.count; ++*at)
    if (text_equal(place->name, (Text){fields.rows[*at].name, fields.rows[*at].name_size}))
      break;
  return 0;
}

static int fail_missing(Decoder *decoder, const ContractField *field, const ContractPlace *up) {
  ContractPlace place = {.up = up, .name = {field->name, field->name_size}, .field = field};
  char wanted[CONTRACT_WANTED_BYTES];

  return contract_fail(decoder->fault, CONTRACT_E_MISSING, &place, "is required: %s%s",
                       field->is_list ? "a list, each " : "", contract_wanted(field, wanted));
}

static int check_missing(Decoder *decoder, ContractFields fields, uint64_t seen, const ContractPlace *up) {
  for (size_t i = 0; i < fields.count; i++)
    if (fields.rows[i].required && !(seen & UINT64_C(1) << i))
      return fail_missing(decoder, &fields.rows[i], up);
  return 0;
}

static int decode_unknown(Decoder *decoder, const Contract *contract, const ContractPlace *place) {
  int r;

  if (!contract->is_open)
    return contract_fail(decoder->fault, CONTRACT_E_UNKNOWN_FIELD, place, "the contract (%s) has no such field",
                         contract->name);
  r = msgpack_skip(&decoder->in);
  return r ? contract_fail_read(decoder->fault, r, &decoder->in, place, "any value") : 0;
}

/* One pair of name and value. *at is where the name is looked for first. */
static int decode_pair(Decoder *decoder, const Contract *contract, size_t *at, uint64_t *seen, uint8_t *ret,
                       const ContractPlace *up) {
  ContractFields fields = contract->fields();
  ContractPlace place = {.up = up};
  const ContractField *field;
  uint8_t *to;
  int r = decode_name(decoder, fields, at, &place);

  if (r)
    return r;
  if (*at == fields.count)
    return decode_unknown(decoder, contract, &place);
  field = place.field = &fields.rows[*at];
  if (*seen & UINT64_C(1) << *at)
    return contract_fail(decoder->fault, CONTRACT_E_DUPLICATE, &place, "the field is there twice");
  *seen |= UINT64_C(1) << *at;
  *at += 1;
  if (ret && !field->required)
    *(bool *)(ret + field->has_offset) = true;
  to = ret ? ret + field->offset : NULL;
  return field->is_list ? decode_list(decoder, field, to, &place) : decode_value(decoder, field, to, &place);
}

/* Reads a message into ret, which is zeroed, or checks it only when ret is NULL. Recursion is as deep as contracts are
   nested, never as deep as a peer likes. */
static int decode_message(Decoder *decoder, const Contract *contract, uint8_t *ret, const ContractPlace *up) {
  ContractFields fields = contract->fields();
  uint64_t seen = 0;
  uint32_t count;
  size_t at = 0;
  int r = msgpack_get_map(&decoder->in, &count);

  if (r)
    return contract_fail_read(decoder->fault, r, &decoder->in, up, "a map");
  for (uint32_t i = 0; i < count; i++) {
    r = decode_pair(decoder, contract, &at, &seen, ret, up);
    if (r)
      return r;
  }
  return check_missing(decoder, fields, seen, up);
}

static int decode_body(const Contract *contract, Bytes body, Arena *arena, uint8_t *ret, ContractFault *fault) {
  Decoder decoder = {.in = msgpack_reader(body), .arena = arena, .fault = fault};
  int r = decode_message(&decoder, contract, ret, NULL);

  if (r == 0 && !msgpack_at_end(&decoder.in))
    r = contract_fail(fault, CONTRACT_E_MALFORMED, NULL, "%zu bytes are left over behind the message",
                      (size_t)(decoder.in.end - decoder.in.at));
  return r;
}

int contract_decode(const Contract *contract, Bytes body, Arena *arena, void *ret, ContractFault *fault) {
  int r;

  memset(ret, 0, contract->size_bytes);
  r = decode_body(contract, body, arena, ret, fault);
  if (r)
    memset(ret, 0, contract->size_bytes);
  return r;
}

int contract_check(const Contract *contract, Bytes body, ContractFault *fault) {
  return decode_body(contract, body, NULL, NULL, fault);
}
