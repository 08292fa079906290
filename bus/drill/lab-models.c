/* The chain of a chat in a lab. Its models are servers that speak OpenAI's API on the machine's own loopback: a local model's at
   the port that such a server has, providers' at ports of their own. */
#include "bus/drill/lab-internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "bus/config/ports.h"

enum { PROVIDER_PORT = 9101 };

static bool has_chain(const Lab *lab, uint32_t machine) {
  return lab->options.chain == LAB_CHAIN_WORKER || (lab->options.chain == LAB_CHAIN_PROVIDER && machine == 0);
}

const char *lab_models_agents(const Lab *lab, uint32_t machine) {
  if (!has_chain(lab, machine))
    return "";
  return lab->options.chain == LAB_CHAIN_WORKER
             ? ", request_coordinator, model_manager_suite, tiny_llama_service_enhanced"
             : ", request_coordinator, model_manager_suite, remote_api_adapter";
}

static void print_worker(Buffer *ret) {
  buffer_printf(ret, "local_llm: {backend: http, model: local, base_url: \"http://127.0.0.1:%u/v1\"}\n",
                PORT_LOCAL_LLM);
  buffer_printf(ret, "models:\n  - {name: local, executor: TinyLlamaServiceEnhanced, context_tokens: 4096}\n");
}

static void print_providers(Buffer *ret) {
  buffer_printf(ret, "providers:\n");
  for (uint32_t i = 0; i < LAB_MODELS; i++)
    buffer_printf(ret, "  - {name: p%u, base_url: \"http://127.0.0.1:%u/v1\"}\n", i, PROVIDER_PORT + i);
  buffer_printf(ret, "models:\n");
  for (uint32_t i = 0; i < LAB_MODELS; i++)
    buffer_printf(
        ret, "  - {name: m%u, executor: RemoteApiAdapter, provider: p%u, size: any, context_tokens: 128000}\n", i, i);
}

void lab_models_print(const Lab *lab, uint32_t machine, Buffer *ret) {
  if (!has_chain(lab, machine))
    return;
  if (lab->options.chain == LAB_CHAIN_WORKER)
    print_worker(ret);
  else
    print_providers(ret);
}

static int start(Lab *lab, LabModel *model) {
  char port[16];

  snprintf(port, sizeof port, "%u", model->port);
  return lab_process_start(model->box, (const char *const[]){lab->mock, "--port", port, NULL}, &model->pid);
}

int lab_models_start(Lab *lab, Buffer *errors) {
  int r = 0;

  if (lab->options.chain == LAB_CHAIN_NONE)
    return 0;
  if (lab_find_program("../tests", "mock-provider", lab->mock, sizeof lab->mock) != 0) {
    buffer_printf(errors, "a lab with models needs the program mock-provider, which is built with the tests");
    return LAB_E_TOOL;
  }
  for (uint32_t i = 0; r == 0 && i < LAB_MODELS; i++) {
    bool is_worker = lab->options.chain == LAB_CHAIN_WORKER;

    lab->models[i] = (LabModel){&lab->boxes[is_worker ? i : 0], is_worker ? PORT_LOCAL_LLM : PROVIDER_PORT + i, 0};
    r = start(lab, &lab->models[i]);
  }
  return r;
}

void lab_models_stop(Lab *lab) {
  for (uint32_t i = 0; i < LAB_MODELS; i++)
    lab_process_stop(&lab->models[i].pid);
}

int lab_kill_provider(Lab *lab) {
  LabModel *model = &lab->models[0];

  if (model->pid <= 0)
    return -ESRCH;
  kill(model->pid, SIGKILL);
  waitpid(model->pid, NULL, 0);
  model->pid = 0;
  return 0;
}

int lab_start_provider(Lab *lab) {
  return start(lab, &lab->models[0]);
}
