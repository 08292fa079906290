/* Streams and collected answers against the fake broker. */
#include "tests/unit/bus/client/scene.h"

#include "bus/wire/msgpack.h"

typedef struct Reader {
  Scene *scene;
  int chunks;
  size_t bytes;
  int cancel_at; /* cancels inside the callback of this chunk */
  RequestId id;
  char instance[64];
  Status status;
} Reader;

static void on_chunk(void *userdata, const AskChunk *chunk) {
  Reader *reader = userdata;

  assert_int_equal(chunk->number, reader->chunks);
  reader->chunks++;
  reader->bytes += chunk->body.size;
  if (chunk->is_collect) {
    snprintf(reader->instance, sizeof reader->instance, "%.*s", TEXT_ARG(chunk->instance));
    reader->status = chunk->status;
  }
  if (reader->chunks == reader->cancel_at)
    client_cancel(reader->scene->client, chunk->id);
}

static void on_end(void *userdata, const Answer *answer) {
  Reader *reader = userdata;

  on_scene_end(reader->scene, answer);
  assert_int_equal(answer->chunks, reader->chunks);
}

static Taken *begin(Scene *scene, Reader *reader, Ask *request) {
  AskHandler handler = {on_chunk, on_end, reader};

  reader->scene = scene;
  request->service = request->service.size ? request->service : TEXT("echo");
  request->method = TEXT("stream");
  assert_int_equal(client_ask(scene->client, request, &handler, &reader->id), 0);
  return fake_take(&scene->fake, KIND_REQUEST);
}

static void send_chunk(Scene *scene, RequestId id, uint64_t number, size_t size) {
  Header header = {.kind = KIND_CHUNK, .id = id, .number = number};
  uint8_t *bytes = calloc(1, size);

  fake_send(&scene->fake, &header, (Bytes){bytes, size});
  free(bytes);
}

static void the_window_opens_as_pieces_are_used(void **state) {
  Scene *scene = *state;
  Reader reader = {0};
  Ask request = {.stream = true, .window_bytes = 10000};
  Taken *taken;
  Taken *window;

  scene_connect(scene);
  taken = begin(scene, &reader, &request);
  assert_int_equal(taken->header.flags, FLAG_STREAM);
  assert_int_equal(taken->header.window_bytes, 10000);
  send_chunk(scene, reader.id, 0, 4000);
  fake_run(&scene->fake, 10000);
  assert_int_equal(fake_count(&scene->fake, KIND_WINDOW), 0);
  send_chunk(scene, reader.id, 1, 4000);
  window = fake_take(&scene->fake, KIND_WINDOW);
  assert_int_equal(window->header.number, 2);
  assert_int_equal(window->header.window_bytes, 18000);
  fake_reply(&scene->fake, reader.id, BYTES_NONE);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_OK);
  assert_int_equal(reader.bytes, 8000);
  free(window);
  free(taken);
}

static void a_manual_window_opens_by_hand(void **state) {
  Scene *scene = *state;
  Reader reader = {0};
  Ask request = {.stream = true, .window_bytes = 10000, .manual_window = true};
  Taken *window;

  scene_connect(scene);
  free(begin(scene, &reader, &request));
  send_chunk(scene, reader.id, 0, 10000);
  fake_run(&scene->fake, 10000);
  assert_int_equal(reader.bytes, 10000);
  assert_int_equal(fake_count(&scene->fake, KIND_WINDOW), 0);
  client_stream_consumed(scene->client, reader.id, 9000);
  window = fake_take(&scene->fake, KIND_WINDOW);
  assert_int_equal(window->header.window_bytes, 19000);
  client_cancel(scene->client, reader.id);
  scene_wait_end(scene);
  free(window);
}

static void a_hole_loses_the_stream(void **state) {
  Scene *scene = *state;
  Reader reader = {0};
  Ask request = {.stream = true};

  scene_connect(scene);
  free(begin(scene, &reader, &request));
  send_chunk(scene, reader.id, 0, 10);
  send_chunk(scene, reader.id, 2, 10);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_STREAM_LOST);
  assert_int_equal(reader.chunks, 1);
  free(fake_take(&scene->fake, KIND_CANCEL));
}

static void a_piece_that_came_before_is_dropped(void **state) {
  Scene *scene = *state;
  Reader reader = {0};
  Ask request = {.stream = true};

  scene_connect(scene);
  free(begin(scene, &reader, &request));
  send_chunk(scene, reader.id, 0, 10);
  send_chunk(scene, reader.id, 0, 10);
  fake_reply(&scene->fake, reader.id, BYTES_NONE);
  scene_wait_end(scene);
  assert_int_equal(reader.chunks, 1);
}

static void pieces_that_nobody_wants_are_dropped(void **state) {
  Scene *scene = *state;
  Reader reader = {0};
  Ask request = {.stream = false};

  scene_connect(scene);
  free(begin(scene, &reader, &request));
  send_chunk(scene, reader.id, 0, 10);
  fake_reply(&scene->fake, reader.id, BYTES_NONE);
  scene_wait_end(scene);
  assert_int_equal(reader.chunks, 0);
  assert_int_equal(scene->status, STATUS_OK);
}

static void a_stream_can_be_cancelled_from_inside(void **state) {
  Scene *scene = *state;
  Reader reader = {.cancel_at = 2};
  Ask request = {.stream = true};

  scene_connect(scene);
  free(begin(scene, &reader, &request));
  for (uint64_t i = 0; i < 5; i++)
    send_chunk(scene, reader.id, i, 10);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_CANCELLED);
  assert_int_equal(reader.chunks, 2);
  free(fake_take(&scene->fake, KIND_CANCEL));
}

static void a_stream_that_has_begun_is_not_asked_again(void **state) {
  Scene *scene = *state;
  Reader reader = {0};
  Ask request = {.stream = true, .idempotent = true};

  scene_connect(scene);
  free(begin(scene, &reader, &request));
  send_chunk(scene, reader.id, 0, 10);
  fake_error(&scene->fake, reader.id, STATUS_WORKER_LOST, "gone", 0);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_WORKER_LOST);
  reader = (Reader){0};
  free(begin(scene, &reader, &request));
  send_chunk(scene, reader.id, 0, 10);
  fake_run(&scene->fake, 10000);
  fake_stop(&scene->fake);
  fake_start(&scene->fake);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_STREAM_LOST);
}

static void collected_answers_come_as_pieces(void **state) {
  Scene *scene = *state;
  Reader reader = {0};
  Ask request = {.service = TEXT("echo@*")};
  _cleanup_(buffer_done) Buffer map = {0};
  Header header = {.kind = KIND_CHUNK, .flags = FLAG_COLLECT, .status = STATUS_BUSY};

  msgpack_put_map(&map, 2);
  msgpack_put_text(&map, TEXT("x"));
  msgpack_put_array(&map, 0);
  msgpack_put_text(&map, TEXT("instance"));
  msgpack_put_text(&map, TEXT("echo:7"));
  scene_connect(scene);
  free(begin(scene, &reader, &request));
  header.id = reader.id;
  header.annotations = buffer_bytes(&map);
  fake_send(&scene->fake, &header, (Bytes){(const uint8_t *)"abc", 3});
  fake_reply(&scene->fake, reader.id, BYTES_NONE);
  scene_wait_end(scene);
  assert_int_equal(reader.chunks, 1);
  assert_string_equal(reader.instance, "echo:7");
  assert_int_equal(reader.status, STATUS_BUSY);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)
  const struct CMUnitTest tests[] = {
      CASE(the_window_opens_as_pieces_are_used),
      CASE(a_manual_window_opens_by_hand),
      CASE(a_hole_loses_the_stream),
      CASE(a_piece_that_came_before_is_dropped),
      CASE(pieces_that_nobody_wants_are_dropped),
      CASE(a_stream_can_be_cancelled_from_inside),
      CASE(a_stream_that_has_begun_is_not_asked_again),
      CASE(collected_answers_come_as_pieces),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);

  return failed;
}
