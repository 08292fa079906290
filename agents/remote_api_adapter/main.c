/* RemoteApiAdapter: has providers make the answers, over HTTP. */
#include <stdlib.h>

#include "agents/remote_api_adapter/errand.h"
#include "agents/remote_api_adapter/visit.h"

enum { ABOUT_BYTES = 1024 }; /* of ExecutorModel.about */

/* Completions and embeddings: both ask with the client's JSON. */
AGENT_HANDLER(on_generate, Call *call, const ChatAsk *ask) {
  visit_begin(call_state(call), call, ask->request);
}

AGENT_HANDLER(on_embed, Call *call, const EmbedAsk *ask) {
  visit_begin(call_state(call), call, ask->request);
}

/* A method whose request names who is asked: a model of the table, or a provider. */
typedef struct Job {
  const WorkKind *work;     /* of a model */
  const ErrandKind *errand; /* of a provider */
  size_t whom;              /* where the name stands in the request */
} Job;

static void on_job(Call *call, const void *ask) {
  const Job *job = call_data(call);
  Text whom = *(const Text *)(const void *)((const char *)ask + job->whom);

  if (job->work)
    visit_begin_work(call_state(call), call, job->work, whom, ask);
  else
    errand_begin(call_state(call), call, job->errand, whom, ask);
}

#define WORK(method, kind, Ask)                                                                                        \
  {                                                                                                                    \
    method, on_job, .inline_ = true, .data = &(const Job) {                                                            \
      .work = &work_##kind, .whom = offsetof(Ask, model)                                                               \
    }                                                                                                                  \
  }
#define ERRAND(method, kind, Ask)                                                                                      \
  {                                                                                                                    \
    method, on_job, .inline_ = true, .data = &(const Job) {                                                            \
      .errand = &errand_##kind, .whom = offsetof(Ask, provider)                                                        \
    }                                                                                                                  \
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
    rows[i] = status_of(&remote->providers.models[i], text_at_most(buffer_text(&troubles[i]), ABOUT_BYTES));
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
             WORK("transcribe", transcribe, TranscribeAsk), WORK("transcribe_stream", transcribe_stream, TranscribeAsk),
             WORK("speak", speak, SpeakAsk), WORK("speak_stream", speak_stream, SpeakAsk),
             WORK("describe", describe, DescribeAsk), WORK("translate", translate, TranslateAsk),
             ERRAND("models", models, ProviderModelsAsk), ERRAND("fine_tune", tune, FineTuneAsk),
             ERRAND("fine_tune_status", tune_status, FineTuneJobAsk),
             ERRAND("fine_tune_events", tune_events, FineTuneEventsAsk),
             ERRAND("fine_tune_cancel", tune_cancel, FineTuneJobAsk), {"status", on_status, .inline_ = true})}),
    .init = init,
    .done = done,
};
PONS_AGENT(agent)
