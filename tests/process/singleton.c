/* An agent of which one serves at a time, for test_singletons.py: while it holds its lease it appends a line to SINGLETON_LOG every few
   milliseconds, "time epoch counter pid", as a holder that writes to what the lease guards. */
#include "bus/agent/agent.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EVERY_US = 2000 };

typedef struct Writer {
  Runtime *runtime;
  LoopTimer *timer;
  int fd;
} Writer;

static void write_line(const Writer *writer) {
  uint64_t now_us = clock_monotonic_us();
  LeaseToken token;
  char line[96];
  int n;

  if (!runtime_holds(writer->runtime, &token))
    return;
  n = snprintf(line, sizeof line, "%llu %llu %llu %d\n", (unsigned long long)now_us, (unsigned long long)token.epoch,
               (unsigned long long)token.counter, (int)getpid());
  if (write(writer->fd, line, (size_t)n) != n)
    abort();
}

static void on_timer(void *userdata, uint64_t now_us) {
  Writer *writer = userdata;

  write_line(writer);
  loop_timer_set(writer->timer, now_us + EVERY_US);
}

static void on_lease(Runtime *runtime, bool held) {
  Writer *writer = runtime_state(runtime);

  loop_timer_set(writer->timer, held ? 0 : TIME_NEVER);
}

static int init(Runtime *runtime) {
  static Writer writer;
  const char *path = getenv("SINGLETON_LOG");

  writer.runtime = runtime;
  writer.fd = open(path ? path : "/dev/null", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  runtime_set_state(runtime, &writer);
  return loop_timer_new(runtime_loop(runtime), on_timer, &writer, &writer.timer);
}

static void done(Runtime *runtime) {
  Writer *writer = runtime_state(runtime);

  loop_timer_destroy(&writer->timer);
  close(writer->fd);
}

AGENT_HANDLER(on_say, Call *call, const EchoSay *say) {
  call_reply(call, &(EchoSaid){.text = say->text, .instance = call_instance(call)});
}

AGENT_HANDLER(on_work, Call *call, const EchoWork *work) {
  bool whole;

  fprintf(stderr, "begun\n"); /* for who waits for it */
  whole = call_wait(call, work->wait_ms * 1000);
  if (whole && runtime_holds(call_runtime(call), NULL))
    call_reply(call, &(EchoWorked){.instance = call_instance(call), .done = 1});
  else
    call_error(call, STATUS_REFUSED, "the lease is lost");
}

static const Agent agent = {
    .name = "singleton",
    .about = "writes while it is the only one",
    .services = AGENT_SERVICES(
        {"echo", .methods = AGENT_METHODS({"say", on_say, .inline_ = true}, {"work", .handler = on_work})}),
    .singleton = "guarded",
    .may_double = true,
    .on_lease = on_lease,
    .init = init,
    .done = done};
PONS_AGENT(agent)
