#include "bus/ctl/reach.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "agents/contracts/contracts.h"
#include "bus/config/keyring.h"
#include "bus/ctl/bodyjson.h"
#include "bus/ctl/contract-json.h"
#include "bus/ctl/grid.h"
#include "bus/loop/key.h"

enum { WAIT_MS = 2000, CALLS_MAX = 64 };

/* What the tables say that the pons command calls. */
static const MethodContract *const *own_calls(size_t *ret_count) {
  static const MethodContract *calls[CALLS_MAX];
  const ContractCall *call;
  size_t count = 0;

  for (size_t i = 0; (call = contract_call_at(i)); i++) {
    const MethodContract *method = contract_find(text_of(call->service), text_of(call->method));

    if (strcmp(call->agent, "pons") == 0 && method && count < CALLS_MAX)
      calls[count++] = method;
  }
  *ret_count = count;
  return calls;
}

static char *join_endpoints(const Config *config) {
  _cleanup_(buffer_done) Buffer all = {0};
  _cleanup_(buffer_done) Buffer errors = {0};

  if (config_brokers(config, &all, &errors) != 0) {
    ctl_say_lines(&errors);
    return NULL;
  }
  buffer_append(&all, "", 1);
  return strdup((const char *)all.data);
}

/* This command's own key, where brokers have keys. Returns 0, or -ENOKEY after it has said why. */
static int read_key(Ctl *ctl, const char *endpoints, KeyPair **ret) {
  char name[KEYRING_NAME_SIZE];
  char path[CONFIG_PATH_SIZE];
  int r;

  if (!strchr(endpoints, '|'))
    return 0;
  if (ctl_load_config(ctl) != CTL_OK)
    return -ENOKEY;
  if (!keyring_is_wanted(ctl->config)) {
    ctl_say("the endpoint has a key, and this configuration has none: name its folder under keys.dir");
    return -ENOKEY;
  }
  keyring_secret_path(ctl->config, keyring_client_name("pons", ctl->config->site, name), path);
  r = key_read(path, ret);
  if (r == 0)
    return 0;
  ctl_say("the key %s can't be used: %s", path, key_error(r));
  return -ENOKEY;
}

static void on_state(void *userdata, ClientState state, Status status _unused_, const char *text) {
  Reach *reach = userdata;

  if (state == CLIENT_REFUSED)
    snprintf(reach->refusal, sizeof reach->refusal, "%s", text);
}

/* Both brokers may say so of the same thing. */
static void on_refusal(void *userdata, Status status _unused_, const char *text) {
  Reach *reach = userdata;

  if (!reach->refused)
    ctl_say("%s", text);
  reach->refused = true;
}

static void on_interrupt(void *userdata, int signo) {
  Reach *reach = userdata;

  (void)signo;
  reach->interrupted = true;
}

static int connect_client(Reach *reach, KeyPair *key) {
  ClientOptions options = {.endpoint = reach->endpoint,
                           .agent = TEXT("pons"),
                           .key = key,
                           .attempts = 1,
                           .on_state = on_state,
                           .on_refusal = on_refusal,
                           .userdata = reach};
  int r = loop_new(&reach->loop);

  options.calls = own_calls(&options.calls_count);
  if (r == 0)
    r = loop_on_signal(reach->loop, SIGINT, on_interrupt, reach);
  if (r == 0)
    r = loop_on_signal(reach->loop, SIGTERM, on_interrupt, reach);
  return r < 0 ? r : client_new(reach->loop, &options, &reach->client);
}

/* Contracts of this very program that differ from the broker's or an agent's: said before anything fails by it, once for
   all instances of the same agent. */
static void warn_of_mismatches(Reach *reach) {
  size_t count = 0;
  const Mismatch *mismatches = client_mismatches(reach->client, &count);

  for (size_t i = 0; i < count; i++)
    if (i == 0 || !text_equal(mismatches[i].method, mismatches[i - 1].method) ||
        !text_equal(mismatches[i].service, mismatches[i - 1].service))
      ctl_say(
          "warning: this pons was built with another contract of %.*s.%.*s than the instance that offers it; rebuild "
          "the older one",
          TEXT_ARG(mismatches[i].service), TEXT_ARG(mismatches[i].method));
}

static CtlExit say_unreachable(const Reach *reach, int r, bool quiet) {
  if (quiet)
    return CTL_UNREACHABLE;
  if (r == -EINVAL)
    ctl_say("'%s' is no endpoint; it looks like tcp://127.0.0.1:PORT or ipc:///path/of/a/socket", reach->endpoint);
  else if (r == -EPERM)
    ctl_say("the broker at %s refuses this client: %s", reach->endpoint, reach->refusal);
  else if (r == -ETIMEDOUT)
    ctl_say("no broker answers at %s; start the fleet with `pons up`", reach->endpoint);
  else
    ctl_say("can't connect to %s: %s", reach->endpoint, strerror(-r));
  return r == -EINVAL ? CTL_USAGE : CTL_UNREACHABLE;
}

uint64_t reach_wait_ms(const Ctl *ctl) {
  return ctl->options.timeout_ms ? min_u64(ctl->options.timeout_ms, WAIT_MS) : WAIT_MS;
}

/* The endpoints of all brokers, or NULL and *ret_status. */
static char *all_endpoints(Ctl *ctl, CtlExit *ret_status) {
  char *all;

  *ret_status = ctl->options.endpoint ? CTL_OK : ctl_load_config(ctl);
  if (*ret_status)
    return NULL;
  all = ctl->options.endpoint ? strdup(ctl->options.endpoint) : join_endpoints(ctl->config);
  if (!all)
    *ret_status = CTL_USAGE;
  return all;
}

CtlExit reach_find(Ctl *ctl, char **ret_endpoints, KeyPair **ret_key) {
  CtlExit status;
  char *all = all_endpoints(ctl, &status);

  if (!all)
    return status;
  if (read_key(ctl, all, ret_key) < 0) {
    free(all);
    return CTL_USAGE;
  }
  *ret_endpoints = all;
  return CTL_OK;
}

/* Broker `number` of all alone. */
static CtlExit open_number(Ctl *ctl, uint32_t number, uint64_t wait_ms, bool quiet, Reach *ret) {
  const char *endpoint = ctl->options.endpoint;
  CtlExit status;
  char *all = all_endpoints(ctl, &status);
  char *rest = all;
  char *one = rest ? strsep(&rest, ";") : NULL;

  *ret = (Reach){.ctl = NULL};
  while (one && number-- > 0)
    one = strsep(&rest, ";");
  if (one) {
    ctl->options.endpoint = one;
    status = reach_open(ctl, wait_ms, quiet, ret);
    ctl->options.endpoint = endpoint;
  } else if (status == CTL_OK) {
    status = CTL_USAGE;
  }
  free(all);
  return status;
}

CtlExit reach_open_one(Ctl *ctl, uint32_t number, uint64_t wait_ms, Reach *ret) {
  return open_number(ctl, number, wait_ms, true, ret);
}

CtlExit reach_open_own(Ctl *ctl, uint64_t wait_ms, Reach *ret) {
  CtlExit status = ctl->options.endpoint ? CTL_OK : ctl_load_config(ctl);

  *ret = (Reach){.ctl = NULL};
  if (status != CTL_OK)
    return status;
  return open_number(ctl, !ctl->options.endpoint && ctl->config->other_broker.preferred, wait_ms, false, ret);
}

CtlExit reach_open(Ctl *ctl, uint64_t wait_ms, bool quiet, Reach *ret) {
  _cleanup_(key_unref) KeyPair *key = NULL;
  CtlExit status;
  int r;

  *ret = (Reach){.ctl = ctl};
  ret->endpoint = all_endpoints(ctl, &status);
  if (!ret->endpoint)
    return status;
  if (read_key(ctl, ret->endpoint, &key) < 0)
    return CTL_USAGE;
  loop_block_signals();
  r = connect_client(ret, key);
  if (r == 0)
    r = client_wait_open(ret->client, wait_ms * US_PER_MS);
  if (r < 0)
    return say_unreachable(ret, r, quiet);
  if (!quiet)
    warn_of_mismatches(ret);
  return CTL_OK;
}

void reach_close(Reach *reach) {
  client_destroy(&reach->client);
  loop_destroy(&reach->loop);
  free(reach->endpoint);
  *reach = (Reach){0};
}

typedef struct Until {
  const Reach *reach;
  bool (*done)(void *userdata);
  void *userdata;
} Until;

static bool is_done(void *userdata) {
  const Until *until = userdata;

  return until->reach->interrupted || until->reach->refused || ferror(stdout) || until->done(until->userdata);
}

int reach_run(Reach *reach, bool (*done)(void *userdata), void *userdata, uint64_t deadline_us) {
  return loop_run_until(reach->loop, is_done, &(Until){reach, done, userdata}, deadline_us);
}

static json_t *failure_json(const Answer *answer) {
  char id[REQUEST_ID_TEXT_SIZE];

  return json_pack("{s:{s:s, s:o, s:o, s:o, s:o, s:I, s:s}}", "error", "status", status_name(answer->status), "message",
                   jsontext_new(answer->message), "path", jsontext_new(answer->path), "origin",
                   jsontext_new(answer->origin), "code", jsontext_new(answer->code), "retry_after_us",
                   (json_int_t)answer->retry_after_us, "request", request_id_format(answer->id, id));
}

void reach_print_failure(const Ctl *ctl, const Answer *answer) {
  _cleanup_(buffer_done) Buffer text = {0};

  if (ctl->options.json) {
    ctl_write_json(ctl, failure_json(answer));
    return;
  }
  buffer_printf(&text, "%s: ", status_name(answer->status));
  if (answer->path.size) {
    grid_print_safely(&text, answer->path);
    buffer_printf(&text, ": ");
  }
  grid_print_safely(&text, answer->message.size ? answer->message : text_of(status_about(answer->status)));
  if (answer->retry_after_us) {
    buffer_printf(&text, " (ask again in ");
    grid_print_span(&text, answer->retry_after_us);
    buffer_printf(&text, ")");
  }
  ctl_say("%.*s", (int)text.size, (const char *)text.data);
}

/* Of the broker's own services only `pons` is always there. */
void reach_print_failure_of(const Ctl *ctl, const char *service, const Answer *answer) {
  if (answer->status == STATUS_NO_SERVICE && strncmp(service, "pons.", 5) == 0 && !ctl->options.json)
    ctl_say(
        "this broker has no leases, flags and durable requests: authority.node is none in its pons.yaml; `alone` is "
        "for one broker, `a` and `b` for a pair");
  else
    reach_print_failure(ctl, answer);
}

CtlExit reach_ask(Reach *reach, const char *service, const char *method, const char *request_json, json_t **ret) {
  _cleanup_(buffer_done) Buffer body = {0};
  _cleanup_(answer_destroy) Answer *answer = NULL;
  Ask ask = {.service = text_of(service), .method = text_of(method), .idempotent = true};
  int r;

  if (contract_json_to_body(NULL, text_of(request_json ? request_json : "{}"), &body, NULL))
    return CTL_FAILED;
  ask.body = buffer_bytes(&body);
  ask.deadline_us = (reach->ctl->options.timeout_ms ? reach->ctl->options.timeout_ms : 5000) * US_PER_MS;
  r = client_call(reach->client, &ask, &answer);
  if (r < 0) {
    ctl_say("%s.%s can't be asked: %s", service, method, strerror(-r));
    return CTL_FAILED;
  }
  if (answer->status != STATUS_OK) {
    reach_print_failure_of(reach->ctl, service, answer);
    return answer->status == STATUS_UNAVAILABLE ? CTL_UNREACHABLE : CTL_FAILED;
  }
  *ret = bodyjson_new(answer->body, answer->content_type);
  return CTL_OK;
}
