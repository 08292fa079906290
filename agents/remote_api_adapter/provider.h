/* What:      the providers of pons.yaml as this process uses them: connections, dialect, key, what was last seen of each model.
 * Owns:      connections and keys.
 * May use:   base, loop, config, http, adapters, executor (backoff).
 * Threading: the loop thread.
 * Spec:      docs/providers.md */
#ifndef PONS_REMOTE_PROVIDER_H
#define PONS_REMOTE_PROVIDER_H

#include "adapters/http/http.h"
#include "adapters/table.h"
#include "agents/executor/backoff.h"
#include "agents/remote_api_adapter/keys.h"

typedef enum Seen { SEEN_NOTHING, SEEN_UP, SEEN_DOWN } Seen;

typedef struct Provider {
  const ConfigProvider *config;
  const Dialect *dialect;
  Http *http;
  BackoffBudget budget;
  DialectSettings settings;
  Keys keys;
} Provider;

/* What was last seen of one model, passively: no request is ever made to find out. */
typedef struct ModelSeen {
  const ConfigModel *config;
  Provider *provider;
  Seen seen;
  char why[201]; /* of SEEN_DOWN */
} ModelSeen;

typedef struct Providers {
  Provider *list;
  uint32_t count;
  ModelSeen *models; /* those of RemoteApiAdapter */
  uint32_t models_count;
} Providers;

/* Reads keys and makes connections for all providers of config, which outlives it. A key that can't be had is said in the
   log and leaves its provider without one: its models fail by name. Returns 0, or negative errno. */
int providers_init(Loop *loop, const Config *config, Providers *ret);
/* Wipes the keys and closes the connections. */
void providers_done(Providers *providers);
/* The model of that name, or NULL when it is none of RemoteApiAdapter in this machine's configuration. */
ModelSeen *providers_find_model(const Providers *providers, const char *name);

#endif
