/* Rooms: adapters. The first byte is what the rest is (readers, below), for every dialect that has such a thing. */
#include <stdlib.h>

#include "adapters/dialect/sse.h"
#include "adapters/table.h"
#include "bus/wire/msgpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const DialectSettings settings = {.base_url = "https://fuzz.example/v1", .region = "eu-central-1"};

static Text of(const Buffer *buffer) {
  return (Text){(const char *)buffer->data, buffer->size};
}

static void must_be_json(Text text) {
  Json value;

  if (json_check(text, &value, NULL) != 0 || json_type(value) != JSON_OBJECT)
    abort();
}

/* Whatever a provider says fits into what the caller is told. */
static void must_fit(const Contract *contract, const void *reply) {
  _cleanup_(buffer_done) Buffer body = {0};
  ContractFault fault;

  if (contract_encode(contract, reply, &body, &fault) != 0)
    abort();
}

/* And it is text, else it would be told to nobody. */
static void must_say_why(int r, const DialectFault *fault) {
  if (r != DIALECT_E_FAULT || fault->fault.message.size == 0 || !text_is_utf8(fault->fault.message) ||
      !text_is_utf8(fault->fault.code) || !text_is_utf8(fault->fault.param))
    abort();
}

static DialectAsked asked_of(bool streams) {
  return (DialectAsked){.settings = &settings, .model = TEXT("m"), .now_s = 1, .streams = streams};
}

static void encode_with(int (*encode)(Json request, DialectRequest *ret, DialectFault *ret_fault), Text text) {
  _cleanup_(dialect_request_done) DialectRequest request = {.asked = asked_of(false)};
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  Json value;
  int r;

  if (json_check(text, &value, NULL) != 0 || json_type(value) != JSON_OBJECT)
    return;
  r = encode(value, &request, &fault);
  if (r != 0)
    must_say_why(r, &fault);
  else
    must_be_json(of(&request.body));
}

static void encode(const Dialect *dialect, Text text) {
  encode_with(dialect->encode_chat, text);
}

static void encode_embed(const Dialect *dialect, Text text) {
  if (dialect->encode_embed)
    encode_with(dialect->encode_embed, text);
}

typedef int Decode(const DialectAsked *asked, Text body, Buffer *ret_response, ChatUsage *ret_usage,
                   DialectFault *ret_fault);

static void decode_with(Decode *decode, Text text) {
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  _cleanup_(buffer_done) Buffer response = {0};
  DialectAsked asked = asked_of(false);
  ChatUsage usage = {0};
  int r = decode(&asked, text, &response, &usage, &fault);

  if (r != 0)
    must_say_why(r, &fault);
  else
    must_be_json(of(&response));
  must_fit(CONTRACT(ChatUsage), &usage);
}

static void decode(const Dialect *dialect, Text text) {
  decode_with(dialect->decode_chat, text);
}

static void decode_embed(const Dialect *dialect, Text text) {
  if (dialect->decode_embed)
    decode_with(dialect->decode_embed, text);
}

/* --- lists, jobs, speech --- */

static void decode_models(const Dialect *dialect, Text text) {
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  _cleanup_(dialect_models_done) DialectModels models = {.names = {0}};
  _cleanup_(dialect_request_done) DialectRequest request = {.asked = asked_of(false)};
  int r;

  if (!dialect->decode_models)
    return;
  r = dialect->decode_models(text, &models, &fault);
  if (r != 0)
    must_say_why(r, &fault);
  else if (models.next.size > 0 && dialect->encode_models(&models, &request, &fault) == 0 && request.path.size == 0)
    abort();
}

/* Each text of an answer lies in what it owns. */
static void must_be_inside(Text text, const Buffer *texts) {
  const char *from = (const char *)texts->data;

  if (text.size > 0 && (text.data < from || text.data + text.size > from + texts->size))
    abort();
}

static void decode_tune(const Dialect *dialect, DialectTuning what, Text text) {
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  _cleanup_(dialect_tuned_done) DialectTuned tuned = {.texts = {0}};
  int r;

  if (!dialect->decode_tune)
    return;
  r = dialect->decode_tune(what, text, &tuned, &fault);
  if (r != 0)
    must_say_why(r, &fault);
  else if (what == TUNING_EVENTS)
    must_fit(CONTRACT(FineTuneEvents), &(FineTuneEvents){.events = {tuned.events, tuned.events_count}});
  else
    must_fit(CONTRACT(FineTuneJob), &tuned.job);
  must_be_inside(tuned.job.job, &tuned.texts);
  must_be_inside(tuned.job.why, &tuned.texts);
  for (size_t i = 0; i < tuned.events_count; i++)
    must_be_inside(tuned.events[i].message, &tuned.texts);
}

static void decode_job(const Dialect *dialect, Text text) {
  decode_tune(dialect, TUNING_STATUS, text);
}

static void decode_events(const Dialect *dialect, Text text) {
  decode_tune(dialect, TUNING_EVENTS, text);
}

static void decode_transcribe(const Dialect *dialect, Text text) {
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  _cleanup_(dialect_made_done) DialectMade made = {.text = TEXT_NONE};
  ChatUsage usage = {0};
  int r;

  if (!dialect->decode_transcribe)
    return;
  r = dialect->decode_transcribe(text, &made, &usage, &fault);
  if (r != 0)
    must_say_why(r, &fault);
  else
    must_fit(CONTRACT(TranscribeReply),
             &(TranscribeReply){.text = made.text,
                                .has_language = made.language.size > 0,
                                .language = made.language,
                                .has_duration_s = made.has_duration,
                                .duration_s = made.duration_s,
                                .segments = {made.segments, made.segments_count},
                                .done = {.model = TEXT("m"), .executor = TEXT("e"), .usage = usage}});
  must_be_inside(made.text, &made.texts);
  for (size_t i = 0; i < made.segments_count; i++)
    must_be_inside(made.segments[i].text, &made.texts);
}

/* --- errors and keys --- */

static void decode_error(const Dialect *dialect, Text text) {
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  unsigned status = text.size > 0 ? 300 + (unsigned)(unsigned char)text.data[0] % 250 : 500;

  dialect->decode_error(&(DialectHead){.status = status, .retry_after = text, .error_type = text, .location = text},
                        text, &fault);
  must_say_why(DIALECT_E_FAULT, &fault);
}

/* A secret of any form, and a request of any path: what proves who asks is headers, each with a zero. */
static void authorize(const Dialect *dialect, Text text) {
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  _cleanup_(buffer_done) Buffer headers = {0};
  _cleanup_(buffer_done) Buffer secret = {0};
  DialectSend send = {.settings = &settings, .method = "POST", .host = TEXT("h"), .path = text, .now_s = 1};
  int r;

  buffer_append(&secret, text.data, text.size);
  buffer_append(&secret, "", 1);
  r = dialect_authorize(dialect, &(DialectKey){.secret = (const char *)secret.data}, &send, &headers, &fault);
  if (r != 0)
    must_say_why(r, &fault);
  else if (headers.size > 0 && headers.data[headers.size - 1] != '\0')
    abort();
}

/* --- streams --- */

typedef struct Streaming {
  DialectStream stream;
  DialectFault fault;
  bool failed;
} Streaming;

static void on_event(void *userdata, Text type, Text data) {
  Streaming *streaming = userdata;
  int r = 0;

  if (!streaming->failed)
    r = streaming->stream.dialect->stream_event(&streaming->stream, type, data, &streaming->fault);
  if (r != 0)
    must_say_why(r, &streaming->fault);
  streaming->failed |= r != 0;
}

/* Whole events, each a line of an object. */
static void must_be_events(Text text) {
  while (text.size > 0) {
    const char *end = memmem(text.data, text.size, "\n\n", 2);
    size_t size;

    if (!end || text.size < 6 || memcmp(text.data, "data: ", 6) != 0)
      abort();
    size = (size_t)(end - text.data);
    must_be_json((Text){text.data + 6, size - 6});
    text = (Text){end + 2, text.size - size - 2};
  }
}

static void stream(const Dialect *dialect, Text text) {
  _cleanup_(sse_done) Sse sse = {.begun = false};
  Streaming streaming = {.failed = false};
  DialectAsked asked = asked_of(true);

  dialect_stream_begin(dialect, &asked, &streaming.stream);
  sse_feed(&sse, (Bytes){(const uint8_t *)text.data, text.size}, on_event, &streaming);
  must_be_events(of(&streaming.stream.events));
  must_fit(CONTRACT(ChatUsage), &streaming.stream.usage);
  dialect->stream_is_whole(&streaming.stream);
  dialect_stream_done(&streaming.stream);
  dialect_fault_done(&streaming.fault);
}

static void on_words(void *userdata, Text type, Text data) {
  Streaming *streaming = userdata;
  int r = 0;

  if (!streaming->failed)
    r = streaming->stream.dialect->transcribe_event(&streaming->stream, type, data, &streaming->fault);
  if (r != 0)
    must_say_why(r, &streaming->fault);
  streaming->failed |= r != 0;
}

static void transcribe_stream(const Dialect *dialect, Text text) {
  _cleanup_(sse_done) Sse sse = {.begun = false};
  Streaming streaming = {.failed = false};
  DialectAsked asked = asked_of(true);

  if (!dialect->transcribe_event)
    return;
  dialect_stream_begin(dialect, &asked, &streaming.stream);
  sse_feed(&sse, (Bytes){(const uint8_t *)text.data, text.size}, on_words, &streaming);
  must_fit(CONTRACT(ChatUsage), &streaming.stream.usage);
  dialect_stream_done(&streaming.stream);
  dialect_fault_done(&streaming.fault);
}

/* The corpus begins with their numbers, as digits and what follows these in ASCII: 12 of them, as '0' is 48. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static void (*const readers[])(const Dialect *dialect, Text text) = {
      encode,    decode,        decode_error, stream,        encode_embed,      decode_embed,
      authorize, decode_models, decode_job,   decode_events, decode_transcribe, transcribe_stream};
  Text text;

  if (size == 0 || size > 1 << 20)
    return 0;
  text = (Text){(const char *)data + 1, size - 1};
  for (const Dialect *const *dialect = table_dialects(); *dialect; dialect++)
    readers[data[0] % ELEMENTS(readers)](*dialect, text);
  return 0;
}
