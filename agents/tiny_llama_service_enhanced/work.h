/* What:      one request at the desk: a completion or a list of embeddings, from the order to what became of it.
 * Owns:      a Work owns order, prompt and answer; the call is its caller's.
 * May use:   base, json, agent, contracts; desk, engine, order, prompt, say.
 * Threading: made and ended on the loop thread; in between it is the desk's.
 * Spec:      docs/local-models.md */
#ifndef PONS_LOCAL_WORK_H
#define PONS_LOCAL_WORK_H

#include "agents/tiny_llama_service_enhanced/desk.h"
#include "agents/tiny_llama_service_enhanced/say.h"
#include "bus/agent/agent.h"

typedef struct Work Work;
struct Work {
  DeskJob job;
  Call *call;
  Desk *desk;
  void (*on_end)(Work *work); /* on the loop thread, once; owns the work from then on */
  void *userdata;             /* the caller's */
  char id[REQUEST_ID_TEXT_SIZE];
  SayHead head;
  bool is_embedding;
  bool streams;
  Order order;
  Prompt prompt;
  EmbedOrder inputs;

  /* what became of it */
  int error; /* ENGINE_E_*, or 0 */
  Buffer why;
  Buffer response; /* the JSON, unless it was streamed */
  EngineResult result;
  uint64_t began_us; /* of the work itself, by the monotonic clock; 0 = it was never begun */
  uint64_t first_us; /* from there to the first output; 0 = there was none */
  uint64_t took_us;
  bool has_begun_stream; /* pieces are out, so nobody else can do it any more */

  /* while it runs */
  Buffer text;
  Buffer events;
  bool is_deaf; /* nobody reads the pieces any more */
};

/* A completion or embeddings for call, which is kept by the caller, from its request as JSON; model is borrowed. Returns 0
   and the caller owns *ret, to be pushed by work_begin; ORDER_E_REFUSED with *fault filled and *ret left alone. */
int work_new_chat(Call *call, Text request, Text model, PromptStyle style, Work **ret, OrderFault *fault);
int work_new_embed(Call *call, Text request, Text model, Work **ret, OrderFault *fault);
/* Puts it on the desk; on_end follows. */
void work_begin(Work *work, Desk *desk, void (*on_end)(Work *work), void *userdata);
/* Frees it; takes NULL, nulls the pointer. Usable as _cleanup_. */
void work_destroy(Work **work);

#endif
