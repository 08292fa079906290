/* sd_journal_sendv is a blocking datagram write, so it never happens on the loop: the sink copies the line into a ring, and
   one thread, with a small stack and all signals blocked, takes it out. Neither exists until there is a line for the journal;
   a process that is run by hand or by `pons up` writes its lines itself. */
#include "bus/loop/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/loop/journal-internal.h"

enum {
  RING_LINES = 256,
  TEXT_BYTES = 1024,
  EVENT_BYTES = 64,
  NAME_BYTES = 48,
  STACK_BYTES = 131072,
  EXIT_FLUSH_MS = 500
};

typedef struct Line {
  LogLevel level;
  char event[EVENT_BYTES];
  char text[TEXT_BYTES];
} Line;

static struct {
  char name[NAME_BYTES];
  int (*send)(const struct iovec *fields, int count);
  pthread_mutex_t mutex;
  pthread_cond_t filled;
  pthread_cond_t emptied;
  /* under mutex */
  Line *ring; /* RING_LINES of them */
  uint32_t first;
  uint32_t count; /* with the one that is being sent */
  uint64_t dropped;
  uint64_t dropped_said;
  bool running;
} journal = {.send = sd_journal_sendv,
             .mutex = PTHREAD_MUTEX_INITIALIZER,
             .filled = PTHREAD_COND_INITIALIZER,
             .emptied = PTHREAD_COND_INITIALIZER};

void journal_use_sender(int (*send)(const struct iovec *fields, int count)) {
  journal.send = send ? send : sd_journal_sendv;
}

/* One write, so that lines of several processes on one terminal or pipe do not mix. */
static void to_stderr(LogLevel level, const char *event, const char *text) {
  char line[TEXT_BYTES + EVENT_BYTES + NAME_BYTES + 32];
  int size = snprintf(line, sizeof line, "%s: %s: %s [%s]\n", journal.name, log_level_name(level), text, event);

  if (size >= (int)sizeof line) {
    size = sizeof line - 1;
    line[size - 1] = '\n';
  }
  /* Nobody is left to be told when standard error is gone. */
  if (write(STDERR_FILENO, line, (size_t)size) < 0)
    return;
}

static void send_line(const Line *line) {
  static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
  char fields[4][TEXT_BYTES + 16];
  struct iovec vector[4];

  snprintf(fields[0], sizeof fields[0], "MESSAGE=%s", line->text);
  snprintf(fields[1], sizeof fields[1], "PRIORITY=%d", priorities[line->level]);
  snprintf(fields[2], sizeof fields[2], "SYSLOG_IDENTIFIER=%s", journal.name);
  snprintf(fields[3], sizeof fields[3], "PONS_EVENT=%s", line->event);
  for (size_t i = 0; i < ELEMENTS(vector); i++)
    vector[i] = (struct iovec){fields[i], strlen(fields[i])};
  journal.send(vector, ELEMENTS(vector));
}

/* Says how many lines were dropped since this was said last. Called and returns with the mutex held. */
static void say_dropped(void) {
  Line line = {.level = LOG_LEVEL_WARNING, .event = "PONS-LOG-DROPPED"};

  snprintf(line.text, sizeof line.text,
           "%" PRIu64
           " log lines were dropped because the journal did not take them; see journalctl --unit systemd-journald",
           journal.dropped - journal.dropped_said);
  journal.dropped_said = journal.dropped;
  pthread_mutex_unlock(&journal.mutex);
  send_line(&line);
  pthread_mutex_lock(&journal.mutex);
}

/* A line keeps its place while it is sent, so that a flush waits for it too. */
static void *writer_run(void *userdata _unused_) {
  pthread_mutex_lock(&journal.mutex);
  for (;;) {
    while (journal.count == 0)
      pthread_cond_wait(&journal.filled, &journal.mutex);
    const Line *line = &journal.ring[journal.first];
    pthread_mutex_unlock(&journal.mutex);
    send_line(line);
    pthread_mutex_lock(&journal.mutex);
    if (journal.dropped > journal.dropped_said)
      say_dropped();
    journal.first = (journal.first + 1) % RING_LINES;
    if (--journal.count == 0)
      pthread_cond_broadcast(&journal.emptied);
  }
  return NULL;
}

/* Starts ring and thread, with the mutex held. Returns whether they are there. */
static bool writer_ensure(void) {
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t all, before;

  if (journal.running)
    return true;
  if (!journal.ring)
    journal.ring = malloc(RING_LINES * sizeof *journal.ring);
  if (!journal.ring)
    return false;
  sigfillset(&all);
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  journal.running = pthread_create(&thread, &attributes, writer_run, NULL) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return journal.running;
}

static void to_journal(LogLevel level, const char *event, const char *text) {
  pthread_mutex_lock(&journal.mutex);
  if (!writer_ensure() || journal.count == RING_LINES) {
    journal.dropped++;
  } else {
    Line *line = &journal.ring[(journal.first + journal.count) % RING_LINES];

    line->level = level;
    snprintf(line->event, sizeof line->event, "%s", event);
    snprintf(line->text, sizeof line->text, "%s", text);
    if (journal.count++ == 0)
      pthread_cond_signal(&journal.filled);
  }
  pthread_mutex_unlock(&journal.mutex);
}

/* Standard error is the journal's when JOURNAL_STREAM names its device and inode: a child may have been given another one. */
static bool stderr_is_journal(void) {
  const char *stream = getenv("JOURNAL_STREAM");
  uintmax_t device, inode;
  struct stat status;

  return stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 && fstat(STDERR_FILENO, &status) == 0 &&
         (uintmax_t)status.st_dev == device && (uintmax_t)status.st_ino == inode;
}

static void on_exit_flush(void) {
  log_flush(EXIT_FLUSH_MS);
}

void log_setup_process(const char *name, LogLevel level) {
  static bool registered;
  bool native = stderr_is_journal();

  snprintf(journal.name, sizeof journal.name, "%s", name);
  log_setup(level, native ? to_journal : to_stderr);
  if (native && !registered)
    registered = atexit(on_exit_flush) == 0;
}

int log_flush(uint64_t timeout_ms) {
  uint64_t until_us = clock_realtime_us() + timeout_ms * US_PER_MS;
  struct timespec until = {(time_t)(until_us / US_PER_S), (long)(until_us % US_PER_S) * 1000};
  int r = 0;

  pthread_mutex_lock(&journal.mutex);
  while (journal.count > 0 && r == 0)
    r = pthread_cond_timedwait(&journal.emptied, &journal.mutex, &until);
  pthread_mutex_unlock(&journal.mutex);
  return -r;
}

uint64_t log_dropped(void) {
  pthread_mutex_lock(&journal.mutex);
  uint64_t dropped = journal.dropped;
  pthread_mutex_unlock(&journal.mutex);
  return dropped;
}
