/* What Gemini says when it refuses. It has no codes as OpenAI has: a status of gRPC, a sentence, and details of which a quota's
   id and the time to wait are what a caller can act on. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/mock-provider/gemini-internal.h"

typedef enum Detail { DETAIL_NONE, DETAIL_KEY, DETAIL_MINUTE, DETAIL_DAY } Detail;

static const struct Fault {
  unsigned status;
  const char *name; /* of gRPC */
  const char *code; /* what OpenAI would say, and a knob does; NULL: what goes with the status */
  Detail detail;
  const char *message;
} FAULTS[] = {
    {400, "INVALID_ARGUMENT", NULL, DETAIL_NONE, "Request contains an invalid argument."},
    {400, "INVALID_ARGUMENT", "context_length_exceeded", DETAIL_NONE,
     "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."},
    {400, "INVALID_ARGUMENT", "invalid_api_key", DETAIL_KEY, "API key not valid. Please pass a valid API key."},
    {400, "FAILED_PRECONDITION", "unsupported_country_region_territory", DETAIL_NONE,
     "User location is not supported for the API use."},
    {401, "UNAUTHENTICATED", NULL, DETAIL_NONE,
     "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
     "authentication credential."},
    {403, "PERMISSION_DENIED", NULL, DETAIL_NONE,
     "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other "
     "form "
     "of API consumer identity to call this API."},
    {404, "NOT_FOUND", "model_not_found", DETAIL_NONE,
     "models/unknown is not found for API version v1beta, or is not supported for generateContent. Call ListModels to "
     "see "
     "the list of available models and their supported methods."},
    {429, "RESOURCE_EXHAUSTED", "rate_limit_exceeded", DETAIL_MINUTE,
     "You exceeded your current quota, please check your plan and billing details."},
    {429, "RESOURCE_EXHAUSTED", "insufficient_quota", DETAIL_DAY,
     "You exceeded your current quota, please check your plan and billing details."},
    {499, "CANCELLED", NULL, DETAIL_NONE, "The operation was cancelled."},
    {500, "INTERNAL", NULL, DETAIL_NONE,
     "An internal error has occurred. Please retry or report in "
     "https://developers.generativeai.google/guide/troubleshooting"},
    {503, "UNAVAILABLE", NULL, DETAIL_NONE, "The model is overloaded. Please try again later."},
    {504, "DEADLINE_EXCEEDED", NULL, DETAIL_NONE, "The request timed out. Please try again."},
};

static const struct Fault *find(unsigned status, const char *code) {
  for (size_t i = 0; i < ELEMENTS(FAULTS); i++)
    if ((!status || FAULTS[i].status == status) && (!code || (FAULTS[i].code && strcmp(FAULTS[i].code, code) == 0)))
      return &FAULTS[i];
  return NULL;
}

static void put_quota(bool day, Buffer *out) {
  buffer_printf(out,
                "{\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":[{\"quotaMetric\":"
                "\"generativelanguage.googleapis.com/generate_content_free_tier_requests\",\"quotaId\":"
                "\"GenerateRequestsPer%sPerProjectPerModel-FreeTier\",\"quotaDimensions\":{\"location\":\"global\","
                "\"model\":\"mock\"},\"quotaValue\":\"%s\"}]}",
                day ? "Day" : "Minute", day ? "50" : "15");
}

/* Google says in the body when to come again, and in no header. */
static void put_retry(const Knobs *knobs, Buffer *out) {
  unsigned long ms =
      knobs->retry_after_ms != UNSET ? knobs->retry_after_ms : strtoul(knobs->retry_after, NULL, 10) * 1000;

  if (knobs->retry_after_ms == UNSET && !knobs->retry_after[0])
    return;
  buffer_printf(out, "%s{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"%lu",
                out->size ? "," : "", ms / 1000);
  if (ms % 1000)
    buffer_printf(out, ".%03lu", ms % 1000);
  buffer_append(out, "s\"}", 3);
}

static void put_details(const struct Fault *fault, const Knobs *knobs, Buffer *out) {
  if (fault->detail == DETAIL_KEY)
    buffer_printf(out,
                  "{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\",\"reason\":\"API_KEY_INVALID\",\"domain\":"
                  "\"googleapis.com\",\"metadata\":{\"service\":\"generativelanguage.googleapis.com\"}}");
  if (fault->detail == DETAIL_MINUTE || fault->detail == DETAIL_DAY)
    put_quota(fault->detail == DETAIL_DAY, out);
  put_retry(knobs, out);
}

void gemini_error(const Ask *ask, unsigned status, const char *code, const char *message, Answer *ret) {
  static const struct Fault SERVER = {500, "INTERNAL", NULL, DETAIL_NONE, "Internal error encountered."};
  static const struct Fault CALLER = {400, "INVALID_ARGUMENT", NULL, DETAIL_NONE,
                                      "Request contains an invalid argument."};
  const struct Fault *fault = find(status, code);
  Buffer details = {0};

  if (!fault && status)
    fault = find(status, NULL);
  if (!fault)
    fault = (status && status < 500) || (code && strcmp(code, "bad_knob") == 0) ? &CALLER : &SERVER;
  put_details(fault, &ask->knobs, &details);
  buffer_append(&details, "", 1);
  gemini_fail(ret, status ? status : fault->status, fault->name, details.size > 1 ? (const char *)details.data : NULL,
              "%s", message ? message : fault->message);
  buffer_done(&details);
}
