/* What:      the contract engine: a const table describes a message; by it bodies are decoded, checked, encoded, hashed
 *            and shown as JSON Schema. contract-structs.h and contract-tables.h make the tables from .def files.
 * Owns:      nothing: decoded texts and bytes borrow from the body, decoded lists lie in the caller's Arena.
 * May use:   base, wire/msgpack, wire/arena.
 * Threading: any; pure.
 * Spec:      docs/contracts.md */
#ifndef PONS_WIRE_CONTRACT_H
#define PONS_WIRE_CONTRACT_H

#include <float.h>

#include "bus/wire/arena.h"
#include "bus/wire/msgpack.h"

#define CONTRACT_FIELDS_MAX 64 /* fields of one message: decoding marks them in one word */

typedef enum ContractType {
  CONTRACT_BOOL,    /* bool */
  CONTRACT_INT,     /* int64_t */
  CONTRACT_UINT,    /* uint64_t */
  CONTRACT_REAL,    /* double; never NaN */
  CONTRACT_TEXT,    /* Text, UTF-8 */
  CONTRACT_NAME,    /* Text of A-Z a-z 0-9 _ . - */
  CONTRACT_BYTES,   /* Bytes */
  CONTRACT_ANY,     /* Bytes: one msgpack value, as it came */
  CONTRACT_MESSAGE, /* the struct of another contract */
} ContractType;

/* A bound: of the value for numbers, of the size in bytes (u) for TEXT, NAME, BYTES and ANY. */
typedef union ContractBound {
  int64_t i;
  uint64_t u;
  double r;
} ContractBound;

typedef struct Contract Contract;

typedef struct ContractField {
  const char *name;
  const char *unit;        /* "us", "bytes"; "" = none */
  const char *about;       /* one sentence */
  const char *allowed;     /* TEXT: the only texts, "gpu|cpu|remote"; else NULL */
  const Contract *message; /* MESSAGE: its contract; else NULL */
  ContractBound min;
  ContractBound max;
  uint32_t count_min; /* of a list */
  uint32_t count_max;
  uint32_t offset;     /* of the value, or of the ContractList, in the struct */
  uint32_t has_offset; /* of bool has_NAME, when not required */
  uint32_t size_bytes; /* of one value */
  uint8_t type;        /* ContractType */
  uint8_t name_size;
  bool is_list;
  bool required;
} ContractField;

typedef struct ContractFields {
  const ContractField *rows;
  size_t count;
} ContractFields;

struct Contract {
  const char *name;
  const char *about;
  ContractFields (*fields)(void); /* constant; a function, so that its rows can name their struct */
  uint32_t size_bytes;            /* of the struct */
  bool is_open; /* unknown fields are passed over: bodies of the protocol, which old peers must read */
};

/* How every list lies in its struct; there items has the element's type. */
typedef struct ContractList {
  const void *items;
  size_t count;
} ContractList;

/* The contract of a struct: CONTRACT(Hello). */
#define CONTRACT(name) (&contract_##name)

enum {
  CONTRACT_E_TYPE = 1,      /* a value of another type */
  CONTRACT_E_MISSING,       /* a required field is not there */
  CONTRACT_E_UNKNOWN_FIELD, /* a field that the contract does not have */
  CONTRACT_E_RANGE,         /* a number, size or count out of bounds, or a text that is not one of the allowed */
  CONTRACT_E_DUPLICATE,     /* a field twice */
  CONTRACT_E_MALFORMED,     /* not msgpack: cut short, bytes left over, nested too deep, or a text that is not UTF-8 */
  CONTRACT_E_SPACE,         /* the lists don't fit into the arena */
};

#define CONTRACT_PATH_BYTES 256

/* What did not fit. */
typedef struct ContractFault {
  int reason;                         /* CONTRACT_E_* */
  char path[CONTRACT_PATH_BYTES + 1]; /* "messages[3].content"; "" = the message itself */
  char message[512];                  /* one sentence, without the path: what was wanted and what came; ASCII */
} ContractFault;

/* "OUT_OF_RANGE" for CONTRACT_E_RANGE and so on; "?" for no reason. */
const char *contract_reason(int reason);

/* Reads body into *ret, the contract's struct. Texts and bytes borrow from body; lists are in arena (may be NULL for a
   message without lists), so *ret is good for as long as both are. An optional field that is absent is zero and its
   has_NAME false. Returns 0 or CONTRACT_E_*; then *ret is all zero and *fault (may be NULL) says what is wrong. On
   success *fault is left alone. Every field is checked; cost is linear in body. */
int contract_decode(const Contract *contract, Bytes body, Arena *arena, void *ret, ContractFault *fault);

/* As contract_decode, without a struct. */
int contract_check(const Contract *contract, Bytes body, ContractFault *fault);

/* Appends value, the contract's struct, to buffer as a map with the fields in the table's order; optional ones whose
   has_NAME is false are left out. Holds value against the contract first: returns 0 or CONTRACT_E_*; then buffer is as
   it was and *fault (may be NULL) says why. */
int contract_encode(const Contract *contract, const void *value, Buffer *buffer, ContractFault *fault);

/* Appends the canonical text of the contract: docs/contracts.md, "Canonical form". */
void contract_canonical(const Contract *contract, Buffer *buffer);

/* FNV-1a (64 bit) of the canonical text: the same in every build and language, and never 0. */
uint64_t contract_hash(const Contract *contract);

/* Appends a JSON Schema (draft 2020-12) of the contract as JSON text, BYTES being base64 there. */
void contract_schema(const Contract *contract, Buffer *buffer);

typedef enum MethodFlag {
  METHOD_IDEMPOTENT = 1, /* done twice is as good as done once; may be done again when its worker is lost */
  METHOD_STREAMING = 2,  /* sends chunks before its reply */
  METHOD_ONCE = 4,       /* takes effect at most once */
} MethodFlag;

/* What one method takes and gives. */
typedef struct MethodContract {
  const char *service;
  const char *method;
  const char *about;
  const Contract *request;
  const Contract *reply;
  const Contract *chunk; /* NULL unless METHOD_STREAMING */
  uint32_t version;
  uint32_t flags; /* MethodFlag */
} MethodContract;

/* "a calls method of service". */
typedef struct ContractCall {
  const char *agent;
  const char *service;
  const char *method;
} ContractCall;

/* Appends the canonical text of a method: version, flags and its messages; not its name. */
void method_contract_canonical(const MethodContract *method, Buffer *buffer);
/* FNV-1a (64 bit) of method_contract_canonical; never 0, which on the wire means untyped. */
uint64_t method_contract_hash(const MethodContract *method);

#endif
