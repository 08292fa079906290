/* The load's own process. Requests are due at fixed times, whatever the answers do, and each is timed from when it was due. */
#include "bus/drill/load-internal.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agents/contracts/contracts.h"
#include "bus/client/client.h"

enum { OPEN_US = 10000000, SECOND_US = 3000000, LEAST_TURN_US = 200, DRAIN_US = 2000000 };

typedef struct Work {
  const LoadOptions *options;
  LoadShared *shared;
  uint32_t room;
  int line;
  Loop *loop;
  Client *client;
  LoopTimer *timer;
  LoopFd *watch;
  Buffer body;
  Ask ask;
  const MethodContract *method;
  struct Slot *slots;
  uint64_t start_us; /* 0 = not told yet */
  uint32_t ended;
  bool over; /* what ends from now on was lost */
} Work;

/* One request, and who is told of its end. */
typedef struct Slot {
  Work *work;
  LoadSample *sample;
} Slot;

static const char chat_json[] = "{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"Who are you?\"}]}";

static int fail(Work *work, const char *what, int r) {
  snprintf(work->shared->error, sizeof work->shared->error, "the load at %s %s%s%s", work->options->name, what,
           r < 0 ? ": " : "", r < 0 ? strerror(-r) : "");
  return EXIT_FAILURE;
}

/* --- answers --- */

static void note_instance(LoadShared *shared, Text name, uint64_t done) {
  LoadInstance *instance = shared->instances;

  while (instance < shared->instances + shared->instance_count && !text_is(name, instance->name))
    instance++;
  if (instance == shared->instances + LOAD_INSTANCES_MAX)
    return;
  if (instance == shared->instances + shared->instance_count) {
    shared->instance_count++;
    snprintf(instance->name, sizeof instance->name, "%.*s", TEXT_ARG(name));
  }
  instance->done = max_u64(instance->done, done);
}

static void note_answer(Work *work, const Answer *answer, LoadSample *sample) {
  _cleanup_(arena_done) Arena arena = {0};
  EchoWorked worked;
  ChatReply reply;

  if (work->options->kind == LOAD_ONCE && answer_decode(work->method, answer, &arena, &worked, NULL) == 0)
    note_instance(work->shared, worked.instance, worked.done);
  if (work->options->kind == LOAD_CHAT && answer_decode(work->method, answer, &arena, &reply, NULL) == 0)
    sample->inside_us = (uint32_t)min_u64(reply.took_us, UINT32_MAX);
}

static void on_end(void *userdata, const Answer *answer) {
  Slot *slot = userdata;

  if (slot->work->over)
    return;
  slot->sample->end_us = clock_monotonic_us();
  slot->sample->status = (uint8_t)answer->status;
  if (answer->status == STATUS_OK)
    note_answer(slot->work, answer, slot->sample);
  slot->work->ended++;
}

/* --- questions --- */

static void ask_next(Work *work) {
  uint32_t number = work->shared->asked++;
  LoadSample *sample = &work->shared->samples[number];
  Slot *slot = &work->slots[number];

  *sample = (LoadSample){.due_us = work->start_us + number * US_PER_S / work->options->rate, .status = LOAD_UNANSWERED};
  *slot = (Slot){work, sample};
  if (client_ask(work->client, &work->ask, &(AskHandler){.on_end = on_end, .userdata = slot}, NULL) < 0)
    abort(); /* on the loop thread it takes every request */
}

static void on_due(void *userdata, uint64_t now_us) {
  Work *work = userdata;
  uint64_t last_us = atomic_load(&work->shared->last_us);
  uint64_t until_us = last_us ? min_u64(now_us, last_us) : now_us;
  uint64_t due = until_us < work->start_us ? 0 : (until_us - work->start_us) * work->options->rate / US_PER_S + 1;

  while (work->shared->asked < min_u64(due, work->room))
    ask_next(work);
  if (until_us < now_us)
    work->room = work->shared->asked; /* that was all */
  if (work->shared->asked < work->room)
    loop_timer_set(work->timer, max_u64(now_us + LEAST_TURN_US, work->start_us + due * US_PER_S / work->options->rate));
}

static int make_question(Work *work) {
  static const Text targets[][2] = {[LOAD_ONCE] = {TEXT("echo"), TEXT("work")},
                                    [LOAD_IDEMPOTENT] = {TEXT("echo"), TEXT("say")},
                                    [LOAD_CHAT] = {TEXT("RequestCoordinator"), TEXT("chat")}};
  const EchoWork once = {0};
  const EchoSay say = {.text = TEXT("drill")};
  const ChatAsk chat = {.request = TEXT(chat_json)};
  const void *const requests[] = {[LOAD_ONCE] = &once, [LOAD_IDEMPOTENT] = &say, [LOAD_CHAT] = &chat};
  LoadKind kind = work->options->kind;
  int r;

  work->method = contract_find(targets[kind][0], targets[kind][1]);
  r = ask_encode(work->method, requests[kind], &work->body, &work->ask, NULL);
  work->ask.stream = false;
  work->ask.attempts = 1; /* the client's own retries would hide what the bus does */
  work->ask.deadline_us = work->options->deadline_us;
  return r;
}

/* --- from fork to exit --- */

static bool is_with_all(void *userdata) {
  const Work *work = userdata;

  return client_stats(work->client).sessions >= (strchr(work->options->endpoints, ';') ? 2 : 1);
}

static bool has_begun(void *userdata) {
  const Work *work = userdata;

  return work->start_us != 0;
}

static bool is_over(void *userdata) {
  const Work *work = userdata;

  return work->ended == work->room;
}

static void on_line(void *userdata, int fd, uint32_t revents _unused_) {
  Work *work = userdata;

  if (read(fd, &work->start_us, sizeof work->start_us) != (ssize_t)sizeof work->start_us)
    loop_stop(work->loop, EXIT_FAILURE); /* who started us is gone */
}

static int connect_all(Work *work) {
  int r = loop_new(&work->loop);

  if (r == 0)
    r = loop_timer_new(work->loop, on_due, work, &work->timer);
  if (r == 0)
    r = loop_watch_fd(work->loop, work->line, EPOLLIN, on_line, work, &work->watch);
  if (r == 0)
    r = client_new(
        work->loop,
        &(ClientOptions){
            .endpoint = work->options->endpoints, .agent = TEXT("pons"), .key = work->options->key, .attempts = 1},
        &work->client);
  if (r == 0)
    r = client_wait_open(work->client, OPEN_US);
  /* One broker alone will do: a drill may be about that. */
  if (r == 0)
    loop_run_until(work->loop, is_with_all, work, clock_monotonic_us() + SECOND_US);
  return r;
}

static int ask_all(Work *work) {
  uint64_t end_us;

  if (write(work->line, "r", 1) != 1 || loop_run_until(work->loop, has_begun, work, TIME_NEVER) < 0)
    return EXIT_FAILURE;
  loop_timer_set(work->timer, work->start_us);
  end_us = work->start_us + work->options->length_us + work->options->deadline_us + DRAIN_US;
  loop_run_until(work->loop, is_over, work, end_us);
  return EXIT_SUCCESS;
}

int load_work(const LoadOptions *options, LoadShared *shared, uint32_t room, int line) {
  Work work = {.options = options, .shared = shared, .room = room, .line = line};
  int r;

  loop_block_signals();
  work.slots = calloc(room ? room : 1, sizeof *work.slots);
  if (!work.slots)
    abort();
  if (options->net >= 0 && setns(options->net, CLONE_NEWNET) < 0)
    return fail(&work, "can't enter its network", -errno);
  if (make_question(&work))
    return fail(&work, "has a request that does not fit its contract", 0);
  r = connect_all(&work);
  if (r < 0)
    return fail(&work, "finds no broker", r);
  r = ask_all(&work);
  work.over = true;
  client_destroy(&work.client);
  loop_fd_destroy(&work.watch);
  loop_timer_destroy(&work.timer);
  loop_destroy(&work.loop);
  buffer_done(&work.body);
  free(work.slots);
  return r;
}
