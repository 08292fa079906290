/* Times what each dialect's pure functions take: a request said in its words, a whole answer read, an event of a stream. Prints
   "DIALECT WHAT microseconds" per line; the figure is the median of several batches, so that a preemption does not count.
   dialect [PATH OF tests/golden]. */
#include <stdio.h>
#include <stdlib.h>

#include "adapters/dialect/sse.h"
#include "adapters/table.h"
#include "bus/base/clock.h"

enum { BATCHES = 15, RUNS = 2000, PATH_BYTES = 512, FILE_MAX_BYTES = 1 << 20 };

static const DialectSettings settings = {.base_url = "https://bench.example/v1", .region = "eu-central-1"};

/* One thing to be timed. Returns false when it fails. */
typedef struct Timed {
  const Dialect *dialect;
  Json request;
  Text answer;
  Text event;
  DialectAsked asked;
} Timed;

typedef bool Run(Timed *timed);

static DialectRequest new_request(void) {
  return (DialectRequest){.asked = {.settings = &settings, .model = TEXT("bench-model"), .now_s = 1700000000}};
}

static bool run_encode(Timed *timed) {
  _cleanup_(dialect_request_done) DialectRequest request = new_request();
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};

  return timed->dialect->encode_chat(timed->request, &request, &fault) == 0;
}

static bool run_authorize(Timed *timed) {
  static DialectMemo memo;
  _cleanup_(buffer_done) Buffer headers = {0};
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
  DialectKey key = {strncmp(timed->dialect->name, "bedrock", 7) != 0
                        ? "sk-bench"
                        : "aws_access_key_id = BENCH\naws_secret_access_key = bench-secret\n",
                    &memo};

  return dialect_authorize(timed->dialect, &key,
                           &(DialectSend){.settings = &settings,
                                          .method = "POST",
                                          .host = TEXT("bedrock-runtime.eu-central-1.amazonaws.com"),
                                          .path = TEXT("/model/bench-model/converse"),
                                          .body = {(const uint8_t *)timed->request.text.data, timed->request.text.size},
                                          .now_s = 1700000000},
                           &headers, &fault) == 0;
}

static bool run_decode(Timed *timed) {
  _cleanup_(buffer_done) Buffer response = {0};
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
  ChatUsage usage = {.estimated = false};

  return timed->dialect->decode_chat(&timed->asked, timed->answer, &response, &usage, &fault) == 0;
}

/* Reads the whole stream; what is printed is per event. */
typedef struct Stream {
  DialectStream stream;
  DialectFault fault;
  uint32_t events;
  bool failed;
} Stream;

static void on_event(void *userdata, Text type, Text data) {
  Stream *read = userdata;

  read->events++;
  read->failed |= read->stream.dialect->stream_event(&read->stream, type, data, &read->fault) != 0;
}

static uint32_t events_of_stream;

static bool run_stream(Timed *timed) {
  _cleanup_(sse_done) Sse sse = {.begun = false};
  Stream read = {.events = 0};
  bool good;

  dialect_stream_begin(timed->dialect, &timed->asked, &read.stream);
  good = sse_feed(&sse, (Bytes){(const uint8_t *)timed->event.data, timed->event.size}, on_event, &read) == 0 &&
         !read.failed;
  events_of_stream = read.events;
  dialect_stream_done(&read.stream);
  dialect_fault_done(&read.fault);
  return good;
}

/* --- clock --- */

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;

  return (x > y) - (x < y);
}

/* Microseconds of one run; negative when it fails. */
static double time_of(Run *run, Timed *timed) {
  double us[BATCHES];

  for (int batch = 0; batch < BATCHES; batch++) {
    uint64_t start_us = clock_monotonic_us();

    for (int i = 0; i < RUNS; i++)
      if (!run(timed))
        return -1;
    us[batch] = (double)(clock_monotonic_us() - start_us) / RUNS;
  }
  qsort(us, BATCHES, sizeof us[0], compare);
  return us[BATCHES / 2];
}

static int print(Run *run, Timed *timed, const char *what, bool per_event) {
  double us = time_of(run, timed);

  if (us < 0) {
    fprintf(stderr, "%s: %s fails\n", timed->dialect->name, what);
    return 1;
  }
  printf("%s %s %.2f\n", timed->dialect->name, what, per_event ? us / events_of_stream : us);
  return 0;
}

/* --- golden files --- */

static bool read_file(const char *folder, const char *dialect, const char *name, Buffer *ret) {
  char path[PATH_BYTES];
  FILE *file;

  snprintf(path, sizeof path, "%s/%s/%s", folder, dialect, name);
  file = fopen(path, "r");
  if (!file)
    return false;
  buffer_clear(ret);
  ret->size = fread(buffer_reserve(ret, FILE_MAX_BYTES), 1, FILE_MAX_BYTES, file);
  fclose(file);
  return true;
}

/* A case of tests/golden; its request is OpenAI's where the dialect has none of its own. */
static bool read_case(const char *folder, const Dialect *dialect, const char *name, Timed *timed, Buffer *request,
                      Buffer *answer) {
  char file[64];

  snprintf(file, sizeof file, "%s.request.json", name);
  if (!read_file(folder, dialect->name, file, request) && !read_file(folder, "openai", file, request))
    return false;
  snprintf(file, sizeof file, "%s.answer.json", name);
  if (json_check(buffer_text(request), &timed->request, NULL) != 0 || !read_file(folder, dialect->name, file, answer))
    return false;
  timed->answer = buffer_text(answer);
  return true;
}

static int time_case(const char *folder, const Dialect *dialect, const char *name, Buffer *request, Buffer *answer) {
  Timed timed = {.dialect = dialect, .asked = new_request().asked};
  char what[64];
  int r;

  if (!read_case(folder, dialect, name, &timed, request, answer)) {
    fprintf(stderr, "%s: no case %s in %s\n", dialect->name, name, folder);
    return 1;
  }
  if (!run_encode(&timed))
    return 0; /* refused there, as its golden file says */
  snprintf(what, sizeof what, "%s-encode", name);
  r = print(run_encode, &timed, what, false);
  snprintf(what, sizeof what, "%s-decode", name);
  return r ? r : print(run_decode, &timed, what, false);
}

static int time_dialect(const char *folder, const Dialect *dialect) {
  static const char *const cases[] = {"text", "tools", "tool_result", "json_schema"};
  _cleanup_(buffer_done) Buffer request = {0};
  _cleanup_(buffer_done) Buffer answer = {0};
  Timed timed = {.dialect = dialect, .asked = new_request().asked};
  int r = 0;

  for (size_t i = 0; r == 0 && i < ELEMENTS(cases); i++)
    r = time_case(folder, dialect, cases[i], &request, &answer);
  if (r == 0 && dialect->authorize && read_file(folder, "openai", "text.request.json", &request) &&
      json_check(buffer_text(&request), &timed.request, NULL) == 0)
    r = print(run_authorize, &timed, "authorize", false);
  if (r == 0 && read_file(folder, dialect->name, "stream_text.answer.sse", &answer)) {
    timed.asked.streams = true;
    timed.event = buffer_text(&answer);
    r = print(run_stream, &timed, "stream-event", true);
  }
  return r;
}

int main(int argc, char **argv) {
  const char *folder = argc > 1 ? argv[1] : "tests/golden";
  int r = 0;

  for (const Dialect *const *at = table_dialects(); r == 0 && *at; at++)
    r = time_dialect(folder, *at);
  return r;
}
