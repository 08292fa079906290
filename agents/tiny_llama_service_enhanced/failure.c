#include "agents/tiny_llama_service_enhanced/failure.h"

#include <stddef.h>

#include "agents/tiny_llama_service_enhanced/engine.h"

const char *failure_cause(int error) {
  switch (error) {
  case ENGINE_E_CONTEXT:
    return "context";
  case ENGINE_E_GRAMMAR:
    return "caller";
  case ENGINE_E_LIBRARY:
  case ENGINE_E_MODEL:
  case ENGINE_E_FAILED:
    return "unavailable";
  default:
    return NULL;
  }
}
