#include "bus/ctl/notify.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { DATAGRAM_BYTES = 4096, DESCRIPTORS_MAX = 253 };

int notify_open(const char *path, int *ret) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int on = 1;
  int fd;

  if (strlen(path) >= sizeof address.sun_path)
    return -ENAMETOOLONG;
  memcpy(address.sun_path, path, strlen(path) + 1);
  fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return -errno;
  unlink(path);
  if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
      setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0) {
    int error = errno;

    close(fd);
    return -error;
  }
  *ret = fd;
  return 0;
}

static void take_status(Text value, NotifyMessage *ret) {
  size_t size = min_u64(value.size, sizeof ret->status - 1);

  for (size_t i = 0; i < size; i++)
    ret->status[i] = (unsigned char)value.data[i] < 0x20 || value.data[i] == 0x7f ? '?' : value.data[i];
  ret->status[size] = '\0';
  ret->has_status = true;
}

static bool take_line(Text line, NotifyMessage *ret) {
  static const Text status = {"STATUS=", 7};

  if (text_is(line, "READY=1"))
    return ret->ready = true;
  if (text_is(line, "STOPPING=1"))
    return ret->stopping = true;
  if (text_is(line, "WATCHDOG=1"))
    return ret->beat = true;
  if (text_is(line, "WATCHDOG=trigger"))
    return ret->hung = true;
  if (line.size >= status.size && memcmp(line.data, status.data, status.size) == 0) {
    take_status((Text){line.data + status.size, line.size - status.size}, ret);
    return true;
  }
  return false;
}

bool notify_parse(Text text, NotifyMessage *ret) {
  bool known = false;

  while (text.size) {
    const char *newline = memchr(text.data, '\n', text.size);
    size_t size = newline ? (size_t)(newline - text.data) : text.size;
    size_t taken = newline ? size + 1 : size;

    known |= take_line((Text){text.data, size}, ret);
    text = (Text){text.data + taken, text.size - taken};
  }
  return known;
}

/* The sender's process id, 0 when the kernel named none. Closes what was passed. */
static pid_t take_sender(struct msghdr *header) {
  pid_t pid = 0;

  for (struct cmsghdr *at = CMSG_FIRSTHDR(header); at; at = CMSG_NXTHDR(header, at)) {
    if (at->cmsg_level != SOL_SOCKET)
      continue;
    if (at->cmsg_type == SCM_CREDENTIALS) {
      struct ucred credentials;

      memcpy(&credentials, CMSG_DATA(at), sizeof credentials);
      pid = credentials.pid;
    } else if (at->cmsg_type == SCM_RIGHTS) {
      size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);

      for (size_t i = 0; i < count; i++) {
        int fd;

        memcpy(&fd, CMSG_DATA(at) + i * sizeof fd, sizeof fd);
        close(fd);
      }
    }
  }
  return pid;
}

int notify_receive(int fd, NotifyMessage *ret) {
  char text[DATAGRAM_BYTES];
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int) * DESCRIPTORS_MAX)];
  struct iovec part = {text, sizeof text};
  struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  NotifyMessage message = {0};
  ssize_t size = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

  if (size < 0)
    return errno == EINTR ? -EAGAIN : -errno;
  message.pid = take_sender(&header);
  if (message.pid <= 0 || !notify_parse((Text){text, (size_t)size}, &message))
    return -EBADMSG;
  *ret = message;
  return 0;
}
