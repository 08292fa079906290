#include "bus/ctl/control.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bus/base/list.h"

enum { WORD_BYTES = CONTROL_WORD_BYTES + 1, CONNECTIONS_MAX = 32, BACKLOG = 16, TRIES = 3 };

typedef struct Connection {
  List link;
  Control *control;
  LoopFd *watch;
  Buffer out;
  size_t sent;
  char word[WORD_BYTES];
  size_t word_size;
  bool waits; /* for control_answer */
  int fd;
} Connection;

struct Control {
  Loop *loop;
  LoopFd *watch;
  char *path;
  ControlAnswer *answer;
  void *userdata;
  List connections;
  uint32_t count;
  int fd;
};

static void connection_end(Connection *connection) {
  list_remove(&connection->link);
  connection->control->count--;
  loop_fd_destroy(&connection->watch);
  close(connection->fd);
  buffer_done(&connection->out);
  free(connection);
}

/* Writes what is there to write. Returns false when the connection is over. */
static bool send_out(Connection *connection) {
  while (connection->sent < connection->out.size) {
    ssize_t size = send(connection->fd, connection->out.data + connection->sent,
                        connection->out.size - connection->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (size < 0)
      return errno == EAGAIN && loop_fd_set_events(connection->watch, EPOLLIN | EPOLLOUT) == 0;
    connection->sent += (size_t)size;
  }
  return loop_fd_set_events(connection->watch, EPOLLIN) == 0;
}

/* Takes the reference. */
static void push_answer(Connection *connection, json_t *answer) {
  char *text = json_dumps(answer, JSON_COMPACT);

  json_decref(answer);
  if (text)
    buffer_append(&connection->out, text, strlen(text));
  buffer_append(&connection->out, "\n", 1);
  free(text);
}

static void answer_word(Connection *connection) {
  Control *control = connection->control;
  json_t *answer = control->answer(control->userdata, connection->word);

  connection->waits = json_is_null(answer);
  if (!connection->waits)
    push_answer(connection, answer ? answer : json_pack("{s:s}", "error", "unknown word"));
}

void control_answer(Control *control, json_t *answer) {
  LIST_EACH (&control->connections, Connection, link, connection) {
    if (!connection->waits)
      continue;
    connection->waits = false;
    push_answer(connection, json_incref(answer));
    if (!send_out(connection))
      connection_end(connection);
  }
  json_decref(answer);
}

/* Takes bytes of a word up to its newline. Returns false when the connection is over. */
static bool take_word(Connection *connection) {
  char *at = connection->word + connection->word_size;
  ssize_t size = recv(connection->fd, at, WORD_BYTES - 1 - connection->word_size, MSG_DONTWAIT);
  char *newline;

  if (size < 0)
    return errno == EAGAIN;
  if (size == 0)
    return false;
  connection->word_size += (size_t)size;
  newline = memchr(connection->word, '\n', connection->word_size);
  if (!newline)
    return connection->word_size < WORD_BYTES - 1;
  *newline = '\0';
  connection->word_size = 0;
  answer_word(connection);
  return true;
}

static void on_connection(void *userdata, int fd, uint32_t events) {
  Connection *connection = userdata;
  bool alive = true;

  (void)fd;
  if (events & EPOLLIN)
    alive = take_word(connection);
  if (!alive || !send_out(connection) || (events & (EPOLLHUP | EPOLLERR)))
    connection_end(connection);
}

static bool is_allowed(int fd) {
  struct ucred peer;
  socklen_t size = sizeof peer;

  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == geteuid() || peer.uid == 0);
}

static void on_connect(void *userdata, int listener, uint32_t events) {
  Control *control = userdata;
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  Connection *connection;

  (void)events;
  if (fd < 0)
    return;
  connection = is_allowed(fd) && control->count < CONNECTIONS_MAX ? calloc(1, sizeof *connection) : NULL;
  if (!connection) {
    close(fd);
    return;
  }
  connection->control = control;
  connection->fd = fd;
  list_push(&control->connections, &connection->link);
  control->count++;
  if (loop_watch_fd(control->loop, fd, EPOLLIN, on_connection, connection, &connection->watch) < 0)
    connection_end(connection);
}

static int set_address(const char *path, struct sockaddr_un *ret) {
  *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof ret->sun_path)
    return -ENAMETOOLONG;
  memcpy(ret->sun_path, path, strlen(path) + 1);
  return 0;
}

/* Listens with mode 0600 from the first moment: the mode of a unix socket is the umask's at bind. */
static int listen_at(const char *path, int *ret) {
  struct sockaddr_un address;
  int r = set_address(path, &address);
  int fd = r < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  mode_t mask;

  if (r < 0)
    return r;
  if (fd < 0)
    return -errno;
  unlink(path);
  mask = umask(0177);
  r = bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || listen(fd, BACKLOG) < 0 ? -errno : 0;
  umask(mask);
  if (r < 0)
    close(fd);
  else
    *ret = fd;
  return r;
}

int control_new(Control **ret, Loop *loop, const char *path, int fd, ControlAnswer *answer, void *userdata) {
  _cleanup_(control_destroy) Control *control = calloc(1, sizeof *control);
  int r;

  if (!control)
    return -ENOMEM;
  control->fd = fd;
  control->loop = loop;
  control->answer = answer;
  control->userdata = userdata;
  list_init(&control->connections);
  r = fd < 0 ? listen_at(path, &control->fd) : 0;
  if (r < 0)
    return r;
  control->path = strdup(path);
  if (!control->path)
    return -ENOMEM;
  r = loop_watch_fd(loop, control->fd, EPOLLIN, on_connect, control, &control->watch);
  if (r < 0)
    return r;
  *ret = TAKE(control);
  return 0;
}

int control_fd(const Control *control) {
  return control->fd;
}

void control_destroy(Control **control) {
  Control *c = *control;

  if (!c)
    return;
  LIST_EACH (&c->connections, Connection, link, connection)
    connection_end(connection);
  loop_fd_destroy(&c->watch);
  if (c->path)
    unlink(c->path);
  if (c->fd >= 0)
    close(c->fd);
  free(c->path);
  free(c);
  *control = NULL;
}

/* Waits for fd to be readable up to deadline_us. */
static int wait_readable(int fd, uint64_t deadline_us) {
  for (;;) {
    uint64_t now_us = clock_monotonic_us();
    uint64_t left_ms = deadline_us > now_us ? (deadline_us - now_us + US_PER_MS - 1) / US_PER_MS : 0;
    struct timeval wait = {.tv_sec = (time_t)(left_ms / 1000), .tv_usec = (suseconds_t)(left_ms % 1000 * 1000)};
    char byte;

    if (left_ms == 0)
      return CONTROL_E_TIMEOUT;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0)
      return -errno;
    if (recv(fd, &byte, 1, MSG_PEEK) >= 0)
      return 0;
    if (errno != EINTR && errno != EAGAIN)
      return errno == ECONNRESET ? 0 : -errno;
  }
}

/* Reads up to the newline, or for until_end up to the end. */
static int read_answer(int fd, bool until_end, uint64_t deadline_us, Buffer *ret) {
  for (;;) {
    int r = wait_readable(fd, deadline_us);
    ssize_t size;

    if (r)
      return r;
    size = recv(fd, buffer_reserve(ret, 4096), 4096, MSG_DONTWAIT);
    if (size <= 0)
      return 0;
    ret->size += (size_t)size;
    if (!until_end && memchr(ret->data, '\n', ret->size))
      return 0;
  }
}

static int say(const char *path, const char *word, int *ret) {
  struct sockaddr_un address;
  int r = set_address(path, &address);
  int fd = r < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  if (r < 0)
    return r;
  if (fd < 0)
    return -errno;
  if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
    r = errno == ENOENT || errno == ECONNREFUSED ? CONTROL_E_NOBODY : -errno;
  else if ((send(fd, word, strlen(word), MSG_NOSIGNAL) < 0 || send(fd, "\n", 1, MSG_NOSIGNAL) < 0) && errno != EPIPE &&
           errno != ECONNRESET)
    r = -errno;
  if (r)
    close(fd);
  else
    *ret = fd;
  return r;
}

/* Asks on a connection of its own. The answer stays empty when the other side hung up without one. */
static int ask_once(const char *path, const char *word, bool until_end, uint64_t deadline_us, Buffer *ret) {
  int fd = -1;
  int r = say(path, word, &fd);

  if (r)
    return r;
  r = read_answer(fd, until_end, deadline_us, ret);
  close(fd);
  return r;
}

int control_ask(const char *path, const char *word, bool until_end, uint64_t timeout_ms, json_t **ret) {
  uint64_t deadline_us = clock_monotonic_us() + timeout_ms * US_PER_MS;
  _cleanup_(buffer_done) Buffer answer = {0};
  json_t *json;
  int r = 0;

  /* Who has ended refuses the next connection; who has only lost this one is asked again. */
  for (int i = 0; i < TRIES && r == 0 && answer.size == 0; i++)
    r = ask_once(path, word, until_end, deadline_us, &answer);
  if (r)
    return r;
  if (answer.size == 0)
    return CONTROL_E_CUT;
  json = json_loadb((const char *)answer.data, answer.size, JSON_DISABLE_EOF_CHECK, NULL);
  if (!json)
    return CONTROL_E_GARBLED;
  *ret = json;
  return 0;
}
