#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/wire/session.h"
#include "tests/unit/bus/wire/contract-walk.h"

#define CONTRACT_DEF "tests/unit/bus/wire/sample.def"
#include "bus/wire/contract-structs.h"
#include "bus/wire/contract-tables.h"
#undef CONTRACT_DEF

#define BYTES(...) ((Bytes){(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})})

static const SampleFlat flat = {.text = {"hello", 5}, .repeat = 3, .has_share = true, .share = 0.5};

static void every_contract_is_walked(void **state) {
  (void)state;
  walk_contract(CONTRACT(Sample));
  walk_contract(CONTRACT(SampleFlat));
  walk_contract(CONTRACT(SampleNothing));
  walk_contract(CONTRACT(Hello));
  walk_contract(CONTRACT(Welcome));
  walk_contract(CONTRACT(ErrorBody));
  walk_contract(CONTRACT(ForwardBody));
}

static void a_struct_goes_out_and_comes_back(void **state) {
  const Text tags[] = {TEXT("a"), TEXT("bcd")};
  const SamplePart parts[] = {{.name = TEXT("p.1")}, {.name = TEXT("p.2"), .has_share = true, .share = 0.25}};
  const Sample sample = {.on = true,
                         .offset = -5,
                         .count = 7,
                         .has_tier = true,
                         .tier = TEXT("gpu"),
                         .main = {.name = TEXT("main")},
                         .has_tags = true,
                         .tags = {tags, 2},
                         .has_parts = true,
                         .parts = {parts, 2}};
  _cleanup_(buffer_done) Buffer body = {0};
  _cleanup_(arena_done) Arena arena = {0};
  Sample back;

  (void)state;
  assert_int_equal(contract_encode(CONTRACT(Sample), &sample, &body, NULL), 0);
  assert_int_equal(contract_decode(CONTRACT(Sample), buffer_bytes(&body), &arena, &back, NULL), 0);
  assert_true(back.on && back.offset == -5 && back.count == 7 && text_is(back.tier, "gpu"));
  assert_false(back.has_text || back.has_blob || back.has_extra || back.has_second || back.has_numbers);
  assert_true(back.has_tags && back.tags.count == 2 && text_is(back.tags.items[1], "bcd"));
  assert_true(back.parts.count == 2 && back.parts.items[1].has_share && back.parts.items[1].share == 0.25);
  assert_true(text_is(back.parts.items[0].name, "p.1") && !back.parts.items[0].has_share);
  /* texts are borrowed from the body */
  assert_true((const uint8_t *)back.tier.data > body.data && (const uint8_t *)back.tier.data < body.data + body.size);
}

static void encoding_holds_the_same_bounds(void **state) {
  static const struct {
    SampleFlat value;
    int reason;
    const char *path;
  } cases[] = {
      {{.text = {"x", 1}, .repeat = 101}, CONTRACT_E_RANGE, "repeat"},
      {{.repeat = 1}, CONTRACT_E_RANGE, "text"},
      {{.text = {"\xff", 1}, .repeat = 1}, CONTRACT_E_MALFORMED, "text"},
      {{.text = {"x", 1}, .repeat = 1, .has_share = true, .share = 1.5}, CONTRACT_E_RANGE, "share"},
      {{.text = {"x", 1}, .repeat = 1, .has_share = true, .share = (double)NAN}, CONTRACT_E_RANGE, "share"},
      {{.text = {"x", 1}, .repeat = 1, .has_agent = true, .agent = {"a b", 3}}, CONTRACT_E_RANGE, "agent"},
  };
  _cleanup_(buffer_done) Buffer body = {0};

  (void)state;
  buffer_append(&body, "kept", 4);
  for (size_t i = 0; i < ELEMENTS(cases); i++) {
    ContractFault fault = {0};

    assert_int_equal(contract_encode(CONTRACT(SampleFlat), &cases[i].value, &body, &fault), cases[i].reason);
    assert_int_equal(fault.reason, cases[i].reason);
    assert_string_equal(fault.path, cases[i].path);
    assert_int_equal(body.size, 4);
  }
}

static void any_is_one_value_and_is_left_as_it_came(void **state) {
  Sample sample = {.count = 1, .main = {.name = TEXT("m")}, .has_extra = true, .extra = BYTES(0x92, 1)};
  _cleanup_(buffer_done) Buffer body = {0};
  ContractFault fault = {0};
  Sample back;

  (void)state;
  assert_int_equal(contract_encode(CONTRACT(Sample), &sample, &body, &fault), CONTRACT_E_MALFORMED);
  assert_string_equal(fault.path, "extra");
  sample.extra = BYTES(0x92, 1, 0x81, 0xa1, 'k', 0xc0);
  assert_int_equal(contract_encode(CONTRACT(Sample), &sample, &body, &fault), 0);
  assert_int_equal(contract_decode(CONTRACT(Sample), buffer_bytes(&body), NULL, &back, NULL), 0);
  assert_int_equal(back.extra.size, 6);
  assert_memory_equal(back.extra.data, sample.extra.data, 6);
}

static void what_is_not_a_message_is_named(void **state) {
  uint8_t bomb[64];
  const struct {
    Bytes body;
    int reason;
    const char *path;
  } cases[] = {
      {BYTES_NONE, CONTRACT_E_MALFORMED, ""},
      {BYTES(0x90), CONTRACT_E_TYPE, ""},
      {BYTES(0xc1), CONTRACT_E_MALFORMED, ""},
      {BYTES(0x80), CONTRACT_E_MISSING, "on"},
      {BYTES(0x81, 1, 2), CONTRACT_E_TYPE, ""},
      {BYTES(0x81, 0xa1, 0xff, 2), CONTRACT_E_MALFORMED, ""},
      {BYTES(0xdf, 0xff, 0xff, 0xff, 0xff, 0, 0), CONTRACT_E_MALFORMED, ""},
      {BYTES(0x81, 0xa4, 'm', 'a', 'i', 'n', 0x81, 0xa4, 'n', 'a', 'm', 'e', 0xa1, ' '), CONTRACT_E_RANGE, "main.name"},
      {BYTES(0x81, 0xa4, 't', 'e', 'x', 't', 0xa2, 'x', 0xff), CONTRACT_E_MALFORMED, "text"},
      {BYTES(0x81, 0xa4, 't', 'e', 'x', 't', 0xa2, 'x'), CONTRACT_E_MALFORMED, "text"},
      {BYTES(0x81, 0xa3, 'a', '\n', 'b', 0xc0), CONTRACT_E_UNKNOWN_FIELD, "a?b"},
      {BYTES(0x81, 0xa5, 'e', 'x', 't', 'r', 'a', 0xc1), CONTRACT_E_MALFORMED, "extra"},
      {(Bytes){bomb, sizeof bomb}, CONTRACT_E_MALFORMED, "extra"},
  };

  (void)state;
  memset(bomb, 0x91, sizeof bomb);
  memcpy(bomb,
         "\x81\xa5"
         "extra",
         7);
  for (size_t i = 0; i < ELEMENTS(cases); i++) {
    ContractFault fault = {0};

    assert_int_equal(contract_check(CONTRACT(Sample), cases[i].body, &fault), cases[i].reason);
    assert_int_equal(fault.reason, cases[i].reason);
    assert_string_equal(fault.path, cases[i].path);
  }
  assert_int_equal(contract_check(CONTRACT(SampleNothing), BYTES(0x80, 0xc0), NULL), CONTRACT_E_MALFORMED);
}

static void a_fault_says_what_was_wanted(void **state) {
  SampleFlat value = flat;
  _cleanup_(buffer_done) Buffer body = {0};
  ContractFault fault = {0};

  (void)state;
  value.repeat = 5000;
  contract_encode(CONTRACT(SampleFlat), &value, &body, &fault);
  assert_string_equal(fault.message, "wanted a whole number from 1 to 100, got 5000");
  assert_string_equal(contract_reason(fault.reason), "OUT_OF_RANGE");
  contract_check(CONTRACT(SampleFlat), BYTES(0x81, 0xa4, 't', 'e', 'x', 't', 7), &fault);
  assert_string_equal(fault.message, "wanted a text of 1 to 65536 bytes, got a whole number");
  assert_string_equal(contract_reason(CONTRACT_E_SPACE), "TOO_MUCH_MEMORY");
  assert_string_equal(contract_reason(99), "?");
}

static void a_long_path_is_cut(void **state) {
  _cleanup_(buffer_done) Buffer body = {0};
  ContractFault fault = {0};
  char name[1000];

  (void)state;
  memset(name, 'n', sizeof name);
  msgpack_put_map(&body, 1);
  msgpack_put_text(&body, (Text){name, sizeof name});
  msgpack_put_nil(&body);
  assert_int_equal(contract_check(CONTRACT(SampleFlat), buffer_bytes(&body), &fault), CONTRACT_E_UNKNOWN_FIELD);
  assert_int_equal(strlen(fault.path), 64);
}

static void lists_are_bounded_by_the_arena(void **state) {
  const SamplePart parts[3] = {{.name = TEXT("a")}, {.name = TEXT("b")}, {.name = TEXT("c")}};
  const Sample sample = {.count = 1, .main = {.name = TEXT("m")}, .has_parts = true, .parts = {parts, 3}};
  _cleanup_(buffer_done) Buffer body = {0};
  _cleanup_(arena_done) Arena arena = {.limit_bytes = sizeof parts - 1};
  ContractFault fault = {0};
  Sample back;

  (void)state;
  assert_int_equal(contract_encode(CONTRACT(Sample), &sample, &body, NULL), 0);
  assert_int_equal(contract_decode(CONTRACT(Sample), buffer_bytes(&body), &arena, &back, &fault), CONTRACT_E_SPACE);
  assert_string_equal(fault.path, "parts");
  assert_int_equal(contract_decode(CONTRACT(Sample), buffer_bytes(&body), NULL, &back, &fault), CONTRACT_E_SPACE);
  arena.limit_bytes = sizeof parts;
  assert_int_equal(contract_decode(CONTRACT(Sample), buffer_bytes(&body), &arena, &back, &fault), 0);
  assert_int_equal(contract_decode(CONTRACT(Sample), buffer_bytes(&body), &arena, &back, &fault), CONTRACT_E_SPACE);
  arena_clear(&arena);
  assert_int_equal(contract_decode(CONTRACT(Sample), buffer_bytes(&body), &arena, &back, &fault), 0);
}

static void an_arena_grows_and_keeps_one_chunk(void **state) {
  _cleanup_(arena_done) Arena arena = {0};
  struct ArenaChunk *kept;

  (void)state;
  for (size_t i = 0; i < 1000; i++) {
    uint8_t *piece = arena_take(&arena, 33);

    assert_true(((uintptr_t)piece & 15) == 0 && piece[0] == 0 && piece[32] == 0);
    memset(piece, 0xff, 33);
  }
  kept = arena.chunks;
  arena_clear(&arena);
  assert_ptr_equal(arena.chunks, kept);
  assert_null(arena_take(&arena, ARENA_LIMIT_BYTES + 1));
  assert_non_null(arena_take(&arena, ARENA_LIMIT_BYTES));
  assert_null(arena_take(&arena, 1));
}

static void fields_may_come_in_any_order(void **state) {
  _cleanup_(buffer_done) Buffer body = {0};
  SampleFlat back;

  (void)state;
  msgpack_put_map(&body, 3);
  msgpack_put_text(&body, TEXT("loud"));
  msgpack_put_bool(&body, true);
  msgpack_put_text(&body, TEXT("repeat"));
  msgpack_put_uint(&body, 9);
  msgpack_put_text(&body, TEXT("text"));
  msgpack_put_text(&body, TEXT("x"));
  assert_int_equal(contract_decode(CONTRACT(SampleFlat), buffer_bytes(&body), NULL, &back, NULL), 0);
  assert_true(back.has_loud && back.loud && back.repeat == 9 && text_is(back.text, "x") && !back.has_share);
}

static void an_open_message_passes_over_what_it_does_not_know(void **state) {
  _cleanup_(buffer_done) Buffer body = {0};
  ContractFault fault = {0};
  ErrorBody back;
  uint8_t bomb[40];

  (void)state;
  msgpack_put_map(&body, 2);
  msgpack_put_text(&body, TEXT("of_tomorrow"));
  msgpack_put_array(&body, 1);
  msgpack_put_nil(&body);
  msgpack_put_text(&body, TEXT("message"));
  msgpack_put_text(&body, TEXT("no"));
  assert_int_equal(contract_decode(CONTRACT(ErrorBody), buffer_bytes(&body), NULL, &back, &fault), 0);
  assert_true(text_is(back.message, "no"));
  buffer_clear(&body);
  memset(bomb, 0x91, sizeof bomb);
  msgpack_put_map(&body, 1);
  msgpack_put_text(&body, TEXT("of_tomorrow"));
  msgpack_put_raw(&body, (Bytes){bomb, sizeof bomb});
  assert_int_equal(contract_check(CONTRACT(ErrorBody), buffer_bytes(&body), &fault), CONTRACT_E_MALFORMED);
  assert_string_equal(fault.path, "of_tomorrow");
  buffer_clear(&body);
  contract_canonical(CONTRACT(ForwardBody), &body);
  assert_memory_equal(body.data + body.size - 4, "*}*}", 4);
}

#define FLAT_CANONICAL "{text!text(1..65536),repeat!uint(1..100),share?real(0..1),loud?bool,agent?name(1..64)}"
#define PART_CANONICAL "{name!name(1..16),share?real(0..1)}"
#define SAMPLE_CANONICAL                                                                                               \
  "{on!bool,offset!int(-5..5)us,count!uint(1..100),text?text(1..8),blob?bytes(1..4),extra?any(1..1000),"               \
  "tier?text(gpu|cpu|remote),main!" PART_CANONICAL ",second?" PART_CANONICAL ",numbers?list(2..4)uint(1..9),"          \
  "tags?list(0..3)text(1..4),parts?list(1..3)" PART_CANONICAL "}"

/* The hash of docs/contracts.md: FNV-1a of the text above, counted by another program. */
static void the_canonical_form_and_its_hash_stay(void **state) {
  static const MethodContract pour = {.version = 3,
                                      .flags = METHOD_IDEMPOTENT | METHOD_STREAMING,
                                      .request = CONTRACT(SampleFlat),
                                      .reply = CONTRACT(SampleNothing),
                                      .chunk = CONTRACT(SamplePart)};
  MethodContract changed = pour;
  _cleanup_(buffer_done) Buffer text = {0};

  (void)state;
  contract_canonical(CONTRACT(Sample), &text);
  assert_int_equal(text.size, strlen(SAMPLE_CANONICAL));
  assert_memory_equal(text.data, SAMPLE_CANONICAL, text.size);
  buffer_clear(&text);
  method_contract_canonical(&pour, &text);
  assert_int_equal(text.size, strlen("3 3 " FLAT_CANONICAL " {} " PART_CANONICAL));
  assert_memory_equal(text.data, "3 3 " FLAT_CANONICAL " {} " PART_CANONICAL, text.size);
  assert_true(contract_hash(CONTRACT(SampleFlat)) == UINT64_C(0xb5d660da91bebbcc));
  assert_true(method_contract_hash(&pour) == UINT64_C(0x76313f56d9dc6ba8));
  changed.chunk = NULL;
  assert_true(method_contract_hash(&pour) != method_contract_hash(&changed));
  buffer_clear(&text);
  method_contract_canonical(&changed, &text);
  assert_memory_equal(text.data + text.size - 5, " {} -", 5);
}

static void assert_schema_has(const Buffer *schema, const char *part) {
  if (!memmem(schema->data, schema->size, part, strlen(part)))
    fail_msg("no %s in %.*s", part, (int)schema->size, (const char *)schema->data);
}

static void the_schema_says_what_the_table_says(void **state) {
  _cleanup_(buffer_done) Buffer schema = {0};

  (void)state;
  contract_schema(CONTRACT(Sample), &schema);
  assert_schema_has(&schema,
                    "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"Sample\","
                    "\"description\":\"a message of everything\",\"type\":\"object\",\"additionalProperties\":false");
  assert_schema_has(&schema, "\"on\":{\"type\":\"boolean\",\"description\":\"whether\"}");
  assert_schema_has(&schema, "\"offset\":{\"type\":\"integer\",\"minimum\":-5,\"maximum\":5,"
                             "\"description\":\"back or forth (us)\",\"x-unit\":\"us\"}");
  assert_schema_has(&schema, "\"text\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":8,"
                             "\"description\":\"words, \\\"quoted\\\"; 1 to 8 bytes\"}");
  assert_schema_has(&schema, "\"contentEncoding\":\"base64\",\"minLength\":4,\"maxLength\":8");
  assert_schema_has(&schema, "\"enum\":[\"gpu\",\"cpu\",\"remote\"]");
  assert_schema_has(&schema, "\"numbers\":{\"type\":\"array\",\"minItems\":2,\"maxItems\":4,\"items\":"
                             "{\"type\":\"integer\",\"minimum\":1,\"maximum\":9}");
  assert_schema_has(&schema, "\"pattern\":\"^[A-Za-z0-9_.-]+$\"");
  assert_schema_has(&schema, "},\"required\":[\"on\",\"offset\",\"count\",\"main\"]}");
  buffer_clear(&schema);
  contract_schema(CONTRACT(SampleNothing), &schema);
  assert_schema_has(&schema, "\"properties\":{},\"required\":[]}");
  buffer_clear(&schema);
  contract_schema(CONTRACT(Hello), &schema);
  assert_schema_has(&schema, "\"additionalProperties\":true");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_contract_is_walked),
      cmocka_unit_test(a_struct_goes_out_and_comes_back),
      cmocka_unit_test(encoding_holds_the_same_bounds),
      cmocka_unit_test(any_is_one_value_and_is_left_as_it_came),
      cmocka_unit_test(what_is_not_a_message_is_named),
      cmocka_unit_test(a_fault_says_what_was_wanted),
      cmocka_unit_test(a_long_path_is_cut),
      cmocka_unit_test(lists_are_bounded_by_the_arena),
      cmocka_unit_test(an_arena_grows_and_keeps_one_chunk),
      cmocka_unit_test(fields_may_come_in_any_order),
      cmocka_unit_test(an_open_message_passes_over_what_it_does_not_know),
      cmocka_unit_test(the_canonical_form_and_its_hash_stay),
      cmocka_unit_test(the_schema_says_what_the_table_says),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
