/* What:      Redis lists as a request/reply bus: LPUSH to send, BLMPOP to take up to 64 at once.
 * Owns:      two connections, one that waits and one that only sends (its replies are turned off).
 * May use:   hiredis.
 * Threading: one thread.
 * Spec:      docs/benchmarks.md, "Peers" */
#ifndef PONS_TESTS_BENCH_REDIS_LIST_H
#define PONS_TESTS_BENCH_REDIS_LIST_H

#include <hiredis/hiredis.h>
#include <stdint.h>

#define REDIS_LIST_BATCH 64u

typedef struct RedisList {
  redisContext *take;
  redisContext *give;
  const char *argv[REDIS_LIST_BATCH + 2];
  size_t sizes[REDIS_LIST_BATCH + 2];
} RedisList;

/* Connects twice to the unix socket at `path`. 0, or -1 after saying on stderr why not; redis_list_close in either
   case. */
int redis_list_open(RedisList *list, const char *path);
void redis_list_close(RedisList *list);

/* Appends one LPUSH of `count` (1 to REDIS_LIST_BATCH) bodies to `key`; the bytes are copied before it returns. */
void redis_list_push(RedisList *list, const char *key, uint32_t count, const char *const *bodies, const size_t *sizes);

/* Writes what was appended; blocks until the socket has taken it. 0 or -1. */
int redis_list_flush(RedisList *list);

/* Waits up to `timeout_s` (0 = for ever) for bodies in `key`, oldest first. The list of bodies, NULL when none came or
   the server is gone; *ret_reply is to be freed with freeReplyObject. */
redisReply *redis_list_take(RedisList *list, const char *key, uint32_t timeout_s, redisReply **ret_reply);

#endif
