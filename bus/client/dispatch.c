/* One message of the broker, given to whom it concerns. What can't be used is counted and dropped. */
#include <stdio.h>

#include "bus/base/log.h"
#include "bus/client/client-internal.h"

static void on_welcome(Link *link, const Message *message) {
  Client *client = link->client;
  uint64_t now_us = loop_now_us(client->loop);

  if (link->state != LINK_GREETING) {
    client->stats.dropped++;
    return;
  }
  if (hello_read_welcome(link, message->body) != 0) {
    link_lose(link, STATUS_MALFORMED, "the broker's WELCOME can't be read");
    return;
  }
  link->state = LINK_OPEN;
  link->cold = link->welcome.has_warming && link->welcome.warming;
  link->failures = 0;
  link->refusal_told = false;
  link->beat_us = now_us;
  client->stats.sessions++;
  if (link->welcome.mismatches.count > 0)
    log_debug("PONS-CLIENT-MISMATCH", "%s: %zu contracts differ from the other side's", client->agent,
              link->welcome.mismatches.count);
  timer_set(client, &link->life, now_us + link->welcome.ping_interval_us);
  move_on_open(link);
  if (client->has_instance)
    client->instance.on_open(client->instance.userdata, link_index(link), (SessionId){link->welcome.session},
                             link->welcome.broker);
  client_tell(client, STATUS_OK, "the session is open");
}

/* An ERROR that is about the session and not about a request. */
static void on_session_error(Link *link, const Message *message) {
  Client *client = link->client;
  Status status = message->header.status;
  ErrorBody body = {.message = text_of(status_about(status))};
  char text[512];

  if (message->body.size)
    contract_decode(CONTRACT(ErrorBody), message->body, NULL, &body, NULL);
  snprintf(text, sizeof text, "%s: %.*s%s%.*s", status_name(status), TEXT_ARG(body.message), body.path.size ? ": " : "",
           TEXT_ARG(body.path));
  if (link->state == LINK_GREETING) {
    link->refused = status != STATUS_NO_HELLO;
    link_lose(link, status, text);
  } else if (status == STATUS_NO_HELLO || status == STATUS_STALE) {
    link_lose(link, status, text);
  } else {
    client->stats.dropped++;
    log_debug("PONS-CLIENT-ERROR", "%s: the broker says %s", client->agent, text);
    if (client->on_refusal &&
        status != STATUS_UNSUPPORTED) /* a broker of an earlier version passes over what it does not know */
      client->on_refusal(client->userdata, status, text);
  }
}

static void on_goaway(Link *link) {
  if (link->state != LINK_OPEN || link->going_away)
    return;
  link->going_away = true;
  move_on_goaway(link);
  client_tell(link->client, STATUS_OK, "the broker is going to stop");
}

/* Gives a message to the instance; false when it wants none of it. */
static bool give_to_instance(Link *link, const Message *message) {
  Client *client = link->client;

  return client->has_instance && link->state == LINK_OPEN &&
         client->instance.on_message(client->instance.userdata, link_index(link), message);
}

static bool on_chunk(Link *link, const Message *message) {
  return give_to_instance(link, message) || pending_chunk(link, message);
}

/* Whether the answer to this attempt is expected from this broker. */
static bool waits_here(Link *link, const Header *ping) {
  const Pending *pending = pending_find(link->client, ping->id, false);

  return pending && pending->state == PENDING_SENT && pending->at == link && pending->attempt == ping->attempt;
}

/* A PING about a request asks whether its client has moved with it. */
static void pong(Link *link, const Message *message) {
  const Header *ping = &message->header;
  Header header = {.kind = KIND_PONG, .number = ping->number, .id = ping->id, .attempt = ping->attempt};

  if (!request_id_is_none(ping->id) && !waits_here(link, ping))
    header.status = STATUS_STALE;
  link_send(link, &header, BYTES_NONE, NULL);
}

/* True when the message was of use. */
static bool dispatch(Link *link, const Message *message) {
  const Header *header = &message->header;

  switch (header->kind) {
  case KIND_REPLY:
    return pending_answer(link, message);
  case KIND_ERROR:
    if (header->fields & HAS(ID))
      return pending_answer(link, message);
    on_session_error(link, message);
    return true;
  case KIND_CHUNK:
    return on_chunk(link, message);
  case KIND_REQUEST:
  case KIND_CANCEL:
  case KIND_WINDOW:
  case KIND_DRAIN:
  case KIND_PROBE:
    return give_to_instance(link, message);
  case KIND_PING:
    pong(link, message);
    return true;
  case KIND_PONG:
    return true;
  case KIND_EVENT:
    events_receive(link, message);
    return true;
  case KIND_WELCOME:
    on_welcome(link, message);
    return true;
  case KIND_WARM:
    move_on_warm(link);
    return true;
  case KIND_GOAWAY:
    on_goaway(link);
    return true;
  case KIND_BYE:
    link_lose(link, STATUS_UNAVAILABLE, "the broker said BYE");
    return true;
  default:
    return false;
  }
}

void link_dispatch(Link *link, const Message *message) {
  if (!dispatch(link, message))
    link->client->stats.dropped++;
}
