/* A session's life: connect, HELLO, WELCOME, life signs, the end, and again. What waits in a socket would go ahead of
   the next HELLO, so every loss closes the socket and every session has a new one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus/base/log.h"
#include "bus/client/client-internal.h"

enum {
  SEND_QUEUE = 1024,         /* messages that may wait in the socket; a pack is one */
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

/* What stands behind a bar is the key of the broker. */
static int take_key(Link *link, Text *endpoints) {
  const char *bar = endpoints->size ? memchr(endpoints->data, '|', endpoints->size) : NULL;
  size_t size = bar ? (size_t)(bar - endpoints->data) : endpoints->size;

  if (!bar != !link->client->key)
    return -ENOKEY;
  if (bar && public_key_read((Text){bar + 1, endpoints->size - size - 1}, &link->key) != 0)
    return -EINVAL;
  endpoints->size = size;
  return 0;
}

int link_init(Link *link, Client *client, Text endpoints) {
  const char *at = endpoints.data;
  const char *end;
  int r;

  link->client = client;
  link->life.on_due = on_life;
  r = take_key(link, &endpoints);
  if (r < 0)
    return r;
  end = at + endpoints.size;
  while (at < end) {
    const char *comma = memchr(at, ',', (size_t)(end - at));
    size_t size = (size_t)((comma ? comma : end) - at);
    char **list = size ? realloc(link->endpoints, (link->endpoints_count + 1) * sizeof *list) : NULL;
    char *copy = list ? strndup(at, size) : NULL;

    if (list)
      link->endpoints = list;
    if (size && !copy)
      return -ENOMEM;
    if (size)
      link->endpoints[link->endpoints_count++] = copy;
    at += size + (comma != NULL);
  }
  return link->endpoints_count ? 0 : -EINVAL;
}

/* --- the socket --- */

static int receive(Link *link);
static void take_events(Link *link);

static void on_ready(void *userdata) {
  Link *link = userdata;

  take_events(link);
  receive(link); /* to ask for events again would cost two system calls; what there is calls us again */
}

int link_start(Link *link) {
  SocketHandler handler = {on_ready, link};
  int r = socket_new(link->client->loop, SOCKET_DEALER, SEND_QUEUE, &handler, &link->socket);

  if (r == 0 && link->client->key)
    socket_use_key(link->socket, link->client->key, link->key);
  if (r == 0)
    r = socket_connect(link->socket, link->endpoints[link->endpoint]);
  if (r < 0) {
    socket_destroy(&link->socket);
    return r;
  }
  link->state = LINK_CONNECTING;
  if (link->endpoints_count > 1)
    timer_set(link->client, &link->life, clock_monotonic_us() + TRY_ENDPOINT_US);
  return 0;
}

static void clear(Link *link) {
  socket_destroy(&link->socket);
  pack_clear(&link->pack);
  link_drop_outbox(link);
  timer_stop(link->client, &link->life);
  link->pinged_us = 0;
  link->going_away = false;
}

static void left(Link *link) {
  clear(link);
  link->state = LINK_DOWN;
  client_left(link->client);
}

static uint64_t backoff_us(Link *link) {
  uint64_t largest = link->failures < 7 ? (uint64_t)BACKOFF_FIRST_US << link->failures : BACKOFF_LAST_US;

  if (link->refused)
    largest = REFUSED_US;
  link->failures++;
  return largest / 2 + client_random(link->client) % (largest / 2 + 1);
}

void link_lose(Link *link, Status status, const char *why) {
  Client *client = link->client;
  bool was_open = link->state == LINK_OPEN;

  if (link->state == LINK_DOWN)
    return;
  if (link->state == LINK_LEAVING) {
    left(link);
    return;
  }
  clear(link);
  link->state = LINK_DOWN;
  timer_set(client, &link->life, clock_monotonic_us() + backoff_us(link));
  if (was_open && client->has_instance)
    client->instance.on_lost(client->instance.userdata, link_index(link), why);
  if (was_open)
    move_on_lost(link);
  client_tell(client, status, why);
  link->refused = false;
}

void link_done(Link *link, bool clean) {
  Header bye = {.kind = KIND_BYE, .flags = clean ? FLAG_CLEAN : 0};

  if (!link->client)
    return;
  if (link->state == LINK_OPEN) {
    link_send(link, &bye, BYTES_NONE, NULL);
    link_flush(link);
  }
  socket_close(&link->socket, LINGER_MS);
  link_drop_outbox(link);
  pack_done(&link->pack);
  buffer_done(&link->scratch);
  block_unref(&link->welcome_body);
  arena_done(&link->welcome_arena);
  for (uint32_t i = 0; i < link->endpoints_count; i++)
    free(link->endpoints[i]);
  free(link->endpoints);
}

void link_leave(Link *link) {
  Header bye = {.kind = KIND_BYE, .flags = FLAG_CLEAN};

  if (link->state != LINK_OPEN) {
    clear(link);
    link->state = LINK_DOWN;
    return;
  }
  link_send(link, &bye, BYTES_NONE, NULL);
  link->state = LINK_LEAVING;
  timer_set(link->client, &link->life, clock_monotonic_us() + LEAVE_US);
}

/* --- life signs --- */

static void ping(Link *link, uint64_t now_us) {
  Header header = {.kind = KIND_PING, .number = now_us};

  link->beat_us = now_us;
  link_send(link, &header, BYTES_NONE, NULL);
}

static void ping_and_wait(Link *link, uint64_t now_us) {
  link->pinged_us = now_us;
  ping(link, now_us);
  timer_set(link->client, &link->life, now_us + link->welcome.ping_timeout_us);
}

void link_watch(Link *link, uint64_t now_us) {
  if (link->state == LINK_OPEN && link->life.entry.at_us > now_us + link->welcome.ping_interval_us)
    timer_set(link->client, &link->life, now_us + link->welcome.ping_interval_us);
}

/* Beats, and has the other session beat along if its turn is near: an idle process wakes once for both. */
static void beat(Link *link, uint64_t now_us) {
  Client *client = link->client;

  if (now_us >= link->beat_us + link->welcome.idle_interval_us)
    ping(link, now_us);
  timer_set(client, &link->life, link->beat_us + link->welcome.idle_interval_us);
  for (uint32_t i = 0; i < client->links_count; i++) {
    Link *other = &client->links[i];

    if (other != link && link_is_open(other) && other->outstanding == 0 && !other->pinged_us &&
        now_us >= other->beat_us + other->welcome.idle_interval_us / 2) {
      ping(other, now_us);
      timer_set(client, &other->life, now_us + other->welcome.idle_interval_us);
    }
  }
}

/* Decides by what was heard; a late turn of our own loop proves nothing about the broker, which is asked anew. */
static void check_life(Link *link, bool late, uint64_t now_us) {
  Client *client = link->client;
  const Welcome *welcome = &link->welcome;
  uint64_t quiet_us = now_us > link->heard_us ? now_us - link->heard_us : 0;
  uint64_t give_up_us = welcome->idle_interval_us * 3 + US_PER_S;

  if (link->pinged_us && late) {
    ping_and_wait(link, now_us);
  } else if (link->pinged_us && now_us >= link->pinged_us + welcome->ping_timeout_us) {
    link_lose(link, STATUS_UNAVAILABLE, "the broker does not answer PING");
  } else if (link->pinged_us) {
    timer_set(client, &link->life, link->pinged_us + welcome->ping_timeout_us);
  } else if (link->outstanding > 0 && quiet_us >= welcome->ping_interval_us) {
    ping_and_wait(link, now_us);
  } else if (link->outstanding > 0) {
    timer_set(client, &link->life, link->heard_us + welcome->ping_interval_us);
  } else if (quiet_us >= give_up_us && !late) {
    link_lose(link, STATUS_UNAVAILABLE, "the broker was silent for three idle intervals");
  } else {
    beat(link, now_us);
  }
}

static void reconnect(Link *link) {
  int r = link_start(link);

  if (r == 0)
    return;
  link->state = LINK_CONNECTING;
  link_lose(link, STATUS_UNAVAILABLE, strerror(-r));
}

static void on_life(Client *client, ClientTimer *timer, uint64_t now_us) {
  Link *link = CONTAINER_OF(timer, Link, life);

  (void)client;
  switch (link->state) {
  case LINK_CONNECTING:
    clear(link);
    link->endpoint = (link->endpoint + 1) % link->endpoints_count;
    reconnect(link);
    break;
  case LINK_GREETING:
    link_lose(link, STATUS_UNAVAILABLE, "the broker does not answer HELLO");
    break;
  case LINK_OPEN:
    check_life(link, now_us > timer->entry.at_us + LATE_US, now_us);
    break;
  case LINK_LEAVING:
    left(link);
    break;
  case LINK_DOWN:
  default:
    reconnect(link);
    break;
  }
}

/* --- what comes --- */

static void greet(Link *link) {
  Header hello = {.kind = KIND_HELLO};

  link->state = LINK_GREETING;
  timer_set(link->client, &link->life, clock_monotonic_us() + GREETING_US);
  link_send(link, &hello, buffer_bytes(&link->client->hello), NULL);
}

static void dispatch_pack(Link *link, Bytes rest) {
  Bytes header;
  Message message = {.block = NULL};

  for (int n = 0; n < LIMIT_PACK_MESSAGES && link->socket; n++) {
    if (pack_next(&rest, &header, &message.body) != 0)
      break;
    if (header_decode(header, &message.header) == 0 && message.header.kind != KIND_PACK)
      link_dispatch(link, &message);
    else
      link->client->stats.dropped++;
  }
  if (rest.size)
    link->client->stats.dropped++;
}

/* Takes a bounded number of messages; returns how many. */
static int receive(Link *link) {
  SocketMessage in;
  int n = 0;

  for (; n < RECEIVE_MAX && link->socket && socket_receive(link->socket, &in) == 0; n++) {
    Message message = {.body = in.body, .block = in.block};

    link->heard_us = loop_now_us(link->client->loop);
    link->pinged_us = 0;
    if (in.frames > 2 || header_decode(in.header, &message.header) != 0)
      link->client->stats.dropped++;
    else if (message.header.kind == KIND_PACK)
      dispatch_pack(link, message.body);
    else
      link_dispatch(link, &message);
    socket_message_done(&in);
  }
  return n;
}

/* What the broker sent before it went is in our hands: answers among it must not become UNKNOWN. */
static void lose_connection(Link *link) {
  while (link->socket && receive(link) > 0)
    continue;
  if (link->socket && link->state > LINK_CONNECTING)
    link_lose(link, STATUS_UNAVAILABLE, "the connection to the broker is gone");
}

/* An attempt to connect has failed. The socket makes the next one, unless the broker has refused us by our key: then what it says
   is what HELLO would have heard. */
static void fail(Link *link, int error) {
  static const char foreign[] = "the broker does not admit the key of this process, or has another key itself; see its "
                                "log and `pons keys list`";
  static const char one_sided[] = "only one of broker and this process has keys; see keys.dir in pons.yaml";

  if (link->state != LINK_CONNECTING || (error != -EKEYREJECTED && error != -ENOKEY))
    return;
  link->refused = true;
  link_lose(link, STATUS_DENIED, error == -ENOKEY ? one_sided : foreign);
}

static void take_events(Link *link) {
  SocketEvent event;

  while (link->socket && socket_next_event(link->socket, &event) == 0) {
    if (event.type == SOCKET_UP && link->state == LINK_CONNECTING)
      greet(link);
    else if (event.type == SOCKET_DOWN && link->state > LINK_CONNECTING)
      lose_connection(link);
    else if (event.type == SOCKET_FAILED)
      fail(link, event.error);
  }
}
