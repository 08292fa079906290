/* Calls of the functions that were declared, one after the other and from the first again. A stream has their arguments in pieces of
   text that mean nothing by themselves, as OpenAI's has. */
#include <stdio.h>

#include "tests/mock-provider/arguments.h"
#include "tests/mock-provider/openai-internal.h"

enum { PIECE_BYTES = 7 };

/* A line of story->calls: the call as a whole answer has it. */
static void put_call(const Story *story, Json function, unsigned number, Buffer *out) {
  Buffer arguments = {0};

  arguments_put(json_find(function, "parameters"), &arguments);
  buffer_printf(out, "{\"id\":\"call_mock%llx%02u\",\"type\":\"function\",\"function\":{\"name\":%.*s,\"arguments\":",
                (unsigned long long)story->number, number, TEXT_ARG(json_find(function, "name").text));
  json_put_string(out, (Text){(const char *)arguments.data, arguments.size});
  buffer_printf(out, "}}\n");
  buffer_done(&arguments);
}

void openai_plan_calls(const Ask *ask, const OpenAiAsk *asked, Story *story) {
  unsigned number = 0;
  bool any = !asked->no_calls;

  while (any && number < ask->knobs.calls) {
    JsonWalk walk = json_walk(asked->tools);
    Json tool;

    for (any = false; number < ask->knobs.calls && json_next_element(&walk, &tool); any = true)
      put_call(story, json_find(tool, "function"), number++, &story->calls);
  }
}

/* The next line of story->calls, or none. */
static Json next_call(const Story *story, size_t *at) {
  Json call = {TEXT_NONE};
  const char *line, *end;

  if (*at >= story->calls.size)
    return call;
  line = (const char *)story->calls.data + *at;
  end = memchr(line, '\n', story->calls.size - *at);
  json_check((Text){line, (size_t)(end - line)}, &call, NULL);
  *at += (size_t)(end - line) + 1;
  return call;
}

void openai_put_calls(const Story *story, Buffer *out) {
  size_t at = 0;
  Json call;

  if (story->calls.size == 0)
    return;
  buffer_printf(out, ",\"tool_calls\":[");
  for (bool first = true; !json_is_none(call = next_call(story, &at)); first = false)
    buffer_printf(out, "%s%.*s", first ? "" : ",", TEXT_ARG(call.text));
  buffer_printf(out, "]");
}

static void put_delta(const Story *story, Buffer *delta, Buffer *out) {
  buffer_append(delta, "", 1);
  openai_put_delta(story, (const char *)delta->data, out);
  buffer_clear(delta);
}

void openai_put_call_events(const Story *story, Buffer *out) {
  Buffer delta = {0}, arguments = {0};
  unsigned number = 0;
  size_t at = 0;

  for (Json call; !json_is_none(call = next_call(story, &at)); number++) {
    Json function = json_find(call, "function");

    buffer_printf(&delta,
                  "\"tool_calls\":[{\"index\":%u,\"id\":%.*s,\"type\":\"function\",\"function\":{\"name\":%.*s,"
                  "\"arguments\":\"\"}}]",
                  number, TEXT_ARG(json_find(call, "id").text), TEXT_ARG(json_find(function, "name").text));
    put_delta(story, &delta, out);
    buffer_clear(&arguments);
    json_get_string(json_find(function, "arguments"), &arguments);
    for (size_t from = 0; from < arguments.size; from += PIECE_BYTES) {
      buffer_printf(&delta, "\"tool_calls\":[{\"index\":%u,\"function\":{\"arguments\":", number);
      json_put_string(&delta, (Text){(const char *)arguments.data + from, min_u64(PIECE_BYTES, arguments.size - from)});
      buffer_printf(&delta, "}}]");
      put_delta(story, &delta, out);
    }
  }
  buffer_done(&delta);
  buffer_done(&arguments);
}
