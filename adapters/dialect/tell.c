/* Strings of the provider's JSON go into ours as they are, escapes and all: what is between two quotes is worth the same there
   and here. Chunks are made for each word of each answer, so nothing here formats or copies twice. */
#include "adapters/dialect/tell.h"

/* What stands between the quotes; nothing for anything but a string. */
static Text inside(Json string) {
  return json_type(string) == JSON_STRING ? (Text){string.text.data + 1, string.text.size - 2} : TEXT_NONE;
}

void tell_begin(Tell *tell, bool streams, Text id, uint64_t created_s, Text model) {
  tell->streams = streams;
  buffer_clear(&tell->head);
  buffer_put(&tell->head, TEXT("\"id\":"));
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
  buffer_put(out, TEXT("data: {"));
  buffer_put(out, buffer_text(&tell->head));
  buffer_put(out, TEXT(",\"choices\":[{\"index\":0,\"delta\":{"));
  if (!tell->has_role)
    buffer_put(out, TEXT("\"role\":\"assistant\","));
  tell->has_role = true;
}

static void close_chunk(Buffer *out) {
  buffer_put(out, TEXT("},\"finish_reason\":null}]}\n\n"));
}

/* A chunk whose delta has one member, a string. */
static void put_piece(Tell *tell, const char *name, Json piece, Buffer *out) {
  open_chunk(tell, out);
  buffer_put(out, TEXT("\""));
  buffer_append(out, name, strlen(name));
  buffer_put(out, TEXT("\":"));
  buffer_put(out, piece.text);
  close_chunk(out);
}

void tell_content(Tell *tell, Json piece, Buffer *out) {
  if (inside(piece).size == 0)
    return;
  tell->said_bytes += inside(piece).size;
  if (tell->streams)
    put_piece(tell, "content", piece, out);
  else
    buffer_put(&tell->content, inside(piece));
}

void tell_reasoning(Tell *tell, Json piece, Buffer *out) {
  if (inside(piece).size == 0)
    return;
  tell->said_bytes += inside(piece).size;
  if (tell->streams)
    put_piece(tell, "reasoning_content", piece, out);
  else
    buffer_put(&tell->reasoning, inside(piece));
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
  buffer_put(to, TEXT("\"id\":"));
  buffer_put(to, id.text);
  if (member) {
    buffer_printf(to, ",\"%s\":", member);
    buffer_put(to, value);
  }
  buffer_put(to, TEXT(",\"type\":\"function\",\"function\":{\"name\":"));
  buffer_put(to, name.text);
  buffer_put(to, TEXT(",\"arguments\":\""));
  tell->calls++;
  if (tell->streams) {
    buffer_put(out, TEXT("\"}}]"));
    close_chunk(out);
  }
}

void tell_arguments(Tell *tell, Json piece, Buffer *out) {
  if (inside(piece).size == 0 || tell->calls == 0)
    return;
  tell->said_bytes += inside(piece).size;
  if (!tell->streams) {
    buffer_put(&tell->call_list, inside(piece));
    return;
  }
  open_chunk(tell, out);
  buffer_printf(out, "\"tool_calls\":[{\"index\":%u,\"function\":{\"arguments\":", tell->calls - 1);
  buffer_put(out, piece.text);
  buffer_put(out, TEXT("}}]"));
  close_chunk(out);
}

void tell_arguments_object(Tell *tell, Json object, Buffer *out) {
  _cleanup_(buffer_done) Buffer quoted = {0};

  json_put_string(&quoted, object.text);
  tell_arguments(tell, (Json){buffer_text(&quoted)}, out);
}

void tell_member(Tell *tell, const char *name, Text value, Buffer *out) {
  Buffer *to = tell->streams ? out : &tell->members;

  if (tell->streams)
    open_chunk(tell, out);
  buffer_printf(to, "%s\"%s\":", tell->streams ? "" : ",", name);
  buffer_put(to, value);
  if (tell->streams)
    close_chunk(out);
}

/* --- the end --- */

/* A count of a usage object. */
typedef struct Count {
  const char *name;
  bool has;
  uint64_t count;
} Count;

static void put_counts(const Count *counts, size_t count, Buffer *out) {
  for (size_t i = 0; i < count; i++)
    if (counts[i].has) {
      json_put_key(out, counts[i].name);
      json_put_uint(out, counts[i].count);
    }
}

/* The same as an object under name; nothing where none of them is known. */
static void put_details(const char *name, const Count *counts, size_t count, Buffer *out) {
  size_t before = out->size, begun;

  json_put_key(out, name);
  buffer_put(out, TEXT("{"));
  begun = out->size;
  put_counts(counts, count, out);
  if (out->size > begun)
    buffer_put(out, TEXT("}"));
  else
    out->size = before;
}

void tell_put_usage(const ChatUsage *usage, Buffer *out) {
  const Count all[] = {{"prompt_tokens", true, usage->input_tokens},
                       {"completion_tokens", true, usage->output_tokens},
                       {"total_tokens", true, usage->input_tokens + usage->output_tokens}};
  const Count prompt[] = {{"cached_tokens", usage->has_cached_tokens, usage->cached_tokens},
                          {"cache_write_tokens", usage->has_cache_write_tokens, usage->cache_write_tokens},
                          {"audio_tokens", usage->has_input_audio_tokens, usage->input_audio_tokens}};
  const Count completion[] = {{"reasoning_tokens", usage->has_reasoning_tokens, usage->reasoning_tokens},
                              {"audio_tokens", usage->has_output_audio_tokens, usage->output_audio_tokens}};

  if (!usage->has_input_tokens && !usage->has_output_tokens) {
    buffer_put(out, TEXT("null"));
    return;
  }
  buffer_put(out, TEXT("{"));
  put_counts(all, ELEMENTS(all), out);
  put_details("prompt_tokens_details", prompt, ELEMENTS(prompt), out);
  put_details("completion_tokens_details", completion, ELEMENTS(completion), out);
  buffer_put(out, TEXT("}"));
}

void tell_usage(Tell *tell, const ChatUsage *usage, Buffer *out) {
  buffer_put(out, TEXT("data: {"));
  buffer_put(out, buffer_text(&tell->head));
  buffer_put(out, TEXT(",\"choices\":[],\"usage\":"));
  tell_put_usage(usage, out);
  buffer_put(out, TEXT("}\n\n"));
}

static void put_message(const Tell *tell, Buffer *out) {
  buffer_put(out, TEXT("{\"role\":\"assistant\",\"content\":"));
  if (tell->content.size > 0 || tell->calls == 0) {
    buffer_put(out, TEXT("\""));
    buffer_put(out, buffer_text(&tell->content));
    buffer_put(out, TEXT("\""));
  } else {
    buffer_put(out, TEXT("null"));
  }
  if (tell->reasoning.size > 0) {
    buffer_put(out, TEXT(",\"reasoning_content\":\""));
    buffer_put(out, buffer_text(&tell->reasoning));
    buffer_put(out, TEXT("\""));
  }
  buffer_put(out, buffer_text(&tell->members));
  if (tell->calls > 0) {
    buffer_put(out, TEXT(",\"tool_calls\":["));
    buffer_put(out, buffer_text(&tell->call_list));
    buffer_put(out, TEXT("\"}}]"));
  }
  buffer_put(out, TEXT(",\"refusal\":null}"));
}

void tell_end(Tell *tell, const char *reason, const ChatUsage *usage, Buffer *out) {
  if (tell->streams) {
    buffer_put(out, TEXT("data: {"));
    buffer_put(out, buffer_text(&tell->head));
    /* An answer that said nothing still says who it is from. */
    buffer_printf(out, ",\"choices\":[{\"index\":0,\"delta\":{%s},\"finish_reason\":\"%s\"}]}\n\n",
                  tell->has_role ? "" : "\"role\":\"assistant\",\"content\":\"\"", reason);
    tell->has_role = true;
    if (usage)
      tell_usage(tell, usage, out);
    return;
  }
  buffer_put(out, TEXT("{"));
  buffer_put(out, buffer_text(&tell->head));
  buffer_put(out, TEXT(",\"choices\":[{\"index\":0,\"message\":"));
  put_message(tell, out);
  buffer_printf(out, ",\"logprobs\":null,\"finish_reason\":\"%s\"}]", reason);
  if (usage && (usage->has_input_tokens || usage->has_output_tokens)) {
    buffer_put(out, TEXT(",\"usage\":"));
    tell_put_usage(usage, out);
  }
  buffer_put(out, TEXT("}"));
}

void tell_done(Tell *tell) {
  buffer_done(&tell->head);
  buffer_done(&tell->content);
  buffer_done(&tell->reasoning);
  buffer_done(&tell->call_list);
  buffer_done(&tell->members);
}
