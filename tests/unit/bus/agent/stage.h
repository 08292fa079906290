/* What:      an agent and a fake broker in one loop: the test sends what a broker would, and looks at what comes back.
 * Owns:      both.
 * May use:   tests/unit/bus/client/fake.h, bus/agent.
 * Threading: one thread, besides the agent's own.
 * Spec:      - */
#ifndef PONS_TESTS_STAGE_H
#define PONS_TESTS_STAGE_H

#include <semaphore.h>

#include "bus/agent/agent-internal.h"
#include "tests/unit/bus/client/fake.h"

typedef struct Stage {
  Fake fake;
  AgentOptions options;
  Runtime *runtime;
  uint64_t sequence;
  SessionId session;
  uint32_t credit;
} Stage;

static inline RequestId stage_id(uint64_t sequence) {
  return (RequestId){{42}, sequence};
}

/* Starts the agent and waits for its CREDIT. */
static inline void stage_start(Stage *stage, const Agent *agent) {
  Taken *credit;

  fake_init(&stage->fake, NULL);
  stage->options = (AgentOptions){.endpoint = stage->fake.endpoint, .name = agent->name};
  assert_int_equal(runtime_new(agent, &stage->options, &stage->runtime), 0);
  stage->fake.loop = stage->runtime->loop;
  fake_start(&stage->fake);
  credit = fake_take(&stage->fake, KIND_CREDIT);
  stage->credit = credit->header.credit;
  stage->session = credit->header.session;
  free(credit);
}

static inline void stage_stop(Stage *stage) {
  fake_done(&stage->fake);
  runtime_destroy(&stage->runtime);
}

/* A test's set_up and tear_down: *state is the Stage with the agent on it. */
static inline int stage_set_up(void **state, const Agent *agent) {
  Stage *stage = calloc(1, sizeof *stage);

  assert_non_null(stage);
  stage_start(stage, agent);
  *state = stage;
  return 0;
}

static inline int stage_tear_down(void **state) {
  Stage *stage = *state;

  stage_stop(stage);
  free(stage);
  return 0;
}

/* A REQUEST of that method; more fields are the test's. */
static inline Header stage_request(Stage *stage, const char *method) {
  return (Header){.kind = KIND_REQUEST,
                  .id = stage_id(++stage->sequence),
                  .service = TEXT("test"),
                  .method = text_of(method),
                  .deadline_us = 10 * US_PER_S,
                  .priority = PRIORITY_NORMAL};
}

static inline RequestId stage_ask(Stage *stage, const char *method, const char *body) {
  Header header = stage_request(stage, method);

  fake_send(&stage->fake, &header, (Bytes){(const uint8_t *)body, strlen(body)});
  return header.id;
}

/* Asks for an answer that may come in pieces: flags is FLAG_STREAM or, for the parts of a large reply alone, 0. */
static inline RequestId stage_ask_pieces(Stage *stage, const char *method, uint32_t flags, uint64_t window_bytes) {
  Header header = stage_request(stage, method);

  header.flags = flags;
  header.window_bytes = window_bytes;
  fake_send(&stage->fake, &header, BYTES_NONE);
  return header.id;
}

/* Takes the REPLY to id and holds its body against text. */
static inline void stage_expect_reply(Stage *stage, RequestId id, const char *text) {
  Taken *taken = fake_take(&stage->fake, KIND_REPLY);

  assert_true(request_id_equal(taken->header.id, id));
  assert_int_equal(taken->body.size, strlen(text));
  assert_memory_equal(taken->body.data, text, strlen(text));
  free(taken);
}

/* Takes the ERROR to id, holds its status and path (NULL = whatever) against what is expected. */
static inline void stage_expect_error(Stage *stage, RequestId id, Status status, const char *path) {
  Taken *taken = fake_take(&stage->fake, KIND_ERROR);
  ErrorBody body = {.path = TEXT_NONE};

  assert_true(request_id_equal(taken->header.id, id));
  assert_string_equal(status_name(taken->header.status), status_name(status));
  if (taken->body.size)
    assert_int_equal(contract_decode(CONTRACT(ErrorBody), taken->body, NULL, &body, NULL), 0);
  if (path)
    assert_true(text_is(body.path, path));
  free(taken);
}

/* Takes the NACK to id. */
static inline void stage_expect_nack(Stage *stage, RequestId id, Status status) {
  Taken *taken = fake_take(&stage->fake, KIND_NACK);

  assert_true(request_id_equal(taken->header.id, id));
  assert_int_equal(taken->header.status, status);
  free(taken);
}

#endif
