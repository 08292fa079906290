/* The worker of the Redis peer: takes up to 64 requests, sends each back to its client's list, neighbours of the same
   client in one LPUSH. */
#include "tests/bench/load.h"
#include "tests/bench/redis_list.h"

#include <string.h>

static uint32_t client_of(const redisReply *body) {
  LoadHead head = {0};

  if (body->len >= sizeof head)
    memcpy(&head, body->str, sizeof head);
  return head.client;
}

static void answer(RedisList *list, const redisReply *bodies) {
  const char *run[REDIS_LIST_BATCH];
  size_t sizes[REDIS_LIST_BATCH];
  size_t at = 0;

  while (at < bodies->elements) {
    uint32_t client = client_of(bodies->element[at]);
    uint32_t count = 0;
    char key[32];

    while (at < bodies->elements && count < REDIS_LIST_BATCH && client_of(bodies->element[at]) == client) {
      run[count] = bodies->element[at]->str;
      sizes[count++] = (size_t)bodies->element[at++]->len;
    }
    snprintf(key, sizeof key, "reply:%u", client);
    redis_list_push(list, key, count, run, sizes);
  }
}

static int serve(RedisList *list) {
  for (;;) {
    redisReply *reply = NULL;
    redisReply *bodies = redis_list_take(list, "work", 0, &reply);

    if (bodies)
      answer(list, bodies);
    if (reply)
      freeReplyObject(reply);
    if (!bodies || redis_list_flush(list))
      return 1;
  }
}

int main(int argc, char **argv) {
  RedisList list;
  int rc = 1;

  if (argc != 2) {
    fprintf(stderr, "usage: %s SOCKET_PATH\n", argv[0]);
    return 2;
  }
  if (!redis_list_open(&list, argv[1])) {
    puts("ready");
    fflush(stdout);
    rc = serve(&list);
  }
  redis_list_close(&list);
  return rc;
}
