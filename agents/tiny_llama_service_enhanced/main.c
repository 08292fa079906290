/* TinyLlamaServiceEnhanced: one language model of this machine as a service. */
#include <stdio.h>

#include "agents/tiny_llama_service_enhanced/visit.h"

AGENT_HANDLER(on_generate, Call *call, const ChatAsk *ask) {
  visit_begin(call_state(call), call, ask->request, false);
}

AGENT_HANDLER(on_embed, Call *call, const EmbedAsk *ask) {
  visit_begin(call_state(call), call, ask->request, true);
}

static const char *desk_about(Desk *desk, Buffer *why) {
  DeskState state = desk_state(desk, why);

  if (state == DESK_LOADING)
    buffer_printf(why, "the model is being loaded; requests wait for it");
  return state == DESK_READY ? "up" : "unavailable";
}

AGENT_HANDLER(on_status, Call *call, const ExecutorAsk *ask) {
  enum { ABOUT_BYTES = 1024 };
  Local *local = call_state(call);
  _cleanup_(buffer_done) Buffer why = {0};
  ExecutorModel model = {.name = local->model};

  (void)ask;
  model.state = text_of(local->server ? server_state(local->server, &why) : desk_about(local->desk, &why));
  model.about = (Text){(const char *)why.data, (size_t)min_u64(why.size, ABOUT_BYTES)};
  call_reply(call, &(ExecutorStatus){.running = local->running, .models = {&model, 1}});
}

static void done(Runtime *runtime) {
  Local *local = runtime_state(runtime);

  desk_destroy(&local->desk);
  server_destroy(&local->server);
  executor_destroy(&local->executor);
  config_destroy(&local->config);
}

static int load_config(Local *local) {
  int r = config_load_and_tell(&local->config);

  if (r < 0)
    return r;
  local->model = text_of(local->config->local_llm.model);
  return prompt_style_parse(local->config->local_llm.template, &local->style);
}

static int init_server(Runtime *runtime, Local *local) {
  _cleanup_(buffer_done) Buffer why = {0};
  int r = server_new(runtime_loop(runtime), &local->config->local_llm, &local->server, &why);

  fwrite(why.data, 1, why.size, stderr);
  return r;
}

static int init_desk(Runtime *runtime, Local *local) {
  const ConfigLocalLlm *config = &local->config->local_llm;

  return desk_new(runtime_loop(runtime),
                  &(EngineOptions){.library_dir = config->library_dir,
                                   .file = config->file,
                                   .threads = config->threads,
                                   .context_tokens = config->context_tokens,
                                   .gpu_layers = config->gpu_layers},
                  &local->desk);
}

static int init(Runtime *runtime) {
  static Local local;
  int r = load_config(&local);

  if (r < 0)
    return r;
  runtime_set_state(runtime, &local);
  r = executor_new(runtime, local.config, TEXT("TinyLlamaServiceEnhanced"), &local.executor);
  if (r < 0)
    return r;
  return strcmp(local.config->local_llm.backend, "http") == 0 ? init_server(runtime, &local)
                                                              : init_desk(runtime, &local);
}

static const Agent agent = {
    .name = "tiny_llama_service_enhanced",
    .about = "runs a language model on this machine",
    .services =
        AGENT_SERVICES({"TinyLlamaServiceEnhanced", .methods = AGENT_METHODS({"generate", on_generate, .inline_ = true},
                                                                             {"embed", on_embed, .inline_ = true},
                                                                             {"status", on_status, .inline_ = true})}),
    .init = init,
    .done = done,
};
PONS_AGENT(agent)
