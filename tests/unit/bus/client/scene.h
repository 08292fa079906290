/* What:      a client, a fake broker and a loop for one test, and what the last request's end said.
 * Owns:      all three.
 * May use:   tests/unit/bus/client/fake.h.
 * Threading: one thread.
 * Spec:      - */
#ifndef PONS_TESTS_SCENE_H
#define PONS_TESTS_SCENE_H

#include "bus/client/client.h"
#include "tests/unit/bus/client/fake.h"

typedef struct Scene {
  Loop *loop;
  Fake fake;
  Client *client;
  /* The last end, and how many there were. */
  int ends;
  Status status;
  RequestId id;
  char body[64];
  char text[256];
  uint32_t attempts;
  /* The last state that was told, and how many. */
  int states;
  ClientState state;
  Status why;
  /* The last refusal of what has no answer. */
  Status refusal;
} Scene;

static inline void on_scene_end(void *userdata, const Answer *answer) {
  Scene *scene = userdata;

  scene->ends++;
  scene->status = answer->status;
  scene->id = answer->id;
  scene->attempts = answer->attempts;
  snprintf(scene->body, sizeof scene->body, "%.*s", (int)answer->body.size, (const char *)answer->body.data);
  snprintf(scene->text, sizeof scene->text, "%.*s", TEXT_ARG(answer->message));
}

static inline void on_scene_state(void *userdata, ClientState state, Status status, const char *text) {
  Scene *scene = userdata;

  assert_non_null(text);
  scene->states++;
  scene->state = state;
  scene->why = status;
}

static inline void on_scene_refusal(void *userdata, Status status, const char *text) {
  Scene *scene = userdata;

  scene->refusal = status;
  snprintf(scene->text, sizeof scene->text, "%s", text);
}

static inline bool scene_has_end(void *userdata) {
  const Scene *scene = userdata;

  return scene->ends > 0;
}

/* Turns until the request has ended; once. */
static inline void scene_wait_end(Scene *scene) {
  fake_until(&scene->fake, scene_has_end, scene);
  assert_int_equal(scene->ends, 1);
  scene->ends = 0;
}

/* An Ask of echo.say with text as its body. */
static inline Ask scene_say(const char *text) {
  return (Ask){.service = TEXT("echo"), .method = TEXT("say"), .body = {(const uint8_t *)text, strlen(text)}};
}

/* Asks; its end goes to the scene. */
static inline RequestId scene_ask(Scene *scene, const Ask *request) {
  RequestId id = {{0}, 0};
  AskHandler handler = {.on_end = on_scene_end, .userdata = scene};

  assert_int_equal(client_ask(scene->client, request, &handler, &id), 0);
  assert_int_equal(scene->ends, 0);
  return id;
}

static inline int scene_set_up(void **state) {
  Scene *scene = calloc(1, sizeof *scene);

  assert_non_null(scene);
  assert_int_equal(loop_new(&scene->loop), 0);
  fake_init(&scene->fake, scene->loop);
  *state = scene;
  return 0;
}

static inline int scene_tear_down(void **state) {
  Scene *scene = *state;

  client_destroy(&scene->client);
  fake_done(&scene->fake);
  loop_destroy(&scene->loop);
  free(scene);
  return 0;
}

/* Makes the client without waiting for a session. */
static inline void scene_begin(Scene *scene) {
  ClientOptions options = {.endpoint = scene->fake.endpoint,
                           .agent = TEXT("tester"),
                           .on_state = on_scene_state,
                           .on_refusal = on_scene_refusal,
                           .userdata = scene};

  assert_int_equal(client_new(scene->loop, &options, &scene->client), 0);
}

/* Makes the client and waits for its session. */
static inline void scene_connect(Scene *scene) {
  scene_begin(scene);
  assert_int_equal(client_wait_open(scene->client, FAKE_PATIENCE_US), 0);
}

static inline bool scene_is_connecting(void *userdata) {
  const Scene *scene = userdata;

  return client_state(scene->client) == CLIENT_CONNECTING;
}

static inline bool scene_is_open(void *userdata) {
  const Scene *scene = userdata;

  return client_state(scene->client) == CLIENT_OPEN;
}

#endif
