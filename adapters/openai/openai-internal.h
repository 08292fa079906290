/* What:      what the files of OpenAI's dialect share.
 * Owns:      nothing.
 * May use:   base, json, contracts, dialect.
 * Threading: any; pure.
 * Spec:      adapters/dialect/dialect.h */
#ifndef PONS_OPENAI_OPENAI_INTERNAL_H
#define PONS_OPENAI_OPENAI_INTERNAL_H

#include "adapters/openai/openai.h"

/* encode_transcribe of Dialect. */
int openai_encode_transcribe(const TranscribeAsk *ask, DialectRequest *ret, DialectFault *ret_fault);
/* decode_transcribe of Dialect. */
int openai_decode_transcribe(Text body, DialectMade *ret, ChatUsage *ret_usage, DialectFault *ret_fault);
/* encode_speak of Dialect. */
int openai_encode_speak(const SpeakAsk *ask, DialectRequest *ret, DialectFault *ret_fault);

#endif
