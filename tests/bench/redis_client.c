/* The client of the Redis peer: what became free in one turn goes out as one LPUSH. */
#include "tests/bench/load.h"
#include "tests/bench/redis_list.h"

#include <stdlib.h>
#include <string.h>

typedef struct Client {
  Load load;
  RedisList list;
  char key[32];
  char *batch; /* REDIS_LIST_BATCH bodies */
  const char *bodies[REDIS_LIST_BATCH];
  size_t sizes[REDIS_LIST_BATCH];
  uint32_t count;
} Client;

static int flush(Client *client) {
  if (!client->count)
    return 0;
  redis_list_push(&client->list, "work", client->count, client->bodies, client->sizes);
  client->count = 0;
  return redis_list_flush(&client->list);
}

static int put(Client *client, uint32_t slot) {
  char *to = client->batch + (size_t)client->count * client->load.size_bytes;

  memcpy(to, load_body(&client->load, slot, 0), client->load.size_bytes);
  client->bodies[client->count] = to;
  client->sizes[client->count++] = client->load.size_bytes;
  return client->count == REDIS_LIST_BATCH ? flush(client) : 0;
}

/* Takes one batch of replies and sends their slots again. 0, or -1 when nothing came. */
static int turn(Client *client) {
  redisReply *reply = NULL;
  redisReply *bodies = redis_list_take(&client->list, client->key, LOAD_SILENCE_MS / 1000, &reply);
  int rc = bodies ? 0 : -1;
  uint32_t slot;

  for (size_t i = 0; bodies && i < bodies->elements; i++)
    if (load_reply(&client->load, bodies->element[i]->str, (size_t)bodies->element[i]->len, &slot))
      put(client, slot);
  if (reply)
    freeReplyObject(reply);
  return flush(client) ? -1 : rc;
}

static int drive(Client *client) {
  redisReply *reply = NULL;

  if (put(client, 0) || flush(client) || !redis_list_take(&client->list, client->key, 30, &reply))
    return 1;
  freeReplyObject(reply);
  if (load_ready(&client->load))
    return 1;
  for (uint32_t slot = 0; slot < client->load.outstanding; slot++) {
    load_sent(&client->load, slot);
    put(client, slot);
  }
  flush(client);
  while (!load_finished(&client->load) && !turn(client)) {
  }
  load_print(&client->load);
  return 0;
}

int main(int argc, char **argv) {
  static Client client;
  int rc = 1;

  if (load_init(&client.load, argc, argv))
    return 2;
  snprintf(client.key, sizeof client.key, "reply:%u", client.load.client);
  client.batch = malloc((size_t)REDIS_LIST_BATCH * client.load.size_bytes);
  if (!client.batch)
    abort();
  if (!redis_list_open(&client.list, client.load.endpoint))
    rc = drive(&client);
  redis_list_close(&client.list);
  free(client.batch);
  load_done(&client.load);
  return rc;
}
