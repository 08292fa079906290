/* Random histories of two brokers that keep durable requests: crashes that forget what was not synced, a link that loses what is said on it,
   leaders that come and go, instances that fail. Whatever happens, what was acknowledged is done or a dead letter in the end, at both
   brokers alike; no try is executed twice, and no once request at all. PONS_SEED=N replays one, PONS_SEEDS=N runs so many. */
#include "tests/unit/bus/core/durable_box.h"

enum { REQUESTS = 10, STEPS = 160, JOBS = 1024, SEEDS = 400 };

/* A try as the instances know it. They never forget, and one of them always lives. */
typedef struct Job {
  RequestId delivery;
  RequestId id;
  Box *asks; /* who waits for its answer; NULL = nobody */
  uint32_t attempt;
  bool begun;
} Job;

typedef struct World {
  uint64_t random;
  uint64_t seed;
  Box boxes[2];
  uint64_t epoch;
  int leader; /* 0, 1; -1 = nobody */
  bool linked;
  Job jobs[JOBS];
  size_t n_jobs;
  struct {
    bool acknowledged;
    bool once;
    uint32_t executed;
  } requests[REQUESTS + 1];
  uint32_t n_requests;
} World;

static uint64_t draw(World *w, uint64_t below) {
  w->random ^= w->random >> 12;
  w->random ^= w->random << 25;
  w->random ^= w->random >> 27;
  return (w->random * UINT64_C(2685821657736338717) >> 33) % below;
}

static Job *job_of(World *w, RequestId delivery, RequestId id) {
  for (size_t i = 0; i < w->n_jobs; i++)
    if (request_id_equal(w->jobs[i].delivery, delivery))
      return &w->jobs[i];
  assert_true(w->n_jobs < JOBS);
  w->jobs[w->n_jobs] = (Job){.delivery = delivery, .id = id};
  return &w->jobs[w->n_jobs++];
}

/* As a broker and its instances do it: with an attempt they are asked who has it; without, it is begun. */
static void on_deliver(void *world, Box *box, const DurableAction *action) {
  World *w = world;
  Job *job = job_of(w, durable_delivery(action->entry), action->entry->id);

  if (w->leader < 0 || box != &w->boxes[w->leader])
    fail_msg("seed %llu: a follower delivers", (unsigned long long)w->seed);
  if (job->begun && action->attempt <= job->attempt)
    fail_msg("seed %llu: a try is begun twice, with attempt %u after %u", (unsigned long long)w->seed, action->attempt,
             job->attempt);
  job->attempt = action->attempt;
  job->asks = box;
}

static void on_told(void *world, Box *box _unused_, const DurableAction *action) {
  World *w = world;

  if (action->kind == DURABLE_DO_KEPT)
    w->requests[action->entry->id.sequence].acknowledged = true;
}

/* --- steps --- */

static void step_accept(World *w) {
  Box *box = &w->boxes[draw(w, 2)];
  DurableEntry wish;

  if (w->n_requests == REQUESTS || !box->durable)
    return;
  wish = box_wish(++w->n_requests, draw(w, 3) > 0);
  w->requests[w->n_requests].once = !wish.idempotent;
  durable_accept(box->durable, &wish, box->now_us);
}

/* An instance answers, or nobody took it, or it is lost with its instance. */
static void answer(World *w, Job *job, uint64_t what) {
  Status status = what < 6 ? STATUS_OK : what < 8 ? STATUS_NO_SERVICE : STATUS_WORKER_LOST;
  Box *box = job->asks;

  if (status != STATUS_NO_SERVICE || job->begun) {
    if (status == STATUS_NO_SERVICE)
      status = STATUS_OK;
    w->requests[job->id.sequence].executed += !job->begun;
    job->begun = true;
  }
  job->asks = NULL;
  durable_answered(box->durable, job->delivery, status, TEXT("said"), BYTES_NONE, TEXT_NONE, box->now_us);
}

static void step_answer(World *w) {
  size_t first = w->n_jobs ? draw(w, w->n_jobs) : 0;

  for (size_t i = 0; i < w->n_jobs; i++) {
    Job *job = &w->jobs[(first + i) % w->n_jobs];

    if (job->asks) {
      answer(w, job, draw(w, 10));
      return;
    }
  }
}

/* It runs, and its answer may come much later. */
static void step_begin(World *w) {
  Job *job = w->n_jobs ? &w->jobs[draw(w, w->n_jobs)] : NULL;

  if (!job || !job->asks || job->begun)
    return;
  job->begun = true;
  w->requests[job->id.sequence].executed++;
}

static void set_link(World *w, bool is_up) {
  w->linked = is_up;
  for (int i = 0; i < 2; i++)
    if (w->boxes[i].durable)
      box_link(&w->boxes[i], is_up);
}

static void step_link(World *w) {
  bool both = w->boxes[0].durable && w->boxes[1].durable;

  set_link(w, both && !w->linked);
}

static void set_leader(World *w, int leader) {
  if (w->leader >= 0 && w->boxes[w->leader].durable)
    durable_step_down(w->boxes[w->leader].durable);
  w->leader = leader;
  w->epoch += 2;
  if (leader >= 0)
    durable_lead(w->boxes[leader].durable, w->epoch, w->boxes[leader].now_us);
}

static void step_lead(World *w) {
  int leader = (int)draw(w, 3) - 1;

  if (leader < 0 || w->boxes[leader].durable)
    set_leader(w, leader);
}

static void open_box(World *w, int i) {
  if (!w->boxes[i].durable)
    box_open(&w->boxes[i], (ClientId){11 + (uint64_t)i});
}

static void step_crash(World *w) {
  int i = (int)draw(w, 2);
  Box *box = &w->boxes[i];

  if (!box->durable) {
    open_box(w, i);
    return;
  }
  if (w->leader == i)
    set_leader(w, -1);
  for (size_t k = 0; k < w->n_jobs; k++)
    if (w->jobs[k].asks == box)
      w->jobs[k].asks = NULL;
  box_crash(box, draw(w, box->n_writes + 1));
  set_link(w, false);
}

static void step_sync(World *w) {
  Box *box = &w->boxes[draw(w, 2)];

  if (box->durable)
    box_sync(box);
}

static void step_mail(World *w) {
  int i = (int)draw(w, 2);

  box_mail(&w->boxes[i], &w->boxes[1 - i], !w->linked || draw(w, 8) == 0);
}

static void step_time(World *w) {
  uint64_t us = draw(w, 2 * US_PER_S);

  for (int i = 0; i < 2; i++) {
    w->boxes[i].now_us += us;
    if (w->boxes[i].durable)
      durable_tick(w->boxes[i].durable, w->boxes[i].now_us);
  }
}

static void step(World *w) {
  static void (*const steps[])(World *) = {step_accept, step_answer, step_begin, step_sync, step_sync, step_sync,
                                           step_mail,   step_mail,   step_mail,  step_time, step_time, step_accept};
  static void (*const troubles[])(World *) = {step_link, step_lead, step_crash};

  if (draw(w, 6) == 0)
    troubles[draw(w, ELEMENTS(troubles))](w);
  else
    steps[draw(w, ELEMENTS(steps))](w);
}

/* --- the end --- */

/* Everything is well again, for long enough. */
static void heal(World *w) {
  for (int i = 0; i < 2; i++)
    open_box(w, i);
  set_link(w, false);
  set_link(w, true);
  set_leader(w, (int)draw(w, 2));
  for (int i = 0; i < 200; i++) {
    box_exchange(&w->boxes[0], &w->boxes[1]);
    for (size_t k = 0; k < w->n_jobs; k++)
      if (w->jobs[k].asks)
        answer(w, &w->jobs[k], 0);
    box_exchange(&w->boxes[0], &w->boxes[1]);
    box_tick(&w->boxes[0], US_PER_S);
    box_tick(&w->boxes[1], US_PER_S);
  }
}

static void check_one(World *w, uint64_t number) {
  unsigned long long seed = w->seed;
  const DurableEntry *a = durable_find(w->boxes[0].durable, (RequestId){{7}, number});
  const DurableEntry *b = durable_find(w->boxes[1].durable, (RequestId){{7}, number});

  if (w->requests[number].once && w->requests[number].executed > 1)
    fail_msg("seed %llu: once request %llu was executed %u times", seed, (unsigned long long)number,
             w->requests[number].executed);
  if (!w->requests[number].acknowledged)
    return;
  if (!a || !b)
    fail_msg("seed %llu: request %llu was acknowledged and is lost", seed, (unsigned long long)number);
  if (durable_version(a) != durable_version(b) || a->state != b->state)
    fail_msg("seed %llu: request %llu is %s here and %s there", seed, (unsigned long long)number,
             durable_state_name(a->state), durable_state_name(b->state));
  if (a->state != DURABLE_DONE && a->state != DURABLE_DEAD)
    fail_msg("seed %llu: request %llu stays %s", seed, (unsigned long long)number, durable_state_name(a->state));
  if (a->state == DURABLE_DONE && w->requests[number].executed == 0)
    fail_msg("seed %llu: request %llu is done and was not executed", seed, (unsigned long long)number);
}

static void run_history(uint64_t seed) {
  World *w = calloc(1, sizeof *w);

  *w = (World){.random = seed * 2 + 1, .seed = seed, .leader = -1};
  for (int i = 0; i < 2; i++) {
    w->boxes[i].options = durable_options_default();
    w->boxes[i].options.has_peer = true;
    w->boxes[i].now_us = BOX_START;
    w->boxes[i].on_deliver = on_deliver;
    w->boxes[i].on_told = on_told;
    w->boxes[i].world = w;
    open_box(w, i);
  }
  for (int i = 0; i < STEPS; i++)
    step(w);
  heal(w);
  for (uint64_t i = 1; i <= w->n_requests; i++)
    check_one(w, i);
  box_done(&w->boxes[0]);
  box_done(&w->boxes[1]);
  free(w);
}

static void whatever_happens(void **state _unused_) {
  const char *one = getenv("PONS_SEED");
  const char *many = getenv("PONS_SEEDS");
  uint64_t n = many ? strtoull(many, NULL, 10) : SEEDS;

  if (one)
    run_history(strtoull(one, NULL, 10));
  for (uint64_t seed = 1; !one && seed <= n; seed++)
    run_history(seed);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(whatever_happens)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
