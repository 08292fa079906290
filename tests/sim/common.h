/* What:      what both simulated worlds have: a chance, a clock, a way to fail, channels that keep their order.
 * Owns:      nothing; each world is one struct that begins with a WorldBase.
 * May use:   base, wire.
 * Threading: one thread.
 * Spec:      README.md of this folder */
#ifndef PONS_TESTS_SIM_COMMON_H
#define PONS_TESTS_SIM_COMMON_H

#include "bus/base/list.h"
#include "bus/wire/header.h"

/* A generator of numbers (xorshift64*, Vigna 2016). */
typedef struct Chance {
  uint64_t state;
} Chance;

typedef struct World World;

/* The first member of each World. */
typedef struct WorldBase {
  Chance chance;
  uint64_t seed;
  uint64_t now_us;
  uint64_t steps;
  bool quiet; /* the storm is over: nothing new, no more faults */
  bool blind; /* core_check is not asked: what is wrong must be seen from outside */
} WorldBase;

/* One message on its way. */
typedef struct Packet {
  List in_channel;
  Buffer header;
  Buffer body;
} Packet;

/* Generators with the same seed and different salts go different ways. */
Chance chance_of(uint64_t seed, uint64_t salt);
/* A number below n, which is not 0. */
uint64_t chance_draw(Chance *chance, uint64_t n);

/* A number below n. */
uint32_t world_random(World *world, uint32_t n);
/* True n times in a thousand. */
bool world_chance(World *world, uint32_t per_mille);
/* Stops with a sentence; main prints the command that replays the seed. */
void world_fail(const World *world, const char *format, ...) _printf_(2, 3) __attribute__((noreturn));

/* Puts a message at the end of the channel; both parts are copied. */
void channel_send(List *channel, const Header *header, Bytes body);
/* The first message, or NULL. It is read with packet_read and freed with packet_free. */
Packet *channel_first(const List *channel);
/* Drops what is on its way. */
void channel_empty(List *channel);
/* Its header, borrowed from it; fails the seed when it can't be read. */
Header packet_read(const World *world, const Packet *packet);
/* Takes it off its channel and frees it. */
void packet_free(Packet *packet);

#endif
