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
  Buffer parts;          /* that came before it */
  uint64_t window_bytes; /* of what the client asks */
  /* An instance, if there is one: what it was asked, and how much of its answer may come. */
  Session *instance;
  SessionId instance_id;
  Buffer asked;
  uint64_t granted;
} Scene;

static inline void scene_hear_instance(Scene *scene, const Header *header, Bytes body) {
  if (header->kind == KIND_WELCOME)
    scene->instance_id = header->session;
  else if (header->kind == KIND_REQUEST || header->kind == KIND_CHUNK)
    buffer_append(&scene->asked, body.data, body.size);
  else if (header->kind == KIND_WINDOW)
    scene->granted = header->window_bytes;
}

static inline void on_scene_send(void *userdata, void *peer, const Header *header, Bytes body, Block *block) {
  Scene *scene = userdata;
  Inside *inside = inside_find(scene->insides, peer);

  if (inside) {
    inside_hear(inside, header, body, block);
    return;
  }
  if (peer == &scene->instance) {
    scene_hear_instance(scene, header, body);
    return;
  }
  if (header->kind == KIND_CHUNK)
    buffer_append(&scene->parts, body.data, body.size);
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
  else if (peer == &scene->instance)
    scene->instance = NULL;
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
  buffer_done(&scene->parts);
  buffer_done(&scene->asked);
}

/* What the instance says. */
static inline void scene_answer(Scene *scene, const Header *header, Bytes body, uint64_t now_us) {
  _cleanup_(buffer_done) Buffer bytes = {0};

  header_encode(header, &bytes);
  core_receive(scene->core, scene->instance, body.size ? 2 : 1, buffer_bytes(&bytes), body, NULL, now_us);
}

/* Makes an instance that offers one method, and has a credit of 1. */
static inline void scene_offer(Scene *scene, const char *service, const char *method, uint64_t now_us) {
  HelloMethod does = {.method = text_of(method)};
  HelloService offers = {.service = text_of(service), .methods = {&does, 1}};
  Hello hello = {.version = PROTOCOL_VERSION,
                 .client = 4712,
                 .agent = TEXT("instance"),
                 .incarnation = 1,
                 .has_services = true,
                 .services = {&offers, 1}};
  _cleanup_(buffer_done) Buffer body = {0};

  scene->instance = core_connect(scene->core, &scene->instance, now_us);
  assert_int_equal(contract_encode(CONTRACT(Hello), &hello, &body, NULL), 0);
  scene_answer(scene, &(Header){.kind = KIND_HELLO}, buffer_bytes(&body), now_us);
  scene_answer(scene, &(Header){.kind = KIND_CREDIT, .session = scene->instance_id, .credit = 1}, BYTES_NONE, now_us);
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
                   .priority = PRIORITY_NORMAL,
                   .window_bytes = scene->window_bytes};

  assert_int_equal(contract_encode(contract, request, &body, NULL), 0);
  scene->answers = 0;
  scene_give(scene, &header, buffer_bytes(&body), now_us);
  return header.id;
}

#endif
