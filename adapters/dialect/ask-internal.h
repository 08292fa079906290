/* What:      what the reading and the checking of a request share.
 * Owns:      nothing.
 * May use:   base, json, ask.
 * Threading: any; pure.
 * Spec:      ask.h */
#ifndef PONS_DIALECT_ASK_INTERNAL_H
#define PONS_DIALECT_ASK_INTERNAL_H

#include "adapters/dialect/ask.h"

/* What is wrong with a value: the path of the member in it, and a sentence's end ("must be a string"). why NULL: nothing. */
typedef struct AskWrong {
  const char *path;
  const char *why;
} AskWrong;

extern const char *const ask_member_names[ASK_MEMBER_END];

/* Reads a message and remembers its calls. */
AskWrong ask_read_message(AskMessages *messages, Json whole, AskMessage *ret);
AskWrong ask_read_part(Json whole, AskPart *ret);
AskWrong ask_read_tool(Json whole, AskTool *ret);
AskWrong ask_read_call(Json whole, AskCall *ret);

#endif
