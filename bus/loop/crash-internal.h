/* What:      how a crash record is written with nothing but write(2), and the frame-pointer walk.
 * Owns:      the table of modules, taken at set-up.
 * May use:   the C library, of it only what is async-signal-safe.
 * Threading: any; the record by the one thread that crashed first.
 * Spec:      docs/crash-record.md; signal-safety(7) */
#ifndef PONS_LOOP_CRASH_INTERNAL_H
#define PONS_LOOP_CRASH_INTERNAL_H

#include <signal.h>
#include <ucontext.h>

#include "bus/base/types.h"

#define CRASH_FRAMES 64
#define CRASH_NOTES 32
#define CRASH_MAGIC "pons-crash 1"

/* Bytes on their way to a descriptor. */
typedef struct CrashOut {
  int fd;
  size_t size;
  char data[512];
} CrashOut;

/* Appends text; a number in decimal; a number in hex with 0x; bytes in hex. Writes out when the buffer is full. */
void crash_out_text(CrashOut *out, const char *text);
void crash_out_number(CrashOut *out, uint64_t number);
void crash_out_hex(CrashOut *out, uint64_t number);
void crash_out_bytes(CrashOut *out, const uint8_t *bytes, size_t size);
/* Writes out what is buffered. */
void crash_out_flush(CrashOut *out);

/* Reads the loaded modules with their build ids, at set-up (takes the loader's lock, so never in the handler). */
void crash_modules_read(void);
/* One "frame" line: number, address, and module with offset when it is known. return_address: the call is before it. */
void crash_out_frame(CrashOut *out, unsigned number, uintptr_t address, bool return_address);
/* One "module" line for each. */
void crash_out_modules(CrashOut *out);
/* One "register" line for each, and those that a walk begins with. */
void crash_out_registers(CrashOut *out, const ucontext_t *context);
uintptr_t crash_instruction(const ucontext_t *context);
uintptr_t crash_frame_pointer(const ucontext_t *context);

/* Copies size bytes from an address that may be bad. Returns whether they could be read. */
bool crash_memory_read(uintptr_t address, void *ret, size_t size);
/* Return addresses along the chain of frame pointers, at most max. Returns how many. */
unsigned crash_frame_pointer_walk(uintptr_t frame_pointer, uintptr_t *ret, unsigned max);

#endif
