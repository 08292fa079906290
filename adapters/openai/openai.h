/* What:      OpenAI's dialect, which is ours too: requests and answers pass through, but for the model's name and the usage.
 * Owns:      nothing.
 * May use:   base, json, contracts, dialect.
 * Threading: any; pure.
 * Spec:      OpenAI's API description (openai/openai-openapi); what Ollama, LM Studio, vLLM and llama-server leave out of it
 *            is in docs/providers.md */
#ifndef PONS_OPENAI_OPENAI_H
#define PONS_OPENAI_OPENAI_H

#include "adapters/dialect/dialect.h"

extern const Dialect openai_dialect;

/* For APIs that are OpenAI's but for the way there: what the functions of Dialect of these names do. */

/* Appends the body of a request and fills asked but for what is filled already; asks_usage: a stream is asked for its usage,
   also where the client did not. */
void openai_put_chat(Json request, bool asks_usage, DialectRequest *ret);
void openai_put_embed(Json request, DialectRequest *ret);
int openai_decode_chat(const DialectAsked *asked, Text body, Buffer *ret_response, ChatUsage *ret_usage,
                       DialectFault *ret_fault);
int openai_decode_embed(const DialectAsked *asked, Text body, Buffer *ret_response, ChatUsage *ret_usage,
                        DialectFault *ret_fault);
/* What an event of a stream was. */
typedef struct OpenaiChunk {
  bool is_end;      /* the end mark, or behind it */
  bool has_choices; /* a list of them, which may be empty */
  bool has_usage;
  size_t choices;
  size_t deltas; /* choices with something new */
} OpenaiChunk;

/* The two halves of openai_stream_event, for who looks at a chunk before it is passed on. */
int openai_read_event(DialectStream *stream, Text data, OpenaiChunk *ret, DialectFault *ret_fault);
void openai_put_event(DialectStream *stream, Text data, const OpenaiChunk *chunk);
int openai_stream_event(DialectStream *stream, Text type, Text data, DialectFault *ret_fault);
bool openai_stream_is_whole(const DialectStream *stream);

/* Their paths are OpenAI's, behind the version. */
int openai_encode_models(const DialectModels *models, DialectRequest *ret, DialectFault *ret_fault);
int openai_decode_models(Text body, DialectModels *ret, DialectFault *ret_fault);
int openai_encode_transcribe(const TranscribeAsk *ask, DialectRequest *ret, DialectFault *ret_fault);
int openai_decode_transcribe(Text body, DialectMade *ret, ChatUsage *ret_usage, DialectFault *ret_fault);
int openai_transcribe_event(DialectStream *stream, Text type, Text data, DialectFault *ret_fault);
int openai_encode_speak(const SpeakAsk *ask, DialectRequest *ret, DialectFault *ret_fault);
int openai_encode_tune(const DialectTune *tune, DialectRequest *ret, DialectFault *ret_fault);
int openai_decode_tune(DialectTuning what, Text body, DialectTuned *ret, DialectFault *ret_fault);

/* Reads the usage object of OpenAI's API, of a completion or of embeddings; what it does not have stays absent. */
void openai_read_usage(Json usage, ChatUsage *ret);
/* What an error of OpenAI's API means: status 0 for one inside a stream or inside an answer with status 200. */
void openai_decode_error(const DialectHead *head, Text body, DialectFault *ret_fault);

#endif
