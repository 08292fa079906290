/* Built where the headers of libllama are not. */
#ifndef PONS_LIBLLAMA
#include "agents/tiny_llama_service_enhanced/engine.h"

int engine_check_library(const EngineOptions *options, Buffer *why) {
  (void)options;
  buffer_printf(
      why, "this program was built without libllama; run deploy/llm and build again, or set local_llm.backend to http");
  return ENGINE_E_LIBRARY;
}

int engine_open(const EngineOptions *options, Engine **ret, Buffer *why) {
  (void)ret;
  return engine_check_library(options, why);
}

void engine_close(Engine **engine) {
  *engine = NULL;
}

int engine_generate(Engine *engine, const EngineTask *task, EngineResult *ret, Buffer *why) {
  (void)engine;
  (void)task;
  *ret = (EngineResult){0};
  return engine_check_library(NULL, why);
}

int engine_embed(Engine *engine, Text text, const EngineTask *task, const float **ret_values, size_t *ret_count,
                 uint32_t *tokens, Buffer *why) {
  (void)engine;
  (void)text;
  (void)task;
  *ret_values = NULL;
  *ret_count = 0;
  *tokens += 0; /* it is added to, and nothing was read */
  return engine_check_library(NULL, why);
}

#else
/* Built with libllama: engine.c. */
typedef int EngineIsThere;
#endif
