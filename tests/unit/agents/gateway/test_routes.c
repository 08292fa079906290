/* Which path is which route, what * stands for, which methods a route takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agents/gateway/routes.h"

static void paths_find_their_route(void **state) {
  static const struct {
    const char *path;
    RouteKind kind;
    const char *rest;
  } rows[] = {
      {"/v1/chat/completions", ROUTE_chat, ""},
      {"/v1/embeddings", ROUTE_embeddings, ""},
      {"/v1/models", ROUTE_models, ""},
      {"/v1/models/a/b:1", ROUTE_model, "a/b:1"},
      {"/pons/explain", ROUTE_explain, ""},
      {"/healthz", ROUTE_health, ""},
      {"/healthz/echo", ROUTE_agent_health, "echo"},
      {"/readyz", ROUTE_ready, ""},
      {"/metrics", ROUTE_metrics, ""},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    Text rest = TEXT("untouched");
    const Route *route = route_find(text_of(rows[i].path), &rest);

    assert_non_null(route);
    assert_int_equal(route->kind, rows[i].kind);
    assert_true(text_is(rest, rows[i].rest));
  }
}

static void other_paths_have_none(void **state) {
  static const char *const paths[] = {"", "/", "/v1", "/v1/chat/completions/", "/v1/models/", "/healthz/", "/HEALTHZ"};
  Text rest = TEXT("untouched");

  (void)state;
  for (size_t i = 0; i < ELEMENTS(paths); i++)
    assert_null(route_find(text_of(paths[i]), &rest));
  assert_true(text_is(rest, "untouched"));
}

static void paths_of_others_are_known(void **state) {
  static const struct {
    const char *path;
    const char *instead; /* NULL: nobody's */
  } rows[] = {
      {"/v1/completions", "/v1/chat/completions"},
      {"/completions", "/v1/chat/completions"},
      {"/api/tags", "/v1/models"},
      {"/health//", "/healthz"},
      {"/chat", NULL},
      {"/v1/nothing", NULL},
      {"/", NULL},
      {"", NULL},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    const Foreign *foreign = route_find_foreign(text_of(rows[i].path));
    Text rest;

    if (!rows[i].instead) {
      assert_null(foreign);
      continue;
    }
    assert_string_equal(foreign->instead, rows[i].instead);
    assert_non_null(route_find(text_of(foreign->instead), &rest));
  }
}

static void methods_and_what_is_allowed(void **state) {
  _cleanup_(buffer_done) Buffer allow = {0};
  Text rest;
  const Route *route = route_find(TEXT("/pons/explain"), &rest);

  (void)state;
  assert_int_equal(route_method(TEXT("POST")), HTTP_POST);
  assert_int_equal(route_method(TEXT("post")), HTTP_NONE);
  assert_int_equal(route_method(TEXT("DELETE")), HTTP_NONE);
  route_allow(route, &allow);
  assert_true(text_is((Text){(char *)allow.data, allow.size}, "GET, HEAD, POST, OPTIONS"));
  assert_string_equal(route_name(ROUTE_chat), "chat");
  assert_string_equal(route_name(ROUTE_NONE), "none");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(paths_find_their_route),
      cmocka_unit_test(other_paths_have_none),
      cmocka_unit_test(paths_of_others_are_known),
      cmocka_unit_test(methods_and_what_is_allowed),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
