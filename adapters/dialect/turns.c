#include "adapters/dialect/turns.h"

#include "bus/json/json.h"

void turns_next(Turns *turns, unsigned kind) {
  if (turns->kind != kind) {
    turns_end(turns);
    json_put_comma(turns->out);
    buffer_put(turns->out, text_of(turns->openings[kind]));
    turns->kind = kind;
  }
  json_put_comma(turns->out);
}

bool turns_end(Turns *turns) {
  if (turns->kind > 0)
    buffer_put(turns->out, TEXT("]}"));
  return turns->kind > 0;
}
