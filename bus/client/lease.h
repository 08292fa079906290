/* What:      a lease that a process wants and keeps: asked for until it is given, renewed in time, given up in time.
 * Owns:      its place in the client; what it has told its holder.
 * May use:   client.h, contracts.
 * Threading: the loop thread, but for client_lease_check.
 * Spec:      docs/authority.md, "Leases"
 *
 * The holder counts from when it asked, by a clock that goes on while the machine is suspended, and stops at 0.8 of what it was given,
 * so that it has stopped before anybody else is given the lease, whoever dies. What it guards should look at the token all the same
 * (bus/wire/token.h): a process that is frozen in the middle of a write does not know that its time is over. */
#ifndef PONS_CLIENT_LEASE_H
#define PONS_CLIENT_LEASE_H

#include "bus/client/client.h"
#include "bus/wire/token.h"

typedef struct ClientLease ClientLease;

typedef struct ClientLeaseOptions {
  Text name;            /* what is to have one holder; copied */
  uint64_t duration_us; /* how long at a time; 0 = as long as a vote */
  bool may_double;      /* two holders do no harm: it moves without a leader when the other machine is gone */
  /* From here on this process is the holder. */
  void (*on_held)(void *userdata, LeaseToken token);
  /* It is not any more: its time is over, or it was told so; why is for the log. It is asked for again by itself. */
  void (*on_lost)(void *userdata, const char *why);
  void *userdata;
} ClientLeaseOptions;

/* Begins to ask for a lease, and goes on until client_lease_destroy. Returns 0 and the caller owns *ret, which goes before the client
   does; -EINVAL for a name that is none, -ENOMEM. */
int client_lease_new(Client *client, const ClientLeaseOptions *options, ClientLease **ret);
/* Gives the lease back and wants it no more; on_lost is not called. Takes NULL, nulls the pointer. Usable as _cleanup_. */
void client_lease_destroy(ClientLease **lease);
/* Gives it back and asks no more (on_lost is not called), or asks for it again. */
void client_lease_want(ClientLease *lease, bool wanted);
/* Whether this process is the holder right now, by the clock; then *ret (may be NULL) is the token. From any thread: to be asked before
   each thing that only the holder may do. */
bool client_lease_check(ClientLease *lease, LeaseToken *ret);

#endif
