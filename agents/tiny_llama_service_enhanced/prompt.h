/* What:      a conversation as the text that a model continues, by its template. Parts that the model knows as special
 *            tokens are marked; nothing that a user wrote is in one of these.
 * Owns:      a Prompt owns its text and its list of parts.
 * May use:   base, json.
 * Threading: any; pure.
 * Spec:      docs/local-models.md, "Templates" */
#ifndef PONS_LOCAL_PROMPT_H
#define PONS_LOCAL_PROMPT_H

#include "bus/base/buffer.h"
#include "bus/json/json.h"

typedef enum PromptStyle { PROMPT_TINYLLAMA, PROMPT_CHATML, PROMPT_PLAIN } PromptStyle;

/* A stretch of the text. */
typedef struct PromptPart {
  size_t size_bytes;
  bool is_special; /* one of the model's own marks, such as the end of a turn */
} PromptPart;

typedef struct Prompt {
  Buffer text;
  Buffer parts; /* of PromptPart; stretches of one kind that follow each other are one */
} Prompt;

/* The style of a name of local_llm.template. Returns 0; -EINVAL and *ret is left alone. */
int prompt_style_parse(const char *name, PromptStyle *ret);
/* Writes messages, which order_read has accepted, and the opening of the answer into an empty Prompt. */
void prompt_write(PromptStyle style, Json messages, Prompt *ret);
/* What a model of this style writes when it goes on with the user's turn: a stop string, or empty. */
Text prompt_stop(PromptStyle style);
/* The parts. */
const PromptPart *prompt_parts(const Prompt *prompt, size_t *ret_count);
/* Frees what prompt_write made. Usable as _cleanup_. */
void prompt_done(Prompt *prompt);

#endif
