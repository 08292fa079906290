/* The transport alone: what libcurl's multi interface takes for the same requests that the adapter makes, and nothing behind it.
   curl-load URL BODY OUTSTANDING WARM_MS MEASURE_MS [HEADER...]; BODY is JSON and is POSTed. */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

#include "tests/bench/closed.h"

enum { EVENTS_MAX = 64, DRAIN_MS = 5000 };

typedef struct Bench Bench;

typedef struct Slot {
  Bench *bench;
  CURL *easy;
  uint32_t number;
} Slot;

struct Bench {
  Closed load;
  CURLM *multi;
  int epoll;
  int64_t due_ms; /* libcurl's timer, which rings once; -1: none */
  Slot *slots;
};

static int64_t now_ms(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static size_t on_body(char *data, size_t size, size_t count, void *userdata) {
  Slot *slot = userdata;

  (void)data;
  closed_heard(&slot->bench->load, slot->number);
  return size * count;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *known) {
  Bench *bench = userdata;
  struct epoll_event event = {.data.fd = fd};

  (void)easy;
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(bench->epoll, EPOLL_CTL_DEL, fd, NULL);
    return 0;
  }
  event.events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0u) | (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0u);
  epoll_ctl(bench->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
  curl_multi_assign(bench->multi, fd, bench);
  return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *userdata) {
  Bench *bench = userdata;

  (void)multi;
  bench->due_ms = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
  return 0;
}

static void send_slot(Slot *slot) {
  closed_sent(&slot->bench->load, slot->number);
  curl_multi_add_handle(slot->bench->multi, slot->easy);
}

/* What has ended, and is sent again while the window lasts. */
static void reap(Bench *bench) {
  CURLMsg *message;
  int left;

  while ((message = curl_multi_info_read(bench->multi, &left))) {
    CURL *easy = message->easy_handle;
    bool good = message->data.result == CURLE_OK;
    Slot *slot = NULL;
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&slot);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(bench->multi, easy);
    if (closed_ended(&bench->load, slot->number, good && status == 200))
      send_slot(slot);
  }
}

static void turn(Bench *bench, int wait_ms) {
  struct epoll_event events[EVENTS_MAX];
  int running;
  int n;

  if (bench->due_ms >= 0) {
    int64_t left_ms = bench->due_ms - now_ms();

    wait_ms = left_ms < 0 ? 0 : left_ms < wait_ms ? (int)left_ms : wait_ms;
  }
  n = epoll_wait(bench->epoll, events, EVENTS_MAX, wait_ms);
  for (int i = 0; i < n; i++)
    curl_multi_socket_action(bench->multi, events[i].data.fd,
                             (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                                 (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                                 (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0),
                             &running);
  if (bench->due_ms >= 0 && bench->due_ms <= now_ms()) {
    bench->due_ms = -1;
    curl_multi_socket_action(bench->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  }
  reap(bench);
}

static void prepare(Bench *bench, const char *url, const char *body, char **further) {
  struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");

  for (; *further; further++)
    headers = curl_slist_append(headers, *further);
  bench->multi = curl_multi_init();
  bench->epoll = epoll_create1(EPOLL_CLOEXEC);
  bench->due_ms = -1;
  bench->slots = calloc(bench->load.outstanding, sizeof *bench->slots);
  if (!bench->multi || bench->epoll < 0 || !bench->slots)
    abort();
  curl_multi_setopt(bench->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(bench->multi, CURLMOPT_SOCKETDATA, bench);
  curl_multi_setopt(bench->multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(bench->multi, CURLMOPT_TIMERDATA, bench);
  curl_multi_setopt(bench->multi, CURLMOPT_MAXCONNECTS, (long)bench->load.outstanding);
  for (uint32_t i = 0; i < bench->load.outstanding; i++) {
    Slot *slot = &bench->slots[i];

    *slot = (Slot){.bench = bench, .easy = curl_easy_init(), .number = i};
    curl_easy_setopt(slot->easy, CURLOPT_URL, url);
    curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(slot->easy, CURLOPT_WRITEDATA, slot);
    curl_easy_setopt(slot->easy, CURLOPT_PRIVATE, slot);
    curl_easy_setopt(slot->easy, CURLOPT_NOSIGNAL, 1L);
  }
}

static void drive(Bench *bench) {
  int left_ms;

  for (uint32_t i = 0; i < bench->load.outstanding; i++)
    send_slot(&bench->slots[i]);
  /* What is on its way at the end may end too. */
  while ((left_ms = closed_left_ms(&bench->load, DRAIN_MS)) > 0 && !closed_is_over(&bench->load))
    turn(bench, left_ms);
}

int main(int argc, char **argv) {
  static Bench bench;
  struct rlimit files = {0};

  if (argc < 6 || closed_init(&bench.load, argv + 3)) {
    fputs("usage: curl-load URL BODY OUTSTANDING WARM_MS MEASURE_MS [HEADER...]\n", stderr);
    return 2;
  }
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  prepare(&bench, argv[1], argv[2], argv + 6);
  if (closed_begin(&bench.load) == 0) {
    drive(&bench);
    closed_print(&bench.load);
  }
  for (uint32_t i = 0; i < bench.load.outstanding; i++) {
    curl_multi_remove_handle(bench.multi, bench.slots[i].easy);
    curl_easy_cleanup(bench.slots[i].easy);
  }
  curl_multi_cleanup(bench.multi);
  free(bench.slots);
  closed_done(&bench.load);
  return 0;
}
