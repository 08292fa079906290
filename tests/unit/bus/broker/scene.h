/* What:      a core whose sink knows the insides of a process, and one client of it.
 * Owns:      the core.
 * May use:   core, bus/broker/inside.h.
 * Threading: one thread.
 * Spec:      - */
#ifndef PONS_TESTS_BROKER_SCENE_H
#define PONS_TESTS_BROKER_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus/base/buffer.h"
#include "bus/base/clock.h"
#include "bus/broker/inside.h"
#include "bus/wire/session.h"

typedef struct Scene {
  Core *core;
  const InsideSet *insides;
  Session *session; /* of the client */
  uint64_t sequence;
  /* The last answer to the client, and how many. */
  int answers;
  Status status;
  RequestId id;
  Buffer body;
} Scene;

static inline void on_scene_send(void *userdata, void *peer, const Header *header, Bytes body, Block *block) {
  Scene *scene = userdata;
  Inside *inside = inside_find(scene->insides, peer);

  (void)block;
  if (inside) {
    inside_hear(inside, header, body);
    return;
  }
  if (header->kind != KIND_REPLY && header->kind != KIND_ERROR)
    return;
  scene->answers++;
  scene->status = header->kind == KIND_REPLY ? STATUS_OK : header->status;
  scene->id = header->id;
  buffer_clear(&scene->body);
  buffer_append(&scene->body, body.data, body.size);
}

static inline void on_scene_close(void *userdata, void *peer) {
  Scene *scene = userdata;
  Inside *inside = inside_find(scene->insides, peer);

  if (inside)
    inside_close(inside);
  else
    scene->session = NULL;
}

static inline void scene_give(Scene *scene, const Header *header, Bytes body, uint64_t now_us) {
  _cleanup_(buffer_done) Buffer bytes = {0};

  header_encode(header, &bytes);
  core_receive(scene->core, scene->session, 2, buffer_bytes(&bytes), body, NULL, now_us);
}

/* A session of the client, anew if it has lost the last. */
static inline void scene_hello(Scene *scene, uint64_t now_us) {
  Hello hello = {.version = PROTOCOL_VERSION, .client = 4711, .agent = TEXT("asker"), .incarnation = 1};
  _cleanup_(buffer_done) Buffer body = {0};

  scene->session = core_connect(scene->core, scene, now_us);
  assert_int_equal(contract_encode(CONTRACT(Hello), &hello, &body, NULL), 0);
  scene_give(scene, &(Header){.kind = KIND_HELLO}, buffer_bytes(&body), now_us);
}

static inline void scene_init(Scene *scene, bool has_peer, uint64_t now_us) {
  CoreOptions options = core_options_default();
  CoreSink sink = {.send = on_scene_send, .close = on_scene_close, .userdata = scene};

  *scene = (Scene){0};
  options.has_peer = has_peer;
  assert_int_equal(core_new(&scene->core, &options, &sink, now_us), 0);
  scene_hello(scene, now_us);
}

static inline void scene_done(Scene *scene) {
  core_destroy(&scene->core);
  buffer_done(&scene->body);
}

/* Asks as the client. */
static inline RequestId scene_ask(Scene *scene, const char *service, const char *method, const Contract *contract,
                                  const void *request, uint64_t now_us) {
  _cleanup_(buffer_done) Buffer body = {0};
  Header header = {.kind = KIND_REQUEST,
                   .id = {{4711}, ++scene->sequence},
                   .service = text_of(service),
                   .method = text_of(method),
                   .deadline_us = 10 * US_PER_S,
                   .priority = PRIORITY_NORMAL};

  assert_int_equal(contract_encode(contract, request, &body, NULL), 0);
  scene->answers = 0;
  scene_give(scene, &header, buffer_bytes(&body), now_us);
  return header.id;
}

#endif
