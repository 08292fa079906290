/* Fine-tuning: jobs that the provider keeps. The file of examples is there already; what is asked names it. */
#include <stdlib.h>

#include "adapters/openai/openai.h"

static const char jobs[] = "/fine_tuning/jobs";

/* --- asking --- */

static void put_text(const char *name, Text text, Buffer *out) {
  buffer_printf(out, "%s\"%s\":", out->size > 1 ? "," : "", name);
  json_put_string(out, text);
}

static void put_job(const FineTuneAsk *ask, Buffer *out) {
  buffer_append(out, "{", 1);
  put_text("model", ask->model, out);
  put_text("training_file", ask->training_file, out);
  if (ask->has_validation_file)
    put_text("validation_file", ask->validation_file, out);
  if (ask->has_suffix)
    put_text("suffix", ask->suffix, out);
  if (ask->has_seed)
    buffer_printf(out, ",\"seed\":%llu", (unsigned long long)ask->seed);
  if (ask->has_epochs)
    buffer_printf(out, ",\"method\":{\"type\":\"supervised\",\"supervised\":{\"hyperparameters\":{\"n_epochs\":%llu}}}",
                  (unsigned long long)ask->epochs);
  buffer_append(out, "}", 1);
}

static void put_page(const FineTuneEventsAsk *page, Buffer *path) {
  buffer_printf(path, "?limit=%u", page->has_limit ? (unsigned)page->limit : 20U);
  if (!page->has_after)
    return;
  buffer_printf(path, "&after=");
  dialect_put_segment(path, page->after);
}

int openai_encode_tune(const DialectTune *tune, DialectRequest *ret, DialectFault *ret_fault) {
  static const char *const behind[] = {
      [TUNING_CREATE] = "", [TUNING_STATUS] = "", [TUNING_EVENTS] = "/events", [TUNING_CANCEL] = "/cancel"};
  bool posts = tune->what == TUNING_CREATE || tune->what == TUNING_CANCEL;

  (void)ret_fault;
  ret->method = posts ? "POST" : "GET";
  buffer_printf(&ret->path, jobs);
  if (tune->what == TUNING_CREATE) {
    put_job(tune->create, &ret->body);
    return 0;
  }
  buffer_append(&ret->path, "/", 1);
  dialect_put_segment(&ret->path, tune->job);
  buffer_printf(&ret->path, "%s", behind[tune->what]);
  if (tune->what == TUNING_EVENTS)
    put_page(tune->page, &ret->path);
  return 0;
}

/* --- the answer --- */

/* Appends a string to the texts, which have room for all of the answer and so stay where they are; at most so many bytes. */
static Text keep(Json string, size_t most, Buffer *texts) {
  size_t from = texts->size;

  json_get_string(string, texts);
  return text_at_most((Text){(const char *)texts->data + from, texts->size - from}, most);
}

static int read_job(Json answer, DialectTuned *ret, DialectFault *ret_fault) {
  FineTuneJob *job = &ret->job;

  job->job = keep(json_find(answer, "id"), 256, &ret->texts);
  job->status = keep(json_find(answer, "status"), 64, &ret->texts);
  if (job->job.size == 0 || job->status.size == 0)
    return dialect_fault_malformed(ret_fault, "its answer is no job of fine-tuning with id and status");
  job->model = keep(json_find(answer, "model"), 256, &ret->texts);
  job->tuned = keep(json_find(answer, "fine_tuned_model"), 256, &ret->texts);
  job->has_tuned = job->tuned.size > 0;
  job->why = keep(json_find(json_find(answer, "error"), "message"), 2048, &ret->texts);
  job->has_why = job->why.size > 0;
  job->has_trained_tokens = dialect_read_count(answer, "trained_tokens", &job->trained_tokens);
  job->has_created_s = dialect_read_count(answer, "created_at", &job->created_s);
  job->has_finished_s = dialect_read_count(answer, "finished_at", &job->finished_s);
  return 0;
}

static int read_events(Json answer, DialectTuned *ret, DialectFault *ret_fault) {
  enum { EVENTS_MAX = 100 };
  Json list = json_find(answer, "data");
  JsonWalk walk = json_walk(list);
  Json one;

  if (json_type(list) != JSON_ARRAY)
    return dialect_fault_malformed(ret_fault, "its answer has no list of events");
  ret->events = calloc(EVENTS_MAX, sizeof *ret->events);
  if (!ret->events)
    abort();
  while (ret->events_count < EVENTS_MAX && json_next_element(&walk, &one)) {
    FineTuneEvent *event = &ret->events[ret->events_count++];

    event->id = keep(json_find(one, "id"), 256, &ret->texts);
    event->level = keep(json_find(one, "level"), 32, &ret->texts);
    event->message = keep(json_find(one, "message"), 4096, &ret->texts);
    dialect_read_count(one, "created_at", &event->at_s);
  }
  json_get_bool(json_find(answer, "has_more"), &ret->has_more);
  return 0;
}

int openai_decode_tune(DialectTuning what, Text body, DialectTuned *ret, DialectFault *ret_fault) {
  Json answer = {TEXT_NONE};

  if (json_check(body, &answer, NULL) != 0 || json_type(answer) != JSON_OBJECT)
    return dialect_fault_malformed(ret_fault, "its answer is not a JSON object");
  buffer_reserve(&ret->texts, body.size + 1);
  return what == TUNING_EVENTS ? read_events(answer, ret, ret_fault) : read_job(answer, ret, ret_fault);
}
