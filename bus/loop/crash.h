/* What:      what a process leaves behind when it crashes: one text record of where and in the middle of what.
 * Owns:      the process's handlers of SIGSEGV SIGBUS SIGILL SIGFPE SIGABRT SIGSYS, the open record, the alternate stacks.
 * May use:   bus/base, libunwind.
 * Threading: crash_setup in main before threads; crash_thread_enter in each further thread; notes from the loop thread.
 * Spec:      docs/crash-record.md */
#ifndef PONS_LOOP_CRASH_H
#define PONS_LOOP_CRASH_H

#include <stdio.h>

#include "bus/base/ids.h"

/* Installs the handlers. The record goes to the file record_path, which is made now (its folder exists) and taken away at exit(3)
   if nothing happened; a record that is already there is kept as <record_path>.old. NULL = to standard error. Both strings are copied.
   Returns 0, also in a build with ASan or TSan, which report crashes themselves (nothing is installed then); -EALREADY; -ENOMEM; or
   negative errno of making the record: then a crash is recorded to standard error. */
int crash_setup(const char *program, const char *record_path);
/* Gives the calling thread an alternate stack, so that its stack overflow is recorded too. Returns 0 or -ENOMEM. */
int crash_thread_enter(void);
/* Takes it back, at the thread's end. */
void crash_thread_leave(void);

/* Notes what happens, for the 32 last lines of the record: what is a string literal, value whatever explains it. Costs a few
   nanoseconds. */
void crash_note(const char *what, uint64_t value);
/* Sets the clock that notes are stamped with; the loop does this once per turn. */
void crash_clock_set(uint64_t now_us);
/* Says which request the loop has in hand; all zero = none. */
void crash_request_set(RequestId request);

/* The beginning of a record. */
typedef struct CrashHead {
  uint64_t time_us; /* since 1970 */
  char program[64];
  char signal[32]; /* as in SIGSEGV */
} CrashHead;

/* Reads the beginning of a record. Returns 0, -ENOENT and the like when it can't be read, -EBADMSG when it is none: that of a process
   which runs is empty. Then *ret is left alone. */
int crash_read_head(const char *record_path, CrashHead *ret);

/* Writes a record as text for people, with functions, files and lines where addr2line finds them (it must lie in PATH). Runs programs
   and blocks: for the command line. Returns 0, -ENOENT and the like when the record can't be read, -EBADMSG when it is none. */
int crash_print(FILE *out, const char *record_path);

#endif
