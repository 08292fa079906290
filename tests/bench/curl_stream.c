/* What libcurl itself costs for streams of events: a multi handle in an epoll loop that begins a stream every 1/RATE seconds
   and reads each to its end. curl-stream URL RATE EVENTS WARM_MS MEASURE_MS; EVENTS is what a whole stream has. */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { STREAMS_MAX = 1024, PROMPT_BYTES = 800, SILENCE_MS = 5000 };

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

typedef struct Stream {
  CURL *easy;
  bool busy;
  char before; /* the last byte that came */
  uint32_t events;
} Stream;

static struct {
  CURLM *multi;
  struct curl_slist *headers;
  int epoll;
  const char *url;
  char body[PROMPT_BYTES + 128];
  uint32_t rate, events;
  uint64_t due_ns; /* of libcurl's own timer; UINT64_MAX = none */
  uint64_t from_ns, until_ns;
  uint64_t sent, received, count;
  Stream streams[STREAMS_MAX];
} bench;

static uint64_t now_ns(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static int on_timer(CURLM *multi, long timeout_ms, void *userdata) {
  (void)multi;
  (void)userdata;
  bench.due_ns = timeout_ms < 0 ? UINT64_MAX : now_ns() + (uint64_t)timeout_ms * NS_PER_MS;
  return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *known) {
  struct epoll_event event = {.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u),
                              .data.fd = fd};

  (void)easy;
  (void)userdata;
  if (what == CURL_POLL_REMOVE)
    return epoll_ctl(bench.epoll, EPOLL_CTL_DEL, fd, NULL);
  curl_multi_assign(bench.multi, fd, &bench);
  return epoll_ctl(bench.epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
}

/* An event ends with an empty line. */
static size_t on_data(char *data, size_t one, size_t size, void *userdata) {
  Stream *stream = userdata;

  (void)one;
  for (size_t i = 0; i < size; i++) {
    stream->events += data[i] == '\n' && stream->before == '\n';
    stream->before = data[i];
  }
  return size;
}

static void prepare(Stream *stream) {
  stream->easy = curl_easy_init();
  curl_easy_setopt(stream->easy, CURLOPT_URL, bench.url);
  curl_easy_setopt(stream->easy, CURLOPT_HTTPHEADER, bench.headers);
  curl_easy_setopt(stream->easy, CURLOPT_POSTFIELDS, bench.body);
  curl_easy_setopt(stream->easy, CURLOPT_WRITEFUNCTION, on_data);
  curl_easy_setopt(stream->easy, CURLOPT_WRITEDATA, stream);
  curl_easy_setopt(stream->easy, CURLOPT_PRIVATE, stream);
}

static void begin(void) {
  for (size_t i = 0; i < STREAMS_MAX; i++) {
    Stream *stream = &bench.streams[i];

    if (stream->busy)
      continue;
    if (!stream->easy)
      prepare(stream);
    stream->busy = true;
    stream->events = 0;
    stream->before = 0;
    bench.sent++;
    curl_multi_add_handle(bench.multi, stream->easy);
    return;
  }
}

/* [DONE] comes behind the events. */
static void collect(uint64_t now) {
  CURLMsg *message;
  int left;

  while ((message = curl_multi_info_read(bench.multi, &left))) {
    CURLcode result = message->data.result;
    CURL *easy = message->easy_handle;
    Stream *stream;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&stream);
    curl_multi_remove_handle(bench.multi, easy);
    stream->busy = false;
    if (result != CURLE_OK || stream->events != bench.events + 1)
      continue;
    bench.received++;
    bench.count += now >= bench.from_ns && now < bench.until_ns;
  }
}

static void turn(uint64_t next_ns) {
  struct epoll_event events[256];
  uint64_t now = now_ns(), at = bench.due_ns < next_ns ? bench.due_ns : next_ns;
  uint64_t wait = at > now ? at - now : 0;
  struct timespec limit = {.tv_sec = (time_t)(wait / NS_PER_S), .tv_nsec = (long)(wait % NS_PER_S)};
  int n = epoll_pwait2(bench.epoll, events, 256, &limit, NULL), running;

  for (int i = 0; i < n; i++)
    curl_multi_socket_action(bench.multi, events[i].data.fd,
                             (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                                 (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                                 (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0),
                             &running);
  if (now_ns() >= bench.due_ns) {
    bench.due_ns = UINT64_MAX;
    curl_multi_socket_action(bench.multi, CURL_SOCKET_TIMEOUT, 0, &running);
  }
  collect(now_ns());
}

static bool is_busy(void) {
  for (size_t i = 0; i < STREAMS_MAX; i++)
    if (bench.streams[i].busy)
      return true;
  return false;
}

static void run(uint64_t warm_ns, uint64_t measure_ns) {
  uint64_t now = now_ns(), next_ns = now, end_ns;

  bench.from_ns = now + warm_ns;
  bench.until_ns = bench.from_ns + measure_ns;
  end_ns = bench.until_ns + SILENCE_MS * NS_PER_MS;
  for (; now < bench.until_ns || (is_busy() && now < end_ns); now = now_ns()) {
    for (; next_ns <= now && next_ns < bench.until_ns; next_ns += NS_PER_S / bench.rate)
      begin();
    turn(next_ns < bench.until_ns ? next_ns : now + 100 * NS_PER_MS);
  }
}

static void set_up(char **argv) {
  char prompt[PROMPT_BYTES + 1];

  memset(prompt, 'x', PROMPT_BYTES);
  prompt[PROMPT_BYTES] = '\0';
  snprintf(bench.body, sizeof bench.body,
           "{\"model\":\"bench\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}", prompt);
  bench.url = argv[1];
  bench.rate = (uint32_t)strtoul(argv[2], NULL, 10);
  bench.events = (uint32_t)strtoul(argv[3], NULL, 10);
  bench.due_ns = UINT64_MAX;
  bench.epoll = epoll_create1(EPOLL_CLOEXEC);
  bench.headers = curl_slist_append(NULL, "Content-Type: application/json");
  bench.multi = curl_multi_init();
  curl_multi_setopt(bench.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(bench.multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(bench.multi, CURLMOPT_MAXCONNECTS, (long)STREAMS_MAX);
}

static void clean_up(void) {
  for (size_t i = 0; i < STREAMS_MAX; i++) {
    if (bench.streams[i].busy)
      curl_multi_remove_handle(bench.multi, bench.streams[i].easy);
    curl_easy_cleanup(bench.streams[i].easy);
  }
  curl_multi_cleanup(bench.multi);
  curl_slist_free_all(bench.headers);
  curl_global_cleanup();
}

int main(int argc, char **argv) {
  char line[16];

  if (argc != 6 || atoi(argv[2]) < 1) {
    fprintf(stderr, "usage: %s URL RATE EVENTS WARM_MS MEASURE_MS\n", argv[0]);
    return 2;
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  set_up(argv);
  puts("ready");
  fflush(stdout);
  if (read(STDIN_FILENO, line, sizeof line) <= 0)
    return 1;
  run(strtoull(argv[4], NULL, 10) * NS_PER_MS, strtoull(argv[5], NULL, 10) * NS_PER_MS);
  printf("{\"sent\":%llu,\"received\":%llu,\"count\":%llu,\"seconds\":%.6f}\n", (unsigned long long)bench.sent,
         (unsigned long long)bench.received, (unsigned long long)bench.count,
         (double)(bench.until_ns - bench.from_ns) / 1e9);
  fflush(stdout);
  clean_up();
  return 0;
}
