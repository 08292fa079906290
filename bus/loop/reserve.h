/* What:      one descriptor kept back, so that a server that has run out of them can still turn connections away.
 * Owns:      the descriptor, for the life of the process.
 * May use:   the C library.
 * Threading: any.
 * Spec:      - */
#ifndef PONS_LOOP_RESERVE_H
#define PONS_LOOP_RESERVE_H

/* Keeps one descriptor back, unless one is. Returns 0 or -errno. */
int descriptors_reserve(void);
/* When accept says that no descriptor is left: takes the first waiting connection with the one kept back and closes it, so that its
   peer sees an end and the listener is quiet again. */
void descriptors_turn_away(int listener);

#endif
