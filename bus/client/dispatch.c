/* One message of the broker, given to whom it concerns. What can't be used is counted and dropped. */
#include <stdio.h>

#include "bus/base/log.h"
#include "bus/client/client-internal.h"

static void on_welcome(Client *client, const Message *message) {
  Link *link = &client->link;
  uint64_t before = link->welcome.incarnation;
  uint64_t now_us = loop_now_us(client->loop);

  if (link->state != LINK_GREETING) {
    client->stats.dropped++;
    return;
  }
  if (hello_read_welcome(link, message->body) != 0) {
    link_lose(client, STATUS_MALFORMED, "the broker's WELCOME can't be read");
    return;
  }
  link->state = LINK_OPEN;
  link->failures = 0;
  link->beat_us = now_us;
  client->stats.sessions++;
  if (link->welcome.mismatches.count > 0)
    log_debug("PONS-CLIENT-MISMATCH", "%s: %zu contracts differ from the other side's", client->agent,
              link->welcome.mismatches.count);
  timer_set(client, &link->life, now_us + link->welcome.ping_interval_us);
  events_on_open(client);
  pending_on_open(client, before != 0 && before == link->welcome.incarnation);
  if (client->has_instance)
    client->instance.on_open(client->instance.userdata, (SessionId){link->welcome.session});
  client_tell(client, CLIENT_OPEN, STATUS_OK, "the session is open");
}

/* An ERROR that is about the session and not about a request. */
static void on_session_error(Client *client, const Message *message) {
  Link *link = &client->link;
  Status status = message->header.status;
  ErrorBody body = {.message = text_of(status_about(status))};
  char text[512];

  if (message->body.size)
    contract_decode(CONTRACT(ErrorBody), message->body, NULL, &body, NULL);
  snprintf(text, sizeof text, "%s: %.*s%s%.*s", status_name(status), TEXT_ARG(body.message), body.path.size ? ": " : "",
           TEXT_ARG(body.path));
  if (link->state == LINK_GREETING) {
    link->refused = status != STATUS_NO_HELLO;
    link_lose(client, status, text);
  } else if (status == STATUS_NO_HELLO || status == STATUS_STALE) {
    link_lose(client, status, text);
  } else {
    client->stats.dropped++;
    log_debug("PONS-CLIENT-ERROR", "%s: the broker says %s", client->agent, text);
  }
}

static void on_goaway(Client *client) {
  if (client->link.state != LINK_OPEN || client->link.going_away)
    return;
  client->link.going_away = true;
  client_tell(client, CLIENT_GOING_AWAY, STATUS_OK, "the broker is going to stop");
}

/* Gives a message to the instance; false when it wants none of it. */
static bool give_to_instance(Client *client, const Message *message) {
  return client->has_instance && client->link.state == LINK_OPEN &&
         client->instance.on_message(client->instance.userdata, message);
}

static bool on_chunk(Client *client, const Message *message) {
  return give_to_instance(client, message) || pending_chunk(client, message);
}

static void pong(Client *client, const Message *message) {
  Header header = {.kind = KIND_PONG, .number = message->header.number};

  link_send(client, &header, BYTES_NONE, NULL);
}

/* True when the message was of use. */
static bool dispatch(Client *client, const Message *message) {
  const Header *header = &message->header;

  switch (header->kind) {
  case KIND_REPLY:
    return pending_answer(client, message);
  case KIND_ERROR:
    if (header->fields & HAS(ID))
      return pending_answer(client, message);
    on_session_error(client, message);
    return true;
  case KIND_CHUNK:
    return on_chunk(client, message);
  case KIND_REQUEST:
  case KIND_CANCEL:
  case KIND_WINDOW:
  case KIND_DRAIN:
    return give_to_instance(client, message);
  case KIND_PING:
    pong(client, message);
    return true;
  case KIND_PONG:
    return true;
  case KIND_EVENT:
    events_receive(client, message);
    return true;
  case KIND_WELCOME:
    on_welcome(client, message);
    return true;
  case KIND_GOAWAY:
    on_goaway(client);
    return true;
  case KIND_BYE:
    link_lose(client, STATUS_UNAVAILABLE, "the broker said BYE");
    return true;
  default:
    return false;
  }
}

void link_dispatch(Client *client, const Message *message) {
  if (!dispatch(client, message))
    client->stats.dropped++;
}
