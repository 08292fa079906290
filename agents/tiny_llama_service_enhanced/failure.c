#include "agents/tiny_llama_service_enhanced/failure.h"

#include "agents/tiny_llama_service_enhanced/engine.h"

Fault failure_of_engine(int error, Text why) {
  switch (error) {
  case ENGINE_E_CONTEXT:
    return (Fault){.cause = CAUSE_CONTEXT,
                   .message = why,
                   .code = TEXT("context_length_exceeded"),
                   .param = TEXT("messages"),
                   .http_status = 400};
  case ENGINE_E_GRAMMAR:
    return (Fault){.cause = CAUSE_CALLER,
                   .message = why,
                   .code = TEXT("invalid_value"),
                   .param = TEXT("grammar"),
                   .http_status = 400};
  default: /* no library, no model, or it failed at its work: another one may do it */
    return (Fault){.cause = CAUSE_UNAVAILABLE, .message = why, .code = TEXT("unavailable")};
  }
}

Fault failure_of_order(const OrderFault *fault) {
  return (Fault){.cause = CAUSE_CALLER,
                 .message = text_of(fault->message),
                 .code = text_of(fault->code),
                 .param = text_of(fault->field),
                 .http_status = 400};
}
