#include "bus/drill/lab-internal.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/config/ports.h"

enum { FOLDER_DEPTH = 8 };

static int write_file(const char *path, const Buffer *text) {
  FILE *file = fopen(path, "we");
  int r = 0;

  if (!file)
    return -errno;
  if (fwrite(text->data, 1, text->size, file) != text->size)
    r = -EIO;
  return fclose(file) == 0 ? r : -EIO;
}

static void print_machine(const Lab *lab, uint32_t machine, Buffer *ret) {
  const char *name = lab_name(machine);
  uint32_t other = 1 - machine;
  uint32_t agents = machine == 0 ? lab->options.agents / 2 : lab->options.agents - lab->options.agents / 2;

  buffer_printf(ret, "site: %s\nruntime_dir: %s/%s\nstate_dir: %s/%s\n", name, lab->folder, name, lab->folder, name);
  buffer_printf(ret,
                "broker:\n  name: %s\n  insecure: true\n  listen: [\"tcp://10.77.0.%u:%u\", \"ipc://broker.sock\"]\n",
                name, machine + 1, PORT_BUS);
  if (lab->options.silence_ms)
    buffer_printf(ret, "  heartbeat: {interval_ms: %u, timeout_ms: %u, idle_ms: %u}\n", lab->options.silence_ms / 3,
                  lab->options.silence_ms, 10 * lab->options.silence_ms);
  if (lab->options.one_broker) {
    buffer_printf(ret, "authority: {node: alone, vote_ms: %u}\n", LAB_VOTE_MS);
  } else {
    buffer_printf(ret, "other_broker: {endpoints: [\"tcp://10.77.0.%u:%u\"], preferred: %s}\n", other + 1, PORT_BUS,
                  machine == 0 ? "false" : "true");
    buffer_printf(ret,
                  "authority:\n  node: %s\n  listen: tcp://10.77.0.%u:%u\n  peer: tcp://10.77.0.%u:%u\n  vote_ms: %u\n",
                  machine == 0 ? "a" : "b", machine + 1, PORT_PEER, other + 1, PORT_PEER, LAB_VOTE_MS);
    if (lab->options.witness)
      buffer_printf(ret, "  witness: tcp://10.77.%u.2:%u\n", machine + 1, PORT_WITNESS);
  }
  buffer_printf(ret, "profile: lab\nprofiles:\n  - {name: lab, agents: [echo%s]}\n", lab_models_agents(lab, machine));
  buffer_printf(ret, "agents:\n  - {name: echo, instances: %u}\n", agents);
  lab_models_print(lab, machine, ret);
}

static void print_witness(const Lab *lab, Buffer *ret) {
  buffer_printf(ret, "site: witness\nruntime_dir: %s/witness\nstate_dir: %s/witness\n", lab->folder, lab->folder);
  buffer_printf(ret, "broker: {insecure: true}\nauthority: {witness_listen: \"tcp://0.0.0.0:%u\", vote_ms: %u}\n",
                PORT_WITNESS, LAB_VOTE_MS);
}

/* A broker as its own machine's clients reach it, or as the other's do. */
static void print_broker(const Lab *lab, uint32_t broker, bool from_afar, Buffer *ret) {
  if (from_afar)
    buffer_printf(ret, "tcp://10.77.0.%u:%u", broker + 1, PORT_BUS);
  else
    buffer_printf(ret, "ipc://%s/%s/broker.sock", lab->folder, lab_name(broker));
}

/* Both brokers, the preferred one first, as they are reached from a machine; LAB_MACHINES = from everywhere. */
static void name_endpoints(const Lab *lab, uint32_t machine, char *ret) {
  _cleanup_(buffer_done) Buffer text = {0};

  print_broker(lab, 0, machine == 1, &text);
  if (!lab->options.one_broker) {
    buffer_printf(&text, ";");
    print_broker(lab, 1, machine == 0, &text);
  }
  snprintf(ret, LAB_PATH_BYTES, "%.*s", (int)text.size, (const char *)text.data);
}

static int write_box(Lab *lab, uint32_t number) {
  _cleanup_(buffer_done) Buffer text = {0};
  LabBox *box = &lab->boxes[number];

  snprintf(box->folder, sizeof box->folder, "%.200s/%s", lab->folder, lab_name(number));
  snprintf(box->config, sizeof box->config, "%.200s/%s.yaml", lab->folder, lab_name(number));
  snprintf(box->log, sizeof box->log, "%.200s/%s.log", lab->folder, lab_name(number));
  if (number == LAB_WITNESS) {
    print_witness(lab, &text);
  } else {
    print_machine(lab, number, &text);
    name_endpoints(lab, number, box->endpoints);
  }
  return write_file(box->config, &text);
}

int lab_files_make(Lab *lab) {
  const char *above = getenv("TMPDIR");
  int r = 0;

  snprintf(lab->folder, sizeof lab->folder, "%.150s/pons-drill-%d-XXXXXX", above && *above ? above : "/tmp",
           (int)getpid());
  if (!mkdtemp(lab->folder)) {
    r = -errno;
    *lab->folder = '\0';
    return r;
  }
  name_endpoints(lab, LAB_MACHINES, lab->sockets);
  for (uint32_t i = 0; r == 0 && i < LAB_BOXES; i++)
    r = write_box(lab, i);
  return r;
}

static int remove_one(const char *path, const struct stat *status _unused_, int kind _unused_,
                      struct FTW *where _unused_) {
  return remove(path);
}

void lab_files_remove(Lab *lab) {
  if (*lab->folder)
    nftw(lab->folder, remove_one, FOLDER_DEPTH, FTW_DEPTH | FTW_PHYS);
}
