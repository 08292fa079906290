/* The agent's table, looked at once: contracts found, what is wrong said, rows found by name, services for HELLO. */
#include <errno.h>
#include <stdlib.h>

#include "agents/contracts/contracts.h"
#include "bus/agent/agent-internal.h"

static uint64_t hash_of(Text service, Text name) {
  return text_hash(service) * 31 ^ text_hash(name);
}

static size_t count_rows(const Agent *agent) {
  size_t n = 0;

  for (const AgentService *service = agent->services; service && service->name; service++)
    for (const AgentMethod *row = service->methods; row && row->name; row++)
      n++;
  return n;
}

static int refuse(const char *service, const char *method, const char *what) {
  log_error("PONS-AGENT-TABLE", "the agent's table is wrong: %s%s%s: %s", service, method ? "." : "",
            method ? method : "", what);
  return -EINVAL;
}

static int add(Runtime *runtime, const AgentService *service, const AgentMethod *row) {
  Method *method = &runtime->methods_list[runtime->methods_count];
  bool offered;

  *method = (Method){.service = text_of(service->name), .name = text_of(row->name), .row = row};
  if (!name_is_valid(method->service) || !name_is_valid(method->name))
    return refuse(service->name, row->name, "not a name: 1 to 64 of A-Z a-z 0-9 _ . -");
  if (!row->handler)
    return refuse(service->name, row->name, "it has no handler");
  if (methods_find(runtime, method->service, method->name, &offered))
    return refuse(service->name, row->name, "it stands there twice");
  method->contract = row->untyped ? NULL : contract_find(method->service, method->name);
  if (!method->contract && !row->untyped)
    return refuse(service->name, row->name,
                  "agents/contracts has no contract for it; write one, or say .untyped = true");
  runtime->methods_count++;
  table_add(&runtime->methods, &method->link, hash_of(method->service, method->name));
  return 0;
}

int methods_init(Runtime *runtime) {
  int r = 0;

  runtime->methods_list = calloc(count_rows(runtime->agent) + 1, sizeof *runtime->methods_list);
  if (!runtime->methods_list)
    return -ENOMEM;
  for (const AgentService *service = runtime->agent->services; service && service->name; service++) {
    if (!service->methods || !service->methods->name)
      return refuse(service->name, NULL, "it has no method");
    for (const AgentMethod *row = service->methods; row->name && r == 0; row++)
      r = add(runtime, service, row);
  }
  return r;
}

void methods_done(Runtime *runtime) {
  table_done(&runtime->methods);
  free(TAKE(runtime->methods_list));
}

const Method *methods_find(const Runtime *runtime, Text service, Text name, bool *ret_offered) {
  uint64_t hash = hash_of(service, name);

  for (TableLink *at = table_bucket(&runtime->methods, hash); at; at = at->next) {
    Method *method = CONTAINER_OF(at, Method, link);

    if (at->hash == hash && text_equal(method->name, name) && text_equal(method->service, service))
      return method;
  }
  *ret_offered = false;
  for (size_t i = 0; i < runtime->methods_count; i++)
    *ret_offered |= text_equal(runtime->methods_list[i].service, service);
  return NULL;
}

/* --- HELLO --- */

static HelloMethod hello_method(const Method *method) {
  const MethodContract *contract = method->contract;

  return (HelloMethod){
      .method = method->name,
      .has_flags = true,
      .flags = methods_flags(method),
      .has_hash = contract != NULL,
      .hash = contract ? method_contract_hash(contract) : 0,
  };
}

static HelloService hello_service(const Runtime *runtime, const AgentService *service) {
  const AgentOptions *options = runtime->options;
  const char *version = options->version ? options->version : service->version;

  return (HelloService){
      .service = text_of(service->name),
      .has_version = version != NULL,
      .version = text_of(version),
      .has_weight = options->has_weight,
      .weight = options->weight,
      .has_tier = options->tier != NULL,
      .tier = text_of(options->tier),
      .has_role = options->role != NULL,
      .role = text_of(options->role),
  };
}

HelloService *methods_hello(const Runtime *runtime, size_t *ret_count) {
  size_t count = 0;
  HelloService *list;
  HelloMethod *methods;

  for (const AgentService *service = runtime->agent->services; service && service->name; service++)
    count++;
  list = calloc(count + 1, sizeof *list);
  methods = calloc(runtime->methods_count + 1,
                   sizeof *methods); /* all of them in one array; the first service has its start */
  if (!list || !methods)
    abort();
  for (size_t i = 0; i < runtime->methods_count; i++)
    methods[i] = hello_method(&runtime->methods_list[i]);
  for (size_t i = 0; i < count; i++) {
    const AgentService *service = &runtime->agent->services[i];

    list[i] = hello_service(runtime, service);
    list[i].methods.items = methods;
    for (const AgentMethod *row = service->methods; row->name; row++)
      list[i].methods.count++;
    methods += list[i].methods.count;
  }
  *ret_count = count;
  return list;
}

void methods_hello_done(HelloService *services, size_t count) {
  if (count > 0) {
    const void *all = services[0].methods.items;

    free((void *)(uintptr_t)all);
  }
  free(services);
}

/* --- what it calls --- */

int methods_find_calls(Runtime *runtime) {
  const ContractCall *call;
  size_t n = 0;

  while (contract_call_at(n))
    n++;
  runtime->calls_made = calloc(n + 1, sizeof(const MethodContract *));
  if (!runtime->calls_made)
    return -ENOMEM;
  for (size_t i = 0; (call = contract_call_at(i)); i++) {
    const MethodContract *contract = contract_find(text_of(call->service), text_of(call->method));

    if (contract && strcmp(call->agent, runtime->agent->name) == 0)
      runtime->calls_made[runtime->calls_made_count++] = contract;
  }
  return 0;
}
