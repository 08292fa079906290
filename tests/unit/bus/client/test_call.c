/* client_call: on the loop thread, inside a callback, and from many threads at once, with everything else that other threads
   may do. */
#include <pthread.h>

#include "tests/unit/bus/client/scene.h"

enum { THREADS = 8, CALLS = 200 };

/* The fake answers by itself: what was asked, said back. */
static void on_answer(void *userdata) {
  Scene *scene = userdata;

  LIST_EACH (&scene->fake.taken, Taken, in_fake, taken) {
    if (taken->header.kind == KIND_REQUEST)
      fake_reply(&scene->fake, taken->header.id, taken->body);
    list_remove(&taken->in_fake);
    free(taken);
  }
}

static void a_call_turns_the_loop_itself(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("hello");
  Answer *answer = NULL;

  scene_connect(scene);
  loop_on_turn_end(scene->loop, on_answer, scene);
  assert_int_equal(client_call(scene->client, &request, &answer), 0);
  assert_int_equal(answer->status, STATUS_OK);
  assert_memory_equal(answer->body.data, "hello", 5);
  answer_destroy(&answer);
  assert_null(answer);
  request.stream = true;
  assert_int_equal(client_call(scene->client, &request, &answer), -EINVAL);
  assert_null(answer);
  loop_remove_turn_end(scene->loop, on_answer, scene);
}

static void an_error_is_copied_too(void **state) {
  Scene *scene = *state;
  Ask request = {.service = TEXT("echo"), .method = TEXT("no method")};
  Answer *answer = NULL;

  scene_connect(scene);
  assert_int_equal(client_call(scene->client, &request, &answer), 0);
  assert_int_equal(answer->status, STATUS_BAD_NAME);
  assert_true(answer->message.size > 0);
  answer_destroy(&answer);
}

static void on_inside(void *userdata, const Answer *answer) {
  Scene *scene = userdata;
  Ask request = scene_say("x");
  Answer *second = NULL;

  assert_int_equal(client_call(scene->client, &request, &second), -EDEADLK);
  assert_int_equal(client_wait_open(scene->client, 0), -EDEADLK);
  assert_null(second);
  on_scene_end(scene, answer);
}

static void inside_a_callback_it_is_a_deadlock_by_name(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");
  AskHandler handler = {.on_end = on_inside, .userdata = scene};

  scene_connect(scene);
  loop_on_turn_end(scene->loop, on_answer, scene);
  assert_int_equal(client_ask(scene->client, &request, &handler, NULL), 0);
  scene_wait_end(scene);
  loop_remove_turn_end(scene->loop, on_answer, scene);
}

/* --- from many threads --- */

static _Atomic int events;
static _Atomic int threads_left;

static void on_event(void *userdata, const BusEvent *event) {
  (void)userdata;
  (void)event;
  events++;
}

static void on_threads_over(void *userdata) {
  loop_stop(userdata, 0);
}

static void ask_in_all_ways(Scene *scene, int i) {
  char text[32];
  Ask request;
  Answer *answer = NULL;
  AskHandler nobody = {.on_end = NULL};
  RequestId id;

  snprintf(text, sizeof text, "%d of %p", i, (void *)&request);
  request = scene_say(text);
  if (client_call(scene->client, &request, &answer) != 0 || answer->status != STATUS_OK ||
      answer->body.size != strlen(text) || memcmp(answer->body.data, text, strlen(text)) != 0)
    abort();
  answer_destroy(&answer);
  if (client_ask(scene->client, &request, &nobody, &id) != 0)
    abort();
  if (i % 2)
    client_cancel(scene->client, id);
  if (client_publish(scene->client, TEXT("a.b"), BYTES_NONE, false) != 0)
    abort();
}

static void *work(void *userdata) {
  Scene *scene = userdata;
  uint64_t subscription;

  if (client_subscribe(scene->client, TEXT("a.*"), on_event, NULL, &subscription) != 0)
    abort();
  for (int i = 0; i < CALLS; i++)
    ask_in_all_ways(scene, i);
  client_unsubscribe(scene->client, subscription);
  if (--threads_left == 0)
    loop_post(scene->loop, on_threads_over, scene->loop);
  return NULL;
}

static void many_threads_may_use_one_client(void **state) {
  Scene *scene = *state;
  pthread_t threads[THREADS];

  scene_connect(scene);
  loop_on_turn_end(scene->loop, on_answer, scene);
  threads_left = THREADS;
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, work, scene), 0);
  assert_int_equal(loop_run(scene->loop), 0);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  fake_run(&scene->fake, 50000);
  assert_int_equal(client_stats(scene->client).asked, 2 * THREADS * CALLS);
  assert_int_equal(client_stats(scene->client).outstanding, 0);
  loop_remove_turn_end(scene->loop, on_answer, scene);
}

static void *call_a_dead_loop(void *userdata) {
  Scene *scene = userdata;
  Ask request = scene_say("x");
  Answer *answer = NULL;

  request.deadline_us = 20000;
  if (client_call(scene->client, &request, &answer) != 0 || answer->status != STATUS_DEADLINE)
    abort();
  answer_destroy(&answer);
  return NULL;
}

static bool is_asked(void *userdata) {
  Scene *scene = userdata;

  return client_stats(scene->client).answered == 1;
}

static void a_call_of_another_thread_ends_at_its_deadline(void **state) {
  Scene *scene = *state;
  pthread_t thread;

  scene_connect(scene);
  assert_int_equal(pthread_create(&thread, NULL, call_a_dead_loop, scene), 0);
  fake_until(&scene->fake, is_asked, scene);
  pthread_join(thread, NULL);
}

static void *publish_and_leave(void *userdata) {
  Scene *scene = userdata;
  Ask request = scene_say("x");
  AskHandler handler = {.on_end = on_scene_end, .userdata = scene};

  if (client_publish(scene->client, TEXT("a"), BYTES_NONE, false) != 0 ||
      client_ask(scene->client, &request, &handler, NULL) != 0)
    abort();
  return NULL;
}

static void what_others_began_is_done_before_the_end(void **state) {
  Scene *scene = *state;
  pthread_t thread;

  scene_connect(scene);
  assert_int_equal(pthread_create(&thread, NULL, publish_and_leave, scene), 0);
  pthread_join(thread, NULL);
  client_destroy(&scene->client);
  assert_int_equal(scene->ends, 1);
  assert_int_equal(scene->status, STATUS_CANCELLED);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)
  const struct CMUnitTest tests[] = {
      CASE(a_call_turns_the_loop_itself),
      CASE(an_error_is_copied_too),
      CASE(inside_a_callback_it_is_a_deadlock_by_name),
      CASE(many_threads_may_use_one_client),
      CASE(a_call_of_another_thread_ends_at_its_deadline),
      CASE(what_others_began_is_done_before_the_end),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);

  return failed;
}
