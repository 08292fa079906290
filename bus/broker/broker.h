/* What:      io around the core: a ROUTER socket, its peers and connections, timers, and the way down.
 * Owns:      the core, the socket, all peers.
 * May use:   base, wire, core, loop.
 * Threading: the loop thread.
 * Spec:      docs/protocol.md */
#ifndef PONS_BROKER_BROKER_H
#define PONS_BROKER_BROKER_H

#include "bus/broker/admission.h"
#include "bus/broker/authority.h"
#include "bus/core/core.h"
#include "bus/loop/loop.h"

typedef struct Broker Broker;

typedef struct BrokerOptions {
  CoreOptions core;         /* its endpoints are what is bound */
  uint32_t connections_max; /* more are closed at once; 0 = nine tenths of the descriptors that the process may have */
  uint64_t stop_timeout_us; /* how long broker_stop waits for unanswered requests */
  const AuthorityOptions *authority; /* NULL: none */
  Admission *admission;              /* NULL: no keys; borrowed for the life of the broker */
} BrokerOptions;

/* Makes a broker in the loop and binds options->core.endpoints. Returns 0 or -errno; *ret_bad is the endpoint that could
   not be bound, or NULL. */
int broker_new(Broker **ret, Loop *loop, const BrokerOptions *options, const char **ret_bad);
/* Stops at once. Takes NULL, nulls the pointer. */
void broker_destroy(Broker **broker);
/* Says GOAWAY, lets unanswered requests end, says BYE, then stops the loop with code 0. A second call stops at once. */
void broker_stop(Broker *broker);
/* The admission was reloaded: gives each session the name and rights that it has now, and hangs up on who is not admitted any more. */
void broker_admit_again(Broker *broker);
/* Tries its doors, the bus and the peer link, with a key that nobody knows. Returns 0 when it was refused; SELFTEST_E_ADMITTED; or negative
   errno. Without keys 0. Turns the loop. */
int broker_try_doors(Broker *broker);
/* Peers that have said HELLO, for STATUS. */
uint32_t broker_connections(const Broker *broker);

#endif
