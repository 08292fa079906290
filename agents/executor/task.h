/* What:      one request at an executor: its candidates, what has failed so far, and what follows from the next failure.
 * Owns:      copies of all texts; a Task is one value without pointers to elsewhere.
 * May use:   base, wire, contracts; cause.
 * Threading: one thread; pure.
 * Spec:      docs/adr/0018-executors.md */
#ifndef PONS_EXECUTOR_TASK_H
#define PONS_EXECUTOR_TASK_H

#include "agents/contracts/cause.h"
#include "agents/contracts/contracts.h"

enum { TASK_CANDIDATES_MAX = 6, TASK_FAILURES_MAX = 6, TASK_MODEL_BYTES = 128, TASK_MESSAGE_BYTES = 200 };

typedef struct TaskCandidate {
  char model[TASK_MODEL_BYTES + 1];
  char executor[LIMIT_NAME_BYTES + 1];
} TaskCandidate;

typedef struct TaskFailure {
  char model[TASK_MODEL_BYTES + 1];
  char message[TASK_MESSAGE_BYTES + 1];
  Cause cause;
  unsigned http_status;
} TaskFailure;

typedef enum TaskStep {
  TASK_TRY,     /* task->candidates[task->now] is to be tried here */
  TASK_HAND_ON, /* it belongs to another service: forward, with task_put_annotations */
  TASK_END,     /* nobody is left, or nobody may: answer with task_fault */
} TaskStep;

typedef struct Task {
  char service[LIMIT_NAME_BYTES + 1]; /* ours */
  TaskCandidate candidates[TASK_CANDIDATES_MAX];
  TaskFailure failures[TASK_FAILURES_MAX];
  uint32_t n_candidates;
  uint32_t n_failures;
  uint32_t now;
  uint32_t deciding; /* the failure that the caller is told first: the first, but for a mistake of his own after it */
  bool has_detail;   /* it was ours, and detail_* hold the rest of it */
  char detail_message[1025];
  char detail_code[65];
  char detail_param[257];
  unsigned detail_http_status;
  uint64_t detail_retry_after_us;
  bool has_tokens; /* the rest of the route, which travels on as it came */
  uint64_t tokens;
  char size[16];
  char profile[16];
  char latency[16];
  char sticky[65];
} Task;

/* Reads the annotations of a request that came to service. Without any (or without candidates in them) the one candidate
   is model at this service. Candidates before the first of ours are counted as unavailable: the broker found no
   instance of theirs. Returns TASK_TRY, or TASK_END when none of them is ours. */
TaskStep task_begin(Task *task, Text service, Bytes annotations, Text model);
/* The candidate that was being tried has failed. sent: pieces of its answer are out, so nobody else may begin. larger says
   whether the context of candidate b is larger than that of a (userdata is its first argument); NULL = never.
   TASK_TRY, TASK_HAND_ON, TASK_END. */
TaskStep task_fail(Task *task, const Fault *fault, bool sent,
                   bool (*larger)(void *userdata, const char *a, const char *b), void *userdata);
/* After TASK_HAND_ON: the services of the candidates from task->now on in their order, each once, and at the end the own
   one: when none of the others can begin, the request comes back and ends with its first cause. ret has room for
   LIMIT_FORWARD_TARGETS; the texts borrow from task. Returns how many, at least 2. */
size_t task_list_services(const Task *task, Text *ret);
/* Appends the annotations for the next one, at most LIMIT_ANNOTATIONS_BYTES: messages are cut, then late candidates and late
   failures are left out. The first cause always travels. */
void task_put_annotations(const Task *task, Buffer *ret);
/* Appends what the caller is to be told at the end: the deciding cause first, then the others. */
void task_put_sentence(const Task *task, Buffer *ret);

#endif
