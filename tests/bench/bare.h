/* What:      what the bare ZeroMQ broker, its worker and its client agree on.
 * Owns:      nothing.
 * May use:   libzmq.
 * Threading: -
 * Spec:      docs/benchmarks.md, "Peers" */
#ifndef PONS_TESTS_BENCH_BARE_H
#define PONS_TESTS_BENCH_BARE_H

#include <zmq.h>

#define BARE_CREDIT 32u

/* LoadHead.kind of the one frame that a client or worker sends and gets. */
enum { BARE_READY = 1, BARE_REQUEST = 2, BARE_REPLY = 3 };

/* Unbounded queues and no lingering at close, as every socket here has it. */
static inline void bare_set_up(void *socket) {
  int zero = 0;

  zmq_setsockopt(socket, ZMQ_SNDHWM, &zero, sizeof zero);
  zmq_setsockopt(socket, ZMQ_RCVHWM, &zero, sizeof zero);
  zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
}

#endif
