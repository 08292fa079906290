/* The template agent, and what tests and drills ask. */
#include "bus/agent/agent.h"

AGENT_HANDLER(on_say, Call *call, const EchoSay *say) {
  _cleanup_(buffer_done) Buffer text = {0};
  for (uint64_t n = say->has_repeat ? say->repeat : 1; n > 0 && text.size <= LIMIT_REPLY_BYTES; n--)
    buffer_append(&text, say->text.data, say->text.size);
  if (text.size <= LIMIT_REPLY_BYTES)
    call_reply(call, &(EchoSaid){.text = {(char *)text.data, text.size}, .instance = call_instance(call)});
  else
    call_error_full(call, STATUS_INVALID, "repeat", 0, "all together must have at most 16 MiB");
}

AGENT_HANDLER(on_stream, Call *call, const EchoStream *stream) {
  EchoStreamed end = {0};
  while (end.pieces < (stream->has_pieces ? stream->pieces : 1) && call_wait(call, stream->delay_ms * 1000) &&
         call_chunk(call, &(EchoPiece){stream->text}) == 0)
    end.pieces++;
  call_reply(call, &end);
}

AGENT_HANDLER(on_work, Call *call, const EchoWork *work) {
  static _Atomic uint64_t done;
  for (uint64_t until_us = clock_monotonic_us() + work->busy_us; clock_monotonic_us() < until_us;)
    continue;
  call_wait(call, work->wait_ms * 1000);
  call_reply(call, &(EchoWorked){.instance = call_instance(call), .done = ++done});
}

AGENT_HANDLER(on_fail, Call *call, const EchoFail *fail) {
  call_error(call, fail->has_status ? (Status)fail->status : STATUS_INTERNAL, "%.*s", TEXT_ARG(fail->message));
}

static const Agent agent = {
    .name = "echo",
    .about = "says what it is told",
    .services = AGENT_SERVICES(
        {"echo", .methods = AGENT_METHODS({"say", on_say, .inline_ = true}, {"stream", .handler = on_stream},
                                          {"work", .handler = on_work}, {"fail", on_fail, .inline_ = true})})};
PONS_AGENT(agent)
