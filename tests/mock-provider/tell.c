/* From a request to its answer: the knobs first, since they may say that there is none; then the dialect plans all of it;
   then it is told at the times that the knobs set. */
#include <stdio.h>

#include "bus/base/clock.h"
#include "bus/json/json.h"
#include "tests/mock-provider/server-internal.h"

static void finish(Conn *conn) {
  if (conn->answer.streams)
    conn->server->stats.streams_running--;
  answer_done(&conn->answer);
  conn->state = conn->keep_alive ? STATE_READING : STATE_CLOSING;
}

/* What has been put into out is all that will come; whether the peer is told so is the difference between the two. */
static void fall_silent(Conn *conn) {
  conn->abrupt = conn->ask.knobs.cut != UNSET;
  conn->state = conn->abrupt ? STATE_CLOSING : STATE_STALLED;
}

static void tell_body(Conn *conn) {
  const Knobs *knobs = &conn->ask.knobs;
  const Buffer *body = &conn->answer.body;
  uint32_t faulty = knobs->cut != UNSET ? knobs->cut : knobs->stall;

  if (conn->answer.streams && !conn->bodyless) {
    conn->state = STATE_PARTS;
    conn->due_us = conn->server->now_us + knobs->first_ms * US_PER_MS;
    return;
  }
  if (!conn->bodyless && faulty != UNSET && conn->answer.status < 400) {
    buffer_append(&conn->out, body->data, faulty ? body->size / 2 : 0);
    fall_silent(conn);
    return;
  }
  if (!conn->bodyless)
    buffer_append(&conn->out, body->data, body->size);
  finish(conn);
}

/* Lets out one more line of a slow head; behind the last one comes the body. */
static void open_gate(Conn *conn) {
  const uint8_t *from = conn->out.data + conn->gate;
  const uint8_t *end = memchr(from, '\n', conn->out.size - conn->gate);

  conn->gate = end ? (size_t)(end - conn->out.data) + 1 : conn->out.size;
  if (conn->gate >= conn->out.size) {
    conn->gate = SIZE_MAX;
    tell_body(conn);
  } else {
    heap_set(&conn->server->timers, &conn->timer, conn->server->now_us + conn->ask.knobs.slow_headers * US_PER_MS);
  }
}

static void tell_head(Conn *conn) {
  Answer *answer = &conn->answer;
  Buffer *out = &conn->out;

  buffer_printf(out, "HTTP/1.1 %u %s\r\n%sserver: mock-provider\r\ncontent-type: %s\r\n", answer->status,
                http_reason(answer->status), server_date(conn->server), answer->type);
  buffer_append(out, answer->headers.data, answer->headers.size);
  if (!answer->streams)
    buffer_printf(out, "content-length: %zu\r\n", answer->body.size);
  else if (!conn->old)
    buffer_printf(out, "transfer-encoding: chunked\r\ncache-control: no-cache\r\n");
  if (!conn->keep_alive || conn->old)
    buffer_printf(out, "connection: %s\r\n", conn->keep_alive ? "keep-alive" : "close");
  buffer_append(out, "\r\n", 2);
  if (!conn->ask.knobs.slow_headers) {
    tell_body(conn);
    return;
  }
  conn->state = STATE_HEAD;
  conn->gate = conn->out_at;
  open_gate(conn);
}

void tell_on_timer(Conn *conn) {
  if (conn->state == STATE_DELAYED)
    tell_head(conn);
  else if (conn->state == STATE_HEAD)
    open_gate(conn);
}

/* --- planning --- */

static void answer_control(Conn *conn, const HttpRequest *request, bool reset) {
  Server *server = conn->server;
  Answer *answer = &conn->answer;

  answer->status = text_is(request->method, reset ? "POST" : "GET") ? 200 : 405;
  answer->type = "application/json";
  if (answer->status == 405) {
    buffer_printf(&answer->body, "{\"error\":\"%s\"}\n", reset ? "wants POST" : "wants GET");
  } else if (reset) {
    stats_reset(&server->stats);
    buffer_printf(&answer->body, "{}\n");
  } else {
    stats_put(&server->stats, server->now_us, &answer->body);
  }
}

static void put_retry(const Dialect *dialect, const Knobs *knobs, Answer *answer) {
  if (answer->status < 400 || dialect->retry_in_body)
    return;
  if (knobs->retry_after[0])
    buffer_printf(&answer->headers, "retry-after: %s\r\n", knobs->retry_after);
  if (knobs->retry_after_ms != UNSET)
    buffer_printf(&answer->headers, "retry-after-ms: %u\r\n", knobs->retry_after_ms);
}

/* Of the faults, those that hold for this one of the path's requests. */
static void limit_faults(Knobs *knobs, uint64_t nth) {
  if (!knobs->fail_first)
    return;
  if (nth > knobs->fail_first)
    knobs_heal(knobs);
  else if (!knobs_has_fault(knobs))
    knobs->status = 500;
}

static void plan(Conn *conn, const char *wrong) {
  Ask *ask = &conn->ask;
  Answer *answer = &conn->answer;
  const Knobs *knobs = &ask->knobs;
  bool fails = (knobs->status != UNSET || knobs->code[0]) && knobs->error_in_stream == UNSET;

  conn->dialect = dialect_of(ask->path);
  if (wrong)
    conn->dialect->error(ask, 400, "bad_knob", wrong, answer);
  else if (fails)
    conn->dialect->error(ask, knobs->status == UNSET ? 0 : knobs->status, knobs->code[0] ? knobs->code : NULL, NULL,
                         answer);
  else
    conn->dialect->answer(ask, answer);
  put_retry(conn->dialect, knobs, answer);
  if (knobs->malformed != UNSET && !answer->streams && answer->status < 400)
    answer->body.size /= 2;
  if (answer->streams)
    conn->server->stats.streams_running++;
}

static void note_request(Conn *conn) {
  const HttpRequest *request = &conn->request;

  conn->old = request->old;
  conn->keep_alive = request->keep_alive;
  conn->bodyless = text_is(request->method, "HEAD");
  conn->chunk = 0;
  conn->ask = (Ask){.http = request,
                    .path = request->path,
                    .knobs = conn->server->options.knobs,
                    .key = conn->server->options.key,
                    .models = conn->server->options.models};
}

void tell_begin(Conn *conn) {
  Server *server = conn->server;
  Ask *ask = &conn->ask;
  bool reset = text_is(conn->request.path, "/mock/reset");
  const char *wrong;

  note_request(conn);
  if (reset || text_is(conn->request.path, "/mock/stats")) {
    answer_control(conn, &conn->request, reset);
    ask->knobs = knobs_default();
    tell_head(conn);
    return;
  }
  wrong = knobs_of_request(&ask->knobs, &conn->request, &ask->path);
  limit_faults(&ask->knobs, stats_request(&server->stats, &conn->request, &conn->in));
  ask->number = server->stats.requests;
  if (!ask->knobs.silent)
    plan(conn, wrong);
  if (conn->answer.streams && conn->old)
    conn->keep_alive = false;
  ask->http = NULL;
  ask->path = TEXT_NONE;
  if (ask->knobs.silent) {
    conn->state = STATE_STALLED;
  } else if (ask->knobs.delay_ms) {
    conn->state = STATE_DELAYED;
    heap_set(&server->timers, &conn->timer, server->now_us + ask->knobs.delay_ms * US_PER_MS);
  } else {
    tell_head(conn);
  }
}

void tell_refusal(Conn *conn, unsigned status, const char *why) {
  note_request(conn);
  conn->ask.http = NULL;
  conn->keep_alive = false;
  conn->ask.knobs = knobs_default();
  conn->server->stats.refused++;
  conn->answer.status = status;
  conn->answer.type = "application/json";
  buffer_printf(&conn->answer.body, "{\"error\":{\"message\":");
  json_put_string(&conn->answer.body, text_of(why));
  buffer_printf(&conn->answer.body, ",\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}");
  tell_head(conn);
}

/* --- a stream --- */

static void put(Conn *conn, Part part, uint32_t index) {
  conn->dialect->put_part(&conn->ask, &conn->answer.story, part, index, &conn->server->scratch);
}

/* What was put since the last time becomes one chunk of the transfer. */
static void frame(Conn *conn) {
  Buffer *scratch = &conn->server->scratch;

  if (scratch->size && !conn->old)
    buffer_printf(&conn->out, "%zx\r\n", scratch->size);
  buffer_append(&conn->out, scratch->data, scratch->size);
  if (scratch->size && !conn->old)
    buffer_append(&conn->out, "\r\n", 2);
  buffer_clear(scratch);
}

static void end_stream(Conn *conn, bool failed) {
  const Knobs *knobs = &conn->ask.knobs;

  if (failed) {
    put(conn, PART_ERROR, 0);
  } else {
    put(conn, PART_LAST, 0);
    put(conn, PART_USAGE, 0);
    if (!knobs->no_done)
      put(conn, PART_DONE, 0);
  }
  frame(conn);
  if (!conn->old)
    buffer_append(&conn->out, "0\r\n\r\n", 5);
  finish(conn);
}

void tell_part(Conn *conn) {
  const Knobs *knobs = &conn->ask.knobs;
  Story *story = &conn->answer.story;
  uint32_t index = conn->chunk;

  if (index == knobs->cut || index == knobs->stall) {
    fall_silent(conn);
  } else if (index == knobs->error_in_stream || index >= story->chunks) {
    if (!index)
      put(conn, PART_FIRST, 0);
    end_stream(conn, index == knobs->error_in_stream);
  } else {
    if (!index)
      put(conn, PART_FIRST, 0);
    story->broken = index + 1 == knobs->malformed;
    put(conn, PART_CHUNK, index);
    story->broken = false;
    frame(conn);
    conn->chunk++;
    if (conn->chunk < story->chunks)
      conn->due_us += knobs->gap_ms * US_PER_MS;
  }
}
