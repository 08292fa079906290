/* What:      what all executors share: which candidate is to be tried, what follows from a failure, the reply, the settlement.
 * Owns:      the queue of settlements; a Task belongs to whoever serves the call.
 * May use:   base, loop, config, client, agent, contracts; task, settle.
 * Threading: the loop thread.
 * Spec:      docs/adr/0018-executors.md
 *
 * The life of a call at an executor:
 *
 *   if (!executor_begin(executor, call, model, &task))
 *     return;                                      the call has been answered
 *   again:
 *   ... task_model(&task) does the work ...
 *   done:    executor_reply(executor, call, &task, &end)
 *   failed:  if (executor_fail(executor, call, &task, &fault, end)) goto again; else the call has been answered
 *   unwanted: executor_unwanted(executor, call, &task, end) */
#ifndef PONS_EXECUTOR_EXECUTOR_H
#define PONS_EXECUTOR_EXECUTOR_H

#include "agents/executor/settle.h"
#include "agents/executor/task.h"
#include "bus/agent/agent.h"
#include "bus/config/config.h"

typedef struct Executor Executor;

/* What is known of a visit when it ends. */
typedef struct ExecutorEnd {
  Text response;     /* the JSON, or empty after a stream */
  Text provider;     /* may be empty */
  ChatUsage usage;   /* all zero: nothing is known */
  uint64_t began_us; /* monotonic */
  uint64_t first_us; /* monotonic, of the first output; 0 = there was none */
  bool sent;         /* pieces are out */
  uint32_t tries;    /* how often the candidate was asked; 0 = once */
} ExecutorEnd;

/* service is the name that this process offers. config and runtime outlive it. Returns 0 and the caller owns *ret, or
   negative errno. */
int executor_new(Runtime *runtime, const Config *config, Text service, Executor **ret);
/* Takes NULL, nulls the pointer. Usable as _cleanup_. */
void executor_destroy(Executor **executor);

/* Reads what was decided for call; model is what its JSON names, or what is done without a route. Returns true: the candidate
   task_model is to be tried. False: none of the candidates is ours, and the call has been answered. */
bool executor_begin(Executor *executor, Call *call, Text model, Task *ret);
/* The model that is to be tried; lives as long as the task. */
static inline const char *task_model(const Task *task) {
  return task->candidates[task->now].model;
}
/* Its row in the model table of this machine, or NULL. */
const ConfigModel *executor_config(const Executor *executor, const Task *task);

/* Whether another candidate, here or elsewhere, may do it when this one fails by cause. */
bool executor_has_next(Executor *executor, const Task *task, Cause cause);
/* The candidate has failed. Returns true when another one is to be tried here; false: the call was handed on or answered
   with the first cause. */
bool executor_fail(Executor *executor, Call *call, Task *task, const Fault *fault, const ExecutorEnd *end);
/* The work is done: answers with ChatReply (embed: EmbedReply). */
void executor_reply(Executor *executor, Call *call, const Task *task, const ExecutorEnd *end);
/* The same for other work: settles it and fills *ret for a reply that the caller makes. failures has room for
   TASK_FAILURES_MAX; texts borrow from call, task and end. */
void executor_done(Executor *executor, Call *call, const Task *task, const ExecutorEnd *end, ChatFailure *failures,
                   WorkDone *ret);
/* Nobody waits any more: answers CANCELLED, or DEADLINE when that has come. */
void executor_unwanted(Executor *executor, Call *call, const Task *task, const ExecutorEnd *end);

#endif
