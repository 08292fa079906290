/* Answers. An event of a stream is a whole answer with what is new, so both are read by the same code. */
#include <stdio.h>

#include "adapters/gemini/gemini-internal.h"

/* --- usage --- */

/* Of tokens that are told by their modality, those of audio. */
static bool read_audio(Json details, uint64_t *ret) {
  JsonWalk walk = json_walk(details);
  Json one;

  while (json_next_element(&walk, &one))
    if (json_string_is(json_find(one, "modality"), "AUDIO"))
      return dialect_read_count(one, "tokenCount", ret);
  return false;
}

/* Google leaves out what is 0, and counts thoughts and what tools put into the prompt by themselves. */
void gemini_read_usage(Json metadata, ChatUsage *ret) {
  uint64_t prompt = 0, tools = 0, candidates = 0;

  if (!dialect_read_count(metadata, "promptTokenCount", &prompt))
    return;
  dialect_read_count(metadata, "toolUsePromptTokenCount", &tools);
  dialect_read_count(metadata, "candidatesTokenCount", &candidates);
  *ret = (ChatUsage){.has_input_tokens = true, .has_output_tokens = true};
  ret->has_cached_tokens = dialect_read_count(metadata, "cachedContentTokenCount", &ret->cached_tokens);
  ret->has_reasoning_tokens = dialect_read_count(metadata, "thoughtsTokenCount", &ret->reasoning_tokens);
  ret->has_input_audio_tokens = read_audio(json_find(metadata, "promptTokensDetails"), &ret->input_audio_tokens);
  ret->has_output_audio_tokens = read_audio(json_find(metadata, "candidatesTokensDetails"), &ret->output_audio_tokens);
  ret->input_tokens = min_u64(prompt + tools, UINT32_MAX);
  ret->output_tokens = min_u64(candidates + ret->reasoning_tokens, UINT32_MAX);
}

/* --- parts --- */

/* A text for the name of a call, of the answer's id and its number: the same conversation never has it twice. */
static void make_up_id(const GeminiTold *told, Json response, const DialectAsked *asked, Buffer *out) {
  Text id = TEXT_NONE;

  json_get_plain(json_find(response, "responseId"), &id);
  buffer_printf(out, "\"" GEMINI_MADE_UP);
  for (size_t i = 0; i < id.size && i < 64; i++)
    if ((id.data[i] | 0x20) >= 'a' ? (id.data[i] | 0x20) <= 'z' : id.data[i] >= '0' && id.data[i] <= '9')
      buffer_append(out, &id.data[i], 1);
  if (id.size == 0)
    buffer_printf(out, "%llu", (unsigned long long)asked->now_s);
  buffer_printf(out, "_%u\"", told->tell.calls);
}

static void put_signature(Json signature, Buffer *out) {
  buffer_printf(out, "{\"google\":{\"thought_signature\":");
  buffer_append(out, signature.text.data, signature.text.size);
  buffer_printf(out, "}}");
}

static void tell_one_call(GeminiTold *told, Json call, Json signature, Json made_up, Buffer *out) {
  _cleanup_(buffer_done) Buffer extra = {0};
  Json id = json_find(call, "id"), name = json_find(call, "name"), arguments = json_find(call, "args");

  if (json_type(id) != JSON_STRING || id.text.size == 2)
    id = made_up;
  if (json_type(name) != JSON_STRING)
    return;
  if (json_type(signature) == JSON_STRING) {
    put_signature(signature, &extra);
    tell_call_with(&told->tell, id, name, "extra_content", buffer_text(&extra), out);
  } else {
    tell_call(&told->tell, id, name, out);
  }
  tell_arguments_object(&told->tell, json_type(arguments) == JSON_OBJECT ? arguments : (Json){TEXT("{}")}, out);
}

static void tell_part(GeminiTold *told, const DialectAsked *asked, Json response, Json part, Buffer *out) {
  _cleanup_(buffer_done) Buffer made_up = {0};
  Json call = json_find(part, "functionCall"), signature = json_find(part, "thoughtSignature");
  bool thought = false;

  json_get_bool(json_find(part, "thought"), &thought);
  if (json_type(call) == JSON_OBJECT) {
    make_up_id(told, response, asked, &made_up);
    tell_one_call(told, call, signature, (Json){buffer_text(&made_up)}, out);
    return;
  }
  if (thought)
    tell_reasoning(&told->tell, json_find(part, "text"), out);
  else
    tell_content(&told->tell, json_find(part, "text"), out);
  if (json_type(signature) != JSON_STRING)
    return;
  buffer_clear(&told->signature);
  put_signature(signature, &told->signature);
}

/* --- the end --- */

typedef enum End { END_STOP, END_LENGTH, END_FILTER, END_FAILED } End;

/* Why it ends. What is not here is taken for an end when something was said, and for a failure when not. */
static bool find_end(Json reason, End *ret) {
  static const struct {
    const char *word;
    End end;
  } rows[] = {{"STOP", END_STOP},
              {"MAX_TOKENS", END_LENGTH},
              {"SAFETY", END_FILTER},
              {"RECITATION", END_FILTER},
              {"LANGUAGE", END_FILTER},
              {"BLOCKLIST", END_FILTER},
              {"PROHIBITED_CONTENT", END_FILTER},
              {"SPII", END_FILTER},
              {"IMAGE_SAFETY", END_FILTER},
              {"IMAGE_PROHIBITED_CONTENT", END_FILTER},
              {"IMAGE_RECITATION", END_FILTER},
              {"MODEL_ARMOR", END_FILTER},
              {"MALFORMED_FUNCTION_CALL", END_FAILED},
              {"UNEXPECTED_TOOL_CALL", END_FAILED},
              {"TOO_MANY_TOOL_CALLS", END_FAILED},
              {"MISSING_THOUGHT_SIGNATURE", END_FAILED},
              {"MALFORMED_RESPONSE", END_FAILED}};

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    if (json_string_is(reason, rows[i].word)) {
      *ret = rows[i].end;
      return true;
    }
  return false;
}

static bool has_said(const Tell *tell) {
  return tell->has_role || tell->calls > 0 || tell->content.size > 0;
}

static int fail_end(Json candidate, Json reason, DialectFault *ret_fault) {
  _cleanup_(buffer_done) Buffer message = {0};
  char text[400];

  json_get_string(json_find(candidate, "finishMessage"), &message);
  buffer_append(&message, "", 1);
  snprintf(text, sizeof text, "it ended with %.*s and no answer%s%s", (int)min_u64(reason.text.size, 64),
           reason.text.data, message.size > 1 ? ": " : "", (const char *)message.data);
  return dialect_fault_malformed(ret_fault, text);
}

static int tell_finish(GeminiTold *told, const DialectAsked *asked, Json candidate, Json reason, const ChatUsage *usage,
                       Buffer *out, DialectFault *ret_fault) {
  static const char *const words[] = {[END_STOP] = "stop", [END_LENGTH] = "length", [END_FILTER] = "content_filter"};
  Tell *tell = &told->tell;
  End end = END_STOP;

  if (!find_end(reason, &end))
    end = has_said(tell) ? END_STOP : END_FAILED;
  if (end == END_FAILED)
    return fail_end(candidate, reason, ret_fault);
  if (told->signature.size > 0)
    tell_member(tell, "extra_content", buffer_text(&told->signature), out);
  told->ended = true;
  tell_end(tell, end == END_STOP && tell->calls > 0 ? "tool_calls" : words[end],
           asked->streams && asked->hides_usage ? NULL : usage, out);
  return 0;
}

/* --- a response --- */

static int refuse_blocked(Json feedback, Json reason, DialectFault *ret_fault) {
  _cleanup_(buffer_done) Buffer said = {0};
  char text[400];

  json_get_string(json_find(feedback, "blockReasonMessage"), &said);
  buffer_append(&said, "", 1);
  snprintf(text, sizeof text, "the prompt was blocked: %.*s%s%s", (int)min_u64(reason.text.size - 2, 64),
           reason.text.data + 1, said.size > 1 ? ", " : "", (const char *)said.data);
  return dialect_fault_set(ret_fault, &(Fault){.cause = CAUSE_POLICY,
                                               .message = text_of(text),
                                               .code = TEXT("content_filter"),
                                               .param = TEXT("messages"),
                                               .http_status = 200});
}

static void begin(GeminiTold *told, const DialectAsked *asked, Json response) {
  _cleanup_(buffer_done) Buffer id = {0};
  _cleanup_(buffer_done) Buffer model = {0};

  if (tell_has_begun(&told->tell))
    return;
  buffer_printf(&id, "chatcmpl-");
  json_get_string(json_find(response, "responseId"), &id);
  json_get_string(json_find(response, "modelVersion"), &model);
  tell_begin(&told->tell, asked->streams, buffer_text(&id), asked->now_s,
             model.size > 0 ? buffer_text(&model) : asked->model);
}

/* Tells what is in a response, and the end when it is there. */
static int tell_response(GeminiTold *told, const DialectAsked *asked, Json response, ChatUsage *usage, Buffer *out,
                         DialectFault *ret_fault) {
  Json feedback = json_find(response, "promptFeedback"), blocked = json_find(feedback, "blockReason");
  JsonWalk candidates = json_walk(json_find(response, "candidates")), parts;
  Json candidate, part, reason;

  gemini_read_usage(json_find(response, "usageMetadata"), usage);
  if (json_type(blocked) == JSON_STRING)
    return refuse_blocked(feedback, blocked, ret_fault);
  if (told->ended || !json_next_element(&candidates, &candidate))
    return 0;
  begin(told, asked, response);
  parts = json_walk(json_find(json_find(candidate, "content"), "parts"));
  while (json_next_element(&parts, &part))
    tell_part(told, asked, response, part, out);
  reason = json_find(candidate, "finishReason");
  if (json_type(reason) != JSON_STRING)
    return 0;
  return tell_finish(told, asked, candidate, reason, usage, out, ret_fault);
}

static int read_response(Text text, Json *ret, DialectFault *ret_fault) {
  if (json_check(text, ret, NULL) != 0 || json_type(*ret) != JSON_OBJECT)
    return dialect_fault_malformed(ret_fault, "its answer is not a JSON object");
  if (json_type(json_find(*ret, "error")) != JSON_OBJECT)
    return 0;
  gemini_decode_error(&(DialectHead){.status = 200}, text, ret_fault);
  return DIALECT_E_FAULT;
}

int gemini_decode_chat(const DialectAsked *asked, Text body, Buffer *ret_response, ChatUsage *ret_usage,
                       DialectFault *ret_fault) {
  GeminiTold told = {.ended = false};
  Json response;
  int r = read_response(body, &response, ret_fault);

  if (r == 0)
    r = tell_response(&told, asked, response, ret_usage, ret_response, ret_fault);
  if (r == 0 && !told.ended)
    r = dialect_fault_malformed(ret_fault, "its answer has no candidate with a reason for its end");
  gemini_stream_done(&told);
  return r;
}

int gemini_stream_event(DialectStream *stream, Text type, Text data, DialectFault *ret_fault) {
  GeminiTold *told = stream->own;
  Json response;
  int r = read_response(data, &response, ret_fault);

  (void)type;
  if (r == 0)
    r = tell_response(told, &stream->asked, response, &stream->usage, &stream->events, ret_fault);
  stream->finished = told->ended;
  stream->said_bytes = told->tell.said_bytes;
  return r;
}

void gemini_stream_done(void *own) {
  GeminiTold *told = own;

  tell_done(&told->tell);
  buffer_done(&told->signature);
}
