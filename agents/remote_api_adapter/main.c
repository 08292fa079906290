/* RemoteApiAdapter: has providers make the answers, over HTTP. */
#include <stdlib.h>

#include "agents/remote_api_adapter/errand.h"
#include "agents/remote_api_adapter/visit.h"

enum { ABOUT_BYTES = 1024 }; /* of ExecutorModel.about */

AGENT_HANDLER(on_generate, Call *call, const ChatAsk *ask) {
  visit_begin(call_state(call), call, ask->request);
}

AGENT_HANDLER(on_embed, Call *call, const EmbedAsk *ask) {
  visit_begin(call_state(call), call, ask->request);
}

AGENT_HANDLER(on_models, Call *call, const ProviderModelsAsk *ask) {
  errand_begin(call_state(call), call, &errand_models, ask->provider, ask);
}

AGENT_HANDLER(on_fine_tune, Call *call, const FineTuneAsk *ask) {
  errand_begin(call_state(call), call, &errand_tune, ask->provider, ask);
}

AGENT_HANDLER(on_fine_tune_status, Call *call, const FineTuneJobAsk *ask) {
  errand_begin(call_state(call), call, &errand_tune_status, ask->provider, ask);
}

AGENT_HANDLER(on_fine_tune_events, Call *call, const FineTuneEventsAsk *ask) {
  errand_begin(call_state(call), call, &errand_tune_events, ask->provider, ask);
}

AGENT_HANDLER(on_fine_tune_cancel, Call *call, const FineTuneJobAsk *ask) {
  errand_begin(call_state(call), call, &errand_tune_cancel, ask->provider, ask);
}

AGENT_HANDLER(on_transcribe, Call *call, const TranscribeAsk *ask) {
  visit_begin_work(call_state(call), call, &work_transcribe, ask->model, ask);
}

AGENT_HANDLER(on_speak, Call *call, const SpeakAsk *ask) {
  visit_begin_work(call_state(call), call, &work_speak, ask->model, ask);
}

AGENT_HANDLER(on_transcribe_stream, Call *call, const TranscribeAsk *ask) {
  visit_begin_work(call_state(call), call, &work_transcribe_stream, ask->model, ask);
}

AGENT_HANDLER(on_speak_stream, Call *call, const SpeakAsk *ask) {
  visit_begin_work(call_state(call), call, &work_speak_stream, ask->model, ask);
}

AGENT_HANDLER(on_describe, Call *call, const DescribeAsk *ask) {
  visit_begin_work(call_state(call), call, &work_describe, ask->model, ask);
}

AGENT_HANDLER(on_translate, Call *call, const TranslateAsk *ask) {
  visit_begin_work(call_state(call), call, &work_translate, ask->model, ask);
}

/* trouble: of the model's provider with its keys. */
static ExecutorModel status_of(const ModelSeen *model, Text trouble) {
  static const char *const states[] = {[SEEN_NOTHING] = "unmeasured", [SEEN_UP] = "up", [SEEN_DOWN] = "down"};
  bool is_missing = keys_are_missing(&model->provider->keys);

  return (ExecutorModel){.name = text_of(model->config->name),
                         .has_provider = true,
                         .provider = text_of(model->provider->config->name),
                         .state = text_of(is_missing ? "unavailable" : states[model->seen]),
                         .about = model->seen == SEEN_DOWN && !is_missing ? text_of(model->why) : trouble};
}

AGENT_HANDLER(on_status, Call *call, const ExecutorAsk *ask) {
  const Remote *remote = call_state(call);
  uint32_t count = remote->providers.models_count;
  ExecutorModel *rows = calloc(count + 1, sizeof *rows);
  Buffer *troubles = calloc(count + 1, sizeof *troubles);

  (void)ask;
  if (!rows || !troubles)
    abort();
  for (uint32_t i = 0; i < count; i++) {
    keys_put_trouble(&remote->providers.models[i].provider->keys, clock_monotonic_us(), &troubles[i]);
    rows[i] = status_of(&remote->providers.models[i],
                        (Text){(const char *)troubles[i].data, min_u64(troubles[i].size, ABOUT_BYTES)});
  }
  call_reply(call, &(ExecutorStatus){.running = remote->running, .models = {rows, count}});
  for (uint32_t i = 0; i < count; i++)
    buffer_done(&troubles[i]);
  free(troubles);
  free(rows);
}

static void done(Runtime *runtime) {
  Remote *remote = runtime_state(runtime);

  executor_destroy(&remote->executor);
  providers_done(&remote->providers);
  config_destroy(&remote->config);
}

static int init(Runtime *runtime) {
  static Remote remote;
  int r = config_load_and_tell(&remote.config);

  if (r < 0)
    return r;
  remote.loop = runtime_loop(runtime);
  runtime_set_state(runtime, &remote);
  r = providers_init(remote.loop, remote.config, &remote.providers);
  return r < 0 ? r : executor_new(runtime, remote.config, TEXT("RemoteApiAdapter"), &remote.executor);
}

static const Agent agent = {
    .name = "remote_api_adapter",
    .about = "has remote providers do the work",
    .concurrency = 4096,
    .services = AGENT_SERVICES(
        {"RemoteApiAdapter",
         .methods = AGENT_METHODS(
             {"generate", on_generate, .inline_ = true}, {"embed", on_embed, .inline_ = true},
             {"transcribe", on_transcribe, .inline_ = true}, {"speak", on_speak, .inline_ = true},
             {"describe", on_describe, .inline_ = true}, {"translate", on_translate, .inline_ = true},
             {"transcribe_stream", on_transcribe_stream, .inline_ = true},
             {"speak_stream", on_speak_stream, .inline_ = true}, {"fine_tune", on_fine_tune, .inline_ = true},
             {"fine_tune_status", on_fine_tune_status, .inline_ = true},
             {"fine_tune_events", on_fine_tune_events, .inline_ = true},
             {"fine_tune_cancel", on_fine_tune_cancel, .inline_ = true}, {"models", on_models, .inline_ = true},
             {"status", on_status, .inline_ = true})}),
    .init = init,
    .done = done,
};
PONS_AGENT(agent)
