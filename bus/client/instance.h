/* What:      the instance's side of a client's session: what the agent runtime needs besides asking.
 * Owns:      nothing.
 * May use:   client.h.
 * Threading: the loop thread.
 * Spec:      docs/protocol.md, "Session", "Dispatch", "Streams" */
#ifndef PONS_CLIENT_INSTANCE_H
#define PONS_CLIENT_INSTANCE_H

#include "bus/client/client.h"

typedef struct InstanceHooks {
  /* What is offered; HELLO is made from it once. Borrowed during client_serve. */
  const HelloService *services;
  size_t services_count;
  /* The session with broker 0 or 1 is open: grant credit there. name is the broker's, borrowed. */
  void (*on_open)(void *userdata, uint32_t broker, SessionId session, Text name);
  /* REQUEST, CANCEL, WINDOW, DRAIN, or a CHUNK. header and body are borrowed, block may be kept by block_ref. Returns
     false for a CHUNK that is no part of a request's body: then it belongs to a stream that this process reads. */
  bool (*on_message)(void *userdata, uint32_t broker, const Message *message);
  /* The session is lost, and why says how; what is executed goes on. */
  void (*on_lost)(void *userdata, uint32_t broker, const char *why);
  /* End of a turn: the last chance to client_send what travels with this turn's messages. */
  void (*on_flush)(void *userdata);
  void *userdata;
} InstanceHooks;

/* Makes this client an instance too. Once, after client_new and before the loop turns. hooks is copied. Returns 0; -EINVAL
   for services that do not fit HELLO (names, numbers); -ENOMEM. */
int client_serve(Client *client, const InstanceHooks *hooks);
/* With how many brokers it has sessions: 1 or 2. */
uint32_t client_brokers(const Client *client);
/* Sends a message on the session with that broker, with others of this turn; body is copied unless block holds it. Returns
   0, or -ENOTCONN when there is no session. */
int client_send(Client *client, uint32_t broker, const Header *header, Bytes body, Block *block);
/* Says BYE to every broker, clean when nothing is left to answer, and connects no more. on_left is called when all have
   hung up, after 250 ms at the latest; at once, from inside, when there is no session. */
void client_leave(Client *client, void (*on_left)(void *userdata), void *userdata);

#endif
