/* Each pair of boxes has a cable of its own (a veth pair), so that one can be cut without the others. A cut is a wrong address
   of the other side's card, set for good: frames leave, and nobody takes them, as behind a switch without power. Unlike a
   filter it needs nothing but ip, and unlike an interface that is down nobody is told. */
#include "bus/drill/lab-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

enum { COMMANDS_BYTES = 1024 };

/* Moves this process into a new namespace and takes hold of it. */
static int make_one(int *ret) {
  if (unshare(CLONE_NEWNET) < 0)
    return -errno;
  *ret = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  return *ret < 0 ? -errno : 0;
}

static int make_all(Lab *lab) {
  int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  int r = home < 0 ? -errno : 0;

  for (uint32_t i = 0; r == 0 && i < LAB_BOXES; i++)
    r = make_one(&lab->boxes[i].net);
  if (home >= 0 && setns(home, CLONE_NEWNET) < 0)
    r = -errno;
  if (home >= 0)
    close(home);
  return r;
}

/* A cable between two boxes, 10.77.NUMBER.1 to .2; its ends are called cableNUMBER on both sides. */
static int lay_cable(Lab *lab, uint32_t number, uint32_t from, uint32_t to) {
  char commands[COMMANDS_BYTES];
  int r;

  snprintf(commands, sizeof commands, "link add cable%u type veth peer name cable%u netns /proc/%d/fd/%d\n", number,
           number, (int)getpid(), lab->boxes[to].net);
  r = lab_process_ip(lab->boxes[from].net, commands);
  for (uint32_t end = 1; r == 0 && end <= 2; end++) {
    snprintf(commands, sizeof commands, "link set lo up\naddr add 10.77.%u.%u/30 dev cable%u\nlink set cable%u up\n",
             number, end, number, number);
    r = lab_process_ip(lab->boxes[end == 1 ? from : to].net, commands);
  }
  return r;
}

int lab_net_open(Lab *lab) {
  int r = make_all(lab);

  if (r == 0)
    r = lay_cable(lab, 0, 0, 1);
  if (r == 0)
    r = lay_cable(lab, 1, 0, LAB_WITNESS);
  if (r == 0)
    r = lay_cable(lab, 2, 1, LAB_WITNESS);
  return r;
}

void lab_net_close(Lab *lab) {
  for (uint32_t i = 0; i < LAB_BOXES; i++)
    if (lab->boxes[i].net >= 0)
      close(lab->boxes[i].net);
}

int lab_cut(Lab *lab, LabWays ways) {
  int r = 0;

  for (uint32_t i = 0; r == 0 && i < LAB_MACHINES; i++) {
    char commands[COMMANDS_BYTES];

    if (!(ways & (1U << i)))
      continue;
    snprintf(commands, sizeof commands, "neigh replace 10.77.0.%u lladdr 02:00:00:00:00:01 nud permanent dev cable0\n",
             2 - i);
    r = lab_process_ip(lab->boxes[i].net, commands);
    lab->cut |= 1U << i;
  }
  return r;
}

int lab_heal(Lab *lab) {
  int r = 0;

  for (uint32_t i = 0; r == 0 && i < LAB_MACHINES; i++) {
    char commands[COMMANDS_BYTES];

    if (!(lab->cut & (1U << i)))
      continue;
    snprintf(commands, sizeof commands, "neigh del 10.77.0.%u dev cable0\n", 2 - i);
    r = lab_process_ip(lab->boxes[i].net, commands);
  }
  lab->cut = 0;
  return r;
}
