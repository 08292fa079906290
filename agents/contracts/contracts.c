#include "agents/contracts/contracts.h"

#define CONTRACT_DEF "agents/contracts/families.def"
#include "bus/wire/contract-tables.h"

#define ROW(service_, method_, version_, request_, chunk_, reply_, flags_, about_)                                     \
  {.service = service_,                                                                                                \
   .method = method_,                                                                                                  \
   .version = version_,                                                                                                \
   .about = about_,                                                                                                    \
   .request = CONTRACT(request_),                                                                                      \
   .reply = CONTRACT(reply_),                                                                                          \
   .chunk = chunk_,                                                                                                    \
   .flags = flags_},

static const MethodContract methods[] = {
#define METHOD(service, method, version, request, reply, flags, about)                                                 \
  ROW(service, method, version, request, NULL, reply, METHOD_##flags, about)
#define STREAM(service, method, version, request, chunk, reply, flags, about)                                          \
  ROW(service, method, version, request, CONTRACT(chunk), reply, METHOD_##flags | METHOD_STREAMING, about)
#include "bus/wire/contract-rows.h"
};

static const ContractCall calls[] = {
#define CALL(agent_, service_, method_) {.agent = agent_, .service = service_, .method = method_},
#include "bus/wire/contract-rows.h"
};

#undef CONTRACT_DEF

const MethodContract *contract_find(Text service, Text method) {
  for (size_t i = 0; i < ELEMENTS(methods); i++)
    if (text_is(method, methods[i].method) && text_is(service, methods[i].service))
      return &methods[i];
  return NULL;
}

const MethodContract *contract_method_at(size_t number) {
  return number < ELEMENTS(methods) ? &methods[number] : NULL;
}

const ContractCall *contract_call_at(size_t number) {
  return number < ELEMENTS(calls) ? &calls[number] : NULL;
}
