#include "agents/executor/executor.h"

#include <errno.h>
#include <stdlib.h>

#include "agents/executor/cost.h"
#include "bus/base/clock.h"

struct Executor {
  Runtime *runtime;
  const Config *config;
  Text service;
  SettleQueue *settlements;
};

int executor_new(Runtime *runtime, const Config *config, Text service, Executor **ret) {
  Executor *executor = calloc(1, sizeof *executor);
  int r;

  if (!executor)
    return -ENOMEM;
  *executor = (Executor){.runtime = runtime, .config = config, .service = service};
  r = settle_new(runtime, &executor->settlements);
  if (r < 0) {
    free(executor);
    return r;
  }
  *ret = executor;
  return 0;
}

void executor_destroy(Executor **p) {
  Executor *executor = TAKE(*p);

  if (!executor)
    return;
  settle_destroy(&executor->settlements);
  free(executor);
}

const ConfigModel *executor_config(const Executor *executor, const Task *task) {
  return config_find_model(executor->config, task_model(task));
}

/* --- the books --- */

static void settle(Executor *executor, const Call *call, const Task *task, const char *outcome, const char *cause,
                   const ExecutorEnd *end) {
  char id[REQUEST_ID_TEXT_SIZE];
  uint64_t cost = 0;
  bool known = cost_of(executor_config(executor, task), &end->usage, &cost);
  uint64_t now_us = clock_monotonic_us();

  settle_push(executor->settlements,
              &(Settlement){.request = text_of(request_id_format(call_id(call), id)),
                            .hop = call_hop(call),
                            .model = text_of(task_model(task)),
                            .outcome = text_of(outcome),
                            .has_cause = cause != NULL,
                            .cause = text_of(cause),
                            .usage = end->usage,
                            .has_cost_nano_usd = known,
                            .cost_nano_usd = cost,
                            .has_first_us = end->first_us > 0,
                            .first_us = end->first_us > end->began_us ? end->first_us - end->began_us : 0,
                            .took_us = end->began_us ? now_us - min_u64(now_us, end->began_us) : 0});
}

/* --- answers --- */

static void answer_fault(Call *call, const Task *task, Status status, unsigned http_status) {
  const TaskFailure *deciding = task_deciding(task);
  _cleanup_(buffer_done) Buffer sentence = {0};

  task_put_sentence(task, &sentence);
  call_fail(call, &(CallFault){.status = status,
                               .message = {(const char *)sentence.data, sentence.size},
                               .path = task->has_detail ? text_of(task->detail_param) : TEXT_NONE,
                               .code = deciding ? text_of(deciding->code) : TEXT_NONE,
                               .http_status = http_status,
                               .retry_after_us = task_retry_after_us(task)});
}

/* One cause decides what the caller is told; after the first piece the stream is lost whatever it was. */
static void answer_end(Call *call, const Task *task, bool sent) {
  const TaskFailure *deciding = task_deciding(task);
  Cause cause = deciding ? deciding->cause : CAUSE_UNAVAILABLE;
  unsigned http_status = cause_http_status(cause);

  /* What a provider says of the caller's request is passed on as it is; of its own troubles only the class. */
  if (cause_status(cause) == STATUS_REFUSED && deciding->http_status >= 400 && deciding->http_status < 500)
    http_status = deciding->http_status;
  answer_fault(call, task, sent ? STATUS_STREAM_LOST : cause_status(cause), http_status);
}

/* The last visit of all answers, so that the caller hears why and not of a loop. */
static void hand_on(Call *call, const Task *task) {
  _cleanup_(buffer_done) Buffer annotations = {0};
  CallTarget targets[LIMIT_FORWARD_TARGETS];
  Text services[LIMIT_FORWARD_TARGETS];
  size_t count = task_list_services(task, services);

  if (call_hop(call) >= LIMIT_HOPS) {
    answer_end(call, task, false);
    return;
  }
  for (size_t i = 0; i < count; i++)
    targets[i] = (CallTarget){services[i], call_method(call)};
  task_put_annotations(task, &annotations);
  call_forward(call, targets, count, buffer_bytes(&annotations));
}

bool executor_begin(Executor *executor, Call *call, Text model, Task *ret) {
  if (task_begin(ret, executor->service, call_annotations(call), model) == TASK_TRY)
    return true;
  answer_end(call, ret, false);
  return false;
}

static bool is_larger(void *userdata, const char *a, const char *b) {
  const Executor *executor = userdata;
  const ConfigModel *model_a = config_find_model(executor->config, a);
  const ConfigModel *model_b = config_find_model(executor->config, b);

  return model_a && model_b && model_b->context_tokens > model_a->context_tokens;
}

bool executor_has_next(Executor *executor, const Task *task, Cause cause) {
  return task_has_next(task, cause, is_larger, executor);
}

bool executor_fail(Executor *executor, Call *call, Task *task, const Fault *fault, const ExecutorEnd *end) {
  if (fault->cause != CAUSE_UNAVAILABLE)
    settle(executor, call, task, cause_counts(fault->cause) ? "failed" : "refused", cause_name(fault->cause), end);
  switch (task_fail(task, fault, end->tries ? end->tries : 1, end->sent, is_larger, executor)) {
  case TASK_TRY:
    return true;
  case TASK_HAND_ON:
    hand_on(call, task);
    return false;
  case TASK_END:
  default:
    answer_end(call, task, end->sent);
    return false;
  }
}

void executor_unwanted(Executor *executor, Call *call, const Task *task, const ExecutorEnd *end) {
  settle(executor, call, task, "cancelled", NULL, end);
  if (clock_monotonic_us() >= call_deadline_us(call))
    call_error(call, STATUS_DEADLINE, "%s was not done before the deadline; ask with a longer one", task_model(task));
  else
    call_error(call, STATUS_CANCELLED, "nobody waits for it any more");
}

/* --- the reply --- */

void executor_done(Executor *executor, Call *call, const Task *task, const ExecutorEnd *end, ChatFailure *failures,
                   WorkDone *ret) {
  *ret = (WorkDone){.model = text_of(task_model(task)),
                    .has_provider = end->provider.size > 0,
                    .provider = end->provider,
                    .executor = call_instance(call),
                    .usage = end->usage,
                    .took_us = clock_monotonic_us() - end->began_us,
                    .failures = {failures, task_list_failures(task, failures)}};
  ret->has_cost_nano_usd = cost_of(executor_config(executor, task), &end->usage, &ret->cost_nano_usd);
  settle(executor, call, task, "done", NULL, end);
}

/* The two contracts have these fields under the same names. */
#define IN_BOTH_REPLIES                                                                                                \
  .model = done.model, .has_provider = done.has_provider, .provider = done.provider, .executor = done.executor,        \
  .usage = done.usage, .has_cost_nano_usd = done.has_cost_nano_usd, .cost_nano_usd = done.cost_nano_usd,               \
  .took_us = done.took_us, .failures = {failures, done.failures.count}

void executor_reply(Executor *executor, Call *call, const Task *task, const ExecutorEnd *end) {
  ChatFailure failures[TASK_FAILURES_MAX];
  WorkDone done;

  executor_done(executor, call, task, end, failures, &done);
  if (text_is(call_method(call), "embed"))
    call_reply(call, &(EmbedReply){.response = end->response, IN_BOTH_REPLIES});
  else
    call_reply(call, &(ChatReply){.has_response = end->response.size > 0,
                                  .response = end->response,
                                  .has_first_us = end->first_us > 0,
                                  .first_us = end->first_us > end->began_us ? end->first_us - end->began_us : 0,
                                  IN_BOTH_REPLIES});
}

#undef IN_BOTH_REPLIES
