/* What:      the one thread that owns the engine, and the jobs that wait for it in their order.
 * Owns:      the thread, the engine, the jobs between desk_push and their done.
 * May use:   base, loop; engine.
 * Threading: made, pushed to and destroyed on the loop thread; work runs on the desk's thread, done on the loop thread.
 * Spec:      docs/adr/0024-libllama-at-run-time.md */
#ifndef PONS_LOCAL_DESK_H
#define PONS_LOCAL_DESK_H

#include "agents/tiny_llama_service_enhanced/engine.h"
#include "bus/base/list.h"
#include "bus/loop/loop.h"

typedef struct Desk Desk;
typedef struct DeskJob DeskJob;

/* Part of what its owner allocated. */
struct DeskJob {
  List in_desk;
  /* On the desk's thread. engine is NULL when there is none: then error is why (ENGINE_E_*) and why says it. */
  void (*work)(DeskJob *job, Engine *engine, int error, Text why);
  /* On the loop thread, after work; the job is its owner's again. */
  void (*done)(DeskJob *job);
  /* In place of done when the process ends and nothing was done, or nobody is to be told. */
  void (*drop)(DeskJob *job);
};

typedef enum DeskState { DESK_LOADING, DESK_READY, DESK_UNAVAILABLE } DeskState;

/* Begins to load the model. options are borrowed until desk_destroy; is_wanted and userdata are the desk's own. Returns 0 and
   the caller owns *ret, or negative errno. */
int desk_new(Loop *loop, const EngineOptions *options, Desk **ret);
/* Gives up on what is running, drops what waits and ends the thread, which may take as long as one step of the model. No
   callback runs afterwards. Takes NULL, nulls the pointer. Usable as _cleanup_. */
void desk_destroy(Desk **desk);

/* Puts a job behind the others. Before it is begun the model is loaded again if its file is another one now; when that fails,
   the one that was loaded before does it. */
void desk_push(Desk *desk, DeskJob *job);
/* Takes a job back that nobody has begun: true, and it is its owner's again; false when it is being worked on or done. */
bool desk_withdraw(Desk *desk, DeskJob *job);
/* False once the process is to end: long work gives up then. Any thread. */
bool desk_is_open(const Desk *desk);

/* What state the model is in, and why it can't be had, appended to why; has an unavailable one looked at again. */
DeskState desk_state(Desk *desk, Buffer *why);

#endif
