/* To whom `once` work may be given when there are two brokers. The other broker probes the instances that it knows. An
   instance that it does not know yet would not be asked; so no such work goes to it until the other broker has noted it. And
   what a client has sent again elsewhere must not be begun by a newcomer that nobody has asked: the client must have said,
   after the newcomer was noted, that it still waits for this attempt here. */
#include "bus/core/core-internal.h"

/* The one that its client knows: a child of service@* is none. */
static Request *asked(Request *request) {
  return request->parent ? request->parent : request;
}

/* What a confirmation must be newer than. */
static uint64_t newest(const Core *core, const Session *session) {
  return max_u64(session->noted, core->late);
}

/* A client that never moves needs not be asked. */
static bool may_have_moved(const Request *request) {
  const Client *client = request->client;

  return !client || !client->session || (client->session->features & FEATURE_CONFIRM);
}

static bool is_confirmed(const Core *core, const Session *session, const Request *request) {
  return request->confirmed > newest(core, session) || !may_have_moved(request);
}

bool once_is_safe(const Core *core, const Session *session, const Request *request) {
  return !core->options.has_peer ||
         (session->noted && is_confirmed(core, session, request->parent ? request->parent : request));
}

/* Asks the client whether it still waits for the request here. */
static void ask(Core *core, Request *request) {
  Header ping = {.kind = KIND_PING, .id = request->id, .attempt = request->attempt, .number = ++core->serial};

  request->confirm_asked = ping.number;
  core_send(core, request->client->session, &ping, BYTES_NONE, NULL);
}

bool once_may_begin(Core *core, const Session *session, Request *request) {
  Request *own = asked(request);

  if (once_is_safe(core, session, own))
    return true;
  if (session->noted && own->client && own->client->session && own->confirm_asked <= newest(core, session))
    ask(core, own);
  return false;
}

/* At the end of the step it is looked at again whether somebody may take it now. */
static void look_at(Core *core, Request *request) {
  if (request->state != REQUEST_QUEUED)
    return;
  if (request->only && !list_has(&request->only->in_pumps))
    list_push(&core->pumps, &request->only->in_pumps);
  if (!request->only && !list_has(&request->service->in_gaps))
    list_push(&core->gaps, &request->service->in_gaps);
}

static void look_at_children(Core *core, Request *parent) {
  LIST_EACH (&parent->children, Request, in_parent, child)
    look_at(core, child);
}

void once_confirmed(Core *core, Request *request) {
  if (request->state == REQUEST_COLLECTING)
    look_at_children(core, request);
  else
    look_at(core, request);
}

void once_look_at_all(Core *core, const Client *client) {
  LIST_EACH (&client->requests, Request, in_client, request)
    once_confirmed(core, request);
}

/* The client still waits for it here, or has sent it again elsewhere, or has its end. What an instance executes goes on: whoever has it
   may be found by the other broker. A client that wants it no longer says so by CANCEL. */
static void confirm(Core *core, Session *session, const Header *pong) {
  Request *request = request_find(core, pong->id);

  if (!request || request->client != session->client || pong->attempt != request->attempt)
    return;
  if (pong->status != STATUS_OK) {
    if (!request->worker)
      request_cancel(core, request);
    return;
  }
  request->confirmed = max_u64(request->confirmed, pong->number);
  once_confirmed(core, request);
}

void once_answered(Core *core, Session *session, const Header *pong) {
  if (pong->number > core->serial)
    return; /* no PING of ours had it */
  session->answered = max_u64(session->answered, pong->number);
  if (session->suspect && pong->number > session->suspect) {
    session->suspect = 0;
    dispatch_note_room(session);
    dispatch_pump_instance(core, session);
  }
  if (!request_id_is_none(pong->id))
    confirm(core, session, pong);
}
