/* Damage is a row of its own from the moment that it is found, so that it is shown until a person drops it, over every restart. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus/broker/keeper-internal.h"

static Damage *new_damage(Keeper *k) {
  Damage *damage = calloc(1, sizeof *damage);

  if (!damage)
    abort();
  list_push(&k->damages, &damage->in_keeper);
  k->n_damages++;
  return damage;
}

static void forget(Keeper *k, Damage *damage) {
  list_remove(&damage->in_keeper);
  k->n_damages--;
  buffer_done(&damage->key);
  buffer_done(&damage->value);
  free(damage);
}

void keeper_note_damage(Keeper *k, Text key, Bytes value, const char *text, uint64_t at_us) {
  Damage *damage;

  if (k->n_damages >= DAMAGES)
    return; /* it stays as it is in the file, and is found again */
  damage = new_damage(k);
  damage->at_us = at_us;
  snprintf(damage->text, sizeof damage->text, "%s", text);
  buffer_append(&damage->key, key.data, key.size);
  buffer_append(&damage->value, value.data, min_u64(value.size, DAMAGE_BYTES));
}

const char *keeper_damage_name(const Damage *damage, char name[32]) {
  snprintf(name, 32, "damage-%" PRIu64, damage->number);
  return name;
}

Damage *keeper_find_damage(const Keeper *k, Text name) {
  char room[32];

  LIST_EACH (&k->damages, Damage, in_keeper, damage)
    if (text_is(name, keeper_damage_name(damage, room)))
      return damage;
  return NULL;
}

/* --- its rows: "TIME SIZE-OF-TEXT text value" --- */

static Text row_key(const Damage *damage, char room[32]) {
  int n = snprintf(room, 32, "damage/%" PRIu64, damage->number);

  return (Text){room, (size_t)n};
}

void keeper_load_damage(Keeper *k, Text key, Bytes value) {
  Damage *damage = new_damage(k);
  char head[64];
  char number[24];
  size_t size = 0;
  int at = 0;

  snprintf(number, sizeof number, "%.*s", (int)min_u64(key.size - 7, sizeof number - 1), key.data + 7);
  damage->number = strtoull(number, NULL, 10);
  k->last_damage = max_u64(k->last_damage, damage->number);
  snprintf(head, sizeof head, "%.*s", (int)min_u64(value.size, sizeof head - 1), (const char *)value.data);
  if (sscanf(head, "%" SCNu64 " %zu %n", &damage->at_us, &size, &at) < 2 || (size_t)at + size > value.size)
    return;
  snprintf(damage->text, sizeof damage->text, "%.*s", (int)size, (const char *)value.data + at);
  buffer_append(&damage->value, value.data + at + size, value.size - (size_t)at - size);
}

static int write_row(Keeper *k, const Damage *damage) {
  _cleanup_(buffer_done) Buffer value = {0};
  char room[32];

  buffer_printf(&value, "%" PRIu64 " %zu ", damage->at_us, strlen(damage->text));
  buffer_append(&value, damage->text, strlen(damage->text));
  buffer_append(&value, damage->value.data, damage->value.size);
  return store_put(k->store, row_key(damage, room), buffer_bytes(&value), &k->last_serial);
}

void keeper_keep_damage(Keeper *k) {
  LIST_EACH (&k->damages, Damage, in_keeper, damage) {
    Text key = {(const char *)damage->key.data, damage->key.size};

    if (damage->number > 0)
      continue;
    damage->number = ++k->last_damage;
    if (write_row(k, damage) < 0)
      return;
    if (key.size > 0)
      store_drop(k->store, key, &k->last_serial);
  }
}

int keeper_drop_damage(Keeper *k, Damage *damage) {
  char room[32];
  int r = k->store ? store_drop(k->store, row_key(damage, room), &k->last_serial) : -EIO;

  if (r == 0)
    forget(k, damage);
  return r;
}

void keeper_done_damage(Keeper *k) {
  LIST_EACH (&k->damages, Damage, in_keeper, damage)
    forget(k, damage);
}
