#include "agents/remote_api_adapter/provider.h"

#include <errno.h>
#include <stdlib.h>

static int init_provider(Loop *loop, const ConfigProvider *config, Provider *ret) {
  int r;

  ret->config = config;
  backoff_init(&ret->budget);
  ret->settings = (DialectSettings){.base_url = config->base_url,
                                    .region = config->region,
                                    .api_version = config->api_version,
                                    .chat_path = config->chat_path,
                                    .embed_path = config->embed_path,
                                    .models_path = config->models_path,
                                    .key_header = config->key_header,
                                    .headers = (const char *const *)config->headers,
                                    .headers_count = config->headers_count,
                                    .without_usage = !config->asks_usage};
  ret->dialect = table_find_dialect(config->dialect);
  if (!ret->dialect)
    return -EINVAL;
  r = http_new(loop, &(HttpOptions){config->connections, config->ca_file, config->proxy}, &ret->http);
  return r < 0 ? r : keys_init(config, &ret->keys);
}

static void init_models(const Config *config, Providers *ret) {
  for (uint32_t i = 0; i < config->models_count; i++) {
    const ConfigModel *model = &config->models[i];

    for (uint32_t k = 0; model->provider && k < ret->count; k++)
      if (strcmp(model->executor, "RemoteApiAdapter") == 0 && strcmp(ret->list[k].config->name, model->provider) == 0)
        ret->models[ret->models_count++] = (ModelSeen){.config = model, .provider = &ret->list[k]};
  }
}

int providers_init(Loop *loop, const Config *config, Providers *ret) {
  int r = 0;

  *ret = (Providers){.count = config->providers_count};
  ret->list = calloc(config->providers_count + 1, sizeof *ret->list);
  ret->models = calloc(config->models_count + 1, sizeof *ret->models);
  if (!ret->list || !ret->models)
    return -ENOMEM;
  for (uint32_t i = 0; i < ret->count && r == 0; i++)
    r = init_provider(loop, &config->providers[i], &ret->list[i]);
  init_models(config, ret);
  return r;
}

void providers_done(Providers *providers) {
  for (uint32_t i = 0; providers->list && i < providers->count; i++) {
    Provider *provider = &providers->list[i];

    http_destroy(&provider->http);
    keys_done(&provider->keys);
  }
  free(TAKE(providers->list));
  free(TAKE(providers->models));
}

ModelSeen *providers_find_model(const Providers *providers, const char *name) {
  for (uint32_t i = 0; i < providers->models_count; i++)
    if (strcmp(providers->models[i].config->name, name) == 0)
      return &providers->models[i];
  return NULL;
}
