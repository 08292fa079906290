/* getpid without a system call, for this process and for the libraries that are linked to it. libzmq asks before each wait,
   send and receive on its internal mailboxes whether the process was forked, five to seven times per message: on the development
   machine 0.14 us each, which together was 4 % of a lone request through a broker. glibc had this cache itself until 2.25 and gave
   it up because of children made by a raw clone(2); this project makes children with fork and posix_spawn only, and fork runs
   the handler below. docs/adr/0012-getpid.md has the measurement. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic pid_t process_id;

static void on_fork(void) {
  atomic_store_explicit(&process_id, 0, memory_order_relaxed);
}

__attribute__((constructor)) static void watch_forks(void) {
  pthread_atfork(NULL, NULL, on_fork);
}

pid_t getpid(void) {
  pid_t known = atomic_load_explicit(&process_id, memory_order_relaxed);

  if (known)
    return known;
  known = (pid_t)syscall(SYS_getpid);
  atomic_store_explicit(&process_id, known, memory_order_relaxed);
  return known;
}
