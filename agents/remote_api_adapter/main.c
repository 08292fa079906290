/* RemoteApiAdapter: has providers make the answers, over HTTP. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agents/remote_api_adapter/visit.h"

AGENT_HANDLER(on_generate, Call *call, const ChatAsk *ask) {
  visit_begin(call_state(call), call, ask->request);
}

AGENT_HANDLER(on_embed, Call *call, const EmbedAsk *ask) {
  visit_begin(call_state(call), call, ask->request);
}

static ExecutorModel status_of(const ModelSeen *model) {
  static const char *const states[] = {[SEEN_NOTHING] = "unmeasured", [SEEN_UP] = "up", [SEEN_DOWN] = "down"};
  const Buffer *trouble = &model->provider->trouble;
  ExecutorModel row = {.name = text_of(model->config->name),
                       .has_provider = true,
                       .provider = text_of(model->provider->config->name),
                       .state = text_of(states[model->seen]),
                       .about = model->seen == SEEN_DOWN ? text_of(model->why) : TEXT_NONE};

  if (trouble->size > 0) {
    row.state = TEXT("unavailable");
    row.about = (Text){(const char *)trouble->data, min_u64(trouble->size, 1024)};
  }
  return row;
}

AGENT_HANDLER(on_status, Call *call, const ExecutorAsk *ask) {
  const Remote *remote = call_state(call);
  uint32_t count = remote->providers.models_count;
  ExecutorModel *rows = calloc(count + 1, sizeof *rows);

  (void)ask;
  if (!rows)
    abort();
  for (uint32_t i = 0; i < count; i++)
    rows[i] = status_of(&remote->providers.models[i]);
  call_reply(call, &(ExecutorStatus){.running = remote->running, .models = {rows, count}});
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
  _cleanup_(buffer_done) Buffer findings = {0};
  int r = config_load(NULL, &remote.config, &findings);

  fwrite(findings.data, 1, findings.size, stderr);
  if (r != 0)
    return r < 0 ? r : -EINVAL;
  remote.loop = runtime_loop(runtime);
  runtime_set_state(runtime, &remote);
  r = providers_init(remote.loop, remote.config, &remote.providers);
  return r < 0 ? r : executor_new(runtime, remote.config, TEXT("RemoteApiAdapter"), &remote.executor);
}

static const Agent agent = {
    .name = "remote_api_adapter",
    .about = "has remote providers do the work",
    .concurrency = 4096,
    .services = AGENT_SERVICES({"RemoteApiAdapter", .methods = AGENT_METHODS({"generate", on_generate, .inline_ = true},
                                                                             {"embed", on_embed, .inline_ = true},
                                                                             {"status", on_status, .inline_ = true})}),
    .init = init,
    .done = done,
};
PONS_AGENT(agent)
