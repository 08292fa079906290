/* Everything here runs inside a signal handler of a process whose heap and locks may be broken: no allocation, no stdio, no
   lock; except crash_modules_read, which runs at set-up. */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bus/loop/crash-internal.h"

enum { MODULES = 48, PATH_BYTES = 120, BUILD_ID_BYTES = 20 };

typedef struct Module {
  uintptr_t base;
  uintptr_t start;
  uintptr_t end;
  size_t build_id_size;
  uint8_t build_id[BUILD_ID_BYTES];
  char path[PATH_BYTES];
} Module;

static Module modules[MODULES];
static unsigned module_count;

void crash_out_flush(CrashOut *out) {
  for (size_t at = 0; at < out->size;) {
    ssize_t n = write(out->fd, out->data + at, out->size - at);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    at += (size_t)n;
  }
  out->size = 0;
}

void crash_out_text(CrashOut *out, const char *text) {
  for (; *text; text++) {
    if (out->size == sizeof out->data)
      crash_out_flush(out);
    out->data[out->size++] = *text;
  }
}

static void out_digits(CrashOut *out, uint64_t number, unsigned base) {
  char digits[24];
  size_t at = sizeof digits - 1;

  digits[at] = '\0';
  do
    digits[--at] = "0123456789abcdef"[number % base];
  while (number /= base);
  crash_out_text(out, digits + at);
}

void crash_out_number(CrashOut *out, uint64_t number) {
  out_digits(out, number, 10);
}

void crash_out_hex(CrashOut *out, uint64_t number) {
  crash_out_text(out, "0x");
  out_digits(out, number, 16);
}

void crash_out_bytes(CrashOut *out, const uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    out_digits(out, bytes[i] >> 4, 16);
    out_digits(out, bytes[i] & 15, 16);
  }
}

/* --- modules --- */

/* The build id in the notes of one segment. Format: elf(5), "Notes". */
static void find_build_id(Module *module, const uint8_t *notes, size_t size) {
  while (size >= sizeof(ElfW(Nhdr))) {
    const ElfW(Nhdr) *note = (const void *)notes;
    size_t name_size = (note->n_namesz + 3U) & ~3U;
    size_t whole = sizeof *note + name_size + ((note->n_descsz + 3U) & ~3U);

    if (whole > size)
      return;
    if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp(note + 1, "GNU", 4) == 0) {
      module->build_id_size = note->n_descsz < BUILD_ID_BYTES ? note->n_descsz : BUILD_ID_BYTES;
      memcpy(module->build_id, notes + sizeof *note + name_size, module->build_id_size);
      return;
    }
    notes += whole;
    size -= whole;
  }
}

static void name_module(Module *module, const char *name) {
  ssize_t size = -1;

  if (!*name)
    size = readlink("/proc/self/exe", module->path, sizeof module->path - 1);
  if (size < 0)
    snprintf(module->path, sizeof module->path, "%s", name);
  else
    module->path[size] = '\0';
}

static int on_module(struct dl_phdr_info *info, size_t size _unused_, void *userdata _unused_) {
  Module *module = &modules[module_count];

  *module = (Module){.base = info->dlpi_addr, .start = UINTPTR_MAX};
  for (unsigned i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
    uintptr_t start = info->dlpi_addr + segment->p_vaddr;

    if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X)) {
      module->start = start < module->start ? start : module->start;
      module->end = start + segment->p_memsz > module->end ? start + segment->p_memsz : module->end;
    } else if (segment->p_type == PT_NOTE && module->build_id_size == 0) {
      union {
        uintptr_t number;
        const uint8_t *pointer;
      } at = {.number = start};

      find_build_id(module, at.pointer, segment->p_memsz);
    }
  }
  name_module(module, info->dlpi_name);
  return ++module_count == MODULES;
}

void crash_modules_read(void) {
  module_count = 0;
  dl_iterate_phdr(on_module, NULL);
}

void crash_out_modules(CrashOut *out) {
  for (unsigned i = 0; i < module_count; i++) {
    const Module *module = &modules[i];

    crash_out_text(out, "module ");
    crash_out_hex(out, module->base);
    crash_out_text(out, " ");
    if (module->build_id_size)
      crash_out_bytes(out, module->build_id, module->build_id_size);
    else
      crash_out_text(out, "-");
    crash_out_text(out, " ");
    crash_out_text(out, module->path);
    crash_out_text(out, "\n");
  }
}

void crash_out_frame(CrashOut *out, unsigned number, uintptr_t address, bool return_address) {
  uintptr_t call = address - (return_address ? 1 : 0);

  crash_out_text(out, "frame ");
  crash_out_number(out, number);
  crash_out_text(out, " ");
  crash_out_hex(out, address);
  for (unsigned i = 0; i < module_count; i++)
    if (call >= modules[i].start && call < modules[i].end) {
      crash_out_text(out, " ");
      crash_out_hex(out, call - modules[i].base);
      crash_out_text(out, " ");
      crash_out_text(out, modules[i].path);
      break;
    }
  crash_out_text(out, "\n");
}

/* --- registers --- */

#if defined(__x86_64__)
static const struct {
  const char *name;
  int index;
} registers[] = {{"rip", REG_RIP}, {"rsp", REG_RSP}, {"rbp", REG_RBP},   {"rax", REG_RAX}, {"rbx", REG_RBX},
                 {"rcx", REG_RCX}, {"rdx", REG_RDX}, {"rsi", REG_RSI},   {"rdi", REG_RDI}, {"r8", REG_R8},
                 {"r9", REG_R9},   {"r10", REG_R10}, {"r11", REG_R11},   {"r12", REG_R12}, {"r13", REG_R13},
                 {"r14", REG_R14}, {"r15", REG_R15}, {"eflags", REG_EFL}};

static uint64_t register_value(const ucontext_t *context, int index) {
  return (uint64_t)context->uc_mcontext.gregs[index];
}

uintptr_t crash_instruction(const ucontext_t *context) {
  return register_value(context, REG_RIP);
}

uintptr_t crash_frame_pointer(const ucontext_t *context) {
  return register_value(context, REG_RBP);
}
#elif defined(__aarch64__)
static const struct {
  const char *name;
  int index;
} registers[] = {{"x0", 0},   {"x1", 1},   {"x2", 2},   {"x3", 3},   {"x4", 4},   {"x5", 5},   {"x6", 6},
                 {"x7", 7},   {"x8", 8},   {"x9", 9},   {"x16", 16}, {"x17", 17}, {"x18", 18}, {"x19", 19},
                 {"x20", 20}, {"x21", 21}, {"x22", 22}, {"x23", 23}, {"x24", 24}, {"x25", 25}, {"x26", 26},
                 {"x27", 27}, {"x28", 28}, {"fp", 29},  {"lr", 30}};

static uint64_t register_value(const ucontext_t *context, int index) {
  return context->uc_mcontext.regs[index];
}

uintptr_t crash_instruction(const ucontext_t *context) {
  return context->uc_mcontext.pc;
}

uintptr_t crash_frame_pointer(const ucontext_t *context) {
  return context->uc_mcontext.regs[29];
}
#else
#error "crash records know the registers of x86_64 and aarch64"
#endif

void crash_out_registers(CrashOut *out, const ucontext_t *context) {
  for (size_t i = 0; i < ELEMENTS(registers); i++) {
    crash_out_text(out, "register ");
    crash_out_text(out, registers[i].name);
    crash_out_text(out, " ");
    crash_out_hex(out, register_value(context, registers[i].index));
    crash_out_text(out, "\n");
  }
}

/* --- memory that may not be there --- */

/* Where a sandbox forbids process_vm_readv: a write from a bad address into a pipe gives EFAULT instead of a signal. */
static bool read_through_pipe(uintptr_t address, void *ret, size_t size) {
  union {
    uintptr_t number;
    const void *pointer;
  } at = {.number = address};
  int ends[2];
  bool ok;

  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
    return false;
  ok = write(ends[1], at.pointer, size) == (ssize_t)size && read(ends[0], ret, size) == (ssize_t)size;
  close(ends[0]);
  close(ends[1]);
  return ok;
}

bool crash_memory_read(uintptr_t address, void *ret, size_t size) {
  union {
    uintptr_t number;
    void *pointer;
  } at = {.number = address};
  struct iovec local = {ret, size};
  struct iovec remote = {at.pointer, size};
  ssize_t n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

  if (n < 0 && (errno == EPERM || errno == ENOSYS))
    return read_through_pipe(address, ret, size);
  return n == (ssize_t)size;
}

unsigned crash_frame_pointer_walk(uintptr_t frame_pointer, uintptr_t *ret, unsigned max) {
  unsigned n = 0;

  while (n < max) {
    uintptr_t frame[2]; /* the caller's frame pointer, the return address */

    if (frame_pointer % sizeof(uintptr_t) != 0 || !crash_memory_read(frame_pointer, frame, sizeof frame) || !frame[1])
      break;
    ret[n++] = frame[1];
    if (frame[0] <= frame_pointer) /* stacks grow down, so callers lie higher */
      break;
    frame_pointer = frame[0];
  }
  return n;
}
