/* What:      a failure of a provider, or of a request at it, with texts of its own.
 * Owns:      a DialectFault its texts.
 * May use:   base, wire, contracts.
 * Threading: any; pure.
 * Spec:      agents/contracts/causes.def */
#ifndef PONS_DIALECT_FAULT_H
#define PONS_DIALECT_FAULT_H

#include "agents/contracts/cause.h"
#include "bus/base/buffer.h"

enum {
  DIALECT_E_FAULT = 1, /* the fault says what */
};

/* A fault whose texts lie in a buffer of its own. All zero is none. */
typedef struct DialectFault {
  Fault fault;
  Buffer texts;
} DialectFault;

/* Fills a fault with copies of its texts, which may be its own; what was in it before is gone. Bytes that are no UTF-8 become
   `?`. Returns DIALECT_E_FAULT. */
int dialect_fault_set(DialectFault *ret, const Fault *fault);
/* A mistake of the caller: param is the path of the member that is wrong, the rest is the sentence. Returns
   DIALECT_E_FAULT. */
int dialect_fault_caller(DialectFault *ret, const char *param, const char *format, ...) _printf_(3, 4);
/* An answer that is none: a sentence on what is wrong with it. Returns DIALECT_E_FAULT. */
int dialect_fault_malformed(DialectFault *ret, const char *message);
/* Whether text has these words in it, as they are written. */
bool dialect_says(Text text, const char *words);
/* What a status of HTTP says by itself. 0 or 200, of an error inside an answer: their trouble, and not the caller's. */
Cause dialect_cause_of_status(unsigned status);
/* Frees the texts. Usable as _cleanup_. */
void dialect_fault_done(DialectFault *fault);

#endif
