/* What:      two machines and a third box for the witness on this one: network namespaces, cables between them, a fleet of
 *            `pons up` on each.
 * Owns:      its namespaces, its processes and its folder; lab_close leaves nothing, and the namespaces and processes go with
 *            this process however it ends.
 * May use:   base; the program ip of iproute2.
 * Threading: a process with one thread.
 * Spec:      docs/drills.md, "The lab" */
#ifndef PONS_DRILL_LAB_H
#define PONS_DRILL_LAB_H

#include <sys/types.h>

#include "bus/base/buffer.h"

typedef struct Lab Lab;

enum {
  LAB_MACHINES = 2,
  LAB_VOTE_MS = 2000,
  LAB_E_ROOT = 1, /* only root can make one */
  LAB_E_TOOL,     /* a program is not there */
};

/* What answers chats, beside the echo agents. The models are tests/mock-provider, the rest is what it is in life. */
typedef enum LabChain {
  LAB_CHAIN_NONE,
  LAB_CHAIN_WORKER,   /* on both machines, with a local model each */
  LAB_CHAIN_PROVIDER, /* on the first, with two providers */
} LabChain;

typedef struct LabOptions {
  uint32_t agents;     /* of echo, on both machines together; at least 2 */
  uint32_t silence_ms; /* after which a session is given up; 0 = as by default */
  bool witness;
  LabChain chain;
  bool one_broker; /* the second machine has none, and no agents: what the drills are held against */
} LabOptions;

typedef enum LabWays { LAB_FORTH = 1, LAB_BACK = 2, LAB_BOTH_WAYS = 3 } LabWays;

/* Makes the machines and starts their fleets; that these are ready is for the caller to see. Returns 0 and the caller owns
   *ret; LAB_E_ with errors filled; negative errno with errors filled. Blocks until the processes are started. */
int lab_open(const LabOptions *options, Buffer *errors, Lab **ret);
/* Stops the fleets and removes everything; takes NULL, nulls the pointer. Blocks, at most some seconds. Usable as
   _cleanup_. */
void lab_close(Lab **lab);

/* Drops what goes from the first machine to the second (forth), or back, without a word to who sends it. Returns 0 or negative
   errno. */
int lab_cut(Lab *lab, LabWays ways);
/* Mends what was cut. Returns 0 or negative errno. */
int lab_heal(Lab *lab);

/* Kills the first provider of LAB_CHAIN_PROVIDER, or starts it again. Returns 0 or negative errno. */
int lab_kill_provider(Lab *lab);
int lab_start_provider(Lab *lab);

/* Starts `pons upgrade` on a machine; with lab NULL on this one, for the fleet of a pons.yaml (NULL = as the command finds it).
   Returns 0 and *ret is its id, which the caller waits for; negative errno. */
int lab_start_upgrade(const Lab *lab, uint32_t machine, const char *config, pid_t *ret);

/* How many instances of agents its brokers know when all is there. */
uint32_t lab_instances(const Lab *lab);
/* A machine's name, its network namespace, its fleet's folder, and where its clients find the brokers. Borrowed. */
const char *lab_name(uint32_t machine);
int lab_net(const Lab *lab, uint32_t machine);
const char *lab_folder(const Lab *lab, uint32_t machine);
const char *lab_endpoints(const Lab *lab, uint32_t machine);
/* Where this process finds the brokers, whatever is cut: their unix sockets. */
const char *lab_sockets(const Lab *lab);
/* Appends the last lines that a machine's fleet has written. */
void lab_print_log(const Lab *lab, uint32_t machine, Buffer *ret);

#endif
