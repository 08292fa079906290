/* Which libllama is opened, and which is refused. What is no libllama at all stands for other versions: the check comes
   before anything else of it is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agents/tiny_llama_service_enhanced/engine.h"

#ifdef PONS_LIBLLAMA
#include "agents/tiny_llama_service_enhanced/library.h"

static char place[] = "/tmp/pons-library-XXXXXX";
static char object[PATH_MAX];

static void refused(int error, const char *words) {
  _cleanup_(buffer_done) Buffer why = {0};
  const Library *library = NULL;
  EngineOptions options = {.library_dir = place};
  int r = library_open(place, &library, &why);

  if (r != error || !memmem(why.data, why.size, words, strlen(words)))
    print_error("%d: %.*s\n", r, (int)why.size, why.data ? (const char *)why.data : "");
  assert_int_equal(r, error);
  assert_non_null(memmem(why.data, why.size, words, strlen(words)));
  assert_null(library);
  assert_int_equal(engine_check_library(&options, &why), ENGINE_E_LIBRARY);
}

static void test_absent(void **state) {
  (void)state;
  refused(LIBRARY_E_ABSENT, "run deploy/llm");
}

static void test_no_object(void **state) {
  FILE *file = fopen(object, "w");

  (void)state;
  assert_non_null(file);
  fputs("not a shared object", file);
  fclose(file);
  refused(LIBRARY_E_ABSENT, "can't be opened");
  unlink(object);
}

static void test_other_version(void **state) {
  (void)state;
  assert_int_equal(symlink("/lib/x86_64-linux-gnu/libcmocka.so.0", object), 0);
  refused(LIBRARY_E_VERSION, "needs exactly " LIBRARY_VERSION);
  unlink(object);
}

/* Last, for it stays open: a refusal before does not stand in the way. */
static void test_the_right_one(void **state) {
  _cleanup_(buffer_done) Buffer why = {0};
  const Library *library = NULL;
  const Library *again = NULL;

  (void)state;
  assert_int_equal(library_open(NULL, &library, &why), 0);
  assert_int_equal(library_open(NULL, &again, &why), 0);
  assert_ptr_equal(library, again);
  assert_non_null(strstr(library->llama_version(), LIBRARY_VERSION));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_absent),
      cmocka_unit_test(test_no_object),
      cmocka_unit_test(test_other_version),
      cmocka_unit_test(test_the_right_one),
  };
  int failed;

  if (!mkdtemp(place))
    return 1;
  snprintf(object, sizeof object, "%s/libllama.v" LIBRARY_VERSION ".so", place);
  failed = cmocka_run_group_tests(tests, NULL, NULL);
  rmdir(place);
  return failed;
}

#else

static void test_without(void **state) {
  _cleanup_(buffer_done) Buffer why = {0};

  (void)state;
  assert_int_equal(engine_check_library(&(EngineOptions){.file = NULL}, &why), ENGINE_E_LIBRARY);
  assert_non_null(memmem(why.data, why.size, "deploy/llm", 10));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_without)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
