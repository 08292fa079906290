/* A session's life: connect, HELLO, WELCOME, life signs, the end, and again. libzmq would send what it still holds ahead of
   the next HELLO, so every loss closes the socket and every session has a new one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus/base/log.h"
#include "bus/client/client-internal.h"

enum {
  SEND_QUEUE = 1024,         /* messages that libzmq may hold; a pack is one */
  TRY_ENDPOINT_US = 500000,  /* then the next of several */
  GREETING_US = 2000000,     /* HELLO without an answer */
  BACKOFF_FIRST_US = 10000,  /* doubled by each failure in a row */
  BACKOFF_LAST_US = 1000000, /* at most */
  REFUSED_US = 5000000,      /* after the broker's no */
  LEAVE_US = 250000,         /* BYE until the broker hangs up */
  LATE_US = 50000,           /* a timer this late means that we were late, not the broker */
  RECEIVE_MAX = 256,         /* messages per call of on_ready */
  LINGER_MS = 100,
};

static void on_life(Client *client, ClientTimer *timer, uint64_t now_us);

/* --- endpoints --- */

int link_init(Client *client, const char *endpoints) {
  Link *link = &client->link;
  const char *at = endpoints;

  link->life.on_due = on_life;
  while (*at) {
    size_t size = strcspn(at, ",");
    char **list = size ? realloc(link->endpoints, (link->endpoints_count + 1) * sizeof *list) : NULL;
    char *copy = list ? strndup(at, size) : NULL;

    if (list)
      link->endpoints = list;
    if (size && !copy)
      return -ENOMEM;
    if (size)
      link->endpoints[link->endpoints_count++] = copy;
    at += size + (at[size] == ',');
  }
  return link->endpoints_count ? 0 : -EINVAL;
}

/* --- the socket --- */

static int receive(Client *client);
static void take_events(Client *client);

static void on_ready(void *userdata) {
  Client *client = userdata;

  take_events(client);
  receive(client); /* to ask for events again would cost two system calls; what there is calls us again */
}

int link_start(Client *client) {
  Link *link = &client->link;
  SocketHandler handler = {on_ready, client};
  int r = socket_new(client->loop, SOCKET_DEALER, SEND_QUEUE, &handler, &link->socket);

  if (r == 0)
    r = socket_connect(link->socket, link->endpoints[link->endpoint]);
  if (r < 0) {
    socket_destroy(&link->socket);
    return r;
  }
  link->state = LINK_CONNECTING;
  if (link->endpoints_count > 1)
    timer_set(client, &link->life, clock_monotonic_us() + TRY_ENDPOINT_US);
  return 0;
}

static void clear(Client *client) {
  Link *link = &client->link;

  socket_destroy(&link->socket);
  pack_clear(&link->pack);
  link_drop_outbox(client);
  timer_stop(client, &link->life);
  link->pinged_us = 0;
  link->going_away = false;
}

static void left(Client *client) {
  Link *link = &client->link;
  void (*on_left)(void *) = link->on_left;

  clear(client);
  link->state = LINK_DOWN;
  link->on_left = NULL;
  if (on_left)
    on_left(link->left_userdata);
}

static uint64_t backoff_us(Client *client) {
  Link *link = &client->link;
  uint64_t largest = link->failures < 7 ? (uint64_t)BACKOFF_FIRST_US << link->failures : BACKOFF_LAST_US;

  if (link->refused)
    largest = REFUSED_US;
  link->failures++;
  return largest / 2 + client_random(client) % (largest / 2 + 1);
}

void link_lose(Client *client, Status status, const char *why) {
  Link *link = &client->link;
  bool was_open = link->state == LINK_OPEN;

  if (link->state == LINK_DOWN)
    return;
  if (link->state == LINK_LEAVING) {
    left(client);
    return;
  }
  clear(client);
  link->state = LINK_DOWN;
  timer_set(client, &link->life, clock_monotonic_us() + backoff_us(client));
  if (was_open && client->has_instance)
    client->instance.on_lost(client->instance.userdata);
  client_tell(client, link->refused ? CLIENT_REFUSED : CLIENT_CONNECTING, status, why);
  link->refused = false;
}

void link_done(Client *client, bool clean) {
  Link *link = &client->link;
  Header bye = {.kind = KIND_BYE, .flags = clean ? FLAG_CLEAN : 0};

  if (link->state == LINK_OPEN) {
    link_send(client, &bye, BYTES_NONE, NULL);
    link_flush(client);
  }
  socket_close(&link->socket, LINGER_MS);
  link_drop_outbox(client);
  pack_done(&link->pack);
  buffer_done(&link->scratch);
  block_unref(&link->welcome_body);
  arena_done(&link->welcome_arena);
  for (uint32_t i = 0; i < link->endpoints_count; i++)
    free(link->endpoints[i]);
  free(link->endpoints);
}

void client_leave(Client *client, void (*on_left)(void *userdata), void *userdata) {
  Link *link = &client->link;
  Header bye = {.kind = KIND_BYE, .flags = FLAG_CLEAN};
  bool was_open = link->state == LINK_OPEN;

  link->on_left = on_left;
  link->left_userdata = userdata;
  if (!was_open) {
    left(client);
    return;
  }
  link_send(client, &bye, BYTES_NONE, NULL);
  link->state = LINK_LEAVING;
  timer_set(client, &link->life, clock_monotonic_us() + LEAVE_US);
}

/* --- life signs --- */

static void ping(Client *client, uint64_t now_us) {
  Header header = {.kind = KIND_PING, .number = now_us};

  client->link.beat_us = now_us;
  link_send(client, &header, BYTES_NONE, NULL);
}

static void ping_and_wait(Client *client, uint64_t now_us) {
  client->link.pinged_us = now_us;
  ping(client, now_us);
  timer_set(client, &client->link.life, now_us + client->link.welcome.ping_timeout_us);
}

void link_watch(Client *client, uint64_t now_us) {
  Link *link = &client->link;

  if (link->state == LINK_OPEN && link->life.entry.at_us > now_us + link->welcome.ping_interval_us)
    timer_set(client, &link->life, now_us + link->welcome.ping_interval_us);
}

/* Decides by what was heard; a late turn of our own loop proves nothing about the broker, which is asked anew. */
static void check_life(Client *client, bool late, uint64_t now_us) {
  Link *link = &client->link;
  const Welcome *welcome = &link->welcome;
  uint64_t quiet_us = now_us > link->heard_us ? now_us - link->heard_us : 0;
  uint64_t give_up_us = welcome->idle_interval_us * 3 + US_PER_S;

  if (link->pinged_us && late) {
    ping_and_wait(client, now_us);
  } else if (link->pinged_us && now_us >= link->pinged_us + welcome->ping_timeout_us) {
    link_lose(client, STATUS_UNAVAILABLE, "the broker does not answer PING");
  } else if (link->pinged_us) {
    timer_set(client, &link->life, link->pinged_us + welcome->ping_timeout_us);
  } else if (client->outstanding > 0 && quiet_us >= welcome->ping_interval_us) {
    ping_and_wait(client, now_us);
  } else if (client->outstanding > 0) {
    timer_set(client, &link->life, link->heard_us + welcome->ping_interval_us);
  } else if (quiet_us >= give_up_us && !late) {
    link_lose(client, STATUS_UNAVAILABLE, "the broker was silent for three idle intervals");
  } else {
    if (now_us >= link->beat_us + welcome->idle_interval_us)
      ping(client, now_us);
    timer_set(client, &link->life, link->beat_us + welcome->idle_interval_us);
  }
}

static void reconnect(Client *client) {
  int r = link_start(client);

  if (r == 0)
    return;
  client->link.state = LINK_CONNECTING;
  link_lose(client, STATUS_UNAVAILABLE, strerror(-r));
}

static void on_life(Client *client, ClientTimer *timer, uint64_t now_us) {
  Link *link = &client->link;

  switch (link->state) {
  case LINK_CONNECTING:
    clear(client);
    link->endpoint = (link->endpoint + 1) % link->endpoints_count;
    reconnect(client);
    break;
  case LINK_GREETING:
    link_lose(client, STATUS_UNAVAILABLE, "the broker does not answer HELLO");
    break;
  case LINK_OPEN:
    check_life(client, now_us > timer->entry.at_us + LATE_US, now_us);
    break;
  case LINK_LEAVING:
    left(client);
    break;
  case LINK_DOWN:
  default:
    reconnect(client);
    break;
  }
}

/* --- what comes --- */

static void greet(Client *client) {
  Header hello = {.kind = KIND_HELLO};

  client->link.state = LINK_GREETING;
  timer_set(client, &client->link.life, clock_monotonic_us() + GREETING_US);
  link_send(client, &hello, buffer_bytes(&client->hello), NULL);
}

static void dispatch_pack(Client *client, Bytes rest) {
  Bytes header;
  Message message = {.block = NULL};

  for (int n = 0; n < LIMIT_PACK_MESSAGES && client->link.socket; n++) {
    if (pack_next(&rest, &header, &message.body) != 0)
      break;
    if (header_decode(header, &message.header) == 0 && message.header.kind != KIND_PACK)
      link_dispatch(client, &message);
    else
      client->stats.dropped++;
  }
  if (rest.size)
    client->stats.dropped++;
}

/* Takes a bounded number of messages; returns how many. */
static int receive(Client *client) {
  Link *link = &client->link;
  SocketMessage in;
  int n = 0;

  for (; n < RECEIVE_MAX && link->socket && socket_receive(link->socket, &in) == 0; n++) {
    Message message = {.body = in.body, .block = in.block};

    link->heard_us = loop_now_us(client->loop);
    link->pinged_us = 0;
    if (in.frames > 2 || header_decode(in.header, &message.header) != 0)
      client->stats.dropped++;
    else if (message.header.kind == KIND_PACK)
      dispatch_pack(client, message.body);
    else
      link_dispatch(client, &message);
    socket_message_done(&in);
  }
  return n;
}

/* What the broker sent before it went is in our hands: answers among it must not become UNKNOWN. */
static void lose_connection(Client *client) {
  while (client->link.socket && receive(client) > 0)
    continue;
  if (client->link.socket && client->link.state > LINK_CONNECTING)
    link_lose(client, STATUS_UNAVAILABLE, "the connection to the broker is gone");
}

static void take_events(Client *client) {
  SocketEvent event;

  while (client->link.socket && socket_next_event(client->link.socket, &event) == 0) {
    if (event.type == SOCKET_UP && client->link.state == LINK_CONNECTING)
      greet(client);
    else if (event.type == SOCKET_DOWN && client->link.state > LINK_CONNECTING)
      lose_connection(client);
  }
}
