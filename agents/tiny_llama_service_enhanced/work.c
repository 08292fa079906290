#include "agents/tiny_llama_service_enhanced/work.h"

#include <stdlib.h>

/* --- while it runs, on the desk's thread --- */

static bool is_wanted(void *userdata) {
  Work *work = userdata;

  return !work->is_deaf && !call_cancelled(work->call) && desk_is_open(work->desk);
}

static void send_events(Work *work) {
  int r = call_chunk(work->call, &(ChatPiece){{(const char *)work->events.data, work->events.size}});

  work->is_deaf = r != 0;
  work->has_begun_stream = work->has_begun_stream || r == 0;
  buffer_clear(&work->events);
}

/* Shows what the outlet let through: as an event, or kept for the end. */
static void show(Work *work) {
  Text text = {(const char *)work->text.data, work->text.size};

  if (work->first_us == 0 && text.size > 0)
    work->first_us = clock_monotonic_us() - work->began_us;
  if (!work->streams || text.size == 0)
    return;
  if (!work->has_begun_stream)
    say_role(&work->events, &work->head);
  say_delta(&work->events, &work->head, text);
  buffer_clear(&work->text);
  send_events(work);
}

static bool on_token(void *userdata, Bytes text) {
  Work *work = userdata;
  bool goes_on = outlet_push(&work->order.outlet, text, &work->text);

  show(work);
  return goes_on;
}

static void end_chat(Work *work) {
  const char *reason = work->result.is_cut ? "length" : "stop";
  SayUsage usage = {work->result.prompt_tokens, work->result.completion_tokens};

  outlet_end(&work->order.outlet, &work->text);
  show(work);
  if (!work->streams) {
    say_completion(&work->response, &work->head, (Text){(const char *)work->text.data, work->text.size}, reason,
                   &usage);
    return;
  }
  if (!work->has_begun_stream)
    say_role(&work->events, &work->head);
  say_finish(&work->events, &work->head, reason);
  if (work->head.usage_follows)
    say_usage(&work->events, &work->head, &usage);
  send_events(work);
}

static void chat(Work *work, Engine *engine) {
  EngineTask task = {
      .order = &work->order, .prompt = &work->prompt, .is_wanted = is_wanted, .on_token = on_token, .userdata = work};

  work->error = engine_generate(engine, &task, &work->result, &work->why);
  if (work->error == 0)
    end_chat(work);
  if (work->error == 0 && work->is_deaf)
    work->error = ENGINE_E_CANCELLED;
}

static int embed_one(Work *work, Engine *engine, Json input, size_t index) {
  EngineTask task = {.is_wanted = is_wanted, .userdata = work};
  const float *values;
  size_t count;
  int r;

  buffer_clear(&work->text);
  (void)json_get_string(input, &work->text);
  r = engine_embed(engine, (Text){(const char *)work->text.data, work->text.size}, &task, &values, &count,
                   &work->result.prompt_tokens, &work->why);
  if (r == 0)
    say_embedding(&work->response, index, values, count, work->inputs.base64);
  return r;
}

static void embed(Work *work, Engine *engine) {
  JsonWalk walk = json_walk(work->inputs.input);
  Json input = work->inputs.input;

  say_embeddings_begin(&work->response);
  if (json_type(input) == JSON_STRING)
    work->error = embed_one(work, engine, input, 0);
  for (size_t i = 0; work->error == 0 && json_next_element(&walk, &input); i++)
    work->error = embed_one(work, engine, input, i);
  say_embeddings_end(&work->response, work->head.model, work->result.prompt_tokens);
}

static void on_work(DeskJob *job, Engine *engine, int error, Text why) {
  Work *work = CONTAINER_OF(job, Work, job);

  work->began_us = clock_monotonic_us();
  if (!is_wanted(work)) {
    work->error = ENGINE_E_CANCELLED;
  } else if (!engine) {
    work->error = error;
    buffer_append(&work->why, why.data, why.size);
  } else if (work->is_embedding) {
    embed(work, engine);
  } else {
    chat(work, engine);
  }
  work->took_us = clock_monotonic_us() - work->began_us;
}

/* --- on the loop --- */

static void on_done(DeskJob *job) {
  Work *work = CONTAINER_OF(job, Work, job);

  work->on_end(work);
}

static void on_drop(DeskJob *job) {
  Work *work = CONTAINER_OF(job, Work, job);

  work->error = ENGINE_E_CANCELLED;
  work->on_end(work);
}

/* Who waits behind others and is no longer wanted need not wait to say so. */
static void on_cancel(void *userdata, Call *call) {
  Work *work = userdata;

  (void)call;
  if (!desk_withdraw(work->desk, &work->job))
    return;
  work->error = ENGINE_E_CANCELLED;
  work->on_end(work);
}

static Work *make(Call *call, Text model) {
  Work *work = calloc(1, sizeof *work);

  if (!work)
    abort();
  work->job = (DeskJob){.work = on_work, .done = on_done, .drop = on_drop};
  work->call = call;
  request_id_format(call_id(call), work->id);
  work->head = (SayHead){.request = text_of(work->id), .model = model, .created_s = clock_realtime_us() / US_PER_S};
  return work;
}

/* A style that ends its answers with a text of its own has it looked for too, if there is room for one more. */
static void add_stop(Outlet *outlet, Text stop) {
  if (stop.size > 0 && outlet->stops_count < OUTLET_STOPS)
    outlet->stops[outlet->stops_count++] = stop;
}

int work_new_chat(Call *call, Text request, Text model, PromptStyle style, Work **ret, OrderFault *fault) {
  Order order;
  Work *work;
  int r = order_read(request, &order, fault);

  if (r != 0)
    return r;
  work = make(call, model);
  work->order = order;
  work->streams = call_wants_stream(call);
  work->head.usage_follows = order.include_usage;
  add_stop(&work->order.outlet, prompt_stop(style));
  prompt_write(style, work->order.messages, &work->prompt);
  *ret = work;
  return 0;
}

int work_new_embed(Call *call, Text request, Text model, Work **ret, OrderFault *fault) {
  EmbedOrder inputs;
  int r = order_read_embed(request, &inputs, fault);

  if (r != 0)
    return r;
  *ret = make(call, model);
  (*ret)->inputs = inputs;
  (*ret)->is_embedding = true;
  return 0;
}

void work_begin(Work *work, Desk *desk, void (*on_end)(Work *work), void *userdata) {
  work->desk = desk;
  work->on_end = on_end;
  work->userdata = userdata;
  call_on_cancel(work->call, on_cancel, work);
  desk_push(desk, &work->job);
}

void work_destroy(Work **p) {
  Work *work = TAKE(*p);

  if (!work)
    return;
  order_done(&work->order);
  prompt_done(&work->prompt);
  buffer_done(&work->why);
  buffer_done(&work->response);
  buffer_done(&work->text);
  buffer_done(&work->events);
  free(work);
}
