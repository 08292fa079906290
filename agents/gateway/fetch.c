/* Questions that many clients ask, health checks and scrapers above all: the bus is asked once for all of them. */
#include "agents/gateway/gateway-internal.h"

enum { PATIENCE_US = 2000000 };

void fetch_init(Fetch *fetch, Gateway *gateway, const char *service, const char *method, Bytes body, uint64_t keep_us) {
  *fetch = (Fetch){
      .gateway = gateway, .method = contract_find(text_of(service), text_of(method)), .body = body, .keep_us = keep_us};
  list_init(&fetch->waiting);
}

void fetch_done(Fetch *fetch) {
  block_unref(&fetch->block);
  if (!fetch->gateway)
    return;
  LIST_EACH (&fetch->waiting, HttpRequest, in_fetch, request)
    list_remove(&request->in_fetch);
}

static void keep(Fetch *fetch, const Answer *answer) {
  block_unref(&fetch->block);
  fetch->block =
      answer->block && answer->block->size == answer->body.size ? block_ref(answer->block) : block_copy(answer->body);
  fetch->at_us = loop_now_us(fetch->gateway->loop);
}

static void on_end(void *userdata, const Answer *answer) {
  Fetch *fetch = userdata;
  HttpFault fault;
  HttpRequest *request;

  fetch->is_asking = false;
  if (answer->status == STATUS_OK)
    keep(fetch, answer);
  else
    fault_of_answer(answer, &fault);
  while ((request = LIST_FIRST(&fetch->waiting, HttpRequest, in_fetch))) {
    list_remove(&request->in_fetch);
    request->id = answer->id;
    if (answer->status == STATUS_OK)
      request->on_fetched(request);
    else
      respond_fault(request, &fault);
  }
}

void fetch_get(Fetch *fetch, HttpRequest *request, void (*then)(HttpRequest *request)) {
  Ask ask = {.service = text_of(fetch->method->service),
             .method = text_of(fetch->method->method),
             .body = fetch->body,
             .deadline_us = PATIENCE_US,
             .priority = ASK_INTERACTIVE,
             .idempotent = true};

  if (fetch->block && loop_now_us(fetch->gateway->loop) - fetch->at_us < fetch->keep_us) {
    then(request);
    return;
  }
  request->on_fetched = then;
  list_push(&fetch->waiting, &request->in_fetch);
  if (fetch->is_asking)
    return;
  fetch->is_asking = true;
  client_ask(fetch->gateway->client, &ask, &(AskHandler){.on_end = on_end, .userdata = fetch}, &fetch->id);
}
