/* A stream on its way from the bus to a client. Events go out as they came. What the client has not taken lies in out, which
   the window bounds: only what libmicrohttpd has taken is reported as consumed, so a slow client stops the executor.
   The end is honest: `[DONE]` and the last chunk of the encoding come only after the REPLY. */
#include "agents/gateway/gateway-internal.h"

enum { OUT_KEPT_BYTES = 4096 }; /* of room that an empty out keeps */

static const char keep_alive_comment[] = ": \n\n";

static size_t waiting_bytes(const HttpRequest *request) {
  return request->out.size - request->out_at;
}

static void consumed(HttpRequest *request, size_t bytes) {
  if (request->is_asking && bytes)
    client_stream_consumed(request->gateway->client, request->id, bytes);
}

/* The client has so much more, of which what was lent is credited already. */
static void used_up(HttpRequest *request, size_t bytes) {
  size_t repaid = min_u64(bytes, request->lent_bytes);

  request->lent_bytes -= repaid;
  consumed(request, bytes - repaid);
}

/* Half a piece may be all that the window has room for, so it is lent once the client has taken everything that was whole:
   a piece need not fit into the window. */
static void lend(HttpRequest *request) {
  size_t bytes = request->pieces.rest.size - min_u64(request->lent_bytes, request->pieces.rest.size);

  if (waiting_bytes(request) > 0)
    return;
  request->lent_bytes += bytes;
  consumed(request, bytes);
}

static void expect_silence(HttpRequest *request) {
  connection_expect(request->connection, KEEPALIVE_MS);
}

/* --- from the bus --- */

static void begin(HttpRequest *request, RequestId id) {
  Metrics *metrics = &request->gateway->metrics;

  request->id = id;
  metrics_add(metrics, METRIC_STREAMS, 0, 0, 1);
  metrics_observe(metrics, METRIC_FIRST, 0, clock_monotonic_us() - request->whole_us);
  respond_stream(request);
}

/* Ends it in the middle: an event that says why, and a connection that breaks off. */
static void fail(HttpRequest *request, const HttpFault *fault) {
  metrics_add(&request->gateway->metrics, METRIC_STREAMS_BROKEN, 0, 0, 1);
  buffer_append(&request->out, "data: ", 6);
  fault_json(fault, &request->out);
  buffer_append(&request->out, "\n\n", 2);
  request->is_over = request->is_broken = true;
  request_resume(request);
}

static void fail_contract(HttpRequest *request, const ContractFault *fault) {
  HttpFault bad = {.http_status = 502, .message = text_of(fault->message), .code = TEXT("bad_reply")};

  if (request->response)
    fail(request, &bad);
  else
    respond_fault(request, &bad);
}

/* A piece that can't be read ends the request here and at the executor. */
static void refuse_piece(HttpRequest *request, const ContractFault *fault) {
  RequestId id = request->id;

  fail_contract(request, fault);
  request->is_over = true;
  client_cancel(request->gateway->client, id);
}

static bool on_piece(void *userdata, Bytes value) {
  HttpRequest *request = userdata;
  ContractFault fault;
  ChatPiece piece;

  if (contract_decode(request->asked->chunk, value, NULL, &piece, &fault) != 0) {
    refuse_piece(request, &fault);
    return false;
  }
  buffer_append(&request->out, piece.events.data, piece.events.size);
  return true;
}

void stream_on_chunk(void *userdata, const AskChunk *chunk) {
  HttpRequest *request = userdata;
  size_t before = request->out.size;
  size_t came_bytes = request->pieces.rest.size + chunk->body.size;

  if (!request->connection || request->is_dropped || request->is_over)
    return;
  request->id = chunk->id;
  if (pieces_take(&request->pieces, chunk->body, on_piece, request) != 0)
    refuse_piece(request, &(ContractFault){.message = "a piece of the answer is not msgpack"});
  if (request->is_over)
    return;
  /* What framed the whole events on the bus is used up at once, the events when the client has them, and what is not whole
     yet not before it is: else a stream would run ahead of a client that has stopped reading. */
  used_up(request, came_bytes - request->pieces.rest.size - (request->out.size - before));
  if (request->out.size == before) {
    lend(request);
    return;
  }
  if (!request->response)
    begin(request, chunk->id);
  request_resume(request);
}

static void end_well(HttpRequest *request, const Answer *answer) {
  _cleanup_(arena_done) Arena arena = {.chunks = NULL};
  ContractFault fault = {.reason = 0};
  ChatReply reply;

  if (answer_decode(request->asked, answer, &arena, &reply, &fault) != 0) {
    fail_contract(request, &fault);
    return;
  }
  ask_count(request->gateway, reply.model, &reply.usage, reply.has_cost_nano_usd ? &reply.cost_nano_usd : NULL);
  buffer_printf(&request->out, "data: [DONE]\n\n");
  request->is_over = true;
  if (!request->response)
    begin(request, answer->id);
  request_resume(request);
}

void stream_on_end(void *userdata, const Answer *answer) {
  HttpRequest *request = userdata;
  HttpFault fault;

  if (!request->response || !request->connection || request->is_dropped) {
    if (ask_take(request, answer))
      end_well(request, answer);
    return;
  }
  request->is_asking = false;
  if (request->is_over)
    return;
  if (answer->status == STATUS_OK) {
    end_well(request, answer);
    return;
  }
  fault_of_answer(answer, &fault);
  fail(request, &fault);
}

/* --- to the client --- */

static void forget_sent(HttpRequest *request) {
  request->out_at = 0;
  buffer_clear(&request->out);
  if (request->out.room > OUT_KEPT_BYTES)
    buffer_done(&request->out);
}

/* libmicrohttpd 0.9.75 forgets a connection that ends in its reader, until its timeout; one that is resumed is looked at. */
static ssize_t cut(HttpRequest *request) {
  MHD_suspend_connection(request->connection->mhd);
  request->is_suspended = true;
  request_resume(request);
  return MHD_CONTENT_READER_END_WITH_ERROR;
}

ssize_t stream_read(void *userdata, uint64_t position, char *buffer, size_t size) {
  HttpRequest *request = userdata;
  size_t bytes = min_u64(waiting_bytes(request), size);

  (void)position;
  if (request->is_dropped)
    return cut(request);
  if (bytes > 0) {
    memcpy(buffer, request->out.data + request->out_at, bytes);
    request->out_at += bytes;
    if (waiting_bytes(request) == 0)
      forget_sent(request);
    used_up(request, bytes);
    lend(request);
    expect_silence(request);
    return (ssize_t)bytes;
  }
  if (request->is_over)
    return request->is_broken ? cut(request) : MHD_CONTENT_READER_END_OF_STREAM;
  if (request->connection->is_gone) {
    request_drop(request);
    return cut(request);
  }
  MHD_suspend_connection(request->connection->mhd);
  request->is_suspended = true;
  return 0;
}

void stream_keep_alive(HttpRequest *request) {
  if (!request->is_stream || !request->response || request->is_over)
    return;
  if (request->is_suspended && waiting_bytes(request) == 0) {
    buffer_append(&request->out, keep_alive_comment, sizeof keep_alive_comment - 1);
    request_resume(request);
  }
  expect_silence(request);
}
