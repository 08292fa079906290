/* Templates are written here and not taken from the model's file: those are programs (Jinja), and libllama guesses at them
   by their looks; it takes TinyLlama's for another and loses its end of turn. */
#include "agents/tiny_llama_service_enhanced/prompt.h"

#include <errno.h>

typedef struct Style {
  const char *name;
  const char *open; /* special, before the role */
  const char *role_open;
  const char *role_close;
  const char *close; /* special, behind the content */
  const char *after;
  const char *answer_close; /* in place of role_close where the answer begins */
  const char *stop;
} Style;

static const Style styles[] = {
    [PROMPT_TINYLLAMA] = {.name = "tinyllama",
                          .open = "",
                          .role_open = "<|",
                          .role_close = "|>\n",
                          .close = "</s>",
                          .after = "\n",
                          .answer_close = "|>\n",
                          .stop = ""},
    [PROMPT_CHATML] = {.name = "chatml",
                       .open = "<|im_start|>",
                       .role_open = "",
                       .role_close = "\n",
                       .close = "<|im_end|>",
                       .after = "\n",
                       .answer_close = "\n",
                       .stop = ""},
    [PROMPT_PLAIN] = {.name = "plain",
                      .open = "",
                      .role_open = "",
                      .role_close = ": ",
                      .close = "",
                      .after = "\n",
                      .answer_close = ":",
                      .stop = "\nuser:"},
};

int prompt_style_parse(const char *name, PromptStyle *ret) {
  for (size_t i = 0; i < ELEMENTS(styles); i++) {
    if (strcmp(styles[i].name, name) == 0) {
      *ret = (PromptStyle)i;
      return 0;
    }
  }
  return -EINVAL;
}

Text prompt_stop(PromptStyle style) {
  return text_of(styles[style].stop);
}

const PromptPart *prompt_parts(const Prompt *prompt, size_t *ret_count) {
  *ret_count = prompt->parts.size / sizeof(PromptPart);
  return (const PromptPart *)(const void *)prompt->parts.data;
}

/* What was appended to the text since its size was before. */
static void mark(Prompt *prompt, size_t before, bool is_special) {
  PromptPart part = {prompt->text.size - before, is_special};
  size_t count = prompt->parts.size / sizeof part;
  PromptPart *last = count > 0 ? (PromptPart *)(void *)prompt->parts.data + count - 1 : NULL;

  if (part.size_bytes == 0)
    return;
  if (last && last->is_special == is_special)
    last->size_bytes += part.size_bytes;
  else
    buffer_append(&prompt->parts, &part, sizeof part);
}

static void put(Prompt *prompt, const char *text, bool is_special) {
  size_t before = prompt->text.size;

  buffer_append(&prompt->text, text, strlen(text));
  mark(prompt, before, is_special);
}

static void put_content(Prompt *prompt, Json content) {
  size_t before = prompt->text.size;
  JsonWalk walk = json_walk(content);
  Json part;

  if (json_type(content) == JSON_STRING)
    (void)json_get_string(content, &prompt->text);
  else
    while (json_next_element(&walk, &part))
      (void)json_get_string(json_find(part, "text"), &prompt->text);
  mark(prompt, before, false);
}

static const char *role_of(Json message) {
  Json role = json_find(message, "role");

  if (json_string_is(role, "user"))
    return "user";
  return json_string_is(role, "assistant") ? "assistant" : "system";
}

void prompt_write(PromptStyle style, Json messages, Prompt *ret) {
  const Style *row = &styles[style];
  JsonWalk walk = json_walk(messages);
  Json message;

  while (json_next_element(&walk, &message)) {
    put(ret, row->open, true);
    put(ret, row->role_open, false);
    put(ret, role_of(message), false);
    put(ret, row->role_close, false);
    put_content(ret, json_find(message, "content"));
    put(ret, row->close, true);
    put(ret, row->after, false);
  }
  put(ret, row->open, true);
  put(ret, row->role_open, false);
  put(ret, "assistant", false);
  put(ret, row->answer_close, false);
}

void prompt_done(Prompt *prompt) {
  buffer_done(&prompt->text);
  buffer_done(&prompt->parts);
}
