/* One turn: connection events, then a bounded batch of messages into the core; at its end what the core answered goes out
   in packs. Timers of the core are looked at after reading, so that a peer is never given up while its answer waits in
   our own socket. */
#include "bus/broker/broker-internal.h"
#include "bus/broker/selftest.h"

#include "bus/base/log.h"
#include "bus/loop/crash.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
  BATCH = 256,                /* ZeroMQ messages per turn, each a message or a PACK */
  SEND_QUEUE = 64,            /* messages that may wait for one peer in the socket; more wait in its backlog */
  SEND_QUEUE_BYTES = 1048576, /* of them: packs for a peer that is a moment behind; what is in the backlog costs more */
  STOP_SWEEP_US = 10000,
  LAST_WORDS_US = 1000000,
  HALF_BYTES = 268435456, /* of messages that are not whole, at all connections */
  LINGER_MS = 1000,
};

/* Nine tenths of the descriptors that are left once all is bound. The lowest free one tells how many are in use. Returns 0;
   or negative errno when there is none, for a broker without room for connections is no broker. */
static int default_connections_max(uint32_t *ret) {
  struct rlimit limit;
  int fd = eventfd(0, EFD_CLOEXEC);

  if (fd < 0)
    return -errno;
  close(fd);
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
    return -errno;
  *ret = (uint32_t)(1 + min_u64(limit.rlim_cur - min_u64(limit.rlim_cur, (uint64_t)fd), UINT32_MAX) * 9 / 10);
  return 0;
}

/* --- in --- */

static void receive(Broker *broker, SocketMessage *message) {
  Peer *peer = connections_find_peer(broker, message->peer);

  crash_note("message from peer", message->peer);
  if (!peer) {
    core_count(broker->core, COUNTER_BEFORE_HELLO, 1);
    return;
  }
  core_receive(broker->core, peer->session, message->frames, message->header, message->body, message->block,
               loop_now_us(broker->loop));
}

static void drain_socket(Broker *broker) {
  SocketMessage message;
  int i = 0;

  connections_take_events(broker);
  while (i++ < BATCH && socket_receive(broker->socket, &message) == 0) {
    receive(broker, &message);
    socket_message_done(&message);
  }
}

static void on_ready(void *userdata) {
  drain_socket(userdata);
}

/* --- time --- */

/* Arms the timer only when something is due sooner than it is set to: an early wake-up costs less than a system call for
   each request. */
static void arm(Broker *broker) {
  uint64_t next_us = core_next_us(broker->core);

  if (next_us >= broker->timer_us)
    return;
  broker->timer_us = next_us;
  loop_timer_set(broker->timer, next_us);
}

static void on_timer(void *userdata, uint64_t now_us) {
  Broker *broker = userdata;

  broker->timer_us = TIME_NEVER;
  drain_socket(broker);
  core_tick(broker->core, now_us);
}

void connections_need_sweep(Broker *broker, uint64_t at_us) {
  if (at_us >= broker->sweep_us)
    return;
  broker->sweep_us = at_us;
  loop_timer_set(broker->sweep_timer, at_us);
}

static void say_bye(Broker *broker, uint64_t now_us) {
  core_stop(broker->core, now_us);
  out_flush(broker);
  broker->said_bye = true;
}

/* When nothing is unanswered any more, what waits for slow readers has a second to leave. */
static bool may_say_bye(Broker *broker, uint64_t now_us) {
  if (core_is_idle(broker->core) && !broker->all_answered) {
    broker->all_answered = true;
    broker->stop_at_us = min_u64(broker->stop_at_us, now_us + LAST_WORDS_US);
  }
  if (broker->authority && authority_is_busy(broker->authority))
    return now_us >= broker->stop_at_us;
  return now_us >= broker->stop_at_us || (broker->all_answered && list_is_empty(&broker->blocked));
}

/* BYE may have to wait behind what was sent before it. */
static void stop_sweep(Broker *broker, uint64_t now_us) {
  if (!broker->said_bye && may_say_bye(broker, now_us))
    say_bye(broker, now_us);
  if (broker->said_bye && (!out_retry(broker) || now_us >= broker->stop_at_us))
    loop_stop(broker->loop, 0);
}

static void on_sweep(void *userdata, uint64_t now_us) {
  Broker *broker = userdata;
  uint64_t next_us = now_us + STOP_SWEEP_US;

  broker->sweep_us = TIME_NEVER;
  if (!broker->said_bye)
    next_us = connections_sweep(broker, now_us);
  if (broker->stopping)
    stop_sweep(broker, now_us);
  connections_need_sweep(broker, broker->stopping ? min_u64(next_us, now_us + STOP_SWEEP_US) : next_us);
}

static void on_turn_end(void *userdata) {
  Broker *broker = userdata;

  if (broker->authority)
    authority_turn(broker->authority);
  out_flush(broker);
  arm(broker);
}

/* --- made and stopped --- */

static int bind_all(Broker *broker, const CoreOptions *options, const char **ret_bad) {
  for (size_t i = 0; i < options->n_endpoints; i++) {
    int r = socket_bind(broker->socket, options->endpoints[i]);

    if (r < 0) {
      *ret_bad = options->endpoints[i];
      return r;
    }
  }
  return 0;
}

static void use_keys(Broker *broker) {
  SocketGate gate = admission_bus_gate(broker->admission);

  socket_use_gate(broker->socket, admission_key(broker->admission), &gate);
}

static int begin_authority(Broker *broker, const AuthorityOptions *options, const char **ret_bad) {
  int r = authority_new(&broker->authority, broker->loop, options, ret_bad);

  if (r < 0)
    return r;
  authority_enter(broker->authority, broker->core, &broker->insides);
  return 0;
}

int broker_new(Broker **ret, Loop *loop, const BrokerOptions *options, const char **ret_bad) {
  _cleanup_(broker_destroy) Broker *broker = calloc(1, sizeof *broker);
  SocketHandler handler = {.on_ready = on_ready, .userdata = broker};
  CoreSink sink;
  int r;

  *ret_bad = NULL;
  if (!broker)
    return -ENOMEM;
  broker->loop = loop;
  broker->timer_us = TIME_NEVER;
  broker->stop_timeout_us = options->stop_timeout_us;
  broker->sweep_us = TIME_NEVER;
  list_init(&broker->dirty);
  list_init(&broker->blocked);
  list_init(&broker->closing);
  list_init(&broker->silent);
  sink = out_sink(broker);
  broker->admission = options->admission;
  broker->no_rights = rights_new();
  broker->told = limiter_new(3, 60 * US_PER_S);
  r = core_new(&broker->core, &options->core, &sink, loop_now_us(loop));
  if (r == 0)
    r = socket_new(loop, SOCKET_ROUTER, SEND_QUEUE, &handler, &broker->socket);
  if (r == 0)
    socket_bound(broker->socket, SEND_QUEUE_BYTES, HALF_BYTES);
  if (r == 0)
    r = loop_timer_new(loop, on_timer, broker, &broker->timer);
  if (r == 0)
    r = loop_timer_new(loop, on_sweep, broker, &broker->sweep_timer);
  if (r == 0)
    r = loop_on_turn_end(loop, on_turn_end, broker);
  if (r == 0 && broker->admission)
    use_keys(broker);
  if (r == 0)
    r = bind_all(broker, &options->core, ret_bad);
  broker->connections_max = options->connections_max;
  if (r == 0 && broker->connections_max == 0)
    r = default_connections_max(&broker->connections_max);
  if (r == 0 && options->authority)
    r = begin_authority(broker, options->authority, ret_bad);
  if (r < 0)
    return r;
  *ret = TAKE(broker);
  return 0;
}

void broker_destroy(Broker **broker) {
  Broker *gone = TAKE(*broker);

  if (!gone)
    return;
  loop_remove_turn_end(gone->loop, on_turn_end, gone);
  loop_timer_destroy(&gone->timer);
  loop_timer_destroy(&gone->sweep_timer);
  core_destroy(&gone->core);
  authority_destroy(&gone->authority);
  connections_done(gone);
  socket_close(&gone->socket, LINGER_MS);
  rights_destroy(&gone->no_rights);
  limiter_destroy(&gone->told);
  free(gone);
}

void broker_stop(Broker *broker) {
  uint64_t now_us = loop_now_us(broker->loop);

  if (broker->stopping) {
    if (!broker->said_bye)
      say_bye(broker, now_us);
    loop_stop(broker->loop, 0);
    return;
  }
  log_info("PONS-BROKER-STOPPING", "the broker stops when what is unanswered has ended, in %llu s at the latest",
           (unsigned long long)(broker->stop_timeout_us / US_PER_S));
  broker->stopping = true;
  broker->stop_at_us = now_us + broker->stop_timeout_us;
  if (broker->authority)
    authority_stop(broker->authority);
  core_drain(broker->core, now_us);
  connections_need_sweep(broker, now_us);
}

void broker_admit_again(Broker *broker) {
  connections_identify_again(broker);
  socket_ask_gate_again(broker->socket);
  if (broker->authority)
    authority_ask_gate_again(broker->authority);
}

int broker_try_doors(Broker *broker) {
  char endpoint[256];
  int r;

  if (!broker->admission)
    return 0;
  r = selftest_door(broker->loop, broker->admission, socket_endpoint(broker->socket, endpoint, sizeof endpoint));
  if (r == 0 && broker->authority && authority_endpoint(broker->authority, endpoint, sizeof endpoint))
    r = selftest_door(broker->loop, broker->admission, endpoint);
  return r;
}

uint32_t broker_connections(const Broker *broker) {
  return broker->peers.size;
}
