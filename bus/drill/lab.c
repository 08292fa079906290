#include "bus/drill/lab-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOG_TAIL_BYTES = 2000 };

const char *lab_name(uint32_t machine) {
  static const char *const names[LAB_BOXES] = {"mainpc", "pc2", "witness"};

  return names[machine];
}

int lab_find_program(const char *beside, const char *name, char *ret, size_t size_bytes) {
  char self[LAB_PATH_BYTES];
  ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
  int written;

  if (size < 0)
    return -errno;
  self[size] = '\0';
  *strrchr(self, '/') = '\0';
  written = snprintf(ret, size_bytes, "%s/%s/%s", self, beside, name);
  if (written < 0 || (size_t)written >= size_bytes)
    return -ENAMETOOLONG;
  return access(ret, X_OK) < 0 ? -errno : 0;
}

static int start_witness(Lab *lab, const char *broker) {
  LabBox *box = &lab->boxes[LAB_WITNESS];

  return lab_process_start(box, (const char *const[]){broker, "--witness", "--config", box->config, NULL}, &box->pid);
}

static int start_fleet(LabBox *box, const char *pons) {
  return lab_process_start(box, (const char *const[]){pons, "--config", box->config, "up", NULL}, &box->pid);
}

static int start_all(Lab *lab, const char *pons, const char *broker, Buffer *errors) {
  int r = lab->options.witness ? start_witness(lab, broker) : 0;

  if (r == 0)
    r = lab_models_start(lab, errors);
  for (uint32_t i = 0; r == 0 && i < (lab->options.one_broker ? 1 : LAB_MACHINES); i++)
    r = start_fleet(&lab->boxes[i], pons);
  return r;
}

static int open_all(Lab *lab, Buffer *errors) {
  char pons[LAB_PATH_BYTES], broker[LAB_PATH_BYTES];
  int r;

  if (geteuid() != 0) {
    buffer_printf(errors,
                  "a lab makes network namespaces, which takes root; without --lab the fleet that runs is drilled");
    return LAB_E_ROOT;
  }
  if (lab_find_program(".", "pons", pons, sizeof pons) != 0 ||
      lab_find_program(".", "pons-broker", broker, sizeof broker) != 0) {
    buffer_printf(errors, "a lab runs pons and pons-broker, and they are not in one folder with this program");
    return LAB_E_TOOL;
  }
  r = lab_net_open(lab);
  if (r == -ENOENT) {
    buffer_printf(errors, "a lab needs the program `ip`; install iproute2");
    return LAB_E_TOOL;
  }
  if (r < 0)
    buffer_printf(errors, "the lab's network can't be made: %s", strerror(-r));
  if (r == 0 && (r = lab_files_make(lab)) < 0)
    buffer_printf(errors, "the lab's files can't be made: %s", strerror(-r));
  if (r == 0 && (r = start_all(lab, pons, broker, errors)) < 0)
    buffer_printf(errors, "the lab's fleets can't be started: %s", strerror(-r));
  return r;
}

int lab_open(const LabOptions *options, Buffer *errors, Lab **ret) {
  Lab *lab = calloc(1, sizeof *lab);
  int r;

  if (!lab)
    abort();
  lab->options = *options;
  for (uint32_t i = 0; i < LAB_BOXES; i++)
    lab->boxes[i].net = -1;
  r = open_all(lab, errors);
  if (r != 0) {
    lab_close(&lab);
    return r;
  }
  *ret = lab;
  return 0;
}

void lab_close(Lab **lab) {
  if (!*lab)
    return;
  for (uint32_t i = 0; i < LAB_BOXES; i++)
    lab_process_stop(&(*lab)->boxes[i].pid);
  lab_models_stop(*lab);
  lab_net_close(*lab);
  lab_files_remove(*lab);
  free(*lab);
  *lab = NULL;
}

int lab_start_upgrade(const Lab *lab, uint32_t machine, const char *config, pid_t *ret) {
  static const LabBox here = {.net = -1, .log = "/dev/null"};
  const LabBox *box = lab ? &lab->boxes[machine] : &here;
  const char *arguments[] = {NULL, "upgrade", NULL, NULL, NULL};
  char pons[LAB_PATH_BYTES];
  int r = lab_find_program(".", "pons", pons, sizeof pons);

  arguments[0] = pons;
  if (lab || config) {
    arguments[2] = "--config";
    arguments[3] = lab ? box->config : config;
  }
  return r < 0 ? r : lab_process_start(box, arguments, ret);
}

uint32_t lab_instances(const Lab *lab) {
  static const uint32_t of_chain = 3; /* agents with one service each */
  uint32_t echo = lab->options.one_broker ? lab->options.agents / 2 : lab->options.agents;

  return echo + (lab->options.chain == LAB_CHAIN_WORKER     ? 2 * of_chain
                 : lab->options.chain == LAB_CHAIN_PROVIDER ? of_chain
                                                            : 0);
}

int lab_net(const Lab *lab, uint32_t machine) {
  return lab->boxes[machine].net;
}

const char *lab_folder(const Lab *lab, uint32_t machine) {
  return lab->boxes[machine].folder;
}

const char *lab_endpoints(const Lab *lab, uint32_t machine) {
  return lab->boxes[machine].endpoints;
}

const char *lab_sockets(const Lab *lab) {
  return lab->sockets;
}

void lab_print_log(const Lab *lab, uint32_t machine, Buffer *ret) {
  FILE *file = fopen(lab->boxes[machine].log, "re");

  if (!file)
    return;
  if (fseek(file, -LOG_TAIL_BYTES, SEEK_END) < 0)
    rewind(file);
  ret->size += fread(buffer_reserve(ret, LOG_TAIL_BYTES), 1, LOG_TAIL_BYTES, file);
  fclose(file);
}
