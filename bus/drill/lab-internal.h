/* What:      what the files of the lab share.
 * Owns:      a Lab everything in it.
 * May use:   base.
 * Threading: a process with one thread.
 * Spec:      - */
#ifndef PONS_DRILL_LAB_INTERNAL_H
#define PONS_DRILL_LAB_INTERNAL_H

#include <sys/types.h>

#include "bus/drill/lab.h"

enum { LAB_BOXES = 3, LAB_WITNESS = 2, LAB_PATH_BYTES = 512 };

/* A machine, or the box of the witness. */
typedef struct LabBox {
  int net;                     /* descriptor of its network namespace */
  char folder[LAB_PATH_BYTES]; /* of its sockets and its state */
  char config[LAB_PATH_BYTES];
  char log[LAB_PATH_BYTES];
  char endpoints[LAB_PATH_BYTES];
  pid_t pid; /* of its supervisor, or of the witness; 0 = not started */
} LabBox;

struct Lab {
  LabOptions options;
  char folder[LAB_PATH_BYTES];
  char sockets[LAB_PATH_BYTES];
  LabBox boxes[LAB_BOXES];
  LabWays cut;
};

/* lab-net.c */

/* Makes the three namespaces and the cables between them. Returns 0 or negative errno. */
int lab_net_open(Lab *lab);
/* Lets the namespaces go. */
void lab_net_close(Lab *lab);

/* lab-files.c */

/* Makes the folder and writes what each box is configured by. Returns 0 or negative errno. */
int lab_files_make(Lab *lab);
/* Removes the folder. */
void lab_files_remove(Lab *lab);

/* lab-process.c */

/* Starts a program in a box, with its output in the box's log; its end follows this process's. Returns 0 or negative errno. */
int lab_process_start(LabBox *box, const char *const *arguments);
/* Ends it: asked first, then killed. Blocks, at most ten seconds. */
void lab_process_stop(LabBox *box);
/* Runs `ip -batch` with these commands in a namespace. Returns 0; -EIO when it refused; other negative errno. Blocks. */
int lab_process_ip(int net, const char *commands);

#endif
