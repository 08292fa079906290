/* Starts a fleet and times it: forks COUNT times, waits until as many READY=1 have come on the notify socket, prints
   one line of JSON, and ends the fleet when its own stdin ends. In C, so that the starter costs next to nothing. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct Fleet {
  int notify;
  unsigned count;
  unsigned ready;
  pid_t *pids;
} Fleet;

static double now_ms(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int open_notify(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  if (fd < 0 || strlen(path) >= sizeof address.sun_path)
    return -1;
  strcpy(address.sun_path, path);
  if (bind(fd, (struct sockaddr *)&address, sizeof address))
    return -1;
  return setenv("NOTIFY_SOCKET", path, 1) ? -1 : fd;
}

/* In the child. What the agent prints goes to stderr, stdout belongs to the line of JSON. */
static void become(char **argv, unsigned number) {
  char text[16];

  snprintf(text, sizeof text, "%u", number);
  setenv("BENCH_NUMBER", text, 1);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  execv(argv[0], argv);
  fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
  _exit(127);
}

static int start_all(Fleet *fleet, char **argv) {
  for (unsigned i = 0; i < fleet->count; i++) {
    fleet->pids[i] = fork();
    if (fleet->pids[i] < 0)
      return -1;
    if (fleet->pids[i] == 0)
      become(argv, i);
  }
  return 0;
}

/* Counts READY=1 until the whole fleet has said it. -1 at the deadline, or when an agent has ended. */
static int wait_ready(Fleet *fleet, double until_ms) {
  char text[4096];

  while (fleet->ready < fleet->count) {
    struct pollfd ready = {.fd = fleet->notify, .events = POLLIN};

    if (now_ms() > until_ms || waitpid(-1, NULL, WNOHANG) > 0)
      return -1;
    if (poll(&ready, 1, 100) <= 0)
      continue;

    ssize_t size = recv(fleet->notify, text, sizeof text - 1, 0);

    if (size <= 0)
      continue;
    text[size] = 0;
    if (strstr(text, "READY=1"))
      fleet->ready++;
  }
  return 0;
}

/* Agents may go on notifying; what they say is thrown away until stdin ends. */
static void wait_end(Fleet *fleet) {
  struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = fleet->notify, .events = POLLIN}};
  char text[4096];

  for (;;) {
    if (poll(fds, 2, -1) < 0)
      continue;
    if (fds[0].revents && read(STDIN_FILENO, text, sizeof text) <= 0)
      return;
    if (fds[1].revents && recv(fleet->notify, text, sizeof text, 0) < 0)
      return;
  }
}

static void stop_all(const Fleet *fleet) {
  double until = now_ms() + 5000;

  for (unsigned i = 0; i < fleet->count; i++)
    if (fleet->pids[i] > 0)
      kill(fleet->pids[i], SIGTERM);
  for (unsigned i = 0; i < fleet->count; i++) {
    if (fleet->pids[i] <= 0)
      continue;
    while (waitpid(fleet->pids[i], NULL, WNOHANG) == 0 && now_ms() < until)
      poll(NULL, 0, 5);
    kill(fleet->pids[i], SIGKILL);
    waitpid(fleet->pids[i], NULL, 0);
  }
}

static void print(const Fleet *fleet, double took_ms) {
  printf("{\"registered_ms\":%.2f,\"pids\":[", took_ms);
  for (unsigned i = 0; i < fleet->count; i++)
    printf("%s%d", i ? "," : "", fleet->pids[i]);
  puts("]}");
  fflush(stdout);
}

int main(int argc, char **argv) {
  Fleet fleet = {0};
  double start;
  int rc = 1;

  if (argc < 5) {
    fprintf(stderr, "usage: %s NOTIFY_PATH COUNT TIMEOUT_S PROGRAM [ARGUMENT...]\n", argv[0]);
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  fleet.count = (unsigned)atoi(argv[2]);
  fleet.pids = calloc(fleet.count + 1, sizeof *fleet.pids);
  fleet.notify = open_notify(argv[1]);
  if (fleet.notify < 0 || !fleet.pids) {
    fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
    return 1;
  }
  start = now_ms();
  if (start_all(&fleet, argv + 4) || wait_ready(&fleet, start + atof(argv[3]) * 1000)) {
    fprintf(stderr, "%u of %u agents were ready when one ended or the time was over\n", fleet.ready, fleet.count);
  } else {
    print(&fleet, now_ms() - start);
    wait_end(&fleet);
    rc = 0;
  }
  stop_all(&fleet);
  free(fleet.pids);
  return rc;
}
