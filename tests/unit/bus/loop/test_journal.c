/* Lines go to the journal with their fields, or to standard error; a stuck journal costs lines and not time. */
#include "bus/loop/journal.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include "bus/base/clock.h"
#include "bus/loop/journal-internal.h"

/* A journal that keeps the last fields, and takes nothing while it is stuck. */
static pthread_mutex_t stuck = PTHREAD_MUTEX_INITIALIZER;
static char last[4][256];
static char dropped[256];
static unsigned sent;

static int keep_fields(const struct iovec *fields, int count) {
  pthread_mutex_lock(&stuck);
  for (int i = 0; i < count && i < 4; i++)
    snprintf(last[i], sizeof last[i], "%.*s", (int)fields[i].iov_len, (const char *)fields[i].iov_base);
  if (strcmp(last[3], "PONS_EVENT=PONS-LOG-DROPPED") == 0)
    memcpy(dropped, last[0], sizeof dropped);
  sent++;
  pthread_mutex_unlock(&stuck);
  return 0;
}

/* Puts a file in the place of standard error; returns the real one. */
static int swap_stderr(FILE *file) {
  int real = dup(STDERR_FILENO);

  fflush(stderr);
  dup2(fileno(file), STDERR_FILENO);
  return real;
}

static void restore_stderr(int real) {
  dup2(real, STDERR_FILENO);
  close(real);
}

static void connect_to_journal(void) {
  struct stat status;
  char stream[64];

  assert_int_equal(fstat(STDERR_FILENO, &status), 0);
  snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
  setenv("JOURNAL_STREAM", stream, 1);
}

static void a_line_on_standard_error(void **state _unused_) {
  FILE *file = tmpfile();
  char text[2048];
  int real = swap_stderr(file);

  setenv("JOURNAL_STREAM", "1:1", 1); /* somebody else's */
  log_setup_process("pons-test", LOG_LEVEL_INFO);
  log_warning("PONS-TEST", "%d peers are gone", 3);
  log_debug("PONS-TEST", "not said");
  restore_stderr(real);
  rewind(file);
  text[fread(text, 1, sizeof text - 1, file)] = '\0';
  assert_string_equal(text, "pons-test: warning: 3 peers are gone [PONS-TEST]\n");
  fclose(file);
}

static void a_line_in_the_journal_has_its_fields(void **state _unused_) {
  connect_to_journal();
  journal_use_sender(keep_fields);
  log_setup_process("pons-test", LOG_LEVEL_INFO);
  log_error("PONS-TEST", "no port %d", 7100);
  assert_int_equal(log_flush(10000), 0);
  assert_string_equal(last[0], "MESSAGE=no port 7100");
  assert_string_equal(last[1], "PRIORITY=3");
  assert_string_equal(last[2], "SYSLOG_IDENTIFIER=pons-test");
  assert_string_equal(last[3], "PONS_EVENT=PONS-TEST");
}

static void a_stuck_journal_costs_lines_and_says_how_many(void **state _unused_) {
  unsigned before = sent;

  connect_to_journal();
  journal_use_sender(keep_fields);
  log_setup_process("pons-test", LOG_LEVEL_INFO);
  pthread_mutex_lock(&stuck);
  for (int i = 0; i < 1000; i++)
    log_info("PONS-TEST", "line %d", i);
  assert_int_equal(log_dropped(), 1000 - 256);
  assert_int_equal(log_flush(1), -ETIMEDOUT);
  pthread_mutex_unlock(&stuck);
  assert_int_equal(log_flush(10000), 0);
  assert_int_equal(sent - before, 256 + 1);
  assert_memory_equal(dropped, "MESSAGE=744 log lines were dropped", 34);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_line_on_standard_error),
      cmocka_unit_test(a_line_in_the_journal_has_its_fields),
      cmocka_unit_test(a_stuck_journal_costs_lines_and_says_how_many),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
