/* What:      one descriptor kept back, so that a server that has run out of them can still turn connections away.
 * Owns:      the descriptor, for the life of the process.
 * May use:   the C library.
 * Threading: descriptors_reserve before any other thread is started; what it sets up works in libzmq's I/O thread.
 * Spec:      - */
#ifndef PONS_LOOP_RESERVE_H
#define PONS_LOOP_RESERVE_H

#include <errno.h>

/* What accept4 fails with when it has turned a connection away. */
enum { RESERVE_TURNED_AWAY = ENFILE };

/* Keeps one descriptor back. From then on accept4 of this process, libzmq's too, takes a connection that no descriptor is
   left for with the one kept back, closes it, and fails with RESERVE_TURNED_AWAY. Without that libzmq 4.3.4 aborts the process
   when an ipc listener meets EMFILE (ipc_listener_t::accept), and turns in circles when a tcp listener does. Returns 0 or
   -errno. */
int descriptors_reserve(void);

#endif
