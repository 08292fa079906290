#include "adapters/dialect/fault.h"

#include <stdarg.h>
#include <stdio.h>

enum { SENTENCE_BYTES = 400 };

int dialect_fault_set(DialectFault *ret, const Fault *fault) {
  Text texts[] = {fault->message, fault->code, fault->param};
  Text *kept[] = {&ret->fault.message, &ret->fault.code, &ret->fault.param};
  Buffer all = {0};
  size_t at = 0;

  for (size_t i = 0; i < ELEMENTS(texts); i++)
    buffer_append(&all, texts[i].data, texts[i].size);
  ret->fault = *fault;
  buffer_done(&ret->texts);
  ret->texts = all;
  for (size_t i = 0; i < ELEMENTS(texts); at += texts[i++].size)
    *kept[i] = (Text){(const char *)all.data + at, texts[i].size};
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
