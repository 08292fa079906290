/* Which of two brokers is asked. Everybody prefers the first. A client moves at once when it loses that one, and returns
   when it has proved itself (prefer.h) and nothing is outstanding, so that no request is asked twice for a return's sake.
   With one broker home is that one, or nobody. */
#include "bus/client/client-internal.h"

static bool can_be_asked(const Link *link) {
  return link_is_open(link) && !link->going_away;
}

static Link *preferred(Client *client) {
  return &client->links[0];
}

Link *move_other(const Link *link) {
  Client *client = link->client;

  for (uint32_t i = 0; i < client->links_count; i++)
    if (&client->links[i] != link && can_be_asked(&client->links[i]))
      return &client->links[i];
  return NULL;
}

static void settle(Client *client, Link *home) {
  if (home && client->was_home && home != client->was_home)
    client->stats.moves++;
  client->home = home;
  if (!home)
    return;
  client->was_home = home;
  events_place(client);
  pending_place(client);
}

static void on_homecoming(Client *client, ClientTimer *timer, uint64_t now_us) {
  (void)timer;
  (void)now_us;
  move_look(client);
}

void move_look(Client *client) {
  uint64_t at_us = prefer_return_us(&client->prefer);

  if (!client->home || client->home == preferred(client) || at_us == TIME_NEVER)
    return;
  if (clock_monotonic_us() < at_us) {
    client->homecoming.on_due = on_homecoming;
    timer_set(client, &client->homecoming, at_us);
  } else if (client->outstanding == 0) {
    settle(client, preferred(client));
  }
}

void move_on_open(Link *link) {
  Client *client = link->client;

  if (link == preferred(client) && !link->cold)
    prefer_up(&client->prefer, clock_monotonic_us());
  events_on_open(link);
  if (!client->home)
    settle(client, link);
  else
    move_look(client);
}

void move_on_warm(Link *link) {
  link->cold = false;
  if (link == preferred(link->client) && can_be_asked(link))
    prefer_up(&link->client->prefer, clock_monotonic_us());
  move_look(link->client);
}

/* Away from a broker that can't be asked any more. stays: what nobody else can be asked may still be answered there. */
static void leave(Link *link, bool stays) {
  Client *client = link->client;

  if (link == preferred(client))
    prefer_lost(&client->prefer, clock_monotonic_us());
  if (!stays || move_other(link))
    pending_orphan(link);
  if (client->home == link)
    settle(client, move_other(link));
  else if (client->home)
    pending_place(client);
}

void move_on_lost(Link *link) {
  leave(link, false);
}

void move_on_goaway(Link *link) {
  leave(link, true);
}
