/* Two processes want one lease, and whoever has it is killed: alone, with the leading broker, while that stands still. How long nobody holds
   it is what the two have noted themselves; two tokens at one time are two holders. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "bus/drill/event.h"
#include "bus/drill/holder.h"

enum { HOLDERS_MAX = 8, MARGIN_US = 100000, PATIENCE_US = 30000000 };

#define LEASE "pons.drill.singleton"

/* What happens, one after the other. */
static const struct {
  const char *words;
  bool kills_holder;
  int to_broker; /* signal to the leading broker; 0 = none */
} steps[] = {
    {"the holder is killed", true, 0},
    {"holder and leading broker are killed", true, SIGKILL},
    {"the leading broker stands still", false, SIGSTOP},
    {"the holder is killed while the leading broker stands still", true, SIGSTOP},
};

typedef struct Singleton {
  Scene *scene;
  Holder *holders[HOLDERS_MAX]; /* the dead stay, for what they have noted */
  uint32_t count;
  size_t step;
  HolderSpan before; /* what was held when the step began */
  uint64_t at_us;    /* when it did */
} Singleton;

/* --- what was held --- */

/* The span with the highest token, and whose it is; NULL = nobody ever held it. */
static const HolderSpan *find_last(const Singleton *s, Holder **ret_holder) {
  const HolderSpan *last = NULL;

  for (uint32_t i = 0; i < s->count; i++) {
    uint32_t count;
    const HolderSpan *spans = holder_spans(s->holders[i], &count);

    if (count > 0 && (!last || token_compare(spans[count - 1].token, last->token) > 0)) {
      last = &spans[count - 1];
      *ret_holder = s->holders[i];
    }
  }
  return last;
}

/* Whether a span of another token lies over this one. */
static bool is_held_twice(const Singleton *s, const HolderSpan *one) {
  for (uint32_t i = 0; i < s->count; i++) {
    uint32_t count;
    const HolderSpan *spans = holder_spans(s->holders[i], &count);

    for (uint32_t k = 0; k < count; k++)
      if (token_compare(spans[k].token, one->token) != 0 && spans[k].first_us <= one->last_us &&
          one->first_us <= spans[k].last_us)
        return true;
  }
  return false;
}

/* --- waiting --- */

static int wait_for(Singleton *s, bool (*is_so)(void *userdata), const char *what) {
  int r = loop_run_until(s->scene->loop, is_so, s, clock_monotonic_us() + PATIENCE_US);

  if (r == 0 && *s->scene->interrupted)
    r = -EINTR;
  if (r != -ETIMEDOUT)
    return r;
  snprintf(s->scene->error, sizeof s->scene->error, "%s", what);
  return -EIO;
}

/* Somebody holds it, somebody stands by, and both brokers are there, of which the preferred one leads. */
static bool is_calm(void *userdata) {
  const Singleton *s = userdata;
  Holder *holder = NULL;
  const HolderSpan *last = find_last(s, &holder);
  uint32_t ready = 0;

  for (uint32_t i = 0; i < s->count; i++)
    ready += holder_is_ready(s->holders[i]);
  return *s->scene->interrupted ||
         (ready == 2 && last && holder_is_ready(holder) && last->last_us + MARGIN_US > clock_monotonic_us() &&
          watch_is_whole(s->scene->watch, s->scene->least));
}

/* A holder that lives may keep it, when the next leader is there before its time is over. */
static bool has_moved(void *userdata) {
  const Singleton *s = userdata;
  uint64_t now_us = clock_monotonic_us();
  Holder *holder;
  const HolderSpan *last = find_last(s, &holder);
  bool kept =
      !steps[s->step].kills_holder && now_us > s->at_us + 2 * s->scene->vote_us && now_us < last->last_us + MARGIN_US;

  return *s->scene->interrupted || kept || token_compare(last->token, s->before.token) > 0;
}

/* --- a step --- */

static int start_holder(Singleton *s) {
  int r = holder_start(s->scene->endpoints, s->scene->key, LEASE, &s->holders[s->count]);

  if (r < 0)
    snprintf(s->scene->error, sizeof s->scene->error, "a process that wants the lease can't be started");
  else
    s->count++;
  return r;
}

static int hit(Singleton *s, Holder *holder) {
  Scene *scene = s->scene;

  if (steps[s->step].to_broker) {
    scene->pid = scene->find(scene->find_userdata, 0, NULL);
    if (scene->pid <= 0 || kill(scene->pid, steps[s->step].to_broker) < 0) {
      snprintf(scene->error, sizeof scene->error, "the leading broker is no process of a fleet on this machine");
      return -ESRCH;
    }
  }
  if (steps[s->step].kills_holder)
    holder_kill(holder);
  return 0;
}

/* The next begins with two again, and with a broker that stands no more. */
static int mend(Singleton *s) {
  if (steps[s->step].to_broker == SIGSTOP && s->scene->pid > 0)
    kill(s->scene->pid, SIGCONT);
  s->scene->pid = 0;
  return steps[s->step].kills_holder && !*s->scene->interrupted ? start_holder(s) : 0;
}

static void note_move(Singleton *s, const HolderSpan *old) {
  Holder *holder;
  const HolderSpan *new = find_last(s, &holder);

  s->scene->moves[s->scene->move_count++] = (ReportMove){
      .what = steps[s->step].words,
      .at_us = s->at_us,
      .away_us = new->first_us - min_u64(old->last_us, new->first_us),
      .bound_us = s->scene->vote_us + MARGIN_US,
      .twice = is_held_twice(s, old),
  };
}

static int play(Singleton *s) {
  const HolderSpan *old;
  Holder *holder;
  int mended;
  int r = wait_for(s, is_calm,
                   "nobody is given the lease, or the fleet is not whole: does anybody lead? `pons status` says so");

  if (r < 0)
    return r;
  old = find_last(s, &holder);
  s->before = *old;
  s->at_us = clock_monotonic_us();
  r = hit(s, holder);
  if (r == 0)
    r = wait_for(s, has_moved, "the lease does not move: does anybody lead?");
  mended = mend(s);
  if (r == 0 && !*s->scene->interrupted)
    note_move(s, old);
  return r ? r : mended;
}

int event_singleton(Scene *scene) {
  Singleton s = {.scene = scene};
  size_t count = strchr(scene->endpoints, ';') ? ELEMENTS(steps) : 1; /* with one broker nobody leads in its place */
  int r = start_holder(&s);

  scene->at_us = clock_monotonic_us();
  snprintf(scene->event, sizeof scene->event, "holders of a lease are killed%s",
           count > 1 ? ", and the leading broker with them" : "");
  if (r == 0)
    r = start_holder(&s);
  for (; r == 0 && s.step < count; s.step++)
    r = play(&s);
  for (uint32_t i = 0; i < s.count; i++)
    holder_destroy(&s.holders[i]);
  return r == -EINTR ? 0 : r;
}
