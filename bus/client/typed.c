/* Asking by contract: structs in, structs out, checked on this side too. */
#include "bus/client/client.h"

int ask_encode(const MethodContract *method, const void *request, Buffer *buffer, Ask *ask, ContractFault *fault) {
  size_t start = buffer->size;
  int r = contract_encode(method->request, request, buffer, fault);

  if (r != 0)
    return r;
  ask->service = text_of(method->service);
  ask->method = text_of(method->method);
  ask->body = (Bytes){buffer->data + start, buffer->size - start};
  ask->block = NULL;
  ask->content_type = TEXT_NONE;
  ask->idempotent = (method->flags & METHOD_IDEMPOTENT) != 0;
  ask->stream = (method->flags & METHOD_STREAMING) != 0;
  return 0;
}

int answer_decode(const MethodContract *method, const Answer *answer, Arena *arena, void *ret, ContractFault *fault) {
  return contract_decode(method->reply, answer->body, arena, ret, fault);
}
