/* nft reads its commands from us for as long as the drill lasts. Its table has the flag `owner`: the kernel removes it when the
   socket of who made it is closed. So nothing has to be tidied up: when this process ends, even by SIGKILL, nft has the end
   of its input and a signal for its parent's death. The sets are there from the beginning, and a cut is one element more. */
#include "bus/drill/cutter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/drill/lab-internal.h"
#include "bus/loop/address.h"

enum { HOSTS_MAX = 16, ANSWER_BYTES = 65536, END_MS = 1000 };

struct Cutter {
  Address hosts[HOSTS_MAX];
  uint32_t count;
  uint64_t patience_us;
  pid_t pid;
  int words;   /* to nft */
  int answers; /* from it */
};

/* --- whom to cut off --- */

/* Whether the address is one of this machine's: then it can be bound. */
static bool is_own(const Address *address) {
  Address any_port = *address;
  int fd = socket(address->storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool own;

  if (address->storage.ss_family == AF_INET)
    ((struct sockaddr_in *)&any_port.storage)->sin_port = 0;
  else
    ((struct sockaddr_in6 *)&any_port.storage)->sin6_port = 0;
  own = fd >= 0 && bind(fd, (const struct sockaddr *)&any_port.storage, any_port.size) == 0;
  if (fd >= 0)
    close(fd);
  return own;
}

static int add_host(Cutter *cutter, const Address *address, const char *endpoint, Buffer *errors) {
  if (is_own(address)) {
    buffer_printf(errors, "the other broker, %s, is on this machine, so there is no cable to cut; give it --lab",
                  endpoint);
    return CUTTER_E_HERE;
  }
  if (cutter->count == HOSTS_MAX)
    return -ENOSPC;
  cutter->hosts[cutter->count++] = *address;
  return 0;
}

static int resolve(Cutter *cutter, const char *host, const char *endpoint, Buffer *errors) {
  const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};
  struct addrinfo *found = NULL;
  int error = getaddrinfo(host, NULL, &wanted, &found);
  int r = 0;

  if (error) {
    buffer_printf(errors, "%s: the host %s is not known: %s", endpoint, host, gai_strerror(error));
    return CUTTER_E_NAME;
  }
  for (const struct addrinfo *at = found; r == 0 && at; at = at->ai_next) {
    Address address = {.size = 0};

    address_set_host(&address, at->ai_addr, at->ai_addrlen);
    r = add_host(cutter, &address, endpoint, errors);
  }
  freeaddrinfo(found);
  return r;
}

static int add_endpoint(Cutter *cutter, const char *endpoint, Buffer *errors) {
  char host[ADDRESS_HOST_BYTES];
  Address address;
  int r = address_is_here(endpoint) ? 0 : address_read(endpoint, false, &address, host);

  if (address_is_here(endpoint)) {
    buffer_printf(errors, "the other broker, %s, is on this machine, so there is no cable to cut; give it --lab",
                  endpoint);
    return CUTTER_E_HERE;
  }
  if (r == ADDRESS_E_NAME)
    return resolve(cutter, host, endpoint, errors);
  return r < 0 ? r : add_host(cutter, &address, endpoint, errors);
}

/* --- nft --- */

/* Whether it has said what is wrong, to the end of that line. */
static bool has_error(const Buffer *answer) {
  const uint8_t *at = memmem(answer->data, answer->size, "Error:", 6);

  return at && memchr(at, '\n', answer->size - (size_t)(at - answer->data));
}

/* Waits for the end of what nft prints of its set `end`, before which there is nothing but errors. */
static int read_answer(const Cutter *cutter, Buffer *ret) {
  uint64_t deadline_us = clock_monotonic_us() + cutter->patience_us;

  while (ret->size < ANSWER_BYTES) {
    struct pollfd ready = {.fd = cutter->answers, .events = POLLIN};
    uint64_t now_us = clock_monotonic_us();
    ssize_t size;

    if (now_us >= deadline_us)
      return -ETIMEDOUT;
    if (poll(&ready, 1, (int)((deadline_us - now_us) / US_PER_MS) + 1) != 1)
      continue;
    size = read(cutter->answers, buffer_reserve(ret, 4096), 4096);
    if (size <= 0)
      return -EPIPE;
    ret->size += (size_t)size;
    if (has_error(ret))
      return -EIO;
    if (ret->size >= 3 && memcmp(ret->data + ret->size - 3, "\n}\n", 3) == 0)
      return 0;
  }
  return -EIO;
}

/* Has nft do it, and waits until it is done. */
static int say(const Cutter *cutter, Buffer *words, Buffer *ret_answer) {
  buffer_printf(words, "\nlist set inet pons_drill_%d end\n", (int)getpid());
  /* One that has ended does not hear it; what it said before stands in the answer yet. */
  if (send(cutter->words, words->data, words->size, MSG_NOSIGNAL) < 0 && errno != EPIPE)
    return -errno;
  return read_answer(cutter, ret_answer);
}

static int start_nft(Cutter *cutter) {
  /* It would leave a file with what it was told in the home folder. */
  static const char *const arguments[] = {"env", "HOME=/dev/null", "nft", "-i", NULL};
  int in[2];
  int out[2];
  int r;

  /* No pipe: to write to one that nobody reads any more would end us. */
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) < 0)
    return -errno;
  if (pipe2(out, O_CLOEXEC) < 0) {
    r = -errno;
    close(in[0]);
    close(in[1]);
    return r;
  }
  r = lab_process_spawn(in[0], out[1], arguments, &cutter->pid);
  close(in[0]);
  close(out[1]);
  cutter->words = in[1];
  cutter->answers = out[0];
  return r;
}

static void print_family(int table, const char *family, const char *suffix, Buffer *ret) {
  const char *const ways[] = {"out", "in"};

  for (size_t i = 0; i < ELEMENTS(ways); i++)
    buffer_printf(
        ret, "add set inet pons_drill_%d %s%s { type ip%s_addr; }\nadd rule inet pons_drill_%d %s %s %s @%s%s drop\n",
        table, ways[i], suffix, *suffix == '4' ? "v4" : "v6", table, ways[i], family, i == 0 ? "daddr" : "saddr",
        ways[i], suffix);
}

static Text first_line(const Buffer *answer) {
  const uint8_t *end = answer->size ? memchr(answer->data, '\n', answer->size) : NULL;

  return (Text){(const char *)answer->data, end ? (size_t)(end - answer->data) : answer->size};
}

/* Whether there was nothing to be run: it is env that ended. */
static bool was_never_there(Cutter *cutter) {
  int status = 0;

  return lab_process_await(&cutter->pid, END_MS, &status) == 0 && WIFEXITED(status) &&
         (WEXITSTATUS(status) == LAB_EXIT_NOT_STARTED || WEXITSTATUS(status) == LAB_EXIT_NOT_EXECUTABLE);
}

/* Why there is no table, from how the talk with nft ended. */
static int explain(Cutter *cutter, int r, const Buffer *answer, Buffer *errors) {
  Text line = first_line(answer);

  if (r == -EPIPE && was_never_there(cutter)) {
    buffer_printf(errors, "to cut a live fleet takes the program nft; install the package nftables, or give it --lab");
    return CUTTER_E_TOOL;
  }
  if (r == -ETIMEDOUT) {
    buffer_printf(errors, "nft does not answer; try `nft list tables` as root, and stop what it waits for, or give it "
                          "--lab");
    return CUTTER_E_SILENT;
  }
  buffer_printf(
      errors,
      "nft can't make a filter here: %.*s%s%s; it takes a kernel with nf_tables, and CAP_NET_ADMIN; or give it "
      "--lab",
      TEXT_ARG(line), r == -EPIPE && line.size ? ": " : "", r == -EPIPE ? "it has ended" : "");
  return CUTTER_E_REFUSED;
}

static int make_table(Cutter *cutter, Buffer *errors) {
  _cleanup_(buffer_done) Buffer words = {0};
  _cleanup_(buffer_done) Buffer answer = {0};
  int table = (int)getpid();
  int r;

  buffer_printf(&words,
                "add table inet pons_drill_%d { flags owner; }\nadd set inet pons_drill_%d end { type ipv4_addr; }\n"
                "add chain inet pons_drill_%d out { type filter hook output priority -300; }\n"
                "add chain inet pons_drill_%d in { type filter hook input priority -300; }\n",
                table, table, table, table);
  print_family(table, "ip", "4", &words);
  print_family(table, "ip6", "6", &words);
  r = say(cutter, &words, &answer);
  return r < 0 ? explain(cutter, r, &answer, errors) : 0;
}

/* --- the whole --- */

int cutter_new(char *const *endpoints, uint32_t count, uint64_t patience_us, Buffer *errors, Cutter **ret) {
  _cleanup_(cutter_destroy) Cutter *cutter = calloc(1, sizeof *cutter);
  int r = 0;

  if (!cutter)
    return -ENOMEM;
  cutter->words = cutter->answers = -1;
  cutter->patience_us = patience_us;
  for (uint32_t i = 0; r == 0 && i < count; i++)
    r = add_endpoint(cutter, endpoints[i], errors);
  if (r == 0 && geteuid() != 0) {
    buffer_printf(errors, "only root can cut this machine off; run it as root, or with --lab, as root too");
    r = CUTTER_E_ROOT;
  }
  if (r == 0)
    r = start_nft(cutter);
  if (r == 0)
    r = make_table(cutter, errors);
  if (r)
    return r;
  *ret = TAKE(cutter);
  return 0;
}

void cutter_destroy(Cutter **cutter) {
  Cutter *gone = TAKE(*cutter);

  if (!gone)
    return;
  if (gone->words >= 0)
    close(gone->words);
  if (gone->answers >= 0)
    close(gone->answers);
  lab_process_stop(&gone->pid);
  free(gone);
}

static void print_element(const Cutter *cutter, uint32_t host, const char *way, Buffer *ret) {
  const struct sockaddr_storage *storage = &cutter->hosts[host].storage;
  bool is_v4 = storage->ss_family == AF_INET;
  char text[INET6_ADDRSTRLEN];

  inet_ntop(storage->ss_family,
            is_v4 ? (const void *)&((const struct sockaddr_in *)storage)->sin_addr
                  : (const void *)&((const struct sockaddr_in6 *)storage)->sin6_addr,
            text, sizeof text);
  buffer_printf(ret, "add element inet pons_drill_%d %s%c { %s }; ", (int)getpid(), way, is_v4 ? '4' : '6', text);
}

int cutter_cut(Cutter *cutter, LabWays ways) {
  _cleanup_(buffer_done) Buffer words = {0};
  _cleanup_(buffer_done) Buffer answer = {0};

  for (uint32_t i = 0; i < cutter->count; i++) {
    if (ways & LAB_FORTH)
      print_element(cutter, i, "out", &words);
    if (ways & LAB_BACK)
      print_element(cutter, i, "in", &words);
  }
  return say(cutter, &words, &answer);
}

int cutter_heal(Cutter *cutter) {
  static const char *const sets[] = {"out4", "in4", "out6", "in6"};
  _cleanup_(buffer_done) Buffer words = {0};
  _cleanup_(buffer_done) Buffer answer = {0};

  for (size_t i = 0; i < ELEMENTS(sets); i++)
    buffer_printf(&words, "flush set inet pons_drill_%d %s; ", (int)getpid(), sets[i]);
  return say(cutter, &words, &answer);
}
