/* What:      the one loop of a process: descriptors, tasks, timers, signals, children, calls from other threads.
 * Owns:      every source that is registered with it until that source's destroy, or its own.
 * May use:   bus/base; libsystemd's sd-event (not visible outside this room).
 * Threading: everything belongs to the thread that runs the loop, except loop_post, which any thread may call.
 * Spec:      loop.c (order of one turn) */
#ifndef PONS_LOOP_LOOP_H
#define PONS_LOOP_LOOP_H

#include <sys/epoll.h>
#include <sys/types.h>

#include "bus/base/clock.h"
#include "bus/base/types.h"

typedef struct Loop Loop;
typedef struct LoopTimer LoopTimer;
typedef struct LoopTask LoopTask;
typedef struct LoopFd LoopFd;

/* Makes a loop. Returns 0 and the caller owns *ret, or negative errno (-EMFILE, -ENOMEM) and *ret is left alone. */
int loop_new(Loop **ret);
/* Frees the loop and nulls the pointer; takes NULL. Timers, tasks and descriptors are destroyed by their owners before
   that. Calls that were posted and have not run are dropped. Usable as _cleanup_. */
void loop_destroy(Loop **loop);

/* Turns until loop_stop, then once runs the turn-end hooks. Returns the code that was given to loop_stop; negative
   errno when the loop itself failed, -EBUSY from inside one of its callbacks, -ECHILD in a child made by fork. Blocks. */
int loop_run(Loop *loop);
/* Ends loop_run after the current turn. From the loop thread; other threads post a call that does it. */
void loop_stop(Loop *loop, int code);
/* Turns until done(userdata) is true, which is asked before each turn. Returns 0; -ETIMEDOUT when deadline_us (of
   CLOCK_MONOTONIC, TIME_NEVER = none) has come first; -ECANCELED after loop_stop; -EBUSY, -ECHILD as
   loop_run. For synchronous calls on the loop thread. Blocks. */
int loop_run_until(Loop *loop, bool (*done)(void *userdata), void *userdata, uint64_t deadline_us);
/* One turn that sleeps no longer than until deadline_us (0 = does not sleep). Returns 0, or negative errno as above. */
int loop_turn(Loop *loop, uint64_t deadline_us);
/* The clock of the current turn: CLOCK_MONOTONIC in microseconds, taken once when the loop woke up. */
uint64_t loop_now_us(const Loop *loop);

/* Makes a timer, not armed. on_timer runs in the first turn at or after the time that was set, with the turn's clock; the
   timer is then disarmed and may be set again or destroyed by the callback. Costs no system call at any time: the
   earliest timer is the timeout of the loop's one wait. Accuracy is the kernel's timer slack, 50 us by default.
   Returns 0 and the caller owns *ret, or -ENOMEM. */
int loop_timer_new(Loop *loop, void (*on_timer)(void *userdata, uint64_t now_us), void *userdata, LoopTimer **ret);
/* Due at at_us of CLOCK_MONOTONIC, instead of any earlier setting; TIME_NEVER disarms. A time that has passed is due in
   the next turn. */
void loop_timer_set(LoopTimer *timer, uint64_t at_us);
/* Disarms and frees; takes NULL. Usable as _cleanup_. */
void loop_timer_destroy(LoopTimer **timer);

/* Makes a task, not marked: work that descriptors find and that is done once they have all been served. Returns 0 and the caller
   owns *ret, or -ENOMEM. */
int loop_task_new(Loop *loop, void (*run)(void *userdata), void *userdata, LoopTask **ret);
/* Has run called once: in this turn when its tasks have not been run yet, else in the next, which does not sleep. run does a
   bounded piece of its work and marks the task again while something is left. */
void loop_task_mark(LoopTask *task);
/* Ends it, also from inside any callback; takes NULL. Usable as _cleanup_. */
void loop_task_destroy(LoopTask **task);

/* Watches a descriptor, level-triggered unless events has EPOLLET. events and revents are those of epoll(7). fd stays the
   caller's and is closed after the watch is destroyed. Returns 0 and the caller owns *ret; -EPERM for a plain file, -EEXIST
   when this loop watches it already, -EBADF, -ENOMEM, -ENOSPC; *ret is left alone on failure. */
int loop_watch_fd(Loop *loop, int fd, uint32_t events, void (*on_ready)(void *userdata, int fd, uint32_t revents),
                  void *userdata, LoopFd **ret);
/* Other events from now on; no system call when they are the same. Returns 0 or negative errno of epoll_ctl. */
int loop_fd_set_events(LoopFd *watch, uint32_t events);
/* Ends the watch, also from inside any callback; takes NULL. Usable as _cleanup_. */
void loop_fd_destroy(LoopFd **watch);

/* Calls hook once at the end of each turn, before the loop sleeps: the place to send what was
   packed in this turn. Hooks run in the order in which they were added. Returns 0 or -ENOMEM. */
int loop_on_turn_end(Loop *loop, void (*hook)(void *userdata), void *userdata);
/* Takes out what loop_on_turn_end put in under the same two values, also from inside a hook. */
void loop_remove_turn_end(Loop *loop, void (*hook)(void *userdata), void *userdata);

/* From any thread: fn(userdata) will run on the loop thread, in the order of posting, in its next turn. One eventfd write
   per batch. The loop outlives all threads that post to it. Returns 0 or -ENOMEM (then fn will not run). */
int loop_post(Loop *loop, void (*fn)(void *userdata), void *userdata);

/* Blocks, in the calling thread and in those that it starts, the signals that a loop handles (TERM INT HUP USR1 USR2 CHLD),
   and ignores PIPE. First thing in main, before any thread. */
void loop_block_signals(void);
/* on_signal runs on the loop thread, not as a signal handler. signo is one that loop_block_signals blocks. A second call
   for the same signal replaces the first; NULL ends it. Returns 0, -EINVAL, -EBUSY when the signal isn't blocked, -ENOMEM. */
int loop_on_signal(Loop *loop, int signo, void (*on_signal)(void *userdata, int signo), void *userdata);
/* on_exit runs once when the child pid has ended, with a status as of waitpid(2); it is reaped right after. Watch before
   anything else could wait for it. Returns 0, -ESRCH when there is no such process, -EBUSY when watched already or SIGCHLD
   isn't blocked, -ENOMEM. */
int loop_watch_child(Loop *loop, pid_t pid, void (*on_exit)(void *userdata, pid_t pid, int status), void *userdata);
/* Forgets about a child; it will not be reaped by the loop. Nothing happens when it isn't watched. */
void loop_unwatch_child(Loop *loop, pid_t pid);

#endif
