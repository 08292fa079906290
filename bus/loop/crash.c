/* The handler, in the order in which it matters: one crasher at a time (others wait for the end), every descriptor but the
   record's is closed so that the peers see the crash at once and re-send, an alarm ends a handler that hangs (finding unwind
   tables takes the loader's lock), then the record from the surest to the least sure part: signal, registers, request,
   notes, modules, frames. At last the signal is raised again with its default action, for the exit status and the core dump.
   A fault while unwinding comes back here and goes on along the frame pointers. Symbols are found later, by crash_print.

   No SA_RESETHAND: other threads may crash over their closed descriptors while the record is written, and with the
   default action back in place that would end the process in the middle of it. SA_NODEFER lets a second fault come in. */
#define UNW_LOCAL_ONLY
#include "bus/loop/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <libunwind.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/loop/crash-internal.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED false
#endif

enum { STACK_BYTES = 131072, NAME_BYTES = 64, RECORD_PATH_BYTES = 512, ALARM_S = 2 };

typedef struct Note {
  const char *what;
  uint64_t value;
  uint64_t at_us;
} Note;

static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS};

static struct {
  bool installed;
  pid_t pid; /* a forked child has no business in the parent's record */
  int record_fd;
  char program[NAME_BYTES];
  char record_path[RECORD_PATH_BYTES]; /* empty = standard error */
  uint64_t started_us;
} crash = {.record_fd = -1};

/* Also read by the handler. */
static Note notes[CRASH_NOTES];
static _Atomic uint32_t note_count;
static _Atomic uint64_t note_clock_us;
static _Atomic uint64_t request_client, request_sequence;

static _Atomic pid_t crasher; /* the thread that writes the record; 0 = nobody crashed */
static volatile sig_atomic_t unwinding;
static sigjmp_buf unwind_fault;
static _Thread_local void *thread_stack;

void crash_note(const char *what, uint64_t value) {
  uint32_t n = atomic_fetch_add_explicit(&note_count, 1, memory_order_relaxed);

  notes[n % CRASH_NOTES] = (Note){what, value, atomic_load_explicit(&note_clock_us, memory_order_relaxed)};
}

void crash_clock_set(uint64_t now_us) {
  atomic_store_explicit(&note_clock_us, now_us, memory_order_relaxed);
}

void crash_request_set(RequestId request) {
  atomic_store_explicit(&request_client, request.client.value, memory_order_relaxed);
  atomic_store_explicit(&request_sequence, request.sequence, memory_order_relaxed);
}

/* --- the record --- */

static const char *signal_name(int signo) {
  const char *name = sigabbrev_np(signo); /* a look into a constant table */

  return name ? name : "?";
}

static void out_line(CrashOut *out, const char *key, uint64_t number) {
  crash_out_text(out, key);
  crash_out_text(out, " ");
  crash_out_number(out, number);
  crash_out_text(out, "\n");
}

static void out_text_line(CrashOut *out, const char *key, const char *text) {
  crash_out_text(out, key);
  crash_out_text(out, " ");
  crash_out_text(out, text);
  crash_out_text(out, "\n");
}

static void out_process(CrashOut *out) {
  char thread[16] = "?";

  prctl(PR_GET_NAME, thread);
  crash_out_text(out, CRASH_MAGIC "\n");
  out_text_line(out, "program", crash.program);
  out_text_line(out, "version", PONS_VERSION);
  out_line(out, "pid", (uint64_t)crash.pid);
  out_line(out, "time_us", clock_realtime_us());
  out_line(out, "uptime_us", clock_monotonic_us() - crash.started_us);
  out_text_line(out, "thread", thread);
}

static void out_signal(CrashOut *out, int signo, const siginfo_t *info) {
  crash_out_text(out, "signal ");
  crash_out_number(out, (uint64_t)signo);
  crash_out_text(out, " SIG");
  crash_out_text(out, signal_name(signo));
  crash_out_text(out, "\n");
  if (info->si_code <= 0) { /* sent by a process: a watchdog, an abort, a kill */
    out_line(out, "sender_pid", (uint64_t)info->si_pid);
    return;
  }
  crash_out_text(out, "address ");
  crash_out_hex(out, (uintptr_t)info->si_addr);
  crash_out_text(out, "\n");
}

static void out_request(CrashOut *out) {
  RequestId id = {{atomic_load(&request_client)}, atomic_load(&request_sequence)};

  if (id.client.value == 0 && id.sequence == 0)
    return;
  crash_out_text(out, "request ");
  for (int shift = 56; shift >= 0; shift -= 8)
    crash_out_bytes(out, &(uint8_t){(uint8_t)(id.client.value >> shift)}, 1);
  crash_out_text(out, "-");
  crash_out_hex(out, id.sequence);
  crash_out_text(out, "\n");
}

/* Oldest first; the time is how long before the last turn of the loop. */
static void out_notes(CrashOut *out) {
  uint32_t count = atomic_load(&note_count);
  uint64_t now_us = atomic_load(&note_clock_us);

  for (uint32_t i = count > CRASH_NOTES ? count - CRASH_NOTES : 0; i != count; i++) {
    const Note *note = &notes[i % CRASH_NOTES];

    if (!note->what)
      continue;
    crash_out_text(out, "note -");
    crash_out_number(out, now_us > note->at_us ? now_us - note->at_us : 0);
    crash_out_text(out, " ");
    crash_out_text(out, note->what);
    crash_out_text(out, " ");
    crash_out_number(out, note->value);
    crash_out_text(out, "\n");
  }
}

/* Frames by libunwind, each written at once, so that what was found is there when the next step hangs. Returns how many. */
static unsigned out_unwound(CrashOut *out, ucontext_t *context) {
  static volatile unsigned n; /* lives over the siglongjmp */
  unw_cursor_t cursor;
  unw_word_t address;

  n = 0;
  if (sigsetjmp(unwind_fault, 1) == 0) {
    unwinding = 1;
    if (unw_init_local2(&cursor, context, UNW_INIT_SIGNAL_FRAME) == 0)
      do {
        if (unw_get_reg(&cursor, UNW_REG_IP, &address) < 0 || address == 0)
          break;
        crash_out_frame(out, n, address, n > 0);
        crash_out_flush(out);
        n = n + 1;
      } while (n < CRASH_FRAMES && unw_step(&cursor) > 0);
  }
  unwinding = 0;
  return n;
}

static void out_frame_pointers(CrashOut *out, const ucontext_t *context) {
  uintptr_t addresses[CRASH_FRAMES];
  unsigned n = crash_frame_pointer_walk(crash_frame_pointer(context), addresses, CRASH_FRAMES - 1);

  out_text_line(out, "unwind", "by frame pointers");
  crash_out_frame(out, 0, crash_instruction(context), false);
  for (unsigned i = 0; i < n; i++)
    crash_out_frame(out, i + 1, addresses[i], true);
}

static void write_record(int signo, const siginfo_t *info, ucontext_t *context) {
  static CrashOut out;

  out.fd = crash.record_fd;
  out_process(&out);
  out_signal(&out, signo, info);
  out_request(&out);
  crash_out_registers(&out, context);
  out_notes(&out);
  crash_out_modules(&out);
  crash_out_flush(&out);
  /* Fewer than two frames: the return address could not be found, as after a call through a bad pointer. */
  if (out_unwound(&out, context) < 2)
    out_frame_pointers(&out, context);
  crash_out_text(&out, "end\n");
  crash_out_flush(&out);
}

/* --- the handler --- */

static void close_all_but(int fd) {
  if (fd > 0)
    close_range(0, (unsigned)fd - 1, 0);
  close_range((unsigned)fd + 1, ~0U, 0);
}

/* Ends this process by signo's default action, now. */
static _Noreturn void die_by(int signo) {
  sigset_t set;

  signal(signo, SIG_DFL);
  sigemptyset(&set);
  sigaddset(&set, signo);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  syscall(SYS_tgkill, syscall(SYS_getpid), syscall(SYS_gettid), signo);
  _exit(128 + signo);
}

static void arm_alarm(void) {
  sigset_t set;

  signal(SIGALRM, SIG_DFL);
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  alarm(ALARM_S);
}

static void on_crash(int signo, siginfo_t *info, void *context) {
  pid_t self = (pid_t)syscall(SYS_gettid);
  pid_t nobody = 0;

  if (syscall(SYS_getpid) != crash.pid) /* not getpid: between fork and its handlers that is the parent's */
    die_by(signo);
  if (!atomic_compare_exchange_strong(&crasher, &nobody, self)) {
    if (nobody == self && unwinding)
      siglongjmp(unwind_fault, 1);
    if (nobody == self)
      die_by(signo);
    for (;;) /* the other thread ends us all */
      pause();
  }
  close_all_but(crash.record_fd);
  arm_alarm();
  write_record(signo, info, context);
  die_by(signo);
}

/* --- set-up --- */

int crash_thread_enter(void) {
  void *memory;
  stack_t stack = {.ss_size = STACK_BYTES};

  if (SANITIZED || thread_stack)
    return 0;
  memory = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED)
    return -ENOMEM;
  stack.ss_sp = memory;
  sigaltstack(&stack, NULL);
  thread_stack = memory;
  return 0;
}

void crash_thread_leave(void) {
  stack_t none = {.ss_flags = SS_DISABLE};

  if (!thread_stack)
    return;
  sigaltstack(&none, NULL);
  munmap(thread_stack, STACK_BYTES);
  thread_stack = NULL;
}

/* The first unwind takes a mutex and maps memory; what it needs is there afterwards. */
static void warm_up(void) {
  unw_context_t context;
  unw_cursor_t cursor;

  unw_getcontext(&context);
  if (unw_init_local(&cursor, &context) == 0)
    while (unw_step(&cursor) > 0)
      ;
}

/* The record may be another's by now: a process that was started beside this one to take its place has the same path. */
static void on_exit_remove(void) {
  struct stat own, there;

  if (getpid() == crash.pid && fstat(crash.record_fd, &own) == 0 && own.st_size == 0 &&
      stat(crash.record_path, &there) == 0 && own.st_ino == there.st_ino && own.st_dev == there.st_dev)
    unlink(crash.record_path);
}

/* Keeps what an earlier run has left; an empty record is none. */
static int keep_earlier(const char *path) {
  char old[RECORD_PATH_BYTES + 4];
  struct stat earlier;

  if (stat(path, &earlier) < 0)
    return errno == ENOENT ? 0 : -errno;
  snprintf(old, sizeof old, "%s.old", path);
  return (earlier.st_size > 0 ? rename(path, old) : unlink(path)) < 0 ? -errno : 0;
}

/* Opens the record; descriptor in *ret. */
static int open_record(const char *path, int *ret) {
  int fd;
  int r;

  if (!path) {
    fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  } else {
    if (strlen(path) >= sizeof crash.record_path)
      return -ENAMETOOLONG;
    snprintf(crash.record_path, sizeof crash.record_path, "%s", path);
    r = keep_earlier(path);
    if (r < 0)
      return r;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
  }
  if (fd < 0)
    return -errno;
  *ret = fd;
  return 0;
}

int crash_setup(const char *program, const char *record_path) {
  struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  int opened, r;

  if (SANITIZED)
    return 0;
  if (crash.installed)
    return -EALREADY;
  r = opened = open_record(record_path, &crash.record_fd);
  if (opened < 0 && record_path)
    r = open_record(NULL, &crash.record_fd);
  if (r == 0)
    r = crash_thread_enter();
  if (r < 0)
    return r;
  snprintf(crash.program, sizeof crash.program, "%s", program);
  crash.pid = getpid();
  crash.started_us = clock_monotonic_us();
  crash_modules_read();
  warm_up();
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < ELEMENTS(crash_signals); i++)
    sigaction(crash_signals[i], &action, NULL);
  if (record_path && opened == 0)
    atexit(on_exit_remove);
  crash.installed = true;
  return opened;
}
