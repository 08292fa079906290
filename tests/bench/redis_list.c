#include "tests/bench/redis_list.h"

#include <stdio.h>
#include <string.h>

int redis_list_open(RedisList *list, const char *path) {
  memset(list, 0, sizeof *list);
  list->take = redisConnectUnix(path);
  list->give = redisConnectUnix(path);
  if (!list->take || !list->give || list->take->err || list->give->err) {
    fprintf(stderr, "%s: %s\n", path, list->give ? list->give->errstr : "out of memory");
    return -1;
  }
  redisAppendCommand(list->give, "CLIENT REPLY OFF");
  return redis_list_flush(list);
}

void redis_list_close(RedisList *list) {
  if (list->take)
    redisFree(list->take);
  if (list->give)
    redisFree(list->give);
  memset(list, 0, sizeof *list);
}

void redis_list_push(RedisList *list, const char *key, uint32_t count, const char *const *bodies, const size_t *sizes) {
  list->argv[0] = "LPUSH";
  list->sizes[0] = 5;
  list->argv[1] = key;
  list->sizes[1] = strlen(key);
  for (uint32_t i = 0; i < count; i++) {
    list->argv[2 + i] = bodies[i];
    list->sizes[2 + i] = sizes[i];
  }
  redisAppendCommandArgv(list->give, (int)count + 2, list->argv, list->sizes);
}

int redis_list_flush(RedisList *list) {
  int done = 0;

  while (!done)
    if (redisBufferWrite(list->give, &done) != REDIS_OK)
      return -1;
  return 0;
}

redisReply *redis_list_take(RedisList *list, const char *key, uint32_t timeout_s, redisReply **ret_reply) {
  redisReply *reply = redisCommand(list->take, "BLMPOP %u 1 %s RIGHT COUNT %u", timeout_s, key, REDIS_LIST_BATCH);

  *ret_reply = reply;
  if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
    return NULL;
  return reply->element[1];
}
