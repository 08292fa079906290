/* What:      what a request's JSON asks of a local model, and what of it we refuse by name.
 * Owns:      an Order owns its texts; messages and input borrow from the request.
 * May use:   base, json.
 * Threading: any; pure.
 * Spec:      docs/local-models.md, "What a request may say"; OpenAI's POST /v1/chat/completions and /v1/embeddings */
#ifndef PONS_LOCAL_ORDER_H
#define PONS_LOCAL_ORDER_H

#include "agents/tiny_llama_service_enhanced/outlet.h"
#include "bus/json/json.h"

enum {
  ORDER_E_REFUSED = 1, /* the request is wrong, or wants what a local model has not; the fault says what to change */
};

enum { ORDER_GRAMMAR_BYTES = 16384, ORDER_INPUTS = 2048 };

typedef struct OrderFault {
  const char *code; /* as OpenAI's error.code */
  char field[64];   /* as OpenAI's error.param */
  char message[480];
} OrderFault;

/* A chat completion. */
typedef struct Order {
  Json messages;
  uint64_t max_tokens; /* 0 = as many as fit */
  double temperature;  /* 0 = always the likeliest */
  double top_p;
  uint64_t top_k;
  double presence;
  double frequency;
  uint32_t seed;
  bool has_seed;
  bool include_usage;
  Buffer grammar; /* GBNF with a NUL behind it; empty = none */
  Outlet outlet;  /* with the stop strings */
  Buffer stops;   /* what these borrow from */
} Order;

/* Reads a request for a completion. Returns 0 and *ret is to be ended with order_done; ORDER_E_REFUSED with *fault filled
   and nothing to end. */
int order_read(Text request, Order *ret, OrderFault *fault);
/* Frees what order_read made. Usable as _cleanup_. */
void order_done(Order *order);

/* A request for embeddings. */
typedef struct EmbedOrder {
  Json input; /* a string, or an array of strings */
  size_t count;
  bool base64;
} EmbedOrder;

/* Reads a request for embeddings. Returns 0; ORDER_E_REFUSED with *fault filled and *ret left alone. */
int order_read_embed(Text request, EmbedOrder *ret, OrderFault *fault);

#endif
