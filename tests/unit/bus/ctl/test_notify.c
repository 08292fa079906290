/* What children say on the socket, and what else may come on it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bus/ctl/notify.h"

static char folder[] = "/tmp/pons-test-XXXXXX";
static char path[64];

static int make_folder(void **state _unused_) {
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/notify.sock", folder);
  return 0;
}

static int remove_folder(void **state _unused_) {
  unlink(path);
  return rmdir(folder);
}

static int sender(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  memcpy(address.sun_path, path, strlen(path) + 1);
  assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
  return fd;
}

static void say(int fd, const char *text) {
  assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

static void test_words(void **state _unused_) {
  NotifyMessage message = {0};

  assert_true(notify_parse(TEXT("READY=1\nSTATUS=serving 3 of 4\n"), &message));
  assert_true(message.ready && message.has_status);
  assert_false(message.stopping || message.beat || message.hung);
  assert_string_equal(message.status, "serving 3 of 4");
  message = (NotifyMessage){0};
  assert_true(notify_parse(TEXT("MAINPID=12\nWATCHDOG=1\nSTOPPING=1"), &message));
  assert_true(message.beat && message.stopping);
  message = (NotifyMessage){0};
  assert_true(notify_parse(TEXT("WATCHDOG=trigger"), &message));
  assert_true(message.hung);
  message = (NotifyMessage){0};
  assert_false(notify_parse(TEXT("READY=0\nFDSTORE=1\n\n=\nREADY=11"), &message));
  assert_false(notify_parse(TEXT_NONE, &message));
  assert_false(message.ready);
}

static void test_status_is_cut_and_cleaned(void **state _unused_) {
  NotifyMessage message = {0};
  char text[600] = "STATUS=";

  memset(text + 7, 'x', sizeof text - 7);
  text[8] = '\x1b';
  assert_true(notify_parse((Text){text, sizeof text}, &message));
  assert_int_equal(strlen(message.status), NOTIFY_STATUS_BYTES - 1);
  assert_int_equal(message.status[1], '?');
}

static void test_the_kernel_names_the_sender(void **state _unused_) {
  NotifyMessage message = {.pid = 77};
  int fd = -1;
  int child;

  assert_int_equal(notify_open(path, &fd), 0);
  assert_int_equal(notify_receive(fd, &message), -EAGAIN);
  assert_int_equal(message.pid, 77);
  child = sender();
  say(child, "READY=1");
  say(child, "nothing that is known");
  say(child, "WATCHDOG=1");
  assert_int_equal(notify_receive(fd, &message), 0);
  assert_int_equal(message.pid, getpid());
  assert_true(message.ready);
  assert_int_equal(notify_receive(fd, &message), -EBADMSG);
  assert_int_equal(notify_receive(fd, &message), 0);
  assert_true(message.beat);
  assert_false(message.ready);
  close(child);
  close(fd);
}

/* sd_notify_barrier passes a descriptor and waits until the receiver has closed it. */
static void test_descriptors_are_closed(void **state _unused_) {
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
  char text[] = "BARRIER=1";
  struct iovec part = {text, strlen(text)};
  struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
  NotifyMessage message;
  int pipe_fds[2];
  int fd = -1;
  int child;

  assert_int_equal(notify_open(path, &fd), 0);
  assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(rights), &pipe_fds[1], sizeof(int));
  child = sender();
  assert_true(sendmsg(child, &header, 0) > 0);
  close(pipe_fds[1]);
  assert_int_equal(notify_receive(fd, &message), -EBADMSG);
  struct pollfd hung_up = {.fd = pipe_fds[0]};
  assert_int_equal(poll(&hung_up, 1, 5000), 1);
  assert_true(hung_up.revents & POLLHUP);
  close(pipe_fds[0]);
  close(child);
  close(fd);
}

static void test_path_that_is_too_long(void **state _unused_) {
  char big[200];
  int fd = 77;

  memset(big, 'x', sizeof big - 1);
  big[sizeof big - 1] = '\0';
  assert_int_equal(notify_open(big, &fd), -ENAMETOOLONG);
  assert_int_equal(notify_open("/tmp/pons-test-none/n.sock", &fd), -ENOENT);
  assert_int_equal(fd, 77);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_words),
      cmocka_unit_test(test_status_is_cut_and_cleaned),
      cmocka_unit_test(test_the_kernel_names_the_sender),
      cmocka_unit_test(test_descriptors_are_closed),
      cmocka_unit_test(test_path_that_is_too_long),
  };

  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
