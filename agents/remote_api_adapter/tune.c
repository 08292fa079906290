/* Fine-tuning is asked of one provider, which keeps the job: nothing of it is remembered here. */
#include "agents/remote_api_adapter/errand.h"

static int encode(const Dialect *dialect, const DialectTune *tune, DialectRequest *ret, DialectFault *ret_fault) {
  if (!dialect->encode_tune)
    return errand_has_none(dialect, "fine-tuning", ret_fault);
  return dialect->encode_tune(tune, ret, ret_fault);
}

static int encode_create(const Dialect *dialect, const void *ask, const void *state, DialectRequest *ret,
                         DialectFault *ret_fault) {
  (void)state;
  return encode(dialect, &(DialectTune){.what = TUNING_CREATE, .create = ask}, ret, ret_fault);
}

static int encode_status(const Dialect *dialect, const void *ask, const void *state, DialectRequest *ret,
                         DialectFault *ret_fault) {
  const FineTuneJobAsk *job = ask;

  (void)state;
  return encode(dialect, &(DialectTune){.what = TUNING_STATUS, .job = job->job}, ret, ret_fault);
}

static int encode_cancel(const Dialect *dialect, const void *ask, const void *state, DialectRequest *ret,
                         DialectFault *ret_fault) {
  const FineTuneJobAsk *job = ask;

  (void)state;
  return encode(dialect, &(DialectTune){.what = TUNING_CANCEL, .job = job->job}, ret, ret_fault);
}

static int encode_events(const Dialect *dialect, const void *ask, const void *state, DialectRequest *ret,
                         DialectFault *ret_fault) {
  const FineTuneEventsAsk *page = ask;

  (void)state;
  return encode(dialect, &(DialectTune){.what = TUNING_EVENTS, .job = page->job, .page = page}, ret, ret_fault);
}

static int decode_job(const Dialect *dialect, const void *ask, void *state, Text body, DialectFault *ret_fault) {
  (void)ask;
  return dialect->decode_tune(TUNING_STATUS, body, state, ret_fault);
}

static int decode_events(const Dialect *dialect, const void *ask, void *state, Text body, DialectFault *ret_fault) {
  (void)ask;
  return dialect->decode_tune(TUNING_EVENTS, body, state, ret_fault);
}

static void reply_job(Call *call, Remote *remote, Provider *provider, const void *ask, const void *state) {
  const DialectTuned *tuned = state;

  (void)remote;
  (void)provider;
  (void)ask;
  call_reply(call, &tuned->job);
}

static void reply_events(Call *call, Remote *remote, Provider *provider, const void *ask, const void *state) {
  const DialectTuned *tuned = state;

  (void)remote;
  (void)provider;
  (void)ask;
  call_reply(call, &(FineTuneEvents){.events = {tuned->events, tuned->events_count}, .has_more = tuned->has_more});
}

static void done(void *state) {
  dialect_tuned_done(state);
}

const ErrandKind errand_tune = {sizeof(DialectTuned), encode_create, decode_job, reply_job, done};
const ErrandKind errand_tune_status = {sizeof(DialectTuned), encode_status, decode_job, reply_job, done};
const ErrandKind errand_tune_cancel = {sizeof(DialectTuned), encode_cancel, decode_job, reply_job, done};
const ErrandKind errand_tune_events = {sizeof(DialectTuned), encode_events, decode_events, reply_events, done};
