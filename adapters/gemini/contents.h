/* What:      messages of OpenAI's as Gemini's contents: turns of parts.
 * Owns:      nothing.
 * May use:   base, json, dialect.
 * Threading: any; pure.
 * Spec:      Gemini API reference v1beta, Content, Part; docs/providers.md, "Gemini" */
#ifndef PONS_GEMINI_CONTENTS_H
#define PONS_GEMINI_CONTENTS_H

#include "adapters/dialect/ask.h"

/* Appends the list of contents: who speaks twice in a row has one turn, the results of calls stand in the calls' order. major:
   the generation of the model, from 3 on calls must show signatures. *ret_system gets the parts of all system messages, in
   their order, commas between them. Returns whether there is any content. */
bool gemini_put_contents(const AskChat *ask, int major, Buffer *out, Buffer *ret_system);

#endif
