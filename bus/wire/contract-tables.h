/* What:      defines the contracts of a contract table, in one .c. #define CONTRACT_DEF "the/file.def", include this,
 *            #undef CONTRACT_DEF. The structs must be there already. Has no include guard: once per table.
 * Owns:      -
 * May use:   wire/contract.
 * Threading: -
 * Spec:      docs/contracts.md, "Rows" */
#define CONTRACT_PRESENCE_REQUIRED(name) .required = true
#define CONTRACT_PRESENCE_OPTIONAL(name) .has_offset = offsetof(This, has_##name)
#define CONTRACT_BOUND_INT(bound)                                                                                      \
  { .i = (bound) }
#define CONTRACT_BOUND_UINT(bound)                                                                                     \
  { .u = (bound) }
#define CONTRACT_BOUND_REAL(bound)                                                                                     \
  { .r = (bound) }
#define CONTRACT_BOUND_TEXT(bound)                                                                                     \
  { .u = (bound) }
#define CONTRACT_BOUND_NAME(bound)                                                                                     \
  { .u = (bound) }
#define CONTRACT_BOUND_BYTES(bound)                                                                                    \
  { .u = (bound) }
#define CONTRACT_BOUND_ANY(bound)                                                                                      \
  { .u = (bound) }
#define CONTRACT_ROW(presence_, type_, name_, unit_, about_, ...)                                                      \
  {.name = #name_,                                                                                                     \
   .name_size = sizeof(#name_) - 1,                                                                                    \
   .type = CONTRACT_##type_,                                                                                           \
   .unit = unit_,                                                                                                      \
   .about = about_,                                                                                                    \
   .offset = offsetof(This, name_),                                                                                    \
   CONTRACT_PRESENCE_##presence_(name_),                                                                               \
   __VA_ARGS__},

/* The rows stand in a function, so that "This" can be the struct that they describe. */
#define CONTRACT_BEGIN(name_, about_, is_open_)                                                                        \
  static ContractFields fields_##name_(void);                                                                          \
  const Contract contract_##name_ = {                                                                                  \
      .name = #name_, .about = about_, .fields = fields_##name_, .size_bytes = sizeof(name_), .is_open = is_open_};    \
  static ContractFields fields_##name_(void) {                                                                         \
    typedef name_ This;                                                                                                \
    static const ContractField rows[] = {
#define MESSAGE(name_, about_) CONTRACT_BEGIN(name_, about_, false)
#define OPEN_MESSAGE(name_, about_) CONTRACT_BEGIN(name_, about_, true)
#define END(name_)                                                                                                     \
  }                                                                                                                    \
  ;                                                                                                                    \
  _Static_assert(ELEMENTS(rows) <= CONTRACT_FIELDS_MAX, "too many fields in " #name_);                                 \
  return (ContractFields){rows, ELEMENTS(rows)};                                                                       \
  }
#define EMPTY(name_, about_)                                                                                           \
  static ContractFields fields_##name_(void) {                                                                         \
    return (ContractFields){NULL, 0};                                                                                  \
  }                                                                                                                    \
  const Contract contract_##name_ = {                                                                                  \
      .name = #name_, .about = about_, .fields = fields_##name_, .size_bytes = sizeof(name_)};
#define FLAG(presence, name, about) CONTRACT_ROW(presence, BOOL, name, "", about, .size_bytes = sizeof(bool))
#define FIELD(presence, type, name, min_, max_, unit, about)                                                           \
  CONTRACT_ROW(presence, type, name, unit, about, .size_bytes = sizeof(((This *)0)->name),                             \
               .min = CONTRACT_BOUND_##type(min_), .max = CONTRACT_BOUND_##type(max_))
#define CHOICE(presence, name, allowed_, about)                                                                        \
  CONTRACT_ROW(presence, TEXT, name, "", about, .size_bytes = sizeof(Text), .allowed = allowed_)
#define NESTED(presence, message_, name, about)                                                                        \
  CONTRACT_ROW(presence, MESSAGE, name, "", about, .size_bytes = sizeof(message_), .message = &contract_##message_)
#define LIST(presence, type, name, count_min_, count_max_, min_, max_, unit, about)                                    \
  CONTRACT_ROW(presence, type, name, unit, about, .size_bytes = sizeof(*((This *)0)->name.items), .is_list = true,     \
               .count_min = count_min_, .count_max = count_max_, .min = CONTRACT_BOUND_##type(min_),                   \
               .max = CONTRACT_BOUND_##type(max_))
#define NESTED_LIST(presence, message_, name, count_min_, count_max_, about)                                           \
  CONTRACT_ROW(presence, MESSAGE, name, "", about, .size_bytes = sizeof(message_), .message = &contract_##message_,    \
               .is_list = true, .count_min = count_min_, .count_max = count_max_)

#include "bus/wire/contract-rows.h"

#undef CONTRACT_PRESENCE_REQUIRED
#undef CONTRACT_PRESENCE_OPTIONAL
#undef CONTRACT_BOUND_INT
#undef CONTRACT_BOUND_UINT
#undef CONTRACT_BOUND_REAL
#undef CONTRACT_BOUND_TEXT
#undef CONTRACT_BOUND_NAME
#undef CONTRACT_BOUND_BYTES
#undef CONTRACT_BOUND_ANY
#undef CONTRACT_ROW
#undef CONTRACT_BEGIN
