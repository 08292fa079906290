#include "adapters/dialect/dialect.h"

void dialect_request_done(DialectRequest *request) {
  buffer_done(&request->body);
}

void dialect_stream_done(DialectStream *stream) {
  buffer_done(&stream->events);
}

void dialect_fault_done(DialectFault *fault) {
  buffer_done(&fault->texts);
}

void dialect_fault_set(DialectFault *ret, const Fault *fault) {
  Text texts[] = {fault->message, fault->code, fault->param};
  Text *kept[] = {&ret->fault.message, &ret->fault.code, &ret->fault.param};
  Buffer all = {0};
  size_t at = 0;

  for (size_t i = 0; i < ELEMENTS(texts); i++)
    buffer_append(&all, texts[i].data, texts[i].size);
  buffer_done(&ret->texts);
  ret->texts = all;
  ret->fault = *fault;
  for (size_t i = 0; i < ELEMENTS(texts); at += texts[i++].size)
    *kept[i] = (Text){(const char *)all.data + at, texts[i].size};
}
