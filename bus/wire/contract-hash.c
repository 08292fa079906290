/* The canonical text says all that both sides must agree on, and nothing that they may word differently: no
   descriptions, no names of messages. Its grammar is in docs/contracts.md; a change there changes every hash. */
#include "bus/wire/contract-internal.h"

static const char *const type_names[] = {
    [CONTRACT_BOOL] = "bool",   [CONTRACT_INT] = "int",   [CONTRACT_UINT] = "uint",
    [CONTRACT_REAL] = "real",   [CONTRACT_TEXT] = "text", [CONTRACT_NAME] = "name",
    [CONTRACT_BYTES] = "bytes", [CONTRACT_ANY] = "any",   [CONTRACT_MESSAGE] = "message",
};

static void put(Buffer *buffer, const char *text) {
  buffer_append(buffer, text, strlen(text));
}

static void canonical_value(const ContractField *field, Buffer *buffer) {
  if (field->type == CONTRACT_MESSAGE) {
    contract_canonical(field->message, buffer);
    return;
  }
  put(buffer, type_names[field->type]);
  if (field->type == CONTRACT_BOOL)
    return;
  put(buffer, "(");
  if (field->allowed) {
    put(buffer, field->allowed);
  } else {
    contract_print_bound(field, field->min, buffer);
    put(buffer, "..");
    contract_print_bound(field, field->max, buffer);
  }
  put(buffer, ")");
  put(buffer, field->unit);
}

void contract_canonical(const Contract *contract, Buffer *buffer) {
  ContractFields fields = contract->fields();

  put(buffer, "{");
  for (size_t i = 0; i < fields.count; i++) {
    const ContractField *field = &fields.rows[i];

    put(buffer, i ? "," : "");
    put(buffer, field->name);
    put(buffer, field->required ? "!" : "?");
    if (field->is_list)
      buffer_printf(buffer, "list(%u..%u)", field->count_min, field->count_max);
    canonical_value(field, buffer);
  }
  put(buffer, contract->is_open ? "*}" : "}");
}

/* FNV-1a, 64 bit: draft-eastlake-fnv, offset basis and prime as there. 0 is kept for "untyped". */
static uint64_t fnv1a(Bytes bytes) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325);

  for (size_t i = 0; i < bytes.size; i++)
    hash = (hash ^ bytes.data[i]) * UINT64_C(0x100000001b3);
  return hash ? hash : 1;
}

uint64_t contract_hash(const Contract *contract) {
  _cleanup_(buffer_done) Buffer text = {0};

  contract_canonical(contract, &text);
  return fnv1a(buffer_bytes(&text));
}

void method_contract_canonical(const MethodContract *method, Buffer *buffer) {
  buffer_printf(buffer, "%u %u ", method->version, method->flags);
  contract_canonical(method->request, buffer);
  put(buffer, " ");
  contract_canonical(method->reply, buffer);
  put(buffer, " ");
  if (method->chunk)
    contract_canonical(method->chunk, buffer);
  else
    put(buffer, "-");
}

uint64_t method_contract_hash(const MethodContract *method) {
  _cleanup_(buffer_done) Buffer text = {0};

  method_contract_canonical(method, &text);
  return fnv1a(buffer_bytes(&text));
}
