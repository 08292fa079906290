#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agents/contracts/contracts.h"
#include "bus/wire/header.h"
#include "tests/unit/bus/wire/contract-walk.h"

static void each_message_of_each_method_is_walked(void **state) {
  const MethodContract *method;

  (void)state;
  for (size_t i = 0; (method = contract_method_at(i)); i++) {
    walk_contract(method->request);
    walk_contract(method->reply);
    if (method->chunk)
      walk_contract(method->chunk);
  }
  assert_true(contract_method_at(1000000) == NULL);
}

static void assert_sound_field(const Contract *contract, const ContractField *field) {
  if (field->is_list && field->count_min > field->count_max)
    fail_msg("%s.%s: count_min is above count_max", contract->name, field->name);
  if (field->type >= CONTRACT_TEXT && field->type <= CONTRACT_ANY && field->min.u > field->max.u)
    fail_msg("%s.%s: min is above max", contract->name, field->name);
  if (field->type == CONTRACT_NAME && (field->min.u < 1 || field->max.u > LIMIT_NAME_BYTES))
    fail_msg("%s.%s: a NAME has 1 to 64 bytes", contract->name, field->name);
  if (field->about[0] == '\0')
    fail_msg("%s.%s: says nothing about itself", contract->name, field->name);
}

/* A unit in the name of a number must be its unit, and the other way round for times. */
static void assert_unit(const Contract *contract, const ContractField *field) {
  static const char *const units[] = {"us", "ms", "bytes"};
  size_t size = strlen(field->name);

  for (size_t i = 0; i < ELEMENTS(units); i++) {
    size_t unit = strlen(units[i]);
    bool named = size > unit && field->name[size - unit - 1] == '_' && !strcmp(field->name + size - unit, units[i]);

    if (named && strcmp(field->unit, units[i]) != 0)
      fail_msg("%s.%s: its unit is \"%s\"", contract->name, field->name, field->unit);
  }
}

static void assert_sound(const Contract *contract) {
  ContractFields fields = contract->fields();

  for (size_t i = 0; i < fields.count; i++) {
    assert_sound_field(contract, &fields.rows[i]);
    assert_unit(contract, &fields.rows[i]);
    if (fields.rows[i].message)
      assert_sound(fields.rows[i].message);
  }
}

static void the_tables_are_sound(void **state) {
  const MethodContract *method;

  (void)state;
  for (size_t i = 0; (method = contract_method_at(i)); i++) {
    uint32_t kind = method->flags & (METHOD_IDEMPOTENT | METHOD_ONCE);

    assert_true(name_is_valid(text_of(method->service)) && name_is_valid(text_of(method->method)));
    assert_true(kind == METHOD_IDEMPOTENT || kind == METHOD_ONCE);
    assert_true((method->chunk != NULL) == ((method->flags & METHOD_STREAMING) != 0));
    assert_ptr_equal(contract_find(text_of(method->service), text_of(method->method)), method);
    assert_true(method_contract_hash(method) != 0);
    assert_sound(method->request);
    assert_sound(method->reply);
    if (method->chunk)
      assert_sound(method->chunk);
  }
  assert_null(contract_find(TEXT("echo"), TEXT("sing")));
  assert_null(contract_find(TEXT("ech"), TEXT("say")));
  assert_null(contract_find(TEXT_NONE, TEXT_NONE));
}

/* Caller and callee are built from the same table, so a call fits when its method is there. */
static void each_call_fits_a_method(void **state) {
  const ContractCall *call;

  (void)state;
  for (size_t i = 0; (call = contract_call_at(i)); i++) {
    assert_true(name_is_valid(text_of(call->agent)));
    if (!contract_find(text_of(call->service), text_of(call->method)))
      fail_msg("%s calls %s.%s, which no table has", call->agent, call->service, call->method);
    for (size_t k = 0; k < i; k++)
      if (!strcmp(contract_call_at(k)->agent, call->agent) && !strcmp(contract_call_at(k)->service, call->service) &&
          !strcmp(contract_call_at(k)->method, call->method))
        fail_msg("%s calls %s.%s twice", call->agent, call->service, call->method);
  }
  assert_null(contract_call_at(1000000));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_message_of_each_method_is_walked),
      cmocka_unit_test(the_tables_are_sound),
      cmocka_unit_test(each_call_fits_a_method),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
