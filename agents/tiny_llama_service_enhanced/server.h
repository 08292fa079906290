/* What:      the backend http: a model on another server that speaks OpenAI's API, such as llama-server or Ollama.
 * Owns:      the connections, the key, the questions that have not ended.
 * May use:   base, json, config, agent, contracts; http, openai, relay.
 * Threading: the loop thread.
 * Spec:      docs/local-models.md, "Another server" */
#ifndef PONS_LOCAL_SERVER_H
#define PONS_LOCAL_SERVER_H

#include "agents/relay/relay.h"
#include "bus/config/config.h"

typedef struct Server Server;

/* config is borrowed until server_destroy. Returns 0 and the caller owns *ret; -EINVAL with a sentence in why when its key
   can't be had; other negative errno. Reads a file. */
int server_new(Loop *loop, const ConfigLocalLlm *config, Server **ret, Buffer *why);
/* Takes NULL, nulls the pointer. Nothing may be asked of it any more. Usable as _cleanup_. */
void server_destroy(Server **server);
/* "unmeasured", "up" or "down" by the last question; of the last two why is appended when it is down. */
const char *server_state(const Server *server, Buffer *why);

/* Asks for call, which is kept by the caller, with its request as JSON, of the model called model. Pieces go straight to the
   call where it wants a stream. on_end comes once, maybe from inside. */
void server_ask(Server *server, Call *call, Text request, Text model, bool is_embedding, OnRelayEnd *on_end,
                void *userdata);

#endif
