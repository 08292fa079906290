/* What:      the API keys of one provider: where they come from, what they are now, whose turn it is.
 * Owns:      the values of the keys, overwritten when they go.
 * May use:   base, config, contracts, adapters; key_turns.
 * Threading: the loop thread; looks at a key's file at most once in a second, and when a key was refused.
 * Spec:      docs/providers.md, "Keys" */
#ifndef PONS_REMOTE_KEYS_H
#define PONS_REMOTE_KEYS_H

#include "adapters/table.h"
#include "agents/remote_api_adapter/key_turns.h"
#include "bus/config/config.h"

typedef struct Key Key;

typedef struct Keys {
  const ConfigProvider *provider;
  Key *list;
  KeyTurn turns[KEY_TURNS_MAX];
  uint32_t count;
  int last;            /* whose turn it was */
  uint64_t checked_us; /* when the files were looked at */
} Keys;

/* Reads the keys of provider, which outlives them. One that can't be had is said in the log and looked for again. Returns 0
   or negative errno. */
int keys_init(const ConfigProvider *provider, Keys *ret);
/* Overwrites and frees. */
void keys_done(Keys *keys);

/* The key for a request that has tried those in `tried` (a bit for each): KEY_NONE when there is no other that is taken.
   Of none tried so far: any that can be had, taken or not. Takes a new value from its file where that has changed. */
int keys_take(Keys *keys, uint32_t tried, uint64_t now_us);
/* Its value, borrowed until the next keys_take or keys_fail. */
DialectKey keys_value(const Keys *keys, int key);
/* The name of its reference: never a part of its value. */
const char *keys_name(const Keys *keys, int key);
/* Which of its values that is: another number for each. 0 for KEY_NONE. */
uint32_t keys_generation(const Keys *keys, int key);
/* The provider has refused that value of it by cause. Returns true when it has another one by now: it may be tried again, and
   nothing is held against the new one. The first refusal of several is said in the log, by its reference. */
bool keys_fail(Keys *keys, int key, uint32_t generation, Cause cause, uint64_t retry_after_us, uint64_t now_us);
/* The provider has taken that value of it. */
void keys_work(Keys *keys, int key, uint32_t generation);
/* Whether the provider wants a key and none can be had. */
bool keys_are_missing(const Keys *keys);
/* Appends which keys can't be had or are passed over, and why; nothing when all is well. */
void keys_put_trouble(const Keys *keys, uint64_t now_us, Buffer *ret);
/* Overwrites with `*` every key of the provider, also the one before the last change, where it stands in text. */
void keys_redact(const Keys *keys, char *text, size_t size);

#endif
