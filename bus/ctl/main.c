/* pons: the operator's command. */
#include "bus/ctl/command.h"

int main(int argc, char **argv) {
  return (int)ctl_main(argc, (const char *const *)argv);
}
