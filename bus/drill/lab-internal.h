/* What:      what the files of the lab share.
 * Owns:      a Lab everything in it.
 * May use:   base.
 * Threading: a process with one thread.
 * Spec:      - */
#ifndef PONS_DRILL_LAB_INTERNAL_H
#define PONS_DRILL_LAB_INTERNAL_H

#include "bus/drill/lab.h"

enum { LAB_BOXES = 3, LAB_WITNESS = 2, LAB_MODELS = 2, LAB_PATH_BYTES = 512 };

/* A machine, or the box of the witness. */
typedef struct LabBox {
  int net;                     /* descriptor of its network namespace */
  char folder[LAB_PATH_BYTES]; /* of its sockets and its state */
  char config[LAB_PATH_BYTES];
  char log[LAB_PATH_BYTES];
  char endpoints[LAB_PATH_BYTES];
  pid_t pid; /* of its supervisor, or of the witness; 0 = not started */
} LabBox;

/* A server of a model: tests/mock-provider. */
typedef struct LabModel {
  LabBox *box;
  uint32_t port;
  pid_t pid; /* 0 = not started */
} LabModel;

struct Lab {
  LabOptions options;
  char folder[LAB_PATH_BYTES];
  char sockets[LAB_PATH_BYTES];
  LabBox boxes[LAB_BOXES];
  LabModel models[LAB_MODELS];
  char mock[LAB_PATH_BYTES]; /* the program */
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

/* How a process ends whose program can't be found, and one whose file can't be executed: as with env(1) and the shells. */
enum { LAB_EXIT_NOT_STARTED = 127, LAB_EXIT_NOT_EXECUTABLE = 126 };

/* Starts a program in a box, with its output in the box's log; its end follows this process's. Returns 0 and *ret is its id;
   negative errno. */
int lab_process_start(const LabBox *box, const char *const *arguments, pid_t *ret);
/* Starts a program on this machine, with these as its standard input and output; its end follows this process's. Returns 0 and *ret
   is its id; negative errno. */
int lab_process_spawn(int in, int out, const char *const *arguments, pid_t *ret);
/* Waits until it has ended, at most so long. Returns 0, its status as of waitpid(2) in *ret_status and 0 in *pid; -ETIMEDOUT or
   other negative errno, and all is as before. Blocks. */
int lab_process_await(pid_t *pid, uint32_t timeout_ms, int *ret_status);
/* Ends it: asked first, then killed. Sets *pid to 0. Blocks, at most ten seconds. */
void lab_process_stop(pid_t *pid);

/* lab-models.c */

/* Starts the servers of the lab's models, where it has any. Returns 0; LAB_E_TOOL with errors filled; negative errno. */
int lab_models_start(Lab *lab, Buffer *errors);
void lab_models_stop(Lab *lab);
/* Appends what a machine's pons.yaml says of models, and the names of the agents that it needs for them. */
void lab_models_print(const Lab *lab, uint32_t machine, Buffer *ret);
const char *lab_models_agents(const Lab *lab, uint32_t machine);

/* lab.c */

/* The program `name` in the folder of this one, or in `beside` as seen from there. Returns 0 or negative errno. */
int lab_find_program(const char *beside, const char *name, char *ret, size_t size_bytes);
/* Runs `ip -batch` with these commands in a namespace. Returns 0; -EIO when it refused; other negative errno. Blocks. */
int lab_process_ip(int net, const char *commands);

#endif
