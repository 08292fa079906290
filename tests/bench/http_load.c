/* Load on an HTTP endpoint that speaks OpenAI's chat API. Open loop: a request is due every 1/rate seconds, whatever the
   answers do, and its latency counts from when it was due, so that a server that falls behind is seen to. Closed loop: N
   connections, each sends again as soon as it has its answer.
   http-load PORT PATH rate|connections N EVENTS WARM_MS MEASURE_MS MODEL [HEADER...]; EVENTS 0: plain answers. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/histogram.h"
#include "tests/bench/http_reply.h"

enum { CONNECTIONS_MAX = 1024, PROMPT_BYTES = 800, SILENCE_MS = 5000, PROBE_S = 20 };

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

typedef struct Connection {
  int fd; /* -1: not connected */
  bool busy;
  bool fresh; /* nothing was asked on it yet, so that a close is a failure */
  bool heard; /* the first event, or body byte, has come */
  uint64_t due_ns;
  HttpReply reply;
} Connection;

typedef struct Load {
  uint16_t port;
  bool open_loop;
  uint32_t number; /* per second, or connections */
  uint32_t events;
  uint64_t warm_ns, measure_ns;
  char *request;
  size_t request_size;
  int epoll;
  uint64_t from_ns, until_ns, next_ns, heard_ns;
  uint64_t sent, received, failed;
  uint32_t used; /* connections that were ever used */
  uint32_t outstanding;
  Histogram whole, first;
  Connection connections[CONNECTIONS_MAX];
} Load;

static Load load;

static uint64_t now_ns(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void fail(const char *what) {
  fprintf(stderr, "http-load: %s\n", what);
  exit(1);
}

static uint32_t number_of(const char *text, unsigned long most, const char *what) {
  char *end = NULL;
  unsigned long value = strtoul(text, &end, 10);

  if (end == text || *end || value > most) {
    fprintf(stderr, "http-load: %s: '%s' is no number up to %lu\n", what, text, most);
    exit(2);
  }
  return (uint32_t)value;
}

/* About 1 KB: a prompt of 800 bytes, and what stands around it. */
static void make_request(char **argv, int argc) {
  char body[2048], *head = NULL;
  size_t size = 0, body_size;
  FILE *file = open_memstream(&head, &size);

  if (!file)
    abort();
  body_size = (size_t)snprintf(body, sizeof body,
                               "{\"model\":\"%.100s\",\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"",
                               argv[8], load.events ? "true" : "false");
  for (unsigned i = 0; i < PROMPT_BYTES; i++)
    body[body_size++] = i % 6 == 5 ? ' ' : (char)('a' + i % 26);
  body_size += (size_t)snprintf(body + body_size, sizeof body - body_size, "\"}]}");
  fprintf(file, "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n",
          argv[2], load.port, body_size);
  for (int i = 9; i < argc; i++)
    fprintf(file, "%s\r\n", argv[i]);
  fprintf(file, "\r\n%.*s", (int)body_size, body);
  fclose(file);
  load.request = head;
  load.request_size = size;
}

static void parse(int argc, char **argv) {
  if (argc < 9) {
    fputs("usage: http-load PORT PATH rate|connections N EVENTS WARM_MS MEASURE_MS MODEL [HEADER...]\n", stderr);
    exit(2);
  }
  load.port = (uint16_t)number_of(argv[1], 65535, "PORT");
  load.open_loop = strcmp(argv[3], "rate") == 0;
  load.number = number_of(argv[4], load.open_loop ? 1000000 : CONNECTIONS_MAX, "N");
  load.events = number_of(argv[5], 1000000, "EVENTS");
  load.warm_ns = number_of(argv[6], 600000, "WARM_MS") * NS_PER_MS;
  load.measure_ns = number_of(argv[7], 600000, "MEASURE_MS") * NS_PER_MS;
  if (!load.number || !load.measure_ns)
    fail("N and MEASURE_MS are at least 1");
  make_request(argv, argc);
}

static int open_socket(void) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(load.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  static const int YES = 1;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
    fail("cannot connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &YES, sizeof YES);
  return fd;
}

/* --- one connection --- */

static void attach(Connection *connection) {
  struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = connection}};

  connection->fd = open_socket();
  connection->fresh = true;
  if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, connection->fd, &event))
    fail("epoll_ctl");
}

static void detach(Connection *connection) {
  close(connection->fd);
  connection->fd = -1;
}

static void transmit(Connection *connection) {
  if (connection->fd < 0)
    attach(connection);
  http_reply_clear(&connection->reply);
  connection->heard = false;
  /* A peer that has just closed is noticed when it is read from. */
  if (send(connection->fd, load.request, load.request_size, MSG_NOSIGNAL) != (ssize_t)load.request_size &&
      errno != EPIPE && errno != ECONNRESET)
    fail("a request did not fit into the socket");
}

static void begin(Connection *connection, uint64_t due_ns) {
  connection->busy = true;
  connection->due_ns = due_ns;
  load.sent++;
  load.outstanding++;
  transmit(connection);
}

static bool is_good(const HttpReply *reply) {
  return reply->status == 200 && reply->body_bytes &&
         (!load.events || (reply->events == load.events && reply->last_event));
}

static void complain(const HttpReply *reply) {
  if (load.failed == 1)
    fprintf(stderr, "http-load: a bad answer: status %u, %llu bytes, %u events%s: %s\n", reply->status,
            (unsigned long long)reply->body_bytes, reply->events, reply->last_event ? " and the last one" : "",
            reply->start);
}

static void finish(Connection *connection, bool whole, uint64_t now) {
  bool good = whole && is_good(&connection->reply);

  connection->busy = connection->fresh = false;
  load.outstanding--;
  load.received += good;
  load.failed += !good;
  if (!good)
    complain(&connection->reply);
  else if (now >= load.from_ns && now < load.until_ns)
    histogram_add(&load.whole, now - connection->due_ns);
  if (!whole || connection->reply.close)
    detach(connection);
  if (!load.open_loop && now < load.until_ns)
    begin(connection, now_ns());
}

/* The peer has closed a connection. When it was kept alive and nothing of an answer has come, the request goes out again. */
static void on_close(Connection *connection, uint64_t now) {
  if (!connection->busy) {
    detach(connection);
  } else if (!connection->fresh && !connection->reply.status && !connection->reply.head_size) {
    detach(connection);
    transmit(connection);
  } else {
    finish(connection, http_reply_feed(&connection->reply, "", 0) == 1, now);
  }
}

static void on_readable(Connection *connection) {
  static char data[64 << 10];
  ssize_t n = recv(connection->fd, data, sizeof data, MSG_DONTWAIT);
  uint64_t now = now_ns();
  HttpReply *reply = &connection->reply;
  int r;

  if (n < 0 && errno == EAGAIN)
    return;
  load.heard_ns = now;
  if (n <= 0) {
    on_close(connection, now);
    return;
  }
  r = http_reply_feed(reply, data, (size_t)n);
  if (!connection->heard && (load.events ? reply->events : reply->body_bytes)) {
    connection->heard = true;
    if (now >= load.from_ns && now < load.until_ns)
      histogram_add(&load.first, now - connection->due_ns);
  }
  if (r)
    finish(connection, r == 1, now);
}

/* --- the run --- */

/* One request outside of the run: the endpoint is up, and its answers are what is expected. */
static void probe(void) {
  static const struct timeval LIMIT = {.tv_sec = PROBE_S};
  static HttpReply reply;
  char data[16 << 10];
  int fd = open_socket(), r = 0;

  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &LIMIT, sizeof LIMIT);
  if (send(fd, load.request, load.request_size, MSG_NOSIGNAL) != (ssize_t)load.request_size)
    fail("cannot send");
  while (!r) {
    ssize_t n = recv(fd, data, sizeof data, 0);

    if (n < 0)
      fail("no answer to the first request");
    r = http_reply_feed(&reply, data, (size_t)n);
  }
  close(fd);
  if (r < 0 || !is_good(&reply)) {
    load.failed = 1;
    complain(&reply);
    exit(1);
  }
}

static Connection *idle_connection(void) {
  for (uint32_t i = 0; i < load.used; i++)
    if (!load.connections[i].busy)
      return &load.connections[i];
  return load.used < CONNECTIONS_MAX ? &load.connections[load.used++] : NULL;
}

static void send_due(uint64_t now) {
  uint64_t gap = NS_PER_S / load.number;

  while (load.open_loop && load.next_ns <= now && load.next_ns < load.until_ns) {
    Connection *connection = idle_connection();

    if (!connection)
      return;
    begin(connection, load.next_ns);
    load.next_ns += gap;
  }
}

static void turn(void) {
  struct epoll_event events[256];
  uint64_t now = now_ns();
  uint64_t at = load.open_loop && load.next_ns < load.until_ns ? load.next_ns : now + 100 * NS_PER_MS;
  uint64_t wait = at > now ? at - now : 0;
  struct timespec limit = {.tv_sec = (time_t)(wait / NS_PER_S), .tv_nsec = (long)(wait % NS_PER_S)};
  int n = epoll_pwait2(load.epoll, events, 256, &limit, NULL);

  for (int i = 0; i < n; i++)
    on_readable(events[i].data.ptr);
}

static void run(void) {
  uint64_t now = now_ns();

  load.from_ns = now + load.warm_ns;
  load.until_ns = load.from_ns + load.measure_ns;
  load.next_ns = load.heard_ns = now;
  for (uint32_t i = 0; !load.open_loop && i < load.number; i++)
    begin(idle_connection(), now_ns());
  while (now < load.until_ns || (load.outstanding && now < load.heard_ns + SILENCE_MS * NS_PER_MS)) {
    send_due(now);
    turn();
    now = now_ns();
  }
}

static void print(void) {
  printf(
      "{\"sent\":%llu,\"received\":%llu,\"failed\":%llu,\"count\":%llu,\"seconds\":%.6f,\"connections\":%u,\"first\":",
      (unsigned long long)load.sent, (unsigned long long)load.received, (unsigned long long)load.failed,
      (unsigned long long)load.whole.total, (double)load.measure_ns / 1e9, load.used);
  histogram_print(&load.first, stdout);
  printf(",\"histogram\":");
  histogram_print(&load.whole, stdout);
  puts("}");
  fflush(stdout);
}

int main(int argc, char **argv) {
  char line[16];

  parse(argc, argv);
  prctl(PR_SET_TIMERSLACK, 1UL);
  for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
    load.connections[i].fd = -1;
  load.epoll = epoll_create1(EPOLL_CLOEXEC);
  probe();
  puts("ready");
  fflush(stdout);
  if (read(STDIN_FILENO, line, sizeof line) <= 0)
    return 1;
  run();
  print();
  free(load.request);
  return 0;
}
