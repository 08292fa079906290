#include "bus/ctl/exchange.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "bus/client/pieces.h"
#include "bus/ctl/bodyjson.h"
#include "bus/ctl/contract-json.h"
#include "bus/ctl/question.h"
#include "bus/ctl/reach.h"
#include "bus/wire/msgpack.h"

typedef struct Exchange {
  Ctl *ctl;
  Pieces pieces;
  bool as_stream;
  bool prints_json; /* pieces as lines of JSON, else their text */
  bool mid_line;    /* text was written that did not end its line */
  bool failed_one;  /* service@*: an instance answered an error */
  bool kept;        /* on disk */
  bool ended;
  CtlExit status;
} Exchange;

/* Text from the bus, as it is; but on a terminal what could drive it shows as "?". */
static void write_text(Exchange *exchange, Text text) {
  bool terminal = isatty(STDOUT_FILENO);

  if (text.size == 0)
    return;
  for (size_t i = 0; i < text.size; i++) {
    unsigned char c = (unsigned char)text.data[i];

    putchar(terminal && ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) ? '?' : c);
  }
  fflush(stdout);
  exchange->mid_line = text.data[text.size - 1] != '\n';
}

static void end_line(Exchange *exchange) {
  if (exchange->mid_line)
    write_text(exchange, TEXT("\n"));
}

static void print_json(const Exchange *exchange, json_t *json) {
  bool pretty = !exchange->ctl->options.json && !exchange->as_stream && isatty(STDOUT_FILENO);
  char *text = json_dumps(json, JSON_ENCODE_ANY | (pretty ? JSON_INDENT(2) : JSON_COMPACT));

  json_decref(json);
  puts(text ? text : "null");
  fflush(stdout);
  free(text);
}

/* The text of a piece that is nothing but text: a msgpack text, or a message whose one field is a text. */
static bool piece_text(Bytes value, Text *ret) {
  MsgpackReader reader = msgpack_reader(value);
  uint32_t fields;
  Text key;

  if (msgpack_get_text(&reader, ret) == 0)
    return true;
  return msgpack_get_map(&reader, &fields) == 0 && fields == 1 && msgpack_get_text(&reader, &key) == 0 &&
         msgpack_get_text(&reader, ret) == 0;
}

static bool print_piece(void *userdata, Bytes value) {
  Exchange *exchange = userdata;
  Text text;

  if (!exchange->prints_json && piece_text(value, &text))
    write_text(exchange, text);
  else
    print_json(exchange, bodyjson_new(value, TEXT_NONE));
  return true;
}

/* One instance's answer to service@*. */
static void print_collected(Exchange *exchange, const AskChunk *chunk) {
  exchange->failed_one |= chunk->status != STATUS_OK;
  print_json(exchange, json_pack("{s:o, s:s, s:o}", "instance", jsontext_new(chunk->instance), "status",
                                 status_name(chunk->status), "body", bodyjson_new(chunk->body, TEXT_NONE)));
}

static void on_chunk(void *userdata, const AskChunk *chunk) {
  Exchange *exchange = userdata;

  if (chunk->is_collect)
    print_collected(exchange, chunk);
  else if (pieces_take(&exchange->pieces, chunk->body, print_piece, exchange) != 0)
    pieces_done(&exchange->pieces); /* what can't be read is passed over; the end says how the request went */
}

/* A reply of msgpack as its exact JSON, which `pons call` would read back. Returns false when it is something else. */
static bool print_exactly(const Exchange *exchange, const Answer *answer) {
  bool pretty = !exchange->ctl->options.json && isatty(STDOUT_FILENO);
  _cleanup_(buffer_done) Buffer text = {0};

  if (answer->content_type.size && !text_is(answer->content_type, "application/msgpack"))
    return false;
  if (contract_json_from_body(answer->body, pretty ? 2 : 0, &text) != 0)
    return false;
  buffer_append(&text, "\n", 1);
  ctl_write(&text);
  return true;
}

static void print_reply(Exchange *exchange, const Answer *answer) {
  bool raw = answer->content_type.size && !text_is(answer->content_type, "application/msgpack") &&
             !text_is(answer->content_type, "application/json") && !exchange->ctl->options.json;

  if (exchange->as_stream && answer->chunks > 0 && !exchange->ctl->options.json)
    return; /* the pieces were the answer; --json shows how it ended too */
  if (raw) {
    write_text(exchange, (Text){(const char *)answer->body.data, answer->body.size});
    end_line(exchange);
  } else if (exchange->as_stream && exchange->ctl->options.json) {
    print_json(exchange, json_pack("{s:o}", "end", bodyjson_new(answer->body, answer->content_type)));
  } else if (!print_exactly(exchange, answer)) {
    print_json(exchange, bodyjson_new(answer->body, answer->content_type));
  }
}

static void tell_id(const Answer *answer) {
  char id[REQUEST_ID_TEXT_SIZE];

  ctl_say("request %s took %" PRIu64 " us, asked %u time%s; `pons trace %s` shows its path",
          request_id_format(answer->id, id), answer->took_us, answer->attempts, answer->attempts == 1 ? "" : "s", id);
}

static void on_end(void *userdata, const Answer *answer) {
  Exchange *exchange = userdata;

  exchange->ended = true;
  end_line(exchange);
  if (exchange->pieces.rest.size)
    print_json(exchange, bodyjson_new(buffer_bytes(&exchange->pieces.rest), TEXT_NONE));
  if (answer->status == STATUS_OK) {
    print_reply(exchange, answer);
    exchange->status = exchange->failed_one ? CTL_FAILED : CTL_OK;
  } else {
    reach_print_failure_of(exchange->ctl, exchange->ctl->options.durable && !exchange->kept ? "pons.durable" : "",
                           answer);
    exchange->status = answer->status == STATUS_UNAVAILABLE ? CTL_UNREACHABLE : CTL_FAILED;
  }
  if (exchange->ctl->options.verbose)
    tell_id(answer);
}

/* On standard error, so that standard output has the answer alone; with --json it is a line of its own there. */
static void on_kept(void *userdata, RequestId id, uint32_t copies) {
  Exchange *exchange = userdata;
  char text[REQUEST_ID_TEXT_SIZE];

  exchange->kept = true;
  request_id_format(id, text);
  if (exchange->ctl->options.json)
    ctl_write_json(exchange->ctl, json_pack("{s:{s:s, s:i}}", "kept", "id", text, "copies", (int)copies));
  else
    ctl_say("kept on %u disk%s as %s; `pons deadletter show %s` shows it if it fails", copies, copies == 1 ? "" : "s",
            text, text);
  fflush(stdout);
}

static bool has_ended(void *userdata) {
  const Exchange *exchange = userdata;

  return exchange->ended;
}

static CtlExit ask(Reach *reach, Question *question, Exchange *exchange) {
  const AskHandler handler = {on_chunk, on_end, exchange};
  RequestId id;
  int r;

  question->ask.stream = exchange->as_stream;
  question->ask.deadline_us = exchange->ctl->options.timeout_ms * US_PER_MS;
  if (exchange->ctl->options.durable)
    r = client_submit(reach->client, &question->ask, 0, &(DurableHandler){on_kept, on_end, exchange}, &id);
  else
    r = client_ask(reach->client, &question->ask, &handler, &id);
  if (r < 0) {
    ctl_say("the request can't be sent: %s", strerror(-r));
    return CTL_FAILED;
  }
  r = reach_run(reach, has_ended, exchange, TIME_NEVER);
  if ((reach->interrupted || ferror(stdout)) && !exchange->ended) {
    /* CANCELLED follows at once, so that the broker is told before we go. */
    client_cancel(reach->client, id);
    reach->interrupted = false;
    reach_run(reach, has_ended, exchange, clock_monotonic_us() + US_PER_S);
    return (CtlExit)CTL_INTERRUPTED;
  }
  return r < 0 ? CTL_FAILED : exchange->status;
}

/* A message that was not sent since it does not fit the contract. */
static CtlExit refuse(const Ctl *ctl, const Buffer *errors, const ContractFault *fault) {
  const Answer answer = {.status = STATUS_INVALID, .message = text_of(fault->message), .path = text_of(fault->path)};

  if (ctl->options.json)
    reach_print_failure(ctl, &answer);
  else
    ctl_say_lines(errors); /* they also say where the contract is */
  return CTL_FAILED;
}

CtlExit exchange_run(Ctl *ctl, bool as_stream) {
  _cleanup_(buffer_done) Buffer errors = {0};
  _cleanup_(question_done) Question question = {0};
  _cleanup_(reach_close) Reach reach = {0};
  ContractFault fault;
  Exchange exchange = {.ctl = ctl, .as_stream = as_stream, .prints_json = ctl->options.json};
  CtlExit status;
  int r = question_init(&question, ctl->options.arguments[0], ctl->options.arguments[1], &errors, &fault);

  if (r == QUESTION_E_CONTRACT)
    return refuse(ctl, &errors, &fault);
  if (r) {
    ctl_say_lines(&errors);
    return CTL_USAGE;
  }
  status = reach_open(ctl, reach_wait_ms(ctl), false, &reach);
  if (status == CTL_OK)
    status = ask(&reach, &question, &exchange);
  pieces_done(&exchange.pieces);
  return status;
}
