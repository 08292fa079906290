#include "adapters/dialect/fault.h"

#include <stdarg.h>
#include <stdio.h>

#include "bus/wire/msgpack.h"

enum { SENTENCE_BYTES = 400 };

/* Of the character that begins at `at`; 0: none does. */
static size_t character_bytes(const char *at, size_t left) {
  for (size_t size = 1; size <= 4 && size <= left; size++)
    if (text_is_utf8((Text){at, size}))
      return size;
  return 0;
}

/* What a provider says outside JSON (in a frame's head, say) may be any bytes, and a sentence may be cut in a character: a fault
   that is no text would be told to nobody. */
static void put_text(Buffer *out, Text text) {
  size_t size;

  if (text_is_utf8(text)) {
    buffer_put(out, text);
    return;
  }
  for (size_t at = 0; at < text.size; at += size ? size : 1) {
    size = character_bytes(text.data + at, text.size - at);
    buffer_append(out, size ? text.data + at : "?", size ? size : 1);
  }
}

int dialect_fault_set(DialectFault *ret, const Fault *fault) {
  Text texts[] = {fault->message, fault->code, fault->param};
  Text *kept[] = {&ret->fault.message, &ret->fault.code, &ret->fault.param};
  size_t ends[ELEMENTS(texts)];
  Buffer all = {0};

  for (size_t i = 0; i < ELEMENTS(texts); i++) {
    put_text(&all, texts[i]);
    ends[i] = all.size;
  }
  ret->fault = *fault;
  buffer_done(&ret->texts);
  ret->texts = all;
  for (size_t i = 0, at = 0; i < ELEMENTS(texts); at = ends[i++])
    *kept[i] = (Text){(const char *)all.data + at, ends[i] - at};
  return DIALECT_E_FAULT;
}

int dialect_fault_caller(DialectFault *ret, const char *param, const char *format, ...) {
  char message[SENTENCE_BYTES];
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return dialect_fault_set(
      ret, &(Fault){.cause = CAUSE_CALLER, .message = text_of(message), .param = text_of(param), .http_status = 400});
}

int dialect_fault_malformed(DialectFault *ret, const char *message) {
  return dialect_fault_set(ret, &(Fault){.cause = CAUSE_MALFORMED, .message = text_of(message), .http_status = 200});
}

void dialect_fault_done(DialectFault *fault) {
  buffer_done(&fault->texts);
}

bool dialect_says(Text text, const char *words) {
  return text.size > 0 && memmem(text.data, text.size, words, strlen(words)) != NULL;
}

Cause dialect_cause_of_status(unsigned status) {
  static const struct {
    unsigned first;
    unsigned last;
    Cause cause;
  } rows[] = {
      {401, 401, CAUSE_AUTH},        {402, 402, CAUSE_QUOTA},     {403, 403, CAUSE_AUTH},
      {404, 405, CAUSE_UNAVAILABLE}, {407, 407, CAUSE_TRANSPORT}, {410, 410, CAUSE_UNAVAILABLE},
      {408, 408, CAUSE_STALL},       {409, 409, CAUSE_OVERLOAD},  {424, 425, CAUSE_OVERLOAD},
      {429, 429, CAUSE_RATE_LIMIT},  {400, 499, CAUSE_CALLER},    {300, 399, CAUSE_UNAVAILABLE},
      {500, 599, CAUSE_OVERLOAD},
  };

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    if (status >= rows[i].first && status <= rows[i].last)
      return rows[i].cause;
  return CAUSE_OVERLOAD;
}
