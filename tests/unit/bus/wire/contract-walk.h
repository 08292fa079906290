/* What:      for tests: writes a message by its contract, sound or with one defect in one field, and tells which error
 *            with which path must come of it.
 * Owns:      nothing.
 * May use:   wire/contract, cmocka.
 * Threading: one thread.
 * Spec:      docs/contracts.md */
#ifndef PONS_TESTS_CONTRACT_WALK_H
#define PONS_TESTS_CONTRACT_WALK_H

#include <stdio.h>
#include <stdlib.h>

#include "bus/wire/contract.h"

typedef enum Defect {
  DEFECT_NONE,
  DEFECT_TYPE,
  DEFECT_MISSING,
  DEFECT_DUPLICATE,
  DEFECT_UNKNOWN,
  DEFECT_LOW,
  DEFECT_HIGH,
  DEFECT_SHORT_LIST,
  DEFECT_LONG_LIST,
  DEFECT_END,
} Defect;

typedef struct Walk {
  Buffer *out;
  Defect defect;
  size_t target;  /* which field gets it, counted as they are written; SIZE_MAX = none */
  size_t at;      /* fields written */
  bool applied;   /* the defect could be made in that field */
  int wanted;     /* the error that must come of it */
  char path[256]; /* and its path */
} Walk;

static void walk_message(Walk *walk, const Contract *contract, const char *prefix, const char *gap);

static void walk_apply(Walk *walk, int wanted, const char *path) {
  walk->applied = true;
  walk->wanted = wanted;
  snprintf(walk->path, sizeof walk->path, "%s", path);
}

static void walk_filler(Walk *walk, const ContractField *field, size_t size) {
  char *letters = calloc(1, size + 1);

  memset(letters, 'a', size);
  if (field->type == CONTRACT_BYTES) {
    msgpack_put_bytes(walk->out, (Bytes){(const uint8_t *)letters, size});
  } else if (field->type != CONTRACT_ANY) {
    msgpack_put_text(walk->out, (Text){letters, size});
  } else if (size > 300) { /* a text has a head of 3 or 5 bytes, then */
    msgpack_put_text(walk->out, (Text){letters, size});
  } else {
    for (size_t i = 0; i < size; i++)
      msgpack_put_nil(walk->out);
  }
  free(letters);
}

/* A sound value, at the lower or at the upper bound. */
static void walk_sound(Walk *walk, const ContractField *field) {
  if (field->allowed) {
    const char *end = strchr(field->allowed, '|');

    msgpack_put_text(walk->out, (Text){field->allowed, end ? (size_t)(end - field->allowed) : strlen(field->allowed)});
    return;
  }
  switch ((ContractType)field->type) {
  case CONTRACT_BOOL:
    msgpack_put_bool(walk->out, true);
    break;
  case CONTRACT_INT:
    msgpack_put_int(walk->out, field->min.i);
    break;
  case CONTRACT_UINT:
    msgpack_put_uint(walk->out, field->max.u);
    break;
  case CONTRACT_REAL:
    msgpack_put_real(walk->out, field->max.r);
    break;
  case CONTRACT_ANY:
    msgpack_put_nil(walk->out);
    break;
  default:
    walk_filler(walk, field, field->min.u);
    break;
  }
}

static bool walk_low(Walk *walk, const ContractField *field) {
  switch ((ContractType)field->type) {
  case CONTRACT_INT:
    if (field->min.i == INT64_MIN)
      return false;
    msgpack_put_int(walk->out, field->min.i - 1);
    return true;
  case CONTRACT_UINT:
    if (field->min.u == 0)
      msgpack_put_int(walk->out, -1);
    else
      msgpack_put_uint(walk->out, field->min.u - 1);
    return true;
  case CONTRACT_REAL:
    if (field->min.r == -DBL_MAX)
      msgpack_put_real(walk->out, -__builtin_inf());
    else
      msgpack_put_real(walk->out, field->min.r - 1);
    return true;
  case CONTRACT_TEXT:
  case CONTRACT_NAME:
  case CONTRACT_BYTES:
    if (field->allowed)
      msgpack_put_text(walk->out, TEXT_NONE);
    else if (field->min.u > 0)
      walk_filler(walk, field, field->min.u - 1);
    return field->allowed || field->min.u > 0;
  default:
    return false;
  }
}

static bool walk_high(Walk *walk, const ContractField *field) {
  switch ((ContractType)field->type) {
  case CONTRACT_INT:
    if (field->max.i == INT64_MAX)
      msgpack_put_uint(walk->out, UINT64_MAX);
    else
      msgpack_put_int(walk->out, field->max.i + 1);
    return true;
  case CONTRACT_UINT:
    if (field->max.u == UINT64_MAX)
      return false;
    msgpack_put_uint(walk->out, field->max.u + 1);
    return true;
  case CONTRACT_REAL:
    msgpack_put_real(walk->out, __builtin_inf());
    return true;
  case CONTRACT_TEXT:
  case CONTRACT_NAME:
  case CONTRACT_BYTES:
    if (field->allowed)
      msgpack_put_text(walk->out, TEXT("none of these"));
    else
      walk_filler(walk, field, field->max.u + 1);
    return true;
  case CONTRACT_ANY:
    if (field->max.u <= 300)
      return false;
    walk_filler(walk, field, field->max.u + 1);
    return true;
  default:
    return false;
  }
}

static void walk_value(Walk *walk, const ContractField *field, const char *path, bool is_target) {
  if (is_target && walk->defect == DEFECT_TYPE && field->type != CONTRACT_ANY) {
    msgpack_put_nil(walk->out);
    walk_apply(walk, CONTRACT_E_TYPE, path);
  } else if ((is_target && walk->defect == DEFECT_LOW && walk_low(walk, field)) ||
             (is_target && walk->defect == DEFECT_HIGH && walk_high(walk, field))) {
    walk_apply(walk, CONTRACT_E_RANGE, path);
  } else if (field->type == CONTRACT_MESSAGE) {
    walk_message(walk, field->message, path, ".");
  } else {
    walk_sound(walk, field);
  }
}

static void walk_list(Walk *walk, const ContractField *field, const char *path, bool is_target) {
  uint32_t count = field->count_min ? field->count_min : 1;
  char item[256];

  if (is_target && walk->defect == DEFECT_SHORT_LIST && field->count_min > 0) {
    count = field->count_min - 1;
    walk_apply(walk, CONTRACT_E_RANGE, path);
  } else if (is_target && walk->defect == DEFECT_LONG_LIST) {
    count = field->count_max + 1;
    walk_apply(walk, CONTRACT_E_RANGE, path);
  }
  msgpack_put_array(walk->out, count);
  for (uint32_t i = 0; i < count; i++) {
    snprintf(item, sizeof item, "%s[%u]", path, i);
    walk_value(walk, field, item, is_target && i + 1 == count);
  }
}

static void walk_field(Walk *walk, const ContractField *field, const char *path, bool is_target) {
  msgpack_put_text(walk->out, text_of(field->name));
  if (field->is_list)
    walk_list(walk, field, path, is_target);
  else
    walk_value(walk, field, path, is_target);
}

static void walk_message(Walk *walk, const Contract *contract, const char *prefix, const char *gap) {
  ContractFields fields = contract->fields();
  size_t first = walk->at;
  bool here = walk->target - first < fields.count;
  const ContractField *target = here ? &fields.rows[walk->target - first] : NULL;
  bool is_missing = target && walk->defect == DEFECT_MISSING && target->required;
  bool is_more = target && (walk->defect == DEFECT_DUPLICATE || (walk->defect == DEFECT_UNKNOWN && !contract->is_open));
  char path[256];

  walk->at += fields.count;
  msgpack_put_map(walk->out, (uint32_t)(fields.count - is_missing + is_more));
  for (size_t i = 0; i < fields.count; i++) {
    const ContractField *field = &fields.rows[i];

    snprintf(path, sizeof path, "%s%s%s", prefix, gap, field->name);
    if (field == target && is_missing)
      walk_apply(walk, CONTRACT_E_MISSING, path);
    else
      walk_field(walk, field, path, field == target);
    if (field == target && walk->defect == DEFECT_DUPLICATE) {
      walk_field(walk, field, path, false);
      walk_apply(walk, CONTRACT_E_DUPLICATE, path);
    } else if (field == target && is_more) {
      msgpack_put_text(walk->out, TEXT("stranger"));
      msgpack_put_nil(walk->out);
      snprintf(path, sizeof path, "%s%sstranger", prefix, gap);
      walk_apply(walk, CONTRACT_E_UNKNOWN_FIELD, path);
    }
  }
}

/* Writes a sound message. Returns how many fields were written. */
static size_t walk_write_sound(const Contract *contract, Buffer *out) {
  Walk walk = {.out = out, .target = SIZE_MAX};

  buffer_clear(out);
  walk_message(&walk, contract, "", "");
  return walk.at;
}

/* A sound message comes back from a struct as it was; each defect in each field gives its error and path. */
static void walk_contract(const Contract *contract) {
  _cleanup_(buffer_done) Buffer body = {0};
  _cleanup_(buffer_done) Buffer again = {0};
  _cleanup_(arena_done) Arena arena = {0};
  void *value = malloc(contract->size_bytes);
  void *zero = calloc(1, contract->size_bytes);
  size_t fields = walk_write_sound(contract, &body);
  ContractFault fault = {0};

  assert_non_null(value);
  assert_int_equal(contract_check(contract, buffer_bytes(&body), &fault), 0);
  assert_int_equal(contract_decode(contract, buffer_bytes(&body), &arena, value, &fault), 0);
  assert_int_equal(contract_encode(contract, value, &again, &fault), 0);
  assert_int_equal(again.size, body.size);
  assert_memory_equal(again.data, body.data, body.size);
  for (size_t target = 0; target < fields; target++)
    for (Defect defect = DEFECT_TYPE; defect < DEFECT_END; defect++) {
      Walk walk = {.out = &body, .defect = defect, .target = target};

      buffer_clear(&body);
      arena_clear(&arena);
      walk_message(&walk, contract, "", "");
      if (!walk.applied)
        continue;
      fault = (ContractFault){0};
      assert_int_equal(contract_decode(contract, buffer_bytes(&body), &arena, value, &fault), walk.wanted);
      assert_int_equal(fault.reason, walk.wanted);
      assert_string_equal(fault.path, walk.path);
      assert_true(fault.message[0] != '\0');
      assert_memory_equal(value, zero, contract->size_bytes);
      assert_int_equal(contract_check(contract, buffer_bytes(&body), NULL), walk.wanted);
    }
  free(value);
  free(zero);
}

#endif
