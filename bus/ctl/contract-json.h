/* What:      JSON text of a person to a msgpack body by its contract, and a body back to JSON text. BYTES are base64 (RFC
 *            4648 section 4) in JSON.
 * Owns:      nothing.
 * May use:   wire/contract, jansson.
 * Threading: any; pure.
 * Spec:      docs/contracts.md, "JSON" */
#ifndef PONS_CTL_CONTRACT_JSON_H
#define PONS_CTL_CONTRACT_JSON_H

#include "bus/wire/contract.h"

enum {
  CONTRACT_JSON_E_SYNTAX = 32, /* not JSON, a key twice, or a whole number beyond 64 bits */
};

/* Appends to body the message that json says, held against contract; NULL = any one value is taken as it is. Returns 0,
   CONTRACT_JSON_E_SYNTAX with line and column in fault->message, or CONTRACT_E_* with the field's path; then body is as
   it was and fault (may be NULL) is filled. */
int contract_json_to_body(const Contract *contract, Text json, Buffer *body, ContractFault *fault);

/* Appends the JSON text of body, one msgpack value. indent = spaces per level, 0 = all on one line. A whole number as key
   becomes its decimal text; NaN, infinities and extension types become null. Returns 0 or CONTRACT_E_MALFORMED (not one
   msgpack value, or a text that is not UTF-8) or CONTRACT_E_TYPE (a map with another kind of key); then json is as it
   was. */
int contract_json_from_body(Bytes body, unsigned indent, Buffer *json);

#endif
