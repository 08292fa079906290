/* A simulated client: asks, cancels, opens windows, and notes how each of its requests ends. */
#include "tests/sim/sim.h"

enum { CANCEL = 30, STREAM_WINDOW = 4096 };

static void put_window(World *world, SimPeer *peer, const Ask *ask, uint64_t bytes) {
  Header window = {.kind = KIND_WINDOW, .id = ask->id, .number = ask->chunks, .window_bytes = bytes};

  peer_send(world, peer, &window, BYTES_NONE);
}

/* Who wants a stream, and every other one who takes a large reply. */
static bool has_window(const Ask *ask) {
  return ask->stream || ask->id.sequence % 2 == 0;
}

static void send_ask(World *world, SimPeer *peer, Ask *ask) {
  _cleanup_(buffer_done) Buffer body = {0};
  Header header = {
      .kind = KIND_REQUEST,
      .id = ask->id,
      .attempt = ask->attempt,
      .service = text_of(ask->target),
      .method = text_of(ask->once     ? "once"
                        : ask->stream ? "stream"
                                      : "idem"),
      .priority = (uint8_t)(ask->id.sequence % PRIORITY_END),
      .flags = ask->stream ? FLAG_STREAM : 0,
      .window_bytes = has_window(ask) ? STREAM_WINDOW : 0,
  };
  uint32_t parts = ask->body_bytes > 2000 ? 3 : 1;
  uint32_t part_bytes = ask->body_bytes / parts;

  if (ask->due_us <= world->base.now_us)
    return;
  header.deadline_us = ask->due_us - world->base.now_us;
  for (uint32_t i = 0; i < parts; i++) {
    Header more = {.kind = KIND_CHUNK, .id = ask->id, .number = i, .flags = i + 1 < parts ? FLAG_MORE : 0};

    buffer_clear(&body);
    fill_body(ask->id, i * part_bytes, i + 1 < parts ? part_bytes : ask->body_bytes - i * part_bytes, &body);
    header.flags |= parts > 1 ? FLAG_MORE : 0;
    peer_send(world, peer, i == 0 ? &header : &more, buffer_bytes(&body));
  }
}

static void new_ask(World *world, SimPeer *peer) {
  static const char *const targets[] = {"work",          "work",          "work",   "heavy",
                                        "work@worker-1", "work@worker-3", "nobody", "pons"};
  Ask *ask;

  if (world->n_asks == ASKS_MAX)
    return;
  ask = &world->asks[world->n_asks++];
  *ask = (Ask){
      .id = {peer->client, ++peer->sequence},
      .client = peer->index,
      .due_us = world->base.now_us + 1000 + world_random(world, 3000000),
      .body_bytes = world_random(world, 10) == 0 ? 3000 : world_random(world, 200),
      .once = world_chance(world, 500),
      .collect = world_chance(world, 50),
  };
  ask->stream = !ask->once && !ask->collect && world_chance(world, 300);
  ask->target = ask->collect ? "work@*" : targets[ask->id.sequence % ELEMENTS(targets)];
  world_add_ask(world, ask);
  send_ask(world, peer, ask);
}

/* A random one of the client's asks that has not ended, or NULL. */
static Ask *pick_open(World *world, const SimPeer *peer) {
  uint32_t start = world->n_asks ? world_random(world, world->n_asks) : 0;

  for (uint32_t i = 0; i < world->n_asks; i++) {
    Ask *ask = &world->asks[(start + i) % world->n_asks];

    if (ask->client == peer->index && !ask->ended && !ask->cancelled && !ask->orphan)
      return ask;
  }
  return NULL;
}

/* The end of a process that ends in order: what it asked ends with it. */
static void say_bye(World *world, SimPeer *peer) {
  Header bye = {.kind = KIND_BYE, .flags = FLAG_CLEAN};

  peer_send(world, peer, &bye, BYTES_NONE);
  client_die(world, peer);
  peer->welcomed = false;
  peer->client.value = 0;
}

void client_act(World *world, SimPeer *peer) {
  Ask *ask = pick_open(world, peer);

  if (!peer->welcomed)
    return;
  if (!world->base.quiet && world_chance(world, 100))
    news_act(world, peer);
  else if (!world->base.quiet && world_chance(world, 2))
    say_bye(world, peer);
  else if (ask && has_window(ask) && world_chance(world, 300)) {
    put_window(world, peer, ask, world_chance(world, 100) ? 1 : STREAM_WINDOW + ask->chunks * 1000); /* 1: a late one */
  } else if (!world->base.quiet && ask && world_chance(world, CANCEL)) {
    Header cancel = {.kind = KIND_CANCEL, .id = ask->id, .attempt = ask->attempt};

    ask->cancelled = true;
    peer_send(world, peer, &cancel, BYTES_NONE);
  } else if (!world->base.quiet) {
    new_ask(world, peer);
  }
}

void client_resend(World *world, SimPeer *peer) {
  for (uint32_t i = 0; i < world->n_asks; i++) {
    Ask *ask = &world->asks[i];

    if (ask->client != peer->index || ask->ended || ask->cancelled || ask->orphan)
      continue;
    ask->attempt++;
    ask->chunks = 0;
    ask->part_bytes = 0;
    send_ask(world, peer, ask);
  }
}

void client_die(World *world, SimPeer *peer) {
  for (uint32_t i = 0; i < world->n_asks; i++)
    if (world->asks[i].client == peer->index)
      world->asks[i].orphan = true;
}

/* A piece of a reply continues what came before it. */
static void take_reply_bytes(World *world, Ask *ask, Bytes body) {
  _cleanup_(buffer_done) Buffer expected = {0};

  fill_body(ask->id, ask->part_bytes, (uint32_t)body.size, &expected);
  if (body.size && memcmp(body.data, expected.data, body.size) != 0)
    world_fail(world, "the reply to %llu arrived changed", (unsigned long long)ask->id.sequence);
  ask->part_bytes += (uint32_t)body.size;
}

/* A request that was sent again may be done again if it is idempotent; the client has dropped it by then. */
static void take_chunk(World *world, Ask *ask, const Header *header, Bytes body) {
  if ((ask->ended && ask->attempt > 0) || ask->cancelled)
    return; /* whoever took it back looks at nothing more; its CANCEL may have been lost with a connection */
  if (ask->ended)
    world_fail(world, "a chunk came after the end of %llu", (unsigned long long)ask->id.sequence);
  if (ask->attempt == 0 && header->number != ask->chunks)
    world_fail(world, "chunk %llu came where %llu was next", (unsigned long long)header->number,
               (unsigned long long)ask->chunks);
  ask->chunks = header->number + 1;
  if (header->flags & FLAG_PART ? !has_window(ask) : !ask->stream && !ask->collect)
    world_fail(world, "request %llu got a chunk that it does not take", (unsigned long long)ask->id.sequence);
  if ((header->flags & FLAG_PART) && ask->attempt == 0)
    take_reply_bytes(world, ask, body);
}

static void take_end(World *world, Ask *ask, const Header *header, Bytes body) {
  bool is_whole = header->kind == KIND_REPLY && ask->attempt == 0 && !ask->cancelled;

  if (ask->ended && ask->attempt == 0)
    world_fail(world, "request %llu ended twice", (unsigned long long)ask->id.sequence);
  if (is_whole && header->number != ask->chunks)
    world_fail(world, "request %llu got %llu chunks and not %llu", (unsigned long long)ask->id.sequence,
               (unsigned long long)ask->chunks, (unsigned long long)header->number);
  if (is_whole && !ask->collect && strcmp(ask->target, "pons") != 0)
    take_reply_bytes(world, ask, body);
  ask->ended = true;
  ask->status = header->status;
  if (header->status == STATUS_OK && ask->once && !ask->collect && ask->executions == 0)
    world_fail(world, "request %llu was answered and never executed", (unsigned long long)ask->id.sequence);
}

void client_take(World *world, SimPeer *peer, const Header *header, Bytes body) {
  Ask *ask = world_find_ask(world, header->id);

  if (header->kind == KIND_EVENT)
    news_read(world, peer, header, body);
  if (!ask || ask->client != peer->index || ask->orphan)
    return;
  if (header->kind == KIND_CHUNK)
    take_chunk(world, ask, header, body);
  else if (header->kind == KIND_REPLY || header->kind == KIND_ERROR)
    take_end(world, ask, header, body);
}
