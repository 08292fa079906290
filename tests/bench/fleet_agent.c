/* The idle agent of the "C + libzmq" fleet: registers with each broker, says READY=1, then beats once a second. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#define BROKERS_MAX 8

static void notify_ready(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char *path = getenv("NOTIFY_SOCKET");
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  if (fd < 0 || !path || strlen(path) >= sizeof address.sun_path)
    exit(1);
  strcpy(address.sun_path, path);
  if (sendto(fd, "READY=1", 7, 0, (struct sockaddr *)&address, sizeof address) < 0)
    exit(1);
  close(fd);
}

static void *sign_on(void *context, const char *endpoint) {
  void *socket = zmq_socket(context, ZMQ_DEALER);
  const char *number = getenv("BENCH_NUMBER");
  char text[64];
  int size = snprintf(text, sizeof text, "REGISTER echo-%s", number ? number : "0");

  if (zmq_connect(socket, endpoint) || zmq_send(socket, text, (size_t)size, 0) < 0) {
    fprintf(stderr, "%s: %s\n", endpoint, zmq_strerror(zmq_errno()));
    exit(1);
  }
  return socket;
}

int main(int argc, char **argv) {
  zmq_pollitem_t items[BROKERS_MAX] = {0};
  int count = argc - 1 < BROKERS_MAX ? argc - 1 : BROKERS_MAX;
  void *context = zmq_ctx_new();
  char text[64];

  for (int i = 0; i < count; i++)
    items[i] = (zmq_pollitem_t){.socket = sign_on(context, argv[1 + i]), .events = ZMQ_POLLIN};
  for (int i = 0; i < count; i++)
    if (zmq_recv(items[i].socket, text, sizeof text, 0) < 0)
      return 1;
  notify_ready();
  for (;;) {
    sleep(1);
    for (int i = 0; i < count; i++)
      zmq_send(items[i].socket, "BEAT", 4, 0);
    for (int i = 0; i < count; i++)
      if (zmq_recv(items[i].socket, text, sizeof text, 0) < 0)
        return 1;
  }
}
