/* The main function of every agent. */
#include "bus/agent/agent.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/agent/agent-internal.h"
#include "bus/loop/crash.h"
#include "bus/loop/journal.h"
#include "bus/loop/notify.h"

enum { EXIT_USAGE = 2, FLUSH_MS = 200 };

/* The first asks for a drain; the second does not wait for anything, handlers on threads included. */
static void on_stop_signal(void *userdata, int signo) {
  Runtime *runtime = userdata;

  if (runtime->phase == PHASE_SERVING) {
    log_info("PONS-AGENT-STOPPING", "%s: signal %d: finishes %u calls, takes nothing new", runtime->instance, signo,
             runtime->held);
    runtime_drain(runtime);
    return;
  }
  log_warning("PONS-AGENT-STOPPED", "%s: signal %d again: stops with %u calls unanswered", runtime->instance, signo,
              runtime->held);
  log_flush(FLUSH_MS);
  _exit(EXIT_FAILURE);
}

static int set_up(Runtime *runtime) {
  int r = loop_on_signal(runtime->loop, SIGTERM, on_stop_signal, runtime);

  if (r == 0)
    r = loop_on_signal(runtime->loop, SIGINT, on_stop_signal, runtime);
  if (r == 0)
    r = watchdog_start(runtime->loop);
  if (r == 0 && runtime->agent->init)
    r = runtime->agent->init(runtime);
  return r;
}

static int run(const Agent *agent, const AgentOptions *options) {
  Runtime *runtime = NULL;
  int status;
  int r = runtime_new(agent, options, &runtime);

  if (r == 0)
    r = set_up(runtime);
  if (r < 0) {
    log_error("PONS-AGENT-START", "%s can't start with the broker at %s: %s", options->name, options->endpoint,
              strerror(-r));
    runtime_destroy(&runtime);
    return EXIT_USAGE;
  }
  status = loop_run(runtime->loop);
  if (agent->done)
    agent->done(runtime);
  runtime_destroy(&runtime);
  return status < 0 ? EXIT_FAILURE : status;
}

/* That a crash can't be recorded is no reason not to run. */
static void set_up_crash(const AgentOptions *options) {
  int r = crash_setup(options->name, options->crash_record);

  if (r < 0)
    fprintf(stderr, "%s: the crash record %s can't be made: %s; a crash is told here\n", options->name,
            options->crash_record ? options->crash_record : "", strerror(-r));
}

int agent_main(int argc, char **argv, const Agent *agent) {
  AgentOptions options;
  int status = options_read(argc, argv, agent, &options);

  if (status >= 0)
    return status;
  loop_block_signals();
  table_seed(random_u64());
  log_setup_process(options.name, options.log_level);
  set_up_crash(&options);
  return run(agent, &options);
}
