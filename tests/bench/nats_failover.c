/* The NATS peer of `deploy/bench failover`: a worker that echoes, or a client that asks at a fixed rate, whatever the answers
   do, and counts what became of each request. MODE is `default`: the library's settings; or `tuned`: those that find a dead
   server as fast as the library can. Both prefer the first server, as all clients of pons prefer one broker. */
#include <inttypes.h>
#include <nats/nats.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
  SERVERS_MAX = 8,
  PING_MS = 50,
  PINGS_OUT = 2,
  RETRY_MS = 10,
  CONNECT_MS = 150,
  WARM_SHARE = 3, /* the event comes after a third of the time */
  LAST_MS = 5000, /* for the answers to the last requests */
};

typedef struct Load {
  pthread_mutex_t lock;
  uint64_t count; /* requests in all */
  uint64_t *asked_us;
  uint8_t *answers; /* to each */
  uint64_t answered;
  uint64_t twice;
  uint64_t worst_us;
  uint64_t last_us;  /* the last answer */
  uint64_t event_us; /* 0 = not yet */
  uint64_t calm_us;  /* the longest pause before the event */
  uint64_t pause_us; /* and after it */
} Load;

static uint64_t now_us(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void wait_until(uint64_t at_us) {
  struct timespec at = {.tv_sec = (time_t)(at_us / 1000000), .tv_nsec = (long)(at_us % 1000000) * 1000};

  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
    continue;
}

static natsStatus tune(natsOptions *options) {
  natsStatus s = natsOptions_SetPingInterval(options, PING_MS);

  if (s == NATS_OK)
    s = natsOptions_SetMaxPingsOut(options, PINGS_OUT);
  if (s == NATS_OK)
    s = natsOptions_SetReconnectWait(options, RETRY_MS);
  if (s == NATS_OK)
    s = natsOptions_SetReconnectJitter(options, 0, 0);
  if (s == NATS_OK)
    s = natsOptions_SetMaxReconnect(options, -1);
  if (s == NATS_OK)
    s = natsOptions_SetTimeout(options, CONNECT_MS);
  return s;
}

static natsStatus connect_to(const char *mode, char *urls, natsConnection **ret) {
  const char *servers[SERVERS_MAX];
  natsOptions *options = NULL;
  natsStatus s = natsOptions_Create(&options);
  int count = 0;

  for (char *at; count < SERVERS_MAX && (at = strsep(&urls, ","));)
    servers[count++] = at;
  if (s == NATS_OK)
    s = natsOptions_SetServers(options, servers, count);
  if (s == NATS_OK)
    s = natsOptions_SetNoRandomize(options, true);
  if (s == NATS_OK)
    s = natsOptions_SetSendAsap(options, true);
  if (s == NATS_OK && strcmp(mode, "tuned") == 0)
    s = tune(options);
  if (s == NATS_OK)
    s = natsConnection_Connect(ret, options);
  natsOptions_Destroy(options);
  return s;
}

/* --- the worker --- */

static void on_request(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *userdata) {
  (void)subscription;
  (void)userdata;
  natsConnection_Publish(connection, natsMsg_GetReply(message), natsMsg_GetData(message),
                         natsMsg_GetDataLength(message));
  natsMsg_Destroy(message);
}

static natsStatus serve(natsConnection *connection) {
  natsSubscription *subscription = NULL;
  natsStatus s = natsConnection_QueueSubscribe(&subscription, connection, "work", "workers", on_request, NULL);

  if (s == NATS_OK)
    s = natsConnection_Flush(connection);
  if (s != NATS_OK)
    return s;
  puts("ready");
  fflush(stdout);
  for (;;)
    pause();
}

/* --- the client --- */

static void note_pause(Load *load, uint64_t at_us) {
  uint64_t pause_us = at_us - load->last_us;

  if (load->event_us && pause_us > load->pause_us)
    load->pause_us = pause_us;
  if (!load->event_us && pause_us > load->calm_us)
    load->calm_us = pause_us;
  load->last_us = at_us;
}

static void take(Load *load, uint64_t number, uint64_t at_us) {
  if (number >= load->count || !load->asked_us[number])
    return;
  load->twice += load->answers[number] > 0;
  if (load->answers[number]++)
    return;
  load->answered++;
  note_pause(load, at_us);
  if (at_us - load->asked_us[number] > load->worst_us)
    load->worst_us = at_us - load->asked_us[number];
}

static void on_reply(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *userdata) {
  Load *load = userdata;
  uint64_t number;

  (void)connection;
  (void)subscription;
  if (natsMsg_GetDataLength(message) == (int)sizeof number) {
    memcpy(&number, natsMsg_GetData(message), sizeof number);
    pthread_mutex_lock(&load->lock);
    take(load, number, now_us());
    pthread_mutex_unlock(&load->lock);
  }
  natsMsg_Destroy(message);
}

static void tell_event(Load *load) {
  pthread_mutex_lock(&load->lock);
  load->event_us = now_us();
  pthread_mutex_unlock(&load->lock);
  puts("event");
  fflush(stdout);
}

static void print(Load *load) {
  pthread_mutex_lock(&load->lock);
  printf("{\"sent\": %" PRIu64 ", \"answered\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"twice\": %" PRIu64
         ", \"pause_us\": %" PRIu64 ", \"pause_calm_us\": %" PRIu64 ", \"worst_us\": %" PRIu64 "}\n",
         load->count, load->answered, load->count - load->answered, load->twice, load->pause_us, load->calm_us,
         load->worst_us);
  pthread_mutex_unlock(&load->lock);
  fflush(stdout);
}

/* Each request is timed from when it was due. What a client without a server can't send it keeps and sends later. */
static void ask_all(Load *load, natsConnection *connection, const char *inbox, uint64_t every_us) {
  uint64_t start_us = now_us();

  load->last_us = start_us;
  for (uint64_t i = 0; i < load->count; i++) {
    wait_until(start_us + i * every_us);
    if (i == load->count / WARM_SHARE)
      tell_event(load);
    pthread_mutex_lock(&load->lock);
    load->asked_us[i] = start_us + i * every_us;
    pthread_mutex_unlock(&load->lock);
    natsConnection_PublishRequest(connection, "work", inbox, &i, sizeof i);
  }
  pthread_mutex_lock(&load->lock);
  if (load->answered < load->count)
    note_pause(load, now_us()); /* it lasts at least until here */
  pthread_mutex_unlock(&load->lock);
  wait_until(now_us() + LAST_MS * UINT64_C(1000));
}

static natsStatus drive(natsConnection *connection, uint64_t rate, uint64_t seconds) {
  static Load load = {.lock = PTHREAD_MUTEX_INITIALIZER};
  natsSubscription *subscription = NULL;
  natsInbox *inbox = NULL;
  natsStatus s = natsInbox_Create(&inbox);

  load.count = rate * seconds;
  load.asked_us = calloc(load.count, sizeof *load.asked_us);
  load.answers = calloc(load.count, sizeof *load.answers);
  if (!load.asked_us || !load.answers)
    abort();
  if (s == NATS_OK)
    s = natsConnection_Subscribe(&subscription, connection, inbox, on_reply, &load);
  if (s == NATS_OK)
    s = natsConnection_Flush(connection);
  if (s != NATS_OK)
    return s;
  puts("ready");
  fflush(stdout);
  ask_all(&load, connection, inbox, 1000000 / rate);
  print(&load);
  return NATS_OK;
}

int main(int argc, char **argv) {
  bool is_client = argc == 6 && strcmp(argv[1], "client") == 0;
  natsConnection *connection = NULL;
  natsStatus s;

  if (!is_client && (argc != 4 || strcmp(argv[1], "worker") != 0)) {
    fprintf(stderr, "usage: %s worker default|tuned URLS | client default|tuned URLS RATE SECONDS\n", argv[0]);
    return 2;
  }
  s = connect_to(argv[2], argv[3], &connection);
  if (s == NATS_OK)
    s = is_client ? drive(connection, strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10)) : serve(connection);
  if (s != NATS_OK)
    fprintf(stderr, "%s: %s\n", argv[3], natsStatus_GetText(s));
  fflush(stdout);
  _exit(s == NATS_OK ? 0 : 1); /* a library without a server takes its time to close */
}
