/* What:      flags: read, written, removed, and watched as they change.
 * Owns:      the watches.
 * May use:   client.h, contracts.
 * Threading: the loop thread.
 * Spec:      docs/authority.md, "Flags" */
#ifndef PONS_CLIENT_FLAG_H
#define PONS_CLIENT_FLAG_H

#include "bus/client/client.h"

/* A flag as it is now. */
typedef struct FlagState {
  char name[LIMIT_NAME_BYTES + 1];
  char value[LIMIT_FLAG_BYTES + 1];
  bool is_set;      /* else it was never set, or is removed */
  uint64_t epoch;   /* of its version, which rises with each write and removal; both 0: nothing was heard of it yet */
  uint64_t counter; /* compared when the epochs are the same */
} FlagState;

/* flag is borrowed. */
typedef void OnFlag(void *userdata, const FlagState *flag);

typedef struct ClientFlag ClientFlag;

/* Watches one flag: on_flag hears its value as soon as a broker is there, if it was ever set, and each newer one. Both brokers tell of it,
   one of them may be behind, and each change is told once. Returns 0 and the caller owns *ret; -EINVAL for a name that is none;
   -ENOBUFS, -ENOMEM as client_subscribe. */
int client_flag_watch(Client *client, Text name, OnFlag *on_flag, void *userdata, ClientFlag **ret);
/* Ends the watch, before the client; on_flag is not called any more. Takes NULL, nulls the pointer. Usable as _cleanup_. */
void client_flag_unwatch(ClientFlag **flag);
/* What was heard last; borrowed until the loop turns. */
const FlagState *client_flag_state(const ClientFlag *flag);

/* Ask the broker: handler's on_end is told FlagRow, or REFUSED with the code flag_unknown. Returns as client_ask; -EINVAL for a name that
   is none. */
int client_flag_read(Client *client, Text name, const AskHandler *handler);
/* Writes through whoever leads; on_end is told FlagWritten, or why not (docs/protocol.md, "Services of the broker"). -EINVAL also for a value of over
   LIMIT_FLAG_BYTES, or that is no UTF-8. */
int client_flag_write(Client *client, Text name, Text value, const AskHandler *handler);
int client_flag_unset(Client *client, Text name, const AskHandler *handler);

#endif
