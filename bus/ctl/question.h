/* What:      SERVICE.METHOD and JSON from a command line as a request for the client.
 * Owns:      the names and the body that its Ask points to.
 * May use:   base, wire, client, contracts.
 * Threading: one thread.
 * Spec:      docs/pons.1.md, "call" */
#ifndef PONS_CTL_QUESTION_H
#define PONS_CTL_QUESTION_H

#include "bus/client/client.h"

enum {
  QUESTION_E_TARGET = 1, /* not SERVICE.METHOD */
  QUESTION_E_JSON,       /* the text is no JSON, or could not be read */
  QUESTION_E_CONTRACT,   /* the message does not fit the method's contract */
};

typedef struct Question {
  char *target;                   /* what ask's names point into */
  const MethodContract *contract; /* NULL = not in this build's tables: untyped */
  Buffer body;
  Ask ask;
} Question;

/* Splits target at its last dot ("echo.say", "echo@echo:17.say", "echo@*.say") and makes the body of json: NULL = a message
   without fields; "-" = what is on standard input. Returns 0 and fills *ret, which the caller ends with question_done;
   QUESTION_E_: errors says what is wrong, one line, and *ret is left alone; QUESTION_E_CONTRACT fills *ret_fault too (may
   be NULL). Blocks while it reads. */
int question_init(Question *ret, const char *target, const char *json, Buffer *errors, ContractFault *ret_fault);
/* Makes the body of json as question_init does, where no contract says what it must be; NULL = nothing. Returns 0, or QUESTION_E_JSON and
   errors says what is wrong, one line. */
int question_read(const char *json, Buffer *ret_body, Buffer *errors);
/* Frees what *question owns. Usable as _cleanup_. */
void question_done(Question *question);

#endif
