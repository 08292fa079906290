/* Strings of the provider's JSON go into ours as they are, escapes and all: what is between two quotes is worth the same there
   and here. Chunks are made for each word of each answer, so nothing here formats or copies twice. */
#include "adapters/dialect/tell.h"

#define PUT(out, literal) buffer_append(out, literal, sizeof(literal) - 1)

static void put_text(Buffer *out, Text text) {
  buffer_append(out, text.data, text.size);
}

static void put_buffer(Buffer *out, const Buffer *from) {
  buffer_append(out, from->data, from->size);
}

/* What stands between the quotes; nothing for anything but a string. */
static Text inside(Json string) {
  return json_type(string) == JSON_STRING ? (Text){string.text.data + 1, string.text.size - 2} : TEXT_NONE;
}

void tell_begin(Tell *tell, bool streams, Text id, uint64_t created_s, Text model) {
  tell->streams = streams;
  buffer_clear(&tell->head);
  PUT(&tell->head, "\"id\":");
  json_put_string(&tell->head, id);
  buffer_printf(&tell->head, ",\"object\":\"chat.completion%s\",\"created\":%llu,\"model\":", streams ? ".chunk" : "",
                (unsigned long long)created_s);
  json_put_string(&tell->head, model);
}

bool tell_has_begun(const Tell *tell) {
  return tell->head.size > 0;
}

/* --- events --- */

static void open_chunk(Tell *tell, Buffer *out) {
  PUT(out, "data: {");
  put_buffer(out, &tell->head);
  PUT(out, ",\"choices\":[{\"index\":0,\"delta\":{");
  if (!tell->has_role)
    PUT(out, "\"role\":\"assistant\",");
  tell->has_role = true;
}

static void close_chunk(Buffer *out) {
  PUT(out, "},\"finish_reason\":null}]}\n\n");
}

/* A chunk whose delta has one member, a string. */
static void put_piece(Tell *tell, const char *name, Json piece, Buffer *out) {
  open_chunk(tell, out);
  PUT(out, "\"");
  buffer_append(out, name, strlen(name));
  PUT(out, "\":");
  put_text(out, piece.text);
  close_chunk(out);
}

void tell_content(Tell *tell, Json piece, Buffer *out) {
  if (inside(piece).size == 0)
    return;
  if (tell->streams)
    put_piece(tell, "content", piece, out);
  else
    put_text(&tell->content, inside(piece));
}

void tell_reasoning(Tell *tell, Json piece, Buffer *out) {
  if (inside(piece).size == 0)
    return;
  if (tell->streams)
    put_piece(tell, "reasoning_content", piece, out);
  else
    put_text(&tell->reasoning, inside(piece));
}

void tell_call(Tell *tell, Json id, Json name, Buffer *out) {
  tell_call_with(tell, id, name, NULL, TEXT_NONE, out);
}

void tell_call_with(Tell *tell, Json id, Json name, const char *member, Text value, Buffer *out) {
  Buffer *to = tell->streams ? out : &tell->call_list;

  if (tell->streams) {
    open_chunk(tell, out);
    buffer_printf(out, "\"tool_calls\":[{\"index\":%u,", tell->calls);
  } else {
    /* The one before it is still open, for its arguments. */
    buffer_append(to, "\"}},{", tell->calls ? 5 : 0);
    buffer_append(to, "{", tell->calls ? 0 : 1);
  }
  PUT(to, "\"id\":");
  put_text(to, id.text);
  if (member) {
    buffer_printf(to, ",\"%s\":", member);
    put_text(to, value);
  }
  PUT(to, ",\"type\":\"function\",\"function\":{\"name\":");
  put_text(to, name.text);
  PUT(to, ",\"arguments\":\"");
  tell->calls++;
  if (tell->streams) {
    PUT(out, "\"}}]");
    close_chunk(out);
  }
}

void tell_arguments(Tell *tell, Json piece, Buffer *out) {
  if (inside(piece).size == 0 || tell->calls == 0)
    return;
  if (!tell->streams) {
    put_text(&tell->call_list, inside(piece));
    return;
  }
  open_chunk(tell, out);
  buffer_printf(out, "\"tool_calls\":[{\"index\":%u,\"function\":{\"arguments\":", tell->calls - 1);
  put_text(out, piece.text);
  PUT(out, "}}]");
  close_chunk(out);
}

void tell_arguments_object(Tell *tell, Json object, Buffer *out) {
  _cleanup_(buffer_done) Buffer quoted = {0};

  json_put_string(&quoted, object.text);
  tell_arguments(tell, (Json){{(const char *)quoted.data, quoted.size}}, out);
}

void tell_member(Tell *tell, const char *name, Text value, Buffer *out) {
  Buffer *to = tell->streams ? out : &tell->members;

  if (tell->streams)
    open_chunk(tell, out);
  buffer_printf(to, "%s\"%s\":", tell->streams ? "" : ",", name);
  put_text(to, value);
  if (tell->streams)
    close_chunk(out);
}

/* --- the end --- */

static void put_prompt_details(const ChatUsage *usage, Buffer *out) {
  const struct {
    const char *name;
    bool has;
    uint64_t count;
  } rows[] = {{"cached_tokens", usage->has_cached_tokens, usage->cached_tokens},
              {"cache_write_tokens", usage->has_cache_write_tokens, usage->cache_write_tokens},
              {"audio_tokens", usage->has_input_audio_tokens, usage->input_audio_tokens}};
  const char *before = ",\"prompt_tokens_details\":{";

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    if (rows[i].has) {
      buffer_printf(out, "%s\"%s\":%llu", before, rows[i].name, (unsigned long long)rows[i].count);
      before = ",";
    }
  if (before[1] == '\0')
    PUT(out, "}");
}

void tell_put_usage(const ChatUsage *usage, Buffer *out) {
  unsigned long long total = usage->input_tokens + usage->output_tokens;

  if (!usage->has_input_tokens && !usage->has_output_tokens) {
    PUT(out, "null");
    return;
  }
  buffer_printf(out, "{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu",
                (unsigned long long)usage->input_tokens, (unsigned long long)usage->output_tokens, total);
  put_prompt_details(usage, out);
  if (usage->has_reasoning_tokens)
    buffer_printf(out, ",\"completion_tokens_details\":{\"reasoning_tokens\":%llu}",
                  (unsigned long long)usage->reasoning_tokens);
  PUT(out, "}");
}

void tell_usage(Tell *tell, const ChatUsage *usage, Buffer *out) {
  PUT(out, "data: {");
  put_buffer(out, &tell->head);
  PUT(out, ",\"choices\":[],\"usage\":");
  tell_put_usage(usage, out);
  PUT(out, "}\n\n");
}

static void put_message(const Tell *tell, Buffer *out) {
  PUT(out, "{\"role\":\"assistant\",\"content\":");
  if (tell->content.size > 0 || tell->calls == 0) {
    PUT(out, "\"");
    put_buffer(out, &tell->content);
    PUT(out, "\"");
  } else {
    PUT(out, "null");
  }
  if (tell->reasoning.size > 0) {
    PUT(out, ",\"reasoning_content\":\"");
    put_buffer(out, &tell->reasoning);
    PUT(out, "\"");
  }
  put_buffer(out, &tell->members);
  if (tell->calls > 0) {
    PUT(out, ",\"tool_calls\":[");
    put_buffer(out, &tell->call_list);
    PUT(out, "\"}}]");
  }
  PUT(out, ",\"refusal\":null}");
}

void tell_end(Tell *tell, const char *reason, const ChatUsage *usage, Buffer *out) {
  if (tell->streams) {
    PUT(out, "data: {");
    put_buffer(out, &tell->head);
    /* An answer that said nothing still says who it is from. */
    buffer_printf(out, ",\"choices\":[{\"index\":0,\"delta\":{%s},\"finish_reason\":\"%s\"}]}\n\n",
                  tell->has_role ? "" : "\"role\":\"assistant\",\"content\":\"\"", reason);
    tell->has_role = true;
    if (usage)
      tell_usage(tell, usage, out);
    return;
  }
  PUT(out, "{");
  put_buffer(out, &tell->head);
  PUT(out, ",\"choices\":[{\"index\":0,\"message\":");
  put_message(tell, out);
  buffer_printf(out, ",\"logprobs\":null,\"finish_reason\":\"%s\"}]", reason);
  if (usage && (usage->has_input_tokens || usage->has_output_tokens)) {
    PUT(out, ",\"usage\":");
    tell_put_usage(usage, out);
  }
  PUT(out, "}");
}

void tell_done(Tell *tell) {
  buffer_done(&tell->head);
  buffer_done(&tell->content);
  buffer_done(&tell->reasoning);
  buffer_done(&tell->call_list);
  buffer_done(&tell->members);
}
