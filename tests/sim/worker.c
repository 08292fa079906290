/* A simulated instance: takes work within its credit, streams, answers, forwards, refuses, drains. It checks what a real
   one could see: its credit, the body, the deadline. */
#include "tests/sim/sim.h"

static Work *find_work(SimPeer *peer, RequestId id) {
  for (uint32_t i = 0; i < peer->n_work; i++)
    if (request_id_equal(peer->work[i].id, id))
      return &peer->work[i];
  return NULL;
}

static void drop_work(SimPeer *peer, Work *work) {
  *work = peer->work[--peer->n_work];
}

static void send_credit(World *world, SimPeer *peer) {
  Header credit = {.kind = KIND_CREDIT, .session = peer->id, .credit = peer->credit};

  peer_send(world, peer, &credit, BYTES_NONE);
}

static void check_body(World *world, const Work *work, Bytes body) {
  _cleanup_(buffer_done) Buffer expected = {0};

  fill_body(work->id, work->body_bytes, (uint32_t)body.size, &expected);
  if (body.size && memcmp(body.data, expected.data, body.size) != 0)
    world_fail(world, "the body of request %llu arrived changed", (unsigned long long)work->id.sequence);
}

static void take_request(World *world, SimPeer *peer, const Header *header, Bytes body) {
  Ask *ask = world_find_ask(world, header->id);
  Work *work;

  if (!ask)
    world_fail(world, "a request came that nobody asked");
  if (peer->n_work >= peer->credit)
    world_fail(world, "worker %d got more than its credit of %u", peer->index, peer->credit);
  if (find_work(peer, header->id))
    world_fail(world, "worker %d got request %llu twice", peer->index, (unsigned long long)header->id.sequence);
  work = &peer->work[peer->n_work++];
  *work = (Work){.id = header->id,
                 .attempt = header->attempt,
                 .window_bytes = header->window_bytes,
                 .stream = header->flags & FLAG_STREAM,
                 .whole = !(header->flags & FLAG_MORE)};
  check_body(world, work, body);
  work->body_bytes += (uint32_t)body.size;
}

static void take_part(World *world, SimPeer *peer, const Header *header, Bytes body) {
  Work *work = find_work(peer, header->id);

  if (!work || work->whole)
    world_fail(world, "a part of a body came that nobody waits for");
  check_body(world, work, body);
  work->body_bytes += (uint32_t)body.size;
  work->whole = !(header->flags & FLAG_MORE);
}

static void take_window(World *world, Work *work, const Header *header) {
  if (header->window_bytes < work->window_bytes)
    world_fail(world, "the window of %llu fell", (unsigned long long)work->id.sequence);
  work->window_bytes = header->window_bytes;
}

void worker_take(World *world, SimPeer *peer, const Header *header, Bytes body) {
  Work *work = find_work(peer, header->id);

  if (!peer->welcomed)
    return; /* it has said BYE */
  switch (header->kind) {
  case KIND_WELCOME:
    send_credit(world, peer);
    break;
  case KIND_REQUEST:
    take_request(world, peer, header, body);
    break;
  case KIND_CHUNK:
    take_part(world, peer, header, body);
    break;
  case KIND_CANCEL:
    if (work)
      work->cancelled = true;
    break;
  case KIND_WINDOW:
    if (work)
      take_window(world, work, header);
    break;
  default:
    break;
  }
}

static void begin(World *world, Work *work) {
  Ask *ask = world_find_ask(world, work->id);

  if (work->body_bytes != ask->body_bytes)
    world_fail(world, "request %llu lost a part of its body", (unsigned long long)work->id.sequence);
  ask->executions++;
  if (ask->once && !ask->collect && ask->executions > 1)
    world_fail(world, "request %llu of a `once` method was executed twice", (unsigned long long)work->id.sequence);
}

static void forward(World *world, SimPeer *peer, Work *work) {
  static const ForwardTarget targets[] = {{TEXT("gone"), TEXT("idem")}, {TEXT("heavy"), TEXT("any")}};
  const ForwardBody forward = {.targets = {targets, 2}};
  _cleanup_(buffer_done) Buffer body = {0};
  Header header = {.kind = KIND_FORWARD, .id = work->id, .attempt = work->attempt};

  if (contract_encode(CONTRACT(ForwardBody), &forward, &body, NULL) != 0)
    world_fail(world, "FORWARD can't be encoded");
  peer_send(world, peer, &header, buffer_bytes(&body));
  drop_work(peer, work);
}

static void answer(World *world, SimPeer *peer, Work *work) {
  Header header = {.kind = KIND_REPLY, .id = work->id, .attempt = work->attempt, .number = work->chunks};
  _cleanup_(buffer_done) Buffer body = {0};

  if (work->chunks == 0)
    begin(world, work);
  if (work->cancelled || world_chance(world, 100)) {
    header.kind = KIND_ERROR;
    header.status = work->cancelled ? STATUS_CANCELLED : STATUS_INTERNAL;
  }
  if (header.kind == KIND_REPLY)
    fill_body(work->id, work->part_bytes, world_random(world, 20), &body);
  peer_send(world, peer, &header, buffer_bytes(&body));
  drop_work(peer, work);
}

/* A part of a large reply; no piece of the stream comes after it. */
static void send_part(World *world, SimPeer *peer, Work *work) {
  Header header = {
      .kind = KIND_CHUNK, .id = work->id, .attempt = work->attempt, .number = work->chunks, .flags = FLAG_PART};
  _cleanup_(buffer_done) Buffer body = {0};

  if (work->bytes >= work->window_bytes)
    return;
  if (work->chunks++ == 0)
    begin(world, work);
  fill_body(work->id, work->part_bytes, 1 + world_random(world, 900), &body);
  work->part_bytes += (uint32_t)body.size;
  work->bytes += body.size;
  peer_send(world, peer, &header, buffer_bytes(&body));
}

static void stream(World *world, SimPeer *peer, Work *work) {
  Header header = {.kind = KIND_CHUNK, .id = work->id, .attempt = work->attempt, .number = work->chunks};
  uint8_t bytes[700] = {0};

  if (work->bytes + sizeof bytes > work->window_bytes)
    return;
  if (work->chunks++ == 0)
    begin(world, work);
  work->bytes += sizeof bytes;
  peer_send(world, peer, &header, (Bytes){bytes, sizeof bytes});
}

static void refuse(World *world, SimPeer *peer, Work *work) {
  static const Status statuses[] = {STATUS_BUSY,   STATUS_BUSY,       STATUS_BUSY,
                                    STATUS_DENIED, STATUS_OVERLOADED, STATUS_DRAINING};
  Header header = {.kind = KIND_NACK, .id = work->id, .attempt = work->attempt};

  header.status = statuses[world_random(world, ELEMENTS(statuses))];
  peer_send(world, peer, &header, BYTES_NONE);
  drop_work(peer, work);
  if (header.status == STATUS_BUSY)
    send_credit(world, peer);
  if (header.status == STATUS_DRAINING)
    peer->draining = true;
}

/* The end of a process that ends in order. */
static void say_bye(World *world, SimPeer *peer) {
  Header bye = {.kind = KIND_BYE, .flags = peer->n_work ? 0 : FLAG_CLEAN};

  peer_send(world, peer, &bye, BYTES_NONE);
  peer->welcomed = false;
  peer->n_work = 0;
}

void worker_act(World *world, SimPeer *peer) {
  Work *work = peer->n_work ? &peer->work[world_random(world, peer->n_work)] : NULL;

  if (!peer->welcomed)
    return;
  if ((peer->draining && !work && world_chance(world, 300)) || (!world->base.quiet && world_chance(world, 1))) {
    say_bye(world, peer);
    return;
  }
  if (!work || !work->whole) {
    if (!peer->draining && !world->base.quiet && world_chance(world, 2)) {
      Header drain = {.kind = KIND_DRAIN};

      peer->draining = true;
      peer_send(world, peer, &drain, BYTES_NONE);
    }
    return;
  }
  if (work->stream && work->part_bytes == 0 && !work->cancelled && world_chance(world, 600))
    stream(world, peer, work);
  else if (work->window_bytes > 0 && !work->cancelled && world_chance(world, work->part_bytes ? 700 : 100))
    send_part(world, peer, work);
  else if (work->chunks == 0 && !work->cancelled && !world->base.quiet && world_chance(world, 50))
    refuse(world, peer, work);
  else if (work->chunks == 0 && !work->cancelled && world_chance(world, 50))
    forward(world, peer, work);
  else
    answer(world, peer, work);
}
