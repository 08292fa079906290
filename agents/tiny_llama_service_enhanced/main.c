/* TinyLlamaServiceEnhanced: one language model of this machine as a service. */
#include <errno.h>
#include <stdio.h>

#include "agents/tiny_llama_service_enhanced/failure.h"
#include "agents/tiny_llama_service_enhanced/work.h"
#include "bus/config/config.h"

/* The process. */
typedef struct Local {
  Config *config;
  Text model;
  PromptStyle style;
  Desk *desk;
  uint32_t running;
} Local;

static void refuse(Call *call, const OrderFault *fault) {
  call_fail(call, &(CallFault){.status = STATUS_REFUSED,
                               .message = text_of(fault->message),
                               .path = text_of(fault->field),
                               .code = text_of(fault->code),
                               .http_status = 400});
}

static void end_unwanted(Call *call) {
  if (clock_monotonic_us() >= call_deadline_us(call))
    call_error(call, STATUS_DEADLINE, "the deadline came before the local model was done; ask with a longer one");
  else
    call_error(call, STATUS_CANCELLED, "nobody waits for it any more");
}

static void fail(const Work *work) {
  Text why = {(const char *)work->why.data, work->why.size};

  if (work->error == ENGINE_E_CANCELLED)
    end_unwanted(work->call);
  else
    call_fail(work->call,
              &(CallFault){.status = work->error == ENGINE_E_CONTEXT || work->error == ENGINE_E_GRAMMAR ? STATUS_REFUSED
                                                                                                        : STATUS_FAILED,
                           .message = why,
                           .code = text_of(failure_cause(work->error))});
}

static void reply(const Work *work) {
  ChatUsage usage = {.has_input_tokens = true,
                     .input_tokens = work->result.prompt_tokens,
                     .has_output_tokens = true,
                     .output_tokens = work->result.completion_tokens};
  Text response = {(const char *)work->response.data, work->response.size};

  if (work->is_embedding)
    call_reply(work->call, &(EmbedReply){.response = response,
                                         .model = work->head.model,
                                         .executor = call_instance(work->call),
                                         .usage = usage,
                                         .took_us = work->took_us});
  else
    call_reply(work->call, &(ChatReply){.has_response = !work->streams,
                                        .response = response,
                                        .model = work->head.model,
                                        .executor = call_instance(work->call),
                                        .usage = usage,
                                        .has_first_us = work->first_us > 0,
                                        .first_us = work->first_us,
                                        .took_us = work->took_us});
}

static void on_end(Work *work) {
  Local *local = work->userdata;

  local->running--;
  if (work->error == 0)
    reply(work);
  else
    fail(work);
  work_destroy(&work);
}

static void begin(Local *local, Call *call, Work *work) {
  call_keep(call);
  local->running++;
  work_begin(work, local->desk, on_end, local);
}

AGENT_HANDLER(on_generate, Call *call, const ChatAsk *ask) {
  Local *local = call_state(call);
  OrderFault fault;
  Work *work;

  if (work_new_chat(call, ask->request, local->model, local->style, &work, &fault) != 0)
    refuse(call, &fault);
  else
    begin(local, call, work);
}

AGENT_HANDLER(on_embed, Call *call, const EmbedAsk *ask) {
  Local *local = call_state(call);
  OrderFault fault;
  Work *work;

  if (work_new_embed(call, ask->request, local->model, &work, &fault) != 0)
    refuse(call, &fault);
  else
    begin(local, call, work);
}

AGENT_HANDLER(on_status, Call *call, const ExecutorAsk *ask) {
  static const char *const states[] = {
      [DESK_LOADING] = "unavailable", [DESK_READY] = "up", [DESK_UNAVAILABLE] = "unavailable"};
  Local *local = call_state(call);
  _cleanup_(buffer_done) Buffer why = {0};
  DeskState state = desk_state(local->desk, &why);
  ExecutorModel model = {.name = local->model, .state = text_of(states[state])};

  (void)ask;
  if (state == DESK_LOADING)
    buffer_printf(&why, "the model is being loaded; requests wait for it");
  model.about = (Text){(const char *)why.data, (size_t)min_u64(why.size, 1024)};
  call_reply(call, &(ExecutorStatus){.running = local->running, .models = {&model, 1}});
}

static void done(Runtime *runtime) {
  Local *local = runtime_state(runtime);

  desk_destroy(&local->desk);
  config_destroy(&local->config);
}

static int init(Runtime *runtime) {
  static Local local;
  _cleanup_(buffer_done) Buffer findings = {0};
  const ConfigLocalLlm *config;
  int r = config_load(NULL, &local.config, &findings);

  fwrite(findings.data, 1, findings.size, stderr);
  if (r != 0)
    return r < 0 ? r : -EINVAL;
  config = &local.config->local_llm;
  local.model = text_of(config->model);
  runtime_set_state(runtime, &local);
  r = prompt_style_parse(config->template, &local.style);
  if (r < 0)
    return r;
  return desk_new(runtime_loop(runtime),
                  &(EngineOptions){.library_dir = config->library_dir,
                                   .file = config->file,
                                   .threads = config->threads,
                                   .context_tokens = config->context_tokens,
                                   .gpu_layers = config->gpu_layers},
                  &local.desk);
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
