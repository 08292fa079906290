/* The ring behind `pons trace`: one row of 40 bytes per step of any request. Instances are named by their session; their
   names outlive them in a ring of their own. */
#include "bus/core/core-internal.h"

#include <stdio.h>

static const char *const step_names[] = {
#define STEP(name) #name,
#include "bus/core/steps.def"
#undef STEP
};

void trace_step(Core *core, const Request *request, TraceStep step, const Session *instance, Status status) {
  core->trace[core->n_trace++ % LIMIT_TRACE_STEPS] = (TraceRow){
      .at_us = core->now_us,
      .id = request->id,
      .session = instance ? instance->id : (SessionId){0},
      .step = (uint8_t)step,
      .hop = request->hop,
      .status = (uint8_t)status,
      .attempt = request->attempt,
  };
}

void trace_name(Core *core, const Session *session) {
  TraceName *name = &core->names[core->n_names++ % TRACE_NAMES];

  name->session = session->id;
  snprintf(name->instance, sizeof name->instance, "%s", session->instance);
}

static const char *find_name(const Core *core, SessionId session) {
  uint64_t n = min_u64(core->n_names, TRACE_NAMES);

  for (uint64_t i = 0; i < n; i++)
    if (core->names[i].session.value == session.value)
      return core->names[i].instance;
  return "";
}

static void put_row(const Core *core, const TraceRow *row, Buffer *rows) {
  msgpack_put_map(rows, 6);
  msgpack_put_text(rows, TEXT("at_us"));
  msgpack_put_uint(rows, core_realtime_us(core, row->at_us));
  msgpack_put_text(rows, TEXT("step"));
  msgpack_put_text(rows, text_of(step_names[row->step]));
  msgpack_put_text(rows, TEXT("hop"));
  msgpack_put_uint(rows, row->hop);
  msgpack_put_text(rows, TEXT("attempt"));
  msgpack_put_uint(rows, row->attempt);
  msgpack_put_text(rows, TEXT("instance"));
  msgpack_put_text(rows, text_of(row->session.value ? find_name(core, row->session) : ""));
  msgpack_put_text(rows, TEXT("status"));
  msgpack_put_text(rows, text_of(status_name((Status)row->status)));
}

uint32_t trace_rows(const Core *core, RequestId id, Buffer *ret_rows) {
  uint64_t first = core->n_trace > LIMIT_TRACE_STEPS ? core->n_trace - LIMIT_TRACE_STEPS : 0;
  uint32_t n = 0;

  for (uint64_t i = first; i < core->n_trace; i++) {
    const TraceRow *row = &core->trace[i % LIMIT_TRACE_STEPS];

    if (!request_id_equal(row->id, id))
      continue;
    put_row(core, row, ret_rows);
    n++;
  }
  return n;
}
