#include "agents/tiny_llama_service_enhanced/say.h"

#include <inttypes.h>

#include "bus/base/base64.h"
#include "bus/json/json.h"

static void put(Buffer *buffer, const char *text) {
  buffer_append(buffer, text, strlen(text));
}

/* The members that all objects share; the caller goes on with "choices". */
static void begin(Buffer *buffer, const SayHead *head, const char *object) {
  buffer_printf(buffer, "{\"id\":\"chatcmpl-%.*s\",\"object\":\"%s\",\"created\":%" PRIu64 ",\"model\":",
                TEXT_ARG(head->request), object, head->created_s);
  json_put_string(buffer, head->model);
}

static void begin_chunk(Buffer *buffer, const SayHead *head) {
  put(buffer, "data: ");
  begin(buffer, head, "chat.completion.chunk");
}

static void end_chunk(Buffer *buffer, const SayHead *head) {
  put(buffer, head->usage_follows ? ",\"usage\":null}\n\n" : "}\n\n");
}

static void put_usage(Buffer *buffer, const SayUsage *usage) {
  buffer_printf(buffer, ",\"usage\":{\"prompt_tokens\":%u,\"completion_tokens\":%u,\"total_tokens\":%" PRIu64 "}}",
                usage->prompt_tokens, usage->completion_tokens,
                (uint64_t)usage->prompt_tokens + usage->completion_tokens);
}

void say_role(Buffer *buffer, const SayHead *head) {
  begin_chunk(buffer, head);
  put(buffer,
      ",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]");
  end_chunk(buffer, head);
}

void say_delta(Buffer *buffer, const SayHead *head, Text text) {
  begin_chunk(buffer, head);
  put(buffer, ",\"choices\":[{\"index\":0,\"delta\":{\"content\":");
  json_put_string(buffer, text);
  put(buffer, "},\"finish_reason\":null}]");
  end_chunk(buffer, head);
}

void say_finish(Buffer *buffer, const SayHead *head, const char *reason) {
  begin_chunk(buffer, head);
  buffer_printf(buffer, ",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"%s\"}]", reason);
  end_chunk(buffer, head);
}

void say_usage(Buffer *buffer, const SayHead *head, const SayUsage *usage) {
  begin_chunk(buffer, head);
  put(buffer, ",\"choices\":[]");
  put_usage(buffer, usage);
  put(buffer, "\n\n");
}

void say_completion(Buffer *buffer, const SayHead *head, Text text, const char *reason, const SayUsage *usage) {
  begin(buffer, head, "chat.completion");
  put(buffer, ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
  json_put_string(buffer, text);
  buffer_printf(buffer, "},\"finish_reason\":\"%s\"}]", reason);
  put_usage(buffer, usage);
}

/* --- embeddings --- */

void say_embeddings_begin(Buffer *buffer) {
  put(buffer, "{\"object\":\"list\",\"data\":[");
}

void say_embedding(Buffer *buffer, size_t index, const float *values, size_t count, bool base64) {
  buffer_printf(buffer, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":%s", index ? "," : "", index,
                base64 ? "\"" : "[");
  if (base64)
    base64_put(buffer, (Bytes){(const uint8_t *)(const void *)values, count * sizeof *values});
  else
    for (size_t i = 0; i < count; i++)
      buffer_printf(buffer, "%s%.9g", i ? "," : "", (double)values[i]);
  put(buffer, base64 ? "\"}" : "]}");
}

void say_embeddings_end(Buffer *buffer, Text model, uint32_t prompt_tokens) {
  put(buffer, "],\"model\":");
  json_put_string(buffer, model);
  buffer_printf(buffer, ",\"usage\":{\"prompt_tokens\":%u,\"total_tokens\":%u}}", prompt_tokens, prompt_tokens);
}
