/* Asked once and of one provider: nobody else could answer, and nothing is settled, since it costs nothing. */
#include "agents/remote_api_adapter/listing.h"

#include <stdio.h>
#include <stdlib.h>

#include "agents/relay/relay.h"

enum { MODELS_MAX = 8192, NAME_MAX_BYTES = 512 };

typedef struct Listing {
  Remote *remote;
  Call *call;
  Provider *provider;
  RelayWork work;
  Buffer names; /* of what it lists, each with a zero */
} Listing;

/* --- the rows --- */

static void add(ProviderModels *to, const ModelSeen *model, const char *upstream, bool listed) {
  static const char *const states[] = {[SEEN_NOTHING] = "unmeasured", [SEEN_UP] = "up", [SEEN_DOWN] = "down"};
  ProviderModel *row = (ProviderModel *)&to->models.items[to->models.count];

  if (to->models.count == MODELS_MAX || strlen(upstream) > NAME_MAX_BYTES)
    return;
  to->models.count++;
  *row = (ProviderModel){.upstream = text_of(upstream), .listed = listed, .state = TEXT("unmeasured")};
  if (!model)
    return;
  row->has_name = true;
  row->name = text_of(model->config->name);
  row->state = text_of(states[model->seen]);
  row->has_context_tokens = true;
  row->context_tokens = model->config->context_tokens;
  row->has_input_nano_usd = config_price(model->config->input_usd, &row->input_nano_usd) == 0;
  row->has_output_nano_usd = config_price(model->config->output_usd, &row->output_nano_usd) == 0;
}

/* One row for each entry of the model table that means this model; if there is none, one without. */
static void add_listed(const Listing *listing, const char *upstream, ProviderModels *to) {
  const Providers *providers = &listing->remote->providers;
  bool known = false;

  for (uint32_t i = 0; i < providers->models_count; i++)
    if (providers->models[i].provider == listing->provider &&
        strcmp(providers->models[i].config->upstream, upstream) == 0) {
      add(to, &providers->models[i], upstream, true);
      known = true;
    }
  if (!known)
    add(to, NULL, upstream, true);
}

static bool is_listed(const Listing *listing, const char *upstream) {
  const char *at = (const char *)listing->names.data, *end = at + listing->names.size;

  for (; at < end; at += strlen(at) + 1)
    if (strcmp(at, upstream) == 0)
      return true;
  return false;
}

static void reply(Listing *listing) {
  const Providers *providers = &listing->remote->providers;
  const char *at = (const char *)listing->names.data, *end = at + listing->names.size;
  ProviderModel *rows = calloc(MODELS_MAX + 1, sizeof *rows);
  ProviderModels models = {.models = {rows, 0}};

  if (!rows)
    abort();
  for (; at < end; at += strlen(at) + 1)
    add_listed(listing, at, &models);
  for (uint32_t i = 0; i < providers->models_count; i++)
    if (providers->models[i].provider == listing->provider &&
        !is_listed(listing, providers->models[i].config->upstream))
      add(&models, &providers->models[i], providers->models[i].config->upstream, false);
  call_reply(listing->call, &models);
  free(rows);
}

/* --- asking --- */

static void fail(const Listing *listing, const Fault *fault) {
  char message[1024];

  snprintf(message, sizeof message, "%s: %.*s", listing->provider->config->name, TEXT_ARG(fault->message));
  keys_redact(&listing->provider->keys, message, strlen(message));
  call_fail(listing->call, &(CallFault){.status = cause_status(fault->cause),
                                        .message = text_of(message),
                                        .http_status = cause_http_status(fault->cause),
                                        .retry_after_us = fault->retry_after_us});
}

static void on_end(void *userdata, const RelayEnd *end) {
  Listing *listing = userdata;

  if (end->outcome == RELAY_DONE)
    reply(listing);
  else if (end->outcome == RELAY_FAILED)
    fail(listing, end->fault);
  else
    call_error(listing->call, STATUS_CANCELLED, "nobody waits for it any more");
  listing->remote->running--;
  buffer_done(&listing->names);
  free(listing);
}

static int encode(void *userdata, DialectRequest *ret, DialectFault *ret_fault) {
  const Listing *listing = userdata;
  const Dialect *dialect = listing->provider->dialect;

  if (!dialect->models_path)
    return dialect_fault_set(ret_fault, &(Fault){.cause = CAUSE_UNAVAILABLE,
                                                 .message = TEXT("pons doesn't know how to ask its API for models")});
  buffer_printf(&ret->path, "%s", dialect->models_path);
  return 0;
}

static int decode(void *userdata, const DialectAsked *asked, Text body, ChatUsage *ret_usage, DialectFault *ret_fault) {
  Listing *listing = userdata;

  (void)asked;
  (void)ret_usage;
  return listing->provider->dialect->decode_models(body, &listing->names, ret_fault);
}

static Provider *find(Remote *remote, Text name) {
  for (uint32_t i = 0; i < remote->providers.count; i++)
    if (text_is(name, remote->providers.list[i].config->name))
      return &remote->providers.list[i];
  return NULL;
}

static void ask(Listing *listing) {
  Provider *provider = listing->provider;
  const ConfigProvider *config = provider->config;
  int key = keys_take(&provider->keys, 0, clock_monotonic_us());

  relay_start(&(RelayRequest){.http = provider->http,
                              .dialect = provider->dialect,
                              .name = config->name,
                              .settings = &provider->settings,
                              .key = keys_value(&provider->keys, key),
                              .limits = {.connect_ms = config->connect_ms,
                                         .headers_ms = config->headers_ms,
                                         .first_ms = config->first_ms,
                                         .idle_ms = config->idle_ms,
                                         .total_ms = config->total_ms},
                              .work = &listing->work},
              listing->call, on_end, listing);
}

void listing_begin(Remote *remote, Call *call, Text provider) {
  Provider *found = find(remote, provider);
  Listing *listing;

  if (!found) {
    call_fail(call, &(CallFault){.status = STATUS_REFUSED,
                                 .message = TEXT("this machine's pons.yaml has no provider of this name"),
                                 .path = TEXT("provider"),
                                 .http_status = 404});
    return;
  }
  listing = calloc(1, sizeof *listing);
  if (!listing)
    abort();
  *listing = (Listing){.remote = remote,
                       .call = call,
                       .provider = found,
                       .work = {.encode = encode, .decode = decode, .userdata = listing}};
  remote->running++;
  call_keep(call);
  ask(listing);
}
