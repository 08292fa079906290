#include "agents/tiny_llama_service_enhanced/visit.h"

#include <stdio.h>
#include <stdlib.h>

#include "agents/tiny_llama_service_enhanced/failure.h"

typedef struct Visit {
  Local *local;
  Call *call;
  Text request;
  bool is_embedding;
  Task task;
  uint64_t began_us;
} Visit;

static void go_on(Visit *visit);

static void destroy(Visit *visit) {
  visit->local->running--;
  free(visit);
}

/* --- the end --- */

static ExecutorEnd end_of(const Visit *visit, const Work *work) {
  ExecutorEnd end = {.began_us = visit->began_us};

  if (!work || work->began_us == 0)
    return end;
  end.began_us = work->began_us;
  end.first_us = work->first_us ? work->began_us + work->first_us : 0;
  end.sent = work->has_begun_stream;
  end.response = (Text){(const char *)work->response.data, work->error == 0 ? work->response.size : 0};
  end.usage = (ChatUsage){.has_input_tokens = work->result.prompt_tokens > 0,
                          .input_tokens = work->result.prompt_tokens,
                          .has_output_tokens = !work->is_embedding && work->result.prompt_tokens > 0,
                          .output_tokens = work->result.completion_tokens};
  return end;
}

/* Our model did not do it: another of ours, somebody else, or nobody. */
static void fail(Visit *visit, const Fault *fault, const ExecutorEnd *end) {
  if (executor_fail(visit->local->executor, visit->call, &visit->task, fault, end))
    go_on(visit);
  else
    destroy(visit);
}

static void on_end(Work *work) {
  Visit *visit = work->userdata;
  ExecutorEnd end = end_of(visit, work);
  Fault fault;

  switch (work->error) {
  case 0:
    executor_reply(visit->local->executor, visit->call, &visit->task, &end);
    destroy(visit);
    break;
  case ENGINE_E_CANCELLED:
    executor_unwanted(visit->local->executor, visit->call, &visit->task, &end);
    destroy(visit);
    break;
  default:
    fault = failure_of_engine(work->error, (Text){(const char *)work->why.data, work->why.size});
    fail(visit, &fault, &end);
  }
  work_destroy(&work);
}

static void on_server_end(void *userdata, const RelayEnd *server) {
  Visit *visit = userdata;

  if (server->outcome == RELAY_FAILED) {
    fail(visit, server->fault, &server->work);
    return;
  }
  if (server->outcome == RELAY_DONE)
    executor_reply(visit->local->executor, visit->call, &visit->task, &server->work);
  else
    executor_unwanted(visit->local->executor, visit->call, &visit->task, &server->work);
  destroy(visit);
}

/* --- the beginning --- */

/* Whether the candidate is the model that we run, by its name or by its upstream name. */
static bool is_ours(const Visit *visit) {
  const ConfigModel *row = executor_config(visit->local->executor, &visit->task);

  return text_is(visit->local->model, task_model(&visit->task)) || (row && text_is(visit->local->model, row->upstream));
}

/* With a route another candidate may do it; without one its caller has named what is not here. */
static void fail_foreign(Visit *visit) {
  bool has_route = call_annotations(visit->call).size > 0;
  ExecutorEnd end = end_of(visit, NULL);
  char message[400];

  snprintf(message, sizeof message, "the local model here is %.*s, and not %s (local_llm.model)",
           TEXT_ARG(visit->local->model), task_model(&visit->task));
  fail(visit,
       &(Fault){.cause = has_route ? CAUSE_UNAVAILABLE : CAUSE_CALLER,
                .message = text_of(message),
                .code = has_route ? TEXT("unavailable") : TEXT("model_not_found"),
                .param = TEXT("model"),
                .http_status = has_route ? 0 : 404},
       &end);
}

static void go_on(Visit *visit) {
  Text model = text_of(task_model(&visit->task));
  OrderFault wrong;
  Work *work;
  int r;

  if (!is_ours(visit)) {
    fail_foreign(visit);
    return;
  }
  if (visit->local->server) {
    server_ask(visit->local->server, visit->call, visit->request, visit->local->model, visit->is_embedding,
               on_server_end, visit);
    return;
  }
  r = visit->is_embedding ? work_new_embed(visit->call, visit->request, model, &work, &wrong)
                          : work_new_chat(visit->call, visit->request, model, visit->local->style, &work, &wrong);
  if (r != 0) {
    Fault fault = failure_of_order(&wrong);
    ExecutorEnd end = end_of(visit, NULL);

    fail(visit, &fault, &end);
    return;
  }
  work_begin(work, visit->local->desk, on_end, visit);
}

/* What the request names, where it comes without a route: our model unless it names another. */
static Text named_model(const Local *local, Text request, Buffer *room) {
  Json object;
  Text name = TEXT_NONE;

  if (json_check(request, &object, NULL) == 0 && json_get_string(json_find(object, "model"), room) == 0)
    name = (Text){(const char *)room->data, room->size};
  return name.size == 0 || name.size > TASK_MODEL_BYTES || text_is(name, "auto") ? local->model : name;
}

void visit_begin(Local *local, Call *call, Text request, bool is_embedding) {
  _cleanup_(buffer_done) Buffer name = {0};
  Visit *visit = calloc(1, sizeof *visit);

  if (!visit)
    abort();
  *visit = (Visit){
      .local = local, .call = call, .request = request, .is_embedding = is_embedding, .began_us = clock_monotonic_us()};
  local->running++;
  call_keep(call);
  if (executor_begin(local->executor, call, named_model(local, request, &name), &visit->task))
    go_on(visit);
  else
    destroy(visit);
}
