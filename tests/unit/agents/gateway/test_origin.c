/* Origins: exact, and one's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agents/gateway/origin.h"

static void only_what_is_listed_is_found(void **state) {
  char *origins[] = {(char[]){"https://app.example"}, (char[]){"http://localhost:5173"}};
  const ConfigGateway gateway = {.cors_origins = origins, .cors_origins_count = 2};
  const ConfigGateway none = {.cors_origins = NULL};
  const char *others[] = {NULL,
                          "",
                          "null",
                          "*",
                          "https://app.example/",
                          "https://app.example.evil",
                          "https://evil.app.example",
                          "http://app.example",
                          "https://APP.example",
                          "http://localhost",
                          "http://localhost:51730"};

  (void)state;
  assert_ptr_equal(origin_find(&gateway, "https://app.example"), origins[0]);
  assert_ptr_equal(origin_find(&gateway, "http://localhost:5173"), origins[1]);
  for (size_t i = 0; i < ELEMENTS(others); i++)
    assert_null(origin_find(&gateway, others[i]));
  assert_null(origin_find(&none, "https://app.example"));
}

static void a_host_is_ours_by_address_or_name(void **state) {
  char *hosts[] = {(char[]){"ai.example"}};
  const ConfigGateway gateway = {.hosts = hosts, .hosts_count = 1};
  const ConfigGateway none = {.hosts = NULL};
  const char *ours[] = {NULL,        "127.0.0.1:7180",     "127.0.0.1",  "[::1]:7180", "[::1]", "192.168.1.7:80",
                        "localhost", "app.LocalHost:7180", "LOCALHOST:1"};
  const char *others[] = {"",
                          "evil.example:7180",
                          "notlocalhost",
                          "localhost.evil.example",
                          "127.0.0.1.evil.example",
                          "[::1",
                          ":7180",
                          "ai.example.evil",
                          "evil.ai.example",
                          "127.0.0.1x",
                          "[evil]",
                          "127.1"};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(ours); i++)
    assert_true(origin_host_is_ours(&none, ours[i]));
  for (size_t i = 0; i < ELEMENTS(others); i++)
    assert_false(origin_host_is_ours(&gateway, others[i]));
  assert_true(origin_host_is_ours(&gateway, "AI.example:443"));
  assert_false(origin_host_is_ours(&none, "ai.example"));
}

static void ones_own_is_the_host(void **state) {
  (void)state;
  assert_true(origin_is_own(NULL, "127.0.0.1:7180"));
  assert_true(origin_is_own(NULL, NULL));
  assert_true(origin_is_own("http://127.0.0.1:7180", "127.0.0.1:7180"));
  assert_true(origin_is_own("https://ai.example", "AI.example"));
  assert_false(origin_is_own("http://127.0.0.1:7180", "127.0.0.1:71"));
  assert_false(origin_is_own("http://127.0.0.1:7180", NULL));
  assert_false(origin_is_own("http://localhost:7180", "127.0.0.1:7180"));
  assert_false(origin_is_own("null", "null"));
  assert_false(origin_is_own("", ""));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(only_what_is_listed_is_found),
                                     cmocka_unit_test(a_host_is_ours_by_address_or_name),
                                     cmocka_unit_test(ones_own_is_the_host)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
