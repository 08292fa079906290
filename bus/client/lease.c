/* One question at a time: acquire while the lease is not held, renew while it is. What is answered after the holder has stopped
   changes nothing: it asks anew and gets a higher token, for another may have been the holder in between. */
#include "bus/client/lease.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "agents/contracts/contracts.h"
#include "bus/client/client-internal.h"

enum {
  ACQUIRE_DEADLINE_US = 1000000,
  PAUSE_US = 50000, /* before the next question, when the last was refused without a word of when */
  PAUSE_LEAST_US = 5000,
  PAUSE_MOST_US = 250000, /* a lease that is given back is noticed within this */
};

#define DURATION_US UINT64_C(3600000000) /* what is given is at most a vote */

struct ClientLease {
  Client *client;
  ClientLeaseOptions options;
  char name[LIMIT_NAME_BYTES + 1];
  LoopTimer *timer;
  bool asking;
  bool renewing;         /* that is what is asked */
  bool unwanted;         /* given back, and not asked for until it is wanted again */
  bool destroyed;        /* but for the answer that is awaited */
  uint64_t sent_us;      /* of the question */
  uint64_t sent_boot_us; /* by the clock that goes on while the machine is suspended: the broker's has */
  uint64_t next_us;      /* of the next */

  pthread_mutex_t mutex; /* over the rest, which other threads look at */
  bool held;
  LeaseToken token;
  uint64_t until_boot_us;
};

/* --- what is held --- */

static void set_held(ClientLease *lease, bool held, LeaseToken token, uint64_t until_boot_us) {
  pthread_mutex_lock(&lease->mutex);
  lease->held = held;
  lease->token = token;
  lease->until_boot_us = until_boot_us;
  pthread_mutex_unlock(&lease->mutex);
}

static void hold(ClientLease *lease, LeaseToken token, uint64_t until_boot_us) {
  bool new = !lease->held;

  set_held(lease, true, token, until_boot_us);
  if (new && lease->options.on_held)
    lease->options.on_held(lease->options.userdata, token);
}

static void lose(ClientLease *lease, const char *why) {
  set_held(lease, false, lease->token, 0);
  if (lease->options.on_lost)
    lease->options.on_lost(lease->options.userdata, why);
}

/* How long it is held yet; 0 = its time is over. */
static uint64_t left_us(const ClientLease *lease) {
  return lease->until_boot_us - min_u64(clock_boottime_us(), lease->until_boot_us);
}

/* What is held no longer is given up, whatever else is to be done. */
static void lose_late(ClientLease *lease) {
  if (lease->held && left_us(lease) == 0)
    lose(lease, "its time was over before it could be renewed");
}

bool client_lease_check(ClientLease *lease, LeaseToken *ret) {
  bool held;

  pthread_mutex_lock(&lease->mutex);
  held = lease->held && clock_boottime_us() < lease->until_boot_us;
  if (held && ret)
    *ret = lease->token;
  pthread_mutex_unlock(&lease->mutex);
  return held;
}

/* --- what is asked --- */

static void on_end(void *userdata, const Answer *answer);

static void ask(ClientLease *lease, const char *method, const void *request, uint64_t deadline_us, bool wants_answer) {
  _cleanup_(buffer_done) Buffer body = {0};
  Ask question = {.deadline_us = deadline_us, .attempts = 1};
  AskHandler handler = {.on_end = wants_answer ? on_end : NULL, .userdata = lease};

  if (ask_encode(contract_find(TEXT("pons.lease"), text_of(method)), request, &body, &question, NULL) != 0 ||
      client_ask(lease->client, &question, &handler, NULL) < 0)
    abort(); /* a name and three numbers fit, and this is the loop thread */
}

static void ask_for_it(ClientLease *lease, uint64_t now_us) {
  uint64_t duration_us = lease->options.duration_us ? lease->options.duration_us : DURATION_US;

  lease->asking = true;
  lease->renewing = lease->held;
  lease->sent_us = now_us;
  lease->sent_boot_us = clock_boottime_us();
  if (lease->held)
    ask(lease, "renew",
        &(LeaseKeep){.name = text_of(lease->name),
                     .epoch = lease->token.epoch,
                     .counter = lease->token.counter,
                     .duration_us = duration_us},
        max_u64(left_us(lease), 1), true);
  else
    ask(lease, "acquire",
        &(LeaseWish){.name = text_of(lease->name),
                     .duration_us = duration_us,
                     .has_may_double = lease->options.may_double,
                     .may_double = lease->options.may_double},
        ACQUIRE_DEADLINE_US, true);
}

static void give_back(ClientLease *lease, LeaseToken token) {
  ask(lease, "release", &(LeaseBack){.name = text_of(lease->name), .epoch = token.epoch, .counter = token.counter},
      ACQUIRE_DEADLINE_US, false);
}

/* --- time --- */

/* Does what is due, and sets the timer for what is next. */
static void look(ClientLease *lease, uint64_t now_us) {
  uint64_t at_us;

  lose_late(lease);
  if (!lease->asking && !lease->unwanted && now_us >= lease->next_us)
    ask_for_it(lease, now_us);
  at_us = lease->asking || lease->unwanted ? TIME_NEVER : lease->next_us;
  loop_timer_set(lease->timer, lease->held ? min_u64(at_us, now_us + left_us(lease)) : at_us);
}

static void on_timer(void *userdata, uint64_t now_us _unused_) {
  look(userdata, clock_monotonic_us());
}

/* --- what is answered --- */

static void free_lease(ClientLease *lease) {
  loop_timer_destroy(&lease->timer);
  pthread_mutex_destroy(&lease->mutex);
  free(lease);
}

/* Reads what was given: 0.8 of it, from when it was asked for. */
static bool read_given(const ClientLease *lease, const Answer *answer, LeaseGiven *ret, uint64_t *ret_until_boot_us) {
  if (answer->status != STATUS_OK ||
      answer_decode(contract_find(TEXT("pons.lease"), TEXT("acquire")), answer, NULL, ret, NULL) != 0)
    return false;
  *ret_until_boot_us = lease->sent_boot_us + ret->duration_us / 5 * 4;
  return true;
}

static void take_given(ClientLease *lease, const LeaseGiven *given, uint64_t until_boot_us, uint64_t now_us) {
  bool late = lease->renewing ? !lease->held : until_boot_us <= clock_boottime_us();

  if (late) {
    lease->next_us = now_us + (lease->renewing ? 0 : PAUSE_US);
    return;
  }
  lease->next_us = lease->sent_us + given->duration_us / 3;
  hold(lease, (LeaseToken){given->epoch, given->counter}, until_boot_us);
}

static void take_refusal(ClientLease *lease, const Answer *answer, uint64_t now_us) {
  uint64_t pause_us = answer->retry_after_us ? answer->retry_after_us : PAUSE_US;

  lease->next_us = now_us + min_u64(max_u64(pause_us, PAUSE_LEAST_US), PAUSE_MOST_US);
  if (!lease->renewing || !lease->held || answer->status != STATUS_REFUSED)
    return;
  lose(lease, "it is not in force any more");
  lease->next_us = now_us;
}

static void on_end(void *userdata, const Answer *answer) {
  ClientLease *lease = userdata;
  uint64_t now_us = clock_monotonic_us();
  uint64_t until_boot_us = 0;
  LeaseGiven given;
  bool is_given = read_given(lease, answer, &given, &until_boot_us);

  lease->asking = false;
  if (lease->unwanted && is_given)
    give_back(lease, (LeaseToken){given.epoch, given.counter});
  if (lease->destroyed) {
    free_lease(lease);
    return;
  }
  if (lease->unwanted || answer->status == STATUS_CANCELLED)
    return; /* CANCELLED: the client is being destroyed */
  lose_late(lease);
  if (is_given)
    take_given(lease, &given, until_boot_us, now_us);
  else
    take_refusal(lease, answer, now_us);
  look(lease, now_us);
}

/* --- made and given back --- */

int client_lease_new(Client *client, const ClientLeaseOptions *options, ClientLease **ret) {
  ClientLease *lease;
  int r;

  if (!name_is_valid(options->name))
    return -EINVAL;
  lease = calloc(1, sizeof *lease);
  if (!lease)
    return -ENOMEM;
  lease->client = client;
  lease->options = *options;
  snprintf(lease->name, sizeof lease->name, "%.*s", TEXT_ARG(options->name));
  pthread_mutex_init(&lease->mutex, NULL);
  r = loop_timer_new(client->loop, on_timer, lease, &lease->timer);
  if (r < 0) {
    free_lease(lease);
    return r;
  }
  loop_timer_set(lease->timer, 0);
  *ret = lease;
  return 0;
}

void client_lease_want(ClientLease *lease, bool wanted) {
  lease->unwanted = !wanted;
  lease->next_us = 0;
  loop_timer_set(lease->timer, wanted ? 0 : TIME_NEVER);
  if (wanted || !lease->held)
    return;
  give_back(lease, lease->token);
  set_held(lease, false, lease->token, 0);
}

void client_lease_destroy(ClientLease **lease) {
  ClientLease *gone = TAKE(*lease);

  if (!gone)
    return;
  client_lease_want(gone, false);
  gone->destroyed = true;
  if (!gone->asking)
    free_lease(gone);
}
