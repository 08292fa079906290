#include "agents/remote_api_adapter/errand.h"

#include <stdio.h>
#include <stdlib.h>

#include "agents/relay/relay.h"

typedef struct Errand {
  Remote *remote;
  Call *call;
  Provider *provider;
  const ErrandKind *kind;
  const void *ask;
  RelayWork work;
  void *state;
  int key;
  uint32_t generation; /* of its value */
  bool again;          /* another answer is wanted */
} Errand;

int errand_has_none(const Dialect *dialect, const char *of_what, DialectFault *ret_fault) {
  _cleanup_(buffer_done) Buffer message = {0};

  buffer_printf(&message, "%s has no %s, or pons doesn't know how to ask for it", dialect->about, of_what);
  return dialect_fault_set(ret_fault,
                           &(Fault){.cause = CAUSE_UNAVAILABLE, .message = {(const char *)message.data, message.size}});
}

static int encode(void *userdata, DialectRequest *ret, DialectFault *ret_fault) {
  const Errand *errand = userdata;

  return errand->kind->encode(errand->provider->dialect, errand->ask, errand->state, ret, ret_fault);
}

static int decode(void *userdata, const DialectAsked *asked, Text body, ChatUsage *ret_usage, DialectFault *ret_fault) {
  Errand *errand = userdata;
  int r = errand->kind->decode(errand->provider->dialect, errand->ask, errand->state, body, ret_fault);

  (void)asked;
  (void)ret_usage;
  errand->again = r == ERRAND_E_AGAIN;
  return errand->again ? 0 : r;
}

/* --- the end --- */

static void fail(const Errand *errand, const Fault *fault) {
  _cleanup_(dialect_fault_done) DialectFault told = {.texts = {0}};
  _cleanup_(buffer_done) Buffer message = {0};
  unsigned status = cause_http_status(fault->cause);

  dialect_fault_set(&told, fault);
  keys_redact(&errand->provider->keys, (char *)told.texts.data, told.texts.size);
  buffer_printf(&message, "%s: %.*s", errand->provider->config->name, TEXT_ARG(told.fault.message));
  if (cause_status(fault->cause) == STATUS_REFUSED && fault->http_status >= 400 && fault->http_status < 500)
    status = fault->http_status;
  call_fail(errand->call, &(CallFault){.status = cause_status(fault->cause),
                                       .message = buffer_text(&message),
                                       .path = told.fault.param,
                                       .code = told.fault.code,
                                       .http_status = status,
                                       .retry_after_us = fault->retry_after_us});
}

static void end(Errand *errand) {
  errand->remote->running--;
  errand->kind->done(errand->state);
  free(errand->state);
  free(errand);
}

static void ask(Errand *errand);

static void on_end(void *userdata, const RelayEnd *relay) {
  Errand *errand = userdata;

  if (relay->outcome == RELAY_DONE && errand->again) {
    ask(errand);
    return;
  }
  if (relay->outcome == RELAY_DONE) {
    if (errand->key != KEY_NONE)
      keys_work(&errand->provider->keys, errand->key, errand->generation);
    errand->kind->reply(errand->call, errand->remote, errand->provider, errand->ask, errand->state);
  } else if (relay->outcome == RELAY_FAILED) {
    if (errand->key != KEY_NONE && cause_key(relay->fault->cause))
      keys_fail(&errand->provider->keys, errand->key, errand->generation, relay->fault->cause,
                relay->fault->retry_after_us, clock_monotonic_us());
    fail(errand, relay->fault);
  } else {
    call_error(errand->call, STATUS_CANCELLED, "nobody waits for it any more");
  }
  end(errand);
}

/* --- the beginning --- */

static void ask(Errand *errand) {
  Provider *provider = errand->provider;
  const ConfigProvider *config = provider->config;

  errand->again = false;
  errand->generation = keys_generation(&provider->keys, errand->key);
  relay_start(&(RelayRequest){.http = provider->http,
                              .dialect = provider->dialect,
                              .name = config->name,
                              .settings = &provider->settings,
                              .key = keys_value(&provider->keys, errand->key),
                              .limits = {.connect_ms = config->connect_ms,
                                         .headers_ms = config->headers_ms,
                                         .first_ms = config->first_ms,
                                         .idle_ms = config->idle_ms,
                                         .total_ms = config->total_ms},
                              .work = &errand->work},
              errand->call, on_end, errand);
}

static Provider *find(Remote *remote, Text name) {
  for (uint32_t i = 0; i < remote->providers.count; i++)
    if (text_is(name, remote->providers.list[i].config->name))
      return &remote->providers.list[i];
  return NULL;
}

static void *zeroed(size_t size_bytes) {
  void *memory = calloc(1, size_bytes);

  if (!memory)
    abort();
  return memory;
}

void errand_begin(Remote *remote, Call *call, const ErrandKind *kind, Text provider, const void *of_call) {
  Provider *found = find(remote, provider);
  Errand *errand;

  if (!found) {
    call_fail(call, &(CallFault){.status = STATUS_REFUSED,
                                 .message = TEXT("this machine's pons.yaml has no provider of this name"),
                                 .path = TEXT("provider"),
                                 .http_status = 404});
    return;
  }
  if (keys_are_missing(&found->keys)) {
    call_fail(call, &(CallFault){.status = cause_status(CAUSE_AUTH),
                                 .message = TEXT("its key can't be read on this machine; the adapter's log says why"),
                                 .http_status = cause_http_status(CAUSE_AUTH)});
    return;
  }
  errand = zeroed(sizeof *errand);
  *errand = (Errand){.remote = remote,
                     .call = call,
                     .provider = found,
                     .kind = kind,
                     .ask = of_call,
                     .state = zeroed(kind->state_bytes),
                     .key = keys_take(&found->keys, 0, clock_monotonic_us()),
                     .work = {.encode = encode, .decode = decode, .userdata = errand}};
  remote->running++;
  call_keep(call);
  ask(errand);
}
