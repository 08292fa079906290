/* What:      cuts this machine off from the one of the other broker, for a drill against a live fleet: a filter of packets in the
 *            kernel that belongs to a process of ours and goes with it.
 * Owns:      the process; the kernel removes its table when it ends, however that comes about.
 * May use:   base, loop; the program nft of nftables.
 * Threading: a process with one thread.
 * Spec:      docs/drills.md, "A live fleet's cable"; nft(8), table flag owner */
#ifndef PONS_DRILL_CUTTER_H
#define PONS_DRILL_CUTTER_H

#include "bus/base/buffer.h"
#include "bus/drill/lab.h"

typedef struct Cutter Cutter;

enum {
  CUTTER_E_ROOT = 1, /* only root may filter */
  CUTTER_E_TOOL,     /* there is no nft that can be run */
  CUTTER_E_REFUSED,  /* nft, or the kernel, makes no filter here, or nft has ended */
  CUTTER_E_SILENT,   /* nft does not answer */
  CUTTER_E_HERE,     /* the other broker is on this machine: there is no cable */
  CUTTER_E_NAME,     /* an endpoint's host can't be resolved */
};

enum { CUTTER_PATIENCE_US = 5000000 /* with nft, which takes milliseconds */ };

/* Makes ready to cut all that goes between this machine and the hosts of so many endpoints. Nothing is cut yet. nft may take
   patience_us for each answer, now and later. Returns 0 and the caller owns *ret; CUTTER_E_ with errors filled; negative errno.
   Blocks: names are resolved. */
int cutter_new(char *const *endpoints, uint32_t count, uint64_t patience_us, Buffer *errors, Cutter **ret);
/* Undoes every cut; takes NULL, nulls the pointer. Usable as _cleanup_. */
void cutter_destroy(Cutter **cutter);

/* Drops what goes from here to there (forth), or back. Returns 0 when it is so; -EIO when nft would not, -EPIPE when it has ended,
   -ETIMEDOUT or other negative errno. Blocks for the answer. */
int cutter_cut(Cutter *cutter, LabWays ways);
/* Undoes it. Returns as cutter_cut. */
int cutter_heal(Cutter *cutter);

#endif
