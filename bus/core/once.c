/* To whom `once` work may be given when there are two brokers. The other broker probes the instances that it knows. An
   instance that it does not know yet would not be asked; so no such work goes to it until the other broker has noted it. And
   who has moved must not have its old request begun by a newcomer that nobody has asked: a client must have answered a PING
   that was sent after the newcomer came. */
#include "bus/core/core-internal.h"

static bool is_confirmed(const Core *core, const Session *session, const Client *client) {
  return client->confirmed > session->welcomed && client->confirmed > core->late;
}

bool once_is_safe(const Core *core, const Session *session, const Client *client) {
  return !core->options.has_peer || (roster_is_noted(core, session) && client && is_confirmed(core, session, client));
}

bool once_may_begin(Core *core, const Session *session, const Client *client) {
  uint64_t newer_than = max_u64(session->welcomed, core->late);

  if (once_is_safe(core, session, client))
    return true;
  if (client && client->session && !is_confirmed(core, session, client) && client->session->asked <= newer_than)
    session_ping(core, client->session);
  return false;
}

/* Marks the queue that holds the request for the end of the step. */
static void look_at(Core *core, Request *request) {
  if (request->state != REQUEST_QUEUED)
    return;
  if (request->only)
    dispatch_pump_instance(core, request->only);
  else if (!list_has(&request->service->in_gaps))
    list_push(&core->gaps, &request->service->in_gaps);
}

static void look_at_children(Core *core, Request *parent) {
  LIST_EACH (&parent->children, Request, in_parent, child)
    look_at(core, child);
}

/* All that waits of the client. */
static void look_at_all(Core *core, Client *client) {
  LIST_EACH (&client->requests, Request, in_client, request) {
    look_at_children(core, request);
    look_at(core, request);
  }
}

/* The session has answered what was sent to it under this serial. */
static void confirm(Core *core, Session *session, uint64_t serial) {
  Client *client = session->client;

  if (!core->options.has_peer || client->confirmed >= serial)
    return;
  client->confirmed = serial;
  look_at_all(core, client);
}

void once_answered(Core *core, Session *session, uint64_t number) {
  if (number > session->asked)
    return; /* no PING of ours had it */
  if (session->suspect && number > session->suspect) {
    session->suspect = 0;
    dispatch_note_room(session);
    dispatch_pump_instance(core, session);
  }
  confirm(core, session, number);
}
