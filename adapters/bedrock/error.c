/* What an error means. Its type says it, but for ValidationException, which stands for everything from a model that does not
   exist to a prompt that is too long: there the sentence decides. */
#include <ctype.h>
#include <stdio.h>

#include "adapters/bedrock/bedrock-internal.h"
#include "adapters/dialect/retry_after.h"

static const struct {
  const char *type;
  unsigned status; /* where there is no other */
  Cause cause;
} types[] = {
    {"ValidationException", 400, CAUSE_CALLER},
    {"SerializationException", 400, CAUSE_CALLER},
    {"ThrottlingException", 429, CAUSE_RATE_LIMIT},
    {"TooManyRequestsException", 429, CAUSE_RATE_LIMIT},
    {"ServiceQuotaExceededException", 400, CAUSE_QUOTA},
    {"AccessDeniedException", 403, CAUSE_AUTH},
    {"UnrecognizedClientException", 403, CAUSE_AUTH},
    {"InvalidSignatureException", 403, CAUSE_AUTH},
    {"IncompleteSignatureException", 403, CAUSE_AUTH},
    {"MissingAuthenticationTokenException", 403, CAUSE_AUTH},
    {"ExpiredTokenException", 403, CAUSE_AUTH},
    {"ResourceNotFoundException", 404, CAUSE_UNAVAILABLE},
    {"UnknownOperationException", 404, CAUSE_UNAVAILABLE},
    {"ModelTimeoutException", 408, CAUSE_STALL},
    {"ModelErrorException", 424, CAUSE_OVERLOAD},
    {"ModelStreamErrorException", 424, CAUSE_OVERLOAD},
    {"ModelNotReadyException", 429, CAUSE_OVERLOAD},
    {"InternalServerException", 500, CAUSE_OVERLOAD},
    {"ServiceUnavailableException", 503, CAUSE_OVERLOAD},
};

/* In ValidationException; compared without case. */
static const struct {
  const char *words;
  Cause cause;
} sentences[] = {
    {"too long", CAUSE_CONTEXT},
    {"exceed context limit", CAUSE_CONTEXT},
    {"maximum context length", CAUSE_CONTEXT},
    {"context window", CAUSE_CONTEXT},
    {"too many input tokens", CAUSE_CONTEXT},
    {"maximum number of input tokens", CAUSE_CONTEXT},
    {"content filter", CAUSE_POLICY},
    {"content policy", CAUSE_POLICY},
    {"model identifier is invalid", CAUSE_UNAVAILABLE},
    {"on-demand throughput", CAUSE_UNAVAILABLE},
    {"end of its life", CAUSE_UNAVAILABLE},
};

/* The header may have an address behind the type, and the body's __type one before it. */
static Text bare(Text type) {
  const char *end = type.size > 0 ? memchr(type.data, ':', type.size) : NULL;
  const char *hash;

  if (end)
    type.size = (size_t)(end - type.data);
  hash = type.size > 0 ? memrchr(type.data, '#', type.size) : NULL;
  return hash ? (Text){hash + 1, type.size - (size_t)(hash + 1 - type.data)} : type;
}

/* Whether two names are the same but for their first letter, which is small in a stream. */
static bool is_type(Text type, const char *name) {
  return type.size > 0 && tolower((unsigned char)type.data[0]) == tolower((unsigned char)name[0]) &&
         text_is((Text){type.data + 1, type.size - 1}, name + 1);
}

static bool says(Text message, const char *words) {
  size_t size = strlen(words);

  for (size_t at = 0; at + size <= message.size; at++) {
    size_t i = 0;

    while (i < size && tolower((unsigned char)message.data[at + i]) == words[i])
      i++;
    if (i == size)
      return true;
  }
  return false;
}

static Cause cause_of_message(Text message) {
  for (size_t i = 0; i < ELEMENTS(sentences); i++)
    if (says(message, sentences[i].words))
      return sentences[i].cause;
  return CAUSE_CALLER;
}

/* status: 0 in a stream, and the type's own is taken. */
static void read(Text type, unsigned status, Text message, Fault *ret) {
  ret->cause = dialect_cause_of_status(status);
  ret->http_status = status;
  ret->message = message;
  ret->code = type;
  for (size_t i = 0; i < ELEMENTS(types); i++) {
    if (!is_type(type, types[i].type))
      continue;
    ret->cause = i == 0 ? cause_of_message(message) : types[i].cause;
    ret->http_status = status ? status : types[i].status;
    ret->code = text_of(types[i].type);
    return;
  }
}

/* The sentence of an error: AWS's services write it with a small letter or a large one. */
static void read_message(Json answer, Buffer *ret) {
  if (json_get_string(json_find(answer, "message"), ret) != 0)
    json_get_string(json_find(answer, "Message"), ret);
}

void bedrock_decode_error(const DialectHead *head, Text body, DialectFault *ret_fault) {
  _cleanup_(buffer_done) Buffer message = {0};
  _cleanup_(buffer_done) Buffer type = {0};
  Json answer = {TEXT_NONE};
  Fault fault = {.cause = CAUSE_OVERLOAD};

  json_check(body, &answer, NULL);
  read_message(answer, &message);
  if (head->error_type.size == 0)
    json_get_string(json_find(answer, "__type"), &type);
  dialect_explain(head, &message);
  read(bare(head->error_type.size > 0 ? head->error_type : buffer_text(&type)), head->status, buffer_text(&message),
       &fault);
  fault.retry_after_us = retry_after_us(head->retry_after, head->retry_after_ms, head->now_s);
  dialect_fault_set(ret_fault, &fault);
}

int bedrock_fail_stream(Text type, Text data, DialectFault *ret_fault) {
  _cleanup_(buffer_done) Buffer message = {0};
  Json answer = {TEXT_NONE};
  Fault fault = {.cause = CAUSE_OVERLOAD};

  json_check(data, &answer, NULL);
  read_message(answer, &message);
  if (message.size == 0)
    buffer_printf(&message, "its stream ended with %.*s", TEXT_ARG(type));
  read(type, 0, buffer_text(&message), &fault);
  return dialect_fault_set(ret_fault, &fault);
}
