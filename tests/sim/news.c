/* Events: every client publishes to a topic of its own and subscribes to all. Channels lose nothing while a session lasts,
   so from the moment that the broker has a subscription each event comes once, in order, and none is left out. */
#include "tests/sim/sim.h"

static const char *const topics[CLIENTS] = {"sim.news.a", "sim.news.b", "sim.news.c"};

static void publish(World *world, SimPeer *peer) {
  uint32_t place = world->n_news;
  Header header = {.kind = KIND_PUBLISH, .id = {peer->client, place + 1}, .service = text_of(topics[peer->index])};

  if (place == NEWS_MAX)
    return;
  world->news[world->n_news++] = (News){.publisher = peer->index};
  header.flags = world_chance(world, 300) ? FLAG_RETAIN : 0;
  peer_send(world, peer, &header, (Bytes){(const uint8_t *)&place, sizeof place});
}

static void subscribe(World *world, SimPeer *peer) {
  Header header = {.kind = KIND_SUBSCRIBE, .service = TEXT("sim.*.>")};

  peer_send(world, peer, &header, BYTES_NONE);
  header.service = text_of(topics[0]); /* a second pattern that fits: no event comes twice for it */
  peer_send(world, peer, &header, BYTES_NONE);
}

void news_act(World *world, SimPeer *peer) {
  if (world_chance(world, 800))
    publish(world, peer);
  else
    subscribe(world, peer);
}

static uint32_t place_in(Bytes body) {
  uint32_t place = NEWS_MAX;

  if (body.size == sizeof place)
    memcpy(&place, body.data, sizeof place);
  return place;
}

void news_taken(World *world, SimPeer *peer, const Header *header, Bytes body) {
  if (header->kind == KIND_PUBLISH) {
    uint32_t place = place_in(body);

    world->news[place].order = ++peer->n_published;
    if (header->flags & FLAG_RETAIN)
      world->kept_news[peer->index] = place + 1;
  } else if (!peer->subscribed) {
    peer->subscribed = true;
    for (int i = 0; i < CLIENTS; i++)
      peer->next_news[i] = world->peers[i].n_published + 1;
  }
}

static const News *find_news(World *world, const Header *header, Bytes body) {
  uint32_t place = place_in(body);

  if (header->service.size > 5 && memcmp(header->service.data, "pons.", 5) == 0)
    return NULL;
  if (place >= world->n_news || !text_is(header->service, topics[world->news[place].publisher]))
    world_fail(world, "an event came that nobody published");
  return &world->news[place];
}

void news_sent(World *world, const Header *header, Bytes body) {
  const News *news = find_news(world, header, body);

  if (news && (header->flags & FLAG_RETAIN) && world->kept_news[news->publisher] != place_in(body) + 1)
    world_fail(world, "a kept value is not the last of its topic");
}

void news_read(World *world, SimPeer *peer, const Header *header, Bytes body) {
  const News *news = find_news(world, header, body);

  if (!news || (header->flags & FLAG_RETAIN))
    return;
  if (news->order != peer->next_news[news->publisher])
    world_fail(world, "event %u of client %d came where %u was next", news->order, news->publisher,
               peer->next_news[news->publisher]);
  peer->next_news[news->publisher]++;
}

void news_check_end(World *world) {
  for (int i = 0; i < CLIENTS; i++) {
    const SimPeer *peer = &world->peers[i];

    for (int k = 0; k < CLIENTS && peer->session && peer->subscribed; k++)
      if (peer->next_news[k] != world->peers[k].n_published + 1)
        world_fail(world, "client %d never heard event %u of client %d", i, peer->next_news[k], k);
  }
}
