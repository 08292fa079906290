/* One client is: a Link per broker (the session with it), a table of Pending (unanswered requests), subscriptions, one heap of
   timers with one LoopTimer under it, and a hook at the end of each turn that sends what was packed. Other threads build
   what they want done on their own and post it; the loop thread alone touches the tables. */
#include "bus/client/client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus/base/log.h"
#include "bus/client/client-internal.h"

enum { CALLS_MAX = 256 };

bool client_is_here(const Client *client) {
  return pthread_equal(client->thread, pthread_self()) != 0;
}

int client_do(Client *client, void (*fn)(void *userdata), void *userdata) {
  int r = 0;

  atomic_fetch_add(&client->doing, 1);
  if (client_is_here(client))
    fn(userdata);
  else
    r = loop_post(client->loop, fn, userdata);
  if (r < 0)
    client_did(client);
  return r;
}

void client_did(Client *client) {
  atomic_fetch_sub(&client->doing, 1);
}

uint64_t client_random(Client *client) {
  uint64_t x = client->random;

  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  client->random = x;
  return (x * UINT64_C(0x2545f4914f6cdd1d)) >> 16;
}

/* --- timers --- */

void timer_set(Client *client, ClientTimer *timer, uint64_t at_us) {
  heap_set(&client->timers, &timer->entry, at_us);
  if (at_us < client->timer_at_us) {
    client->timer_at_us = at_us;
    loop_timer_set(client->timer, at_us);
  }
}

void timer_stop(Client *client, ClientTimer *timer) {
  heap_remove(&client->timers, &timer->entry);
}

static void on_timer(void *userdata, uint64_t now_us) {
  Client *client = userdata;
  HeapEntry *first;

  client->timer_at_us = TIME_NEVER;
  while ((first = heap_first(&client->timers)) && first->at_us <= now_us) {
    ClientTimer *timer = CONTAINER_OF(first, ClientTimer, entry);

    heap_remove(&client->timers, first);
    timer->on_due(client, timer, now_us);
  }
  if (first && first->at_us < client->timer_at_us) {
    client->timer_at_us = first->at_us;
    loop_timer_set(client->timer, first->at_us);
  }
}

static void on_turn_end(void *userdata) {
  Client *client = userdata;

  if (client->has_instance && client->instance.on_flush)
    client->instance.on_flush(client->instance.userdata);
  for (uint32_t i = 0; i < client->links_count; i++)
    link_flush(&client->links[i]);
}

/* --- life --- */

static char *copy_text(Text text) {
  return strndup(text.data ? text.data : "", text.size);
}

/* One list of endpoints per broker, with a semicolon between them. */
static int take_endpoints(Client *client, const char *endpoints) {
  for (const char *at = endpoints;; at++) {
    size_t size = strcspn(at, ";");
    int r = client->links_count == CLIENT_BROKERS_MAX
                ? -EINVAL
                : link_init(&client->links[client->links_count++], client, (Text){at, size});

    at += size;
    if (r < 0 || *at == '\0')
      return r;
  }
}

static int take_options(Client *client, const ClientOptions *options) {
  Text library = options->library.size ? options->library : TEXT("libpons " PONS_VERSION);

  if (!name_is_valid(options->agent) || (options->site.size && !name_is_valid(options->site)) ||
      options->calls_count > CALLS_MAX || !options->endpoint)
    return -EINVAL;
  client->key = options->key ? key_ref(options->key) : NULL;
  client->agent = copy_text(options->agent);
  client->site = copy_text(options->site);
  client->library = copy_text(library);
  if (!client->agent || !client->site || !client->library)
    return -ENOMEM;
  client->calls = options->calls;
  client->calls_count = options->calls_count;
  client->attempts = options->attempts ? options->attempts : 3;
  client->deadline_us = options->deadline_us ? options->deadline_us : TIME_DEADLINE_DEFAULT_US;
  client->incarnation_us = options->incarnation_us ? options->incarnation_us : clock_realtime_us();
  client->on_state = options->on_state;
  client->on_refusal = options->on_refusal;
  client->userdata = options->userdata;
  return take_endpoints(client, options->endpoint);
}

/* What is empty but must not be all zero. */
static void init(Client *client, Loop *loop) {
  client->loop = loop;
  client->thread = pthread_self();
  client->id.value = random_u64();
  client->random = random_u64();
  client->timer_at_us = TIME_NEVER;
  list_init(&client->unanswered);
  list_init(&client->durables);
  list_init(&client->subscriptions);
  list_init(&client->publications);
  for (size_t i = 0; i < CLIENT_BROKERS_MAX; i++)
    list_init(&client->links[i].outbox);
  retry_init(&client->budget);
}

int client_new(Loop *loop, const ClientOptions *options, Client **ret) {
  _cleanup_(client_destroy) Client *client = calloc(1, sizeof *client);
  int r;

  if (!client)
    return -ENOMEM;
  init(client, loop);
  r = take_options(client, options);
  if (r == 0)
    r = loop_timer_new(loop, on_timer, client, &client->timer);
  if (r == 0)
    r = loop_on_turn_end(loop, on_turn_end, client);
  if (r == 0)
    r = hello_build(client);
  for (uint32_t i = 0; i < client->links_count && r == 0; i++)
    r = link_start(&client->links[i]);
  if (r < 0)
    return r;
  *ret = TAKE(client);
  return 0;
}

void client_destroy(Client **p) {
  Client *client = TAKE(*p);

  if (!client)
    return;
  bool clean = !client->has_instance;

  /* What other threads have posted knows this client. */
  while (client->timer && atomic_load(&client->doing) > 0 && loop_turn(client->loop, 0) == 0)
    continue;
  client->on_state = NULL;
  client->on_refusal = NULL;
  client->has_instance = false;
  pending_end_all(client);
  durable_done(client);
  for (uint32_t i = 0; i < client->links_count; i++)
    link_done(&client->links[i], clean);
  events_done(client);
  loop_remove_turn_end(client->loop, on_turn_end, client);
  loop_timer_destroy(&client->timer);
  heap_done(&client->timers);
  table_done(&client->requests);
  buffer_done(&client->hello);
  key_unref(&client->key);
  free(client->agent);
  free(client->site);
  free(client->library);
  free(client);
}

int client_serve(Client *client, const InstanceHooks *hooks) {
  int r;

  client->instance = *hooks;
  client->has_instance = true;
  r = hello_build(client);
  client->instance.services = NULL;
  client->instance.services_count = 0;
  return r;
}

uint32_t client_brokers(const Client *client) {
  return client->links_count;
}

int client_send(Client *client, uint32_t broker, const Header *header, Bytes body, Block *block) {
  if (!link_is_open(&client->links[broker]))
    return -ENOTCONN;
  link_send(&client->links[broker], header, body, block);
  return 0;
}

void client_left(Client *client) {
  void (*on_left)(void *) = client->on_left;

  for (uint32_t i = 0; i < client->links_count; i++)
    if (client->links[i].state == LINK_LEAVING)
      return;
  client->on_left = NULL;
  if (on_left)
    on_left(client->left_userdata);
}

void client_leave(Client *client, void (*on_left)(void *userdata), void *userdata) {
  client->home = NULL;
  client->on_left = on_left;
  client->left_userdata = userdata;
  for (uint32_t i = 0; i < client->links_count; i++)
    link_leave(&client->links[i]);
  client_left(client);
}

/* --- what can be asked about it --- */

static ClientState state_of(const Client *client) {
  ClientState state = CLIENT_CONNECTING;

  if (client->home)
    return CLIENT_OPEN;
  for (uint32_t i = 0; i < client->links_count; i++) {
    if (link_is_open(&client->links[i]))
      return CLIENT_GOING_AWAY;
    if (client->links[i].refused)
      state = CLIENT_REFUSED;
  }
  return state;
}

/* While one broker is there the other one's comings and goings are no news; that it refuses us is, once. */
static bool is_news(Client *client, ClientState state) {
  if (state != CLIENT_OPEN || client->told != CLIENT_OPEN)
    return true;
  for (uint32_t i = 0; i < client->links_count; i++) {
    Link *link = &client->links[i];

    if (link->refused && !link->refusal_told) {
      link->refusal_told = true;
      return true;
    }
  }
  return false;
}

void client_tell(Client *client, Status status, const char *text) {
  ClientState state = state_of(client);

  if (!is_news(client, state))
    return;
  client->told = state;
  log_debug("PONS-CLIENT-STATE", "%s: state %d, %s: %s", client->agent, (int)state, status_name(status), text);
  if (client->on_state)
    client->on_state(client->userdata, state, status, text);
}

ClientState client_state(const Client *client) {
  return client->told;
}

ClientId client_id(const Client *client) {
  return client->id;
}

const Mismatch *client_mismatches(const Client *client, size_t *ret_count) {
  const Link *link = client->was_home ? client->was_home : &client->links[0];

  *ret_count = link->welcome.mismatches.count;
  return link->welcome.mismatches.items;
}

Text client_broker(const Client *client) {
  return client->was_home ? client->was_home->welcome.broker : TEXT_NONE;
}

ClientStats client_stats(const Client *client) {
  ClientStats stats = client->stats;

  stats.outstanding = client->outstanding;
  stats.retry_tokens_x10 = client->budget.tokens_x10;
  return stats;
}

static bool is_settled(void *userdata) {
  const Client *client = userdata;

  return client->told != CLIENT_CONNECTING;
}

int client_wait_open(Client *client, uint64_t timeout_us) {
  int r = loop_run_until(client->loop, is_settled, client, clock_monotonic_us() + timeout_us);

  if (r == -EBUSY)
    return -EDEADLK;
  if (r == 0 && client->told == CLIENT_REFUSED)
    return -EPERM;
  return r;
}
