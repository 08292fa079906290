/* What:      makes the C structs of a contract table, and declares their contracts. #define CONTRACT_DEF "the/file.def",
 *            include this, #undef CONTRACT_DEF. Has no include guard: once per table.
 * Owns:      -
 * May use:   wire/contract.
 * Threading: -
 * Spec:      docs/contracts.md, "Rows" */
#include "bus/wire/contract.h"

#define CONTRACT_HAS_REQUIRED(name)
#define CONTRACT_HAS_OPTIONAL(name) bool has_##name;
#define CONTRACT_C_INT int64_t
#define CONTRACT_C_UINT uint64_t
#define CONTRACT_C_REAL double
#define CONTRACT_C_TEXT Text
#define CONTRACT_C_NAME Text
#define CONTRACT_C_BYTES Bytes
#define CONTRACT_C_ANY Bytes
#define CONTRACT_LIST_OF(ctype, name)                                                                                  \
  struct {                                                                                                             \
    const ctype *items;                                                                                                \
    size_t count;                                                                                                      \
  } name;

#define MESSAGE(name, about) typedef struct name {
#define OPEN_MESSAGE(name, about) MESSAGE(name, about)
#define END(name)                                                                                                      \
  }                                                                                                                    \
  name;                                                                                                                \
  extern const Contract contract_##name;
#define EMPTY(name, about)                                                                                             \
  typedef struct name {                                                                                                \
    char nothing;                                                                                                      \
  } name;                                                                                                              \
  extern const Contract contract_##name;
#define FLAG(presence, name, about) CONTRACT_HAS_##presence(name) bool name;
#define FIELD(presence, type, name, min, max, unit, about) CONTRACT_HAS_##presence(name) CONTRACT_C_##type name;
#define CHOICE(presence, name, allowed, about) CONTRACT_HAS_##presence(name) Text name;
#define NESTED(presence, message, name, about) CONTRACT_HAS_##presence(name) message name;
#define LIST(presence, type, name, count_min, count_max, min, max, unit, about)                                        \
  CONTRACT_HAS_##presence(name) CONTRACT_LIST_OF(CONTRACT_C_##type, name)
#define NESTED_LIST(presence, message, name, count_min, count_max, about)                                              \
  CONTRACT_HAS_##presence(name) CONTRACT_LIST_OF(message, name)

#include "bus/wire/contract-rows.h"

#undef CONTRACT_HAS_REQUIRED
#undef CONTRACT_HAS_OPTIONAL
#undef CONTRACT_C_INT
#undef CONTRACT_C_UINT
#undef CONTRACT_C_REAL
#undef CONTRACT_C_TEXT
#undef CONTRACT_C_NAME
#undef CONTRACT_C_BYTES
#undef CONTRACT_C_ANY
#undef CONTRACT_LIST_OF
