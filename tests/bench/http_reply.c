#include "tests/bench/http_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD, LENGTH, UNTIL_END, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, WHOLE };

#define SKIP_LINE 99u

void http_reply_clear(HttpReply *reply) {
  memset(reply, 0, offsetof(HttpReply, head));
}

static void count_events(HttpReply *reply, const char *data, size_t size) {
  static const char WANTED[] = "data: [DONE]";

  for (size_t i = 0; i < size; i++) {
    if (reply->matched == SKIP_LINE) {
      const char *end = memchr(data + i, '\n', size - i);

      if (!end)
        return;
      i = (size_t)(end - data);
    }
    if (data[i] == '\n') {
      reply->matched = 0;
      continue;
    }
    reply->matched = data[i] == WANTED[reply->matched] ? reply->matched + 1 : SKIP_LINE;
    if (reply->matched == 6)
      reply->events++;
    if (reply->matched == sizeof WANTED - 1) {
      reply->events--;
      reply->last_event = true;
      reply->matched = SKIP_LINE;
    }
  }
}

static size_t take_body(HttpReply *reply, const char *data, size_t size, int after) {
  size_t n = size < reply->left ? size : (size_t)reply->left;

  if (reply->body_bytes < HTTP_REPLY_START)
    snprintf(reply->start + reply->body_bytes, sizeof reply->start - (size_t)reply->body_bytes, "%.*s", (int)n, data);
  count_events(reply, data, n);
  reply->body_bytes += n;
  reply->left -= n;
  if (!reply->left)
    reply->state = after;
  return n;
}

static int read_head(HttpReply *reply) {
  const char *length = strcasestr(reply->head, "\r\ncontent-length:");

  if (strncmp(reply->head, "HTTP/1.", 7) != 0)
    return -1;
  reply->status = (unsigned)strtoul(reply->head + 9, NULL, 10);
  reply->close = strcasestr(reply->head, "\r\nconnection: close") != NULL;
  reply->head_size = 0;
  if (strcasestr(reply->head, "\r\ntransfer-encoding: chunked")) {
    reply->state = CHUNK_SIZE;
  } else if (length) {
    reply->left = strtoull(length + 17, NULL, 10);
    reply->state = reply->left ? LENGTH : WHOLE;
  } else {
    reply->left = UINT64_MAX;
    reply->state = UNTIL_END;
  }
  return 0;
}

/* One byte of the head, of a chunk's size line, or of the trailer. */
static int take_line_byte(HttpReply *reply, char byte) {
  char *head = reply->head;
  uint32_t n = reply->head_size;

  if (n + 1 >= HTTP_REPLY_HEAD_MAX)
    return -1;
  head[n++] = byte;
  head[n] = 0;
  reply->head_size = n;
  if (byte != '\n')
    return 0;
  if (reply->state == HEAD)
    return n >= 4 && memcmp(head + n - 4, "\r\n\r\n", 4) == 0 ? read_head(reply) : 0;
  reply->head_size = 0;
  if (reply->state == CHUNK_SIZE) {
    reply->left = strtoull(head, NULL, 16);
    reply->state = reply->left ? CHUNK : TRAILER;
  } else if (reply->state == CHUNK_END) {
    reply->state = CHUNK_SIZE;
  } else if (n == 2) {
    reply->state = WHOLE;
  }
  return 0;
}

int http_reply_feed(HttpReply *reply, const char *data, size_t size) {
  size_t at = 0;

  if (!size)
    return reply->state == UNTIL_END ? 1 : -1;
  while (at < size) {
    if (reply->state == WHOLE)
      return -1;
    if (reply->state == LENGTH || reply->state == CHUNK || reply->state == UNTIL_END)
      at += take_body(reply, data + at, size - at, reply->state == CHUNK ? CHUNK_END : WHOLE);
    else if (take_line_byte(reply, data[at++]))
      return -1;
  }
  return reply->state == WHOLE;
}
