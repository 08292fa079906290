/* What:      authority in a process: the pair machine with its disk, its clock, its link to the others, and what clients ask of
 *            it. Also the whole of a witness.
 * Owns:      the machine, the store, the peer link, the flags, the instance inside, the keeper of durable requests.
 * May use:   base, wire, core, loop, store, contracts.
 * Threading: the loop thread.
 * Spec:      docs/authority.md; docs/adr/0028-authority-wired-in.md */
#ifndef PONS_BROKER_AUTHORITY_H
#define PONS_BROKER_AUTHORITY_H

#include "bus/broker/inside.h"
#include "bus/broker/keeper.h"
#include "bus/core/pair.h"
#include "bus/core/roster.h"
#include "bus/loop/socket.h"

typedef struct Authority Authority;

typedef struct AuthorityOptions {
  PairOptions pair;
  const char *listen;   /* NULL: alone */
  const char *peer;     /* NULL: alone, or the witness */
  const char *witness;  /* NULL: none */
  const char *site;     /* NULL: the witness */
  const char *broker;   /* name; all texts are borrowed for the life of the authority */
  const char *path;     /* of its store */
  KeeperOptions keeper; /* of durable requests; path NULL: none, as for a witness */
  uint64_t life;        /* microseconds since 1970 at the start of the process */
  uint64_t beat_us;
  KeyPair *key; /* of the peer link: see peerlink.h */
  SocketGate gate;
  PublicKey peer_key;
  PublicKey witness_key;
} AuthorityOptions;

/* Opens the store, listens, and begins. A store that can't be used is logged and costs the authority, not the process. Returns 0, or
   -errno and *ret_bad is the endpoint that it is about, or NULL. */
int authority_new(Authority **ret, Loop *loop, const AuthorityOptions *options, const char **ret_bad);
/* Where its peer link listens. Returns ret, or NULL when it does not. */
const char *authority_endpoint(const Authority *authority, char *ret, size_t size_bytes);
/* Keys were revoked: see peerlink_ask_gate_again. */
void authority_ask_gate_again(Authority *authority);
/* The process is going to end: a leader hands over to its peer, if it can. Until authority_is_busy says no, it is not done. */
void authority_stop(Authority *authority);
bool authority_is_busy(const Authority *authority);
/* Ends it: whoever tries the peer port is refused from now on. Takes NULL, nulls the pointer. */
void authority_destroy(Authority **authority);
/* Brings it to the bus of this process: its services are offered, its flags are told. *ret_insides is set first: what it is there, for the
   core's sink. Once, and not for a witness. */
void authority_enter(Authority *authority, Core *core, const InsideSet **ret_insides);
/* To be told to the other broker, if there is one: an instance has come or left, a client has published. For the core's sink. */
void authority_tell_instance(Authority *authority, const RosterEntry *entry, bool has_left, uint64_t ago_us);
void authority_tell_event(Authority *authority, const Header *header, Bytes body);
/* Answers what has been asked of it in this turn, and tells the other broker what is new. Returns whether there was something. */
bool authority_turn(Authority *authority);

#endif
