#include "agents/executor/task.h"

#include <stdio.h>

/* Copies as much as fits, without cutting a character of UTF-8 in two. */
static void copy(char *ret, size_t room, Text text) {
  size_t size = min_u64(text.size, room - 1);

  while (size < text.size && size > 0 && ((uint8_t)text.data[size] & 0xc0) == 0x80)
    size--;
  if (size)
    memcpy(ret, text.data, size);
  ret[size] = '\0';
}

#define COPY(member, text) copy(member, sizeof(member), text)

static void add_candidate(Task *task, Text model, Text executor) {
  if (task->n_candidates == TASK_CANDIDATES_MAX)
    return;
  COPY(task->candidates[task->n_candidates].model, model);
  COPY(task->candidates[task->n_candidates].executor, executor);
  task->n_candidates++;
}

/* The list is longer than the candidates, but a route may have come from anybody: the first causes stay. */
static void add_failure(Task *task, Text model, const Fault *fault, uint32_t tries) {
  TaskFailure *failure = &task->failures[task->n_failures];

  if (task->n_failures == TASK_FAILURES_MAX)
    return;
  COPY(failure->model, model);
  COPY(failure->message, fault->message);
  COPY(failure->code, fault->code);
  failure->cause = fault->cause;
  failure->http_status = fault->http_status;
  failure->retry_after_us = fault->retry_after_us;
  failure->tries = tries;
  task->n_failures++;
}

static void read_route(Task *task, const ChatRoute *route) {
  COPY(task->size, route->size);
  COPY(task->profile, route->profile);
  COPY(task->latency, route->latency);
  COPY(task->sticky, route->sticky);
  task->has_tokens = route->has_tokens;
  task->tokens = route->tokens;
  for (size_t i = 0; i < route->candidates.count; i++)
    add_candidate(task, route->candidates.items[i].model, route->candidates.items[i].executor);
  for (size_t i = 0; i < route->failures.count; i++) {
    const ChatFailure *failure = &route->failures.items[i];

    add_failure(task, failure->model,
                &(Fault){.cause = cause_of_name(failure->cause),
                         .message = failure->message,
                         .code = failure->code,
                         .http_status = (unsigned)failure->http_status,
                         .retry_after_us = failure->retry_after_us},
                failure->has_tries ? (uint32_t)failure->tries : 1);
  }
  task->now = (uint32_t)min_u64(route->next, task->n_candidates);
}

static bool is_ours(const Task *task) {
  return strcmp(task->candidates[task->now].executor, task->service) == 0;
}

TaskStep task_begin(Task *task, Text service, Bytes annotations, Text model) {
  static const Fault nobody = {.cause = CAUSE_UNAVAILABLE,
                               .message = TEXT("its executor has no instance that could begin")};
  _cleanup_(arena_done) Arena arena = {0};
  ChatRoute route = {.next = 0};

  memset(task, 0, sizeof *task);
  COPY(task->service, service);
  if (annotations.size > 0 && contract_decode(CONTRACT(ChatRoute), annotations, &arena, &route, NULL) == 0)
    read_route(task, &route);
  if (task->n_candidates == 0)
    add_candidate(task, model, service);
  for (; task->now < task->n_candidates && !is_ours(task); task->now++)
    add_failure(task, text_of(task->candidates[task->now].model), &nobody, 1);
  return task->now < task->n_candidates ? TASK_TRY : TASK_END;
}

void task_add(Task *task, Text model) {
  for (uint32_t i = 0; i < task->n_candidates; i++)
    if (text_is(model, task->candidates[i].model) && strcmp(task->candidates[i].executor, task->service) == 0)
      return;
  add_candidate(task, model, text_of(task->service));
}

/* --- the next one --- */

/* The failure that is added next decides what the caller is told. */
static void note_deciding(Task *task, const Fault *fault) {
  task->deciding = task->n_failures;
  task->has_detail = true;
  COPY(task->detail_message, fault->message);
  COPY(task->detail_param, fault->param);
}

/* The candidate that may follow the one that fails by cause; n_candidates when there is none. */
static uint32_t find_next(const Task *task, Cause cause, TaskLarger *larger, void *userdata) {
  const char *failed = task->candidates[task->now].model;
  CauseNext next = cause_next(cause);

  for (uint32_t i = task->now + 1; next != CAUSE_NEXT_NEVER && i < task->n_candidates; i++)
    if (next == CAUSE_NEXT_ALWAYS || (larger && larger(userdata, failed, task->candidates[i].model)))
      return i;
  return task->n_candidates;
}

bool task_has_next(const Task *task, Cause cause, TaskLarger *larger, void *userdata) {
  return find_next(task, cause, larger, userdata) < task->n_candidates;
}

TaskStep task_fail(Task *task, const Fault *fault, uint32_t tries, bool sent, TaskLarger *larger, void *userdata) {
  if (task->n_failures == 0 || (cause_next(fault->cause) == CAUSE_NEXT_NEVER && task->n_failures < TASK_FAILURES_MAX))
    note_deciding(task, fault);
  add_failure(task, text_of(task->candidates[task->now].model), fault, tries);
  if (sent)
    return TASK_END;
  task->now = find_next(task, fault->cause, larger, userdata);
  if (task->now == task->n_candidates)
    return TASK_END;
  return is_ours(task) ? TASK_TRY : TASK_HAND_ON;
}

void task_note(Task *task, const Fault *fault, uint32_t tries) {
  add_failure(task, text_of(task->candidates[task->now].model), fault, tries);
}

const TaskFailure *task_deciding(const Task *task) {
  return task->n_failures > 0 ? &task->failures[task->deciding] : NULL;
}

uint64_t task_retry_after_us(const Task *task) {
  const TaskFailure *deciding = task_deciding(task);
  uint64_t soonest = 0;

  if (!deciding || cause_whose(deciding->cause) == CAUSE_WHOSE_CALLER)
    return 0;
  for (uint32_t i = 0; i < task->n_failures; i++) {
    uint64_t after = task->failures[i].retry_after_us;

    if (after > 0 && (soonest == 0 || after < soonest))
      soonest = after;
  }
  return soonest;
}

/* --- what travels on --- */

static bool has_service(const Text *list, size_t count, Text service) {
  for (size_t i = 0; i < count; i++)
    if (text_equal(list[i], service))
      return true;
  return false;
}

size_t task_list_services(const Task *task, Text *ret) {
  size_t count = 0;

  for (uint32_t i = task->now; i < task->n_candidates && count < LIMIT_FORWARD_TARGETS - 1; i++)
    if (!has_service(ret, count, text_of(task->candidates[i].executor)))
      ret[count++] = text_of(task->candidates[i].executor);
  if (!has_service(ret, count, text_of(task->service)))
    ret[count++] = text_of(task->service);
  return count;
}

/* Borrows from failure. */
static ChatFailure tell(const TaskFailure *failure) {
  return (ChatFailure){
      .model = text_of(failure->model),
      .cause = text_of(cause_name(failure->cause)),
      .message = text_of(failure->message),
      .has_http_status =
          failure->http_status >= 100 &&
          failure->http_status<600, .http_status = failure->http_status, .has_code = *failure->code != '\0',
                               .code = text_of(failure->code), .has_retry_after_us = failure->retry_after_us> 0,
      .retry_after_us = failure->retry_after_us,
      .has_tries = failure->tries > 1,
      .tries = failure->tries};
}

size_t task_list_failures(const Task *task, ChatFailure ret[TASK_FAILURES_MAX]) {
  for (uint32_t i = 0; i < task->n_failures; i++)
    ret[i] = tell(&task->failures[i]);
  return task->n_failures;
}

/* How much of a task is to travel. */
typedef struct Extent {
  size_t message_bytes;
  uint32_t n_candidates;
  uint32_t n_failures;
} Extent;

/* Failure number i as it travels, with so much of its message. Of the first one the code is never left out. */
static ChatFailure travelling(const TaskFailure *failure, uint32_t i, size_t message_bytes,
                              char message[TASK_MESSAGE_BYTES + 1]) {
  ChatFailure ret = tell(failure);

  copy(message, message_bytes + 1, ret.message);
  ret.message = text_of(message);
  ret.has_code &= i == 0 || message_bytes > 0;
  return ret;
}

/* Encodes so much of it; returns the size. */
static size_t put(const Task *task, Extent extent, Buffer *ret) {
  ChatCandidate candidates[TASK_CANDIDATES_MAX];
  ChatFailure failures[TASK_FAILURES_MAX];
  char messages[TASK_FAILURES_MAX][TASK_MESSAGE_BYTES + 1];
  size_t before = ret->size;
  ChatRoute route = {
      .has_size = *task->size != '\0',
      .size = text_of(task->size),
      .has_profile = *task->profile != '\0',
      .profile = text_of(task->profile),
      .has_latency = *task->latency != '\0',
      .latency = text_of(task->latency),
      .has_tokens = task->has_tokens,
      .tokens = task->tokens,
      .has_candidates = true,
      .candidates = {candidates, extent.n_candidates},
      .has_next = true,
      .next = task->now,
      .has_failures = extent.n_failures > 0,
      .failures = {failures, extent.n_failures},
      .has_sticky = *task->sticky != '\0',
      .sticky = text_of(task->sticky),
  };

  for (uint32_t i = 0; i < extent.n_candidates; i++)
    candidates[i] = (ChatCandidate){text_of(task->candidates[i].model), text_of(task->candidates[i].executor)};
  for (uint32_t i = 0; i < extent.n_failures; i++)
    failures[i] = travelling(&task->failures[i], i, extent.message_bytes, messages[i]);
  if (contract_encode(CONTRACT(ChatRoute), &route, ret, NULL) != 0)
    ret->size =
        before; /* a message was no UTF-8: then nothing travels, and the executor sees a request without a route */
  return ret->size - before;
}

void task_put_annotations(const Task *task, Buffer *ret) {
  Extent extent = {TASK_MESSAGE_BYTES, task->n_candidates, task->n_failures};
  size_t before = ret->size;

  while (put(task, extent, ret) > LIMIT_ANNOTATIONS_BYTES) {
    ret->size = before;
    if (extent.message_bytes > 0)
      extent.message_bytes /= 2;
    else if (extent.n_candidates > task->now + 1)
      extent.n_candidates--;
    else
      extent.n_failures--; /* the next candidate and the first cause alone are far below the limit */
  }
}

/* One failure with what is in front of it. */
static void put_failure(const Task *task, uint32_t i, const char *before, Buffer *ret) {
  const TaskFailure *failure = &task->failures[i];
  const char *message = i == task->deciding && task->has_detail ? task->detail_message : failure->message;

  buffer_printf(ret, "%s%s: %s", before, failure->model, *message ? message : cause_about(failure->cause));
  if (failure->tries > 1)
    buffer_printf(ret, " (%u tries)", failure->tries);
}

void task_put_sentence(const Task *task, Buffer *ret) {
  const char *before = task->deciding > 0 ? "; tried before it: " : "; tried after it: ";

  if (task->n_failures == 0) {
    buffer_printf(ret, "no candidate of this request belongs to %s", task->service);
    return;
  }
  put_failure(task, task->deciding, "", ret);
  for (uint32_t i = 0; i < task->n_failures; i++) {
    if (i == task->deciding)
      continue;
    put_failure(task, i, before, ret);
    before = "; ";
  }
}
