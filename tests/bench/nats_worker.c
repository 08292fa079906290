/* The worker of the NATS peer: a member of the queue group, sends back what it gets, at once. */
#include <nats/nats.h>
#include <stdio.h>
#include <unistd.h>

static void on_request(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *userdata) {
  (void)subscription;
  (void)userdata;
  natsConnection_Publish(connection, natsMsg_GetReply(message), natsMsg_GetData(message),
                         natsMsg_GetDataLength(message));
  natsMsg_Destroy(message);
}

static natsStatus sign_on(const char *url, natsConnection **ret_connection, natsSubscription **ret_subscription) {
  natsOptions *options = NULL;
  natsStatus s = natsOptions_Create(&options);

  if (s == NATS_OK)
    s = natsOptions_SetURL(options, url);
  if (s == NATS_OK)
    s = natsOptions_SetSendAsap(options, true);
  if (s == NATS_OK)
    s = natsConnection_Connect(ret_connection, options);
  if (s == NATS_OK)
    s = natsConnection_QueueSubscribe(ret_subscription, *ret_connection, "bench.work", "workers", on_request, NULL);
  if (s == NATS_OK)
    s = natsSubscription_SetPendingLimits(*ret_subscription, -1, -1);
  if (s == NATS_OK)
    s = natsConnection_Flush(*ret_connection);
  natsOptions_Destroy(options);
  return s;
}

int main(int argc, char **argv) {
  natsConnection *connection = NULL;
  natsSubscription *subscription = NULL;
  natsStatus s;

  if (argc != 2) {
    fprintf(stderr, "usage: %s URL\n", argv[0]);
    return 2;
  }
  s = sign_on(argv[1], &connection, &subscription);
  if (s != NATS_OK) {
    fprintf(stderr, "%s: %s\n", argv[1], natsStatus_GetText(s));
    return 1;
  }
  puts("ready");
  fflush(stdout);
  for (;;)
    pause();
}
