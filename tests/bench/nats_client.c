/* The client of the NATS peer: one inbox for all replies, every request sent at once. The replies are taken in the
   library's own delivery thread, which spares a wake-up against natsSubscription_NextMsg. */
#include "tests/bench/load.h"

#include <nats/nats.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

typedef struct Client {
  Load load;
  natsConnection *connection;
  natsSubscription *subscription;
  natsInbox *inbox;
  pthread_mutex_t lock; /* guards load from the first request on */
  pthread_cond_t changed;
  bool probed;
  bool started;
} Client;

static natsStatus send_slot(Client *client, uint32_t slot) {
  return natsConnection_PublishRequest(client->connection, "bench.work", client->inbox,
                                       load_body(&client->load, slot, 0), (int)client->load.size_bytes);
}

static void on_reply(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *userdata) {
  Client *client = userdata;
  uint32_t slot;

  (void)connection;
  (void)subscription;
  pthread_mutex_lock(&client->lock);
  if (!client->started) {
    client->probed = true;
    pthread_cond_signal(&client->changed);
  } else if (load_reply(&client->load, natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message), &slot)) {
    send_slot(client, slot);
  } else if (load_finished(&client->load)) {
    pthread_cond_signal(&client->changed);
  }
  pthread_mutex_unlock(&client->lock);
  natsMsg_Destroy(message);
}

static natsStatus sign_on(Client *client) {
  natsOptions *options = NULL;
  natsStatus s = natsOptions_Create(&options);

  if (s == NATS_OK)
    s = natsOptions_SetURL(options, client->load.endpoint);
  if (s == NATS_OK)
    s = natsOptions_SetSendAsap(options, true);
  if (s == NATS_OK)
    s = natsConnection_Connect(&client->connection, options);
  if (s == NATS_OK)
    s = natsInbox_Create(&client->inbox);
  if (s == NATS_OK)
    s = natsConnection_Subscribe(&client->subscription, client->connection, client->inbox, on_reply, client);
  if (s == NATS_OK)
    s = natsSubscription_SetPendingLimits(client->subscription, -1, -1);
  natsOptions_Destroy(options);
  return s;
}

/* Waits, with the lock held, until nothing is outstanding, or nothing has come for LOAD_SILENCE_MS. */
static void wait_for_end(Client *client) {
  uint64_t seen = 0;

  while (!load_finished(&client->load)) {
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LOAD_SILENCE_MS / 1000;
    if (pthread_cond_timedwait(&client->changed, &client->lock, &until) && client->load.received == seen)
      return;
    seen = client->load.received;
  }
}

static int drive(Client *client) {
  send_slot(client, 0);
  pthread_mutex_lock(&client->lock);
  while (!client->probed)
    pthread_cond_wait(&client->changed, &client->lock);
  pthread_mutex_unlock(&client->lock);
  if (load_ready(&client->load))
    return 1;
  pthread_mutex_lock(&client->lock);
  client->started = true;
  for (uint32_t slot = 0; slot < client->load.outstanding; slot++) {
    load_sent(&client->load, slot);
    send_slot(client, slot);
  }
  wait_for_end(client);
  load_print(&client->load);
  pthread_mutex_unlock(&client->lock);
  return 0;
}

int main(int argc, char **argv) {
  static Client client = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
  natsStatus s;
  int rc = 1;

  if (load_init(&client.load, argc, argv))
    return 2;
  s = sign_on(&client);
  if (s == NATS_OK)
    rc = drive(&client);
  else
    fprintf(stderr, "%s: %s\n", client.load.endpoint, natsStatus_GetText(s));
  natsConnection_Close(client.connection);
  natsSubscription_Destroy(client.subscription);
  natsConnection_Destroy(client.connection);
  natsInbox_Destroy(client.inbox);
  nats_Close();
  load_done(&client.load);
  return rc;
}
