/* What:      one request at an executor: its candidates, what has failed so far, and what follows from the next failure.
 * Owns:      copies of all texts; a Task is one value without pointers to elsewhere.
 * May use:   base, wire, contracts; cause.
 * Threading: one thread; pure.
 * Spec:      docs/adr/0018-executors.md */
#ifndef PONS_EXECUTOR_TASK_H
#define PONS_EXECUTOR_TASK_H

#include "agents/contracts/cause.h"
#include "agents/contracts/contracts.h"

enum {
  TASK_CANDIDATES_MAX = 6,
  TASK_FAILURES_MAX = 6,
  TASK_MODEL_BYTES = 128,
  TASK_MESSAGE_BYTES = 200,
  TASK_CODE_BYTES = 64,
};

typedef struct TaskCandidate {
  char model[TASK_MODEL_BYTES + 1];
  char executor[LIMIT_NAME_BYTES + 1];
} TaskCandidate;

typedef struct TaskFailure {
  char model[TASK_MODEL_BYTES + 1];
  char message[TASK_MESSAGE_BYTES + 1];
  char code[TASK_CODE_BYTES + 1];
  Cause cause;
  unsigned http_status;
  uint64_t retry_after_us;
  uint32_t tries; /* 1 or more */
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
  bool has_detail;   /* it was ours, and detail_* hold what does not travel */
  char detail_message[1025];
  char detail_param[257];
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
/* A further candidate of ours, behind all others; one that is there already, or one too many, is left out. */
void task_add(Task *task, Text model);
/* Whether the context of candidate b is larger than that of a. */
typedef bool TaskLarger(void *userdata, const char *a, const char *b);

/* Whether another candidate may do it when the one that is being tried fails by cause. larger: NULL = never. */
bool task_has_next(const Task *task, Cause cause, TaskLarger *larger, void *userdata);
/* The candidate that was being tried has failed, after so many tries. sent: pieces of its answer are out, so nobody else may
   begin. TASK_TRY, TASK_HAND_ON, TASK_END. */
TaskStep task_fail(Task *task, const Fault *fault, uint32_t tries, bool sent, TaskLarger *larger, void *userdata);
/* After TASK_HAND_ON: the services of the candidates from task->now on in their order, each once, and at the end the own
   one: when none of the others can begin, the request comes back and ends with its first cause. ret has room for
   LIMIT_FORWARD_TARGETS; the texts borrow from task. Returns how many, at least 2. */
size_t task_list_services(const Task *task, Text *ret);
/* What has failed so far, borrowed from task. Returns how many. */
size_t task_list_failures(const Task *task, ChatFailure ret[TASK_FAILURES_MAX]);
/* Appends the annotations for the next one, at most LIMIT_ANNOTATIONS_BYTES: messages are cut, then late candidates and late
   failures are left out. The first cause always travels. */
void task_put_annotations(const Task *task, Buffer *ret);
/* The candidate that is being tried has failed so many times and did it then: who reads the answer is told. */
void task_note(Task *task, const Fault *fault, uint32_t tries);
/* The failure that decides what the caller is told; NULL when there was none. */
const TaskFailure *task_deciding(const Task *task);
/* When the caller may come again: the soonest that any provider named, for each of them would do; 0 = nobody did, or the
   mistake is the caller's. */
uint64_t task_retry_after_us(const Task *task);
/* Appends what the caller is to be told at the end: the deciding cause first, then the others. */
void task_put_sentence(const Task *task, Buffer *ret);

#endif
