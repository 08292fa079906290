/* What:      what the files of the contract engine share: the place in a message, faults, and the check of one value.
 * Owns:      nothing.
 * May use:   wire/contract.
 * Threading: any; pure.
 * Spec:      docs/contracts.md */
#ifndef PONS_WIRE_CONTRACT_INTERNAL_H
#define PONS_WIRE_CONTRACT_INTERNAL_H

#include "bus/wire/contract.h"

/* Where in a message the codec is: a chain on the stack, from the value up to the message. */
typedef struct ContractPlace {
  const struct ContractPlace *up; /* NULL at the top */
  Text name;
  const ContractField *field; /* NULL for an unknown name */
  size_t index;
  bool has_index;
} ContractPlace;

/* Fills fault (may be NULL) and returns reason. place NULL = the message itself. format gives the sentence. */
int contract_fail(ContractFault *fault, int reason, const ContractPlace *place, const char *format, ...) _printf_(4, 5);

/* Fills fault for a value that msgpack did not yield (code is MSGPACK_E_*); in stands before it. wanted describes what
   should be there. */
int contract_fail_read(ContractFault *fault, int code, const MsgpackReader *in, const ContractPlace *place,
                       const char *wanted);

#define CONTRACT_WANTED_BYTES 320
/* Describes one value of field ("text of 1 to 64 bytes") in ret, which it returns. */
const char *contract_wanted(const ContractField *field, char ret[CONTRACT_WANTED_BYTES]);

/* Whether *value, of the C type of field and no MESSAGE, is in its bounds. 0 or CONTRACT_E_RANGE with fault filled. */
int contract_check_value(const ContractField *field, const void *value, const ContractPlace *place,
                         ContractFault *fault);
/* Whether a list of count values is in the bounds of field. 0 or CONTRACT_E_RANGE with fault filled. */
int contract_check_count(const ContractField *field, size_t count, const ContractPlace *place, ContractFault *fault);

/* Prints a bound of field as canonical decimal text. */
void contract_print_bound(const ContractField *field, ContractBound bound, Buffer *buffer);

#endif
