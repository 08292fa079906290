/* What Bedrock says when it refuses: a type in a header, with an address behind it that clients must cut off, and a sentence.
   What was meant is often in the sentence alone. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "tests/mock-provider/bedrock-internal.h"

static const struct Fault {
  unsigned status;
  const char *type;
  const char *code; /* what OpenAI would say, and a knob does; NULL: what goes with the status or the type */
  bool in_stream;   /* a stream can say it */
  const char *message;
} FAULTS[] = {
    {400, "ValidationException", NULL, true, "The request is not valid."},
    {400, "ValidationException", "context_length_exceeded", true, "Input is too long for requested model."},
    {400, "ValidationException", "content_filter", true,
     "The model returned the following errors: Output blocked by content filtering policy"},
    {400, "ValidationException", "content_policy_violation", true,
     "The model returned the following errors: Output blocked by content filtering policy"},
    {400, "ServiceQuotaExceededException", "insufficient_quota", false,
     "Your request exceeds the service quota for your account."},
    {403, "AccessDeniedException", NULL, false, "You don't have access to the model with the specified model ID."},
    {403, "UnrecognizedClientException", "invalid_api_key", false,
     "The security token included in the request is invalid."},
    {403, "ExpiredTokenException", NULL, false, "The security token included in the request is expired"},
    {404, "ResourceNotFoundException", "model_not_found", false,
     "Could not resolve the foundation model from the provided model identifier."},
    {408, "ModelTimeoutException", NULL, false, "Model invocation timed out. Please try your request again."},
    {424, "ModelErrorException", NULL, false,
     "The model failed to process the request. Please try your request again."},
    {424, "ModelStreamErrorException", NULL, true, "The model failed while streaming. Please try your request again."},
    {429, "ThrottlingException", "rate_limit_exceeded", true, "Too many requests, please wait before trying again."},
    {429, "ModelNotReadyException", NULL, false, "The model is not ready yet. Please try your request again."},
    {500, "InternalServerException", NULL, true,
     "The system encountered an unexpected error during processing. Try your request again."},
    {503, "ServiceUnavailableException", NULL, true, "Bedrock is unable to process your request."},
};

static const struct Fault *find(unsigned status, const char *code) {
  for (size_t i = 0; i < ELEMENTS(FAULTS); i++) {
    bool named = code && ((FAULTS[i].code && strcmp(FAULTS[i].code, code) == 0) || strcmp(FAULTS[i].type, code) == 0);

    if ((!status || FAULTS[i].status == status) && (!code || named))
      return &FAULTS[i];
  }
  return NULL;
}

bool bedrock_fail(Answer *ret, unsigned status, const char *type, const char *format, ...) {
  char message[1024];
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  ret->status = status;
  ret->type = "application/json";
  buffer_printf(&ret->headers, "x-amzn-ErrorType: %s:http://internal.amazon.com/coral/com.amazon.bedrock/\r\n", type);
  buffer_clear(&ret->body);
  buffer_printf(&ret->body, "{\"message\":");
  json_put_string(&ret->body, text_of(message));
  buffer_append(&ret->body, "}", 1);
  return false;
}

static void put_id(const Ask *ask, Answer *ret) {
  if (!ret->headers.size)
    buffer_printf(&ret->headers, "x-amzn-RequestId: 00000000-0000-4000-8000-%012llx\r\n",
                  (unsigned long long)ask->number & 0xffffffffffff);
}

void bedrock_error(const Ask *ask, unsigned status, const char *code, const char *message, Answer *ret) {
  static const struct Fault SERVER = {500, "InternalFailure", NULL, false, "The service failed."};
  static const struct Fault CALLER = {400, "ValidationException", NULL, true, "The request was refused."};
  const struct Fault *fault = find(status, code);

  if (!fault && status)
    fault = find(status, NULL);
  if (!fault)
    fault = (status && status < 500) || (code && strcmp(code, "bad_knob") == 0) ? &CALLER : &SERVER;
  put_id(ask, ret);
  bedrock_fail(ret, status ? status : fault->status, fault->type, "%s", message ? message : fault->message);
}

/* A type that the model of the API has is an exception, with a small letter; any other is an error. */
void bedrock_put_exception(const Ask *ask, Buffer *out) {
  const Knobs *knobs = &ask->knobs;
  const struct Fault *fault = find(knobs->status == UNSET && !knobs->code[0] ? 500
                                   : knobs->status == UNSET                  ? 0
                                                                             : knobs->status,
                                   knobs->code[0] ? knobs->code : NULL);
  Buffer payload = {0};
  char type[64];

  if (!fault || !fault->in_stream) {
    bedrock_put_message(BEDROCK_ERROR,
                        fault            ? fault->type
                        : knobs->code[0] ? knobs->code
                                         : "InternalFailure",
                        text_of(fault ? fault->message : "The service failed."), out);
    return;
  }
  snprintf(type, sizeof type, "%c%s", tolower((unsigned char)fault->type[0]), fault->type + 1);
  buffer_printf(&payload, "{\"message\":");
  json_put_string(&payload, text_of(fault->message));
  buffer_append(&payload, "}", 1);
  bedrock_put_message(BEDROCK_EXCEPTION, type, (Text){(const char *)payload.data, payload.size}, out);
  buffer_done(&payload);
}
