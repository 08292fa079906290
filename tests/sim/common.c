#include "tests/sim/common.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static WorldBase *base_of(World *world) {
  return (WorldBase *)world;
}

Chance chance_of(uint64_t seed, uint64_t salt) {
  return (Chance){seed * UINT64_C(0x9e3779b97f4a7c15) + salt};
}

uint64_t chance_draw(Chance *chance, uint64_t n) {
  uint64_t x = chance->state;

  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  chance->state = x;
  return (x * UINT64_C(0x2545f4914f6cdd1d) >> 16) % n;
}

uint32_t world_random(World *world, uint32_t n) {
  return (uint32_t)chance_draw(&base_of(world)->chance, n);
}

bool world_chance(World *world, uint32_t per_mille) {
  return world_random(world, 1000) < per_mille;
}

void world_fail(const World *world, const char *format, ...) {
  const WorldBase *base = (const WorldBase *)world;
  va_list arguments;

  fprintf(stderr, "sim: seed %llu, step %llu: ", (unsigned long long)base->seed, (unsigned long long)base->steps);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  abort();
}

void channel_send(List *channel, const Header *header, Bytes body) {
  Packet *packet = calloc(1, sizeof *packet);

  assert(packet);
  header_encode(header, &packet->header);
  buffer_append(&packet->body, body.data, body.size);
  list_push(channel, &packet->in_channel);
}

Packet *channel_first(const List *channel) {
  return LIST_FIRST(channel, Packet, in_channel);
}

void channel_empty(List *channel) {
  LIST_EACH (channel, Packet, in_channel, packet)
    packet_free(packet);
}

Header packet_read(const World *world, const Packet *packet) {
  Header header;

  if (header_decode(buffer_bytes(&packet->header), &header) != 0)
    world_fail(world, "a header was sent that can't be read");
  return header;
}

void packet_free(Packet *packet) {
  list_remove(&packet->in_channel);
  buffer_done(&packet->header);
  buffer_done(&packet->body);
  free(packet);
}
