/* Where a live fleet can't be cut, and why. What a cut does is shown between two machines by tests/process/test_drill.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/drill/cutter.h"

#define ELSEWHERE "tcp://192.0.2.1:7100"
#define LIST_AS_NFT "printf 'table inet t {\\n\\tset end {\\n\\t}\\n}\\n'"

enum { NOBODY = 65534, PATIENCE_US = 60000000, SOON_US = 100000 };

static char folder[] = "/tmp/pons-test-XXXXXX";
static char nft[64];
static char env[64];
static char heard[80];

static int make(const char *endpoint, uint64_t patience_us, Buffer *errors, Cutter **ret) {
  char text[128];
  char *endpoints[] = {text};

  snprintf(text, sizeof text, "%s", endpoint);
  return cutter_new(endpoints, 1, patience_us, errors, ret);
}

static int refuse_within(const char *endpoint, uint64_t patience_us, const char *words) {
  _cleanup_(buffer_done) Buffer errors = {0};
  Cutter *cutter = NULL;
  int r = make(endpoint, patience_us, &errors, &cutter);

  buffer_append(&errors, "", 1);
  if (!strstr((const char *)errors.data, words))
    fail_msg("%s", (const char *)errors.data);
  assert_null(cutter);
  return r;
}

static int refuse(const char *endpoint, const char *words) {
  return refuse_within(endpoint, PATIENCE_US, words);
}

static void test_on_this_machine(void **state _unused_) {
  assert_int_equal(refuse("ipc://second", "is on this machine"), CUTTER_E_HERE);
  assert_int_equal(refuse("tcp://127.0.0.2:7100", "is on this machine"), CUTTER_E_HERE);
  assert_int_equal(refuse("tcp://localhost:7100", "is on this machine"), CUTTER_E_HERE);
}

static void test_a_name_that_is_not_known(void **state _unused_) {
  assert_int_equal(refuse("tcp://no.such.host.invalid:7100", "the host no.such.host.invalid is not known"),
                   CUTTER_E_NAME);
}

/* --- nft: programs of that name that misbehave --- */

/* Has a script found as nft. What it is told it may append to $0.heard. */
static void be_nft(const char *script, mode_t mode) {
  FILE *file = fopen(nft, "w");

  assert_non_null(file);
  fprintf(file, "#!/bin/sh\n%s\n", script);
  fclose(file);
  assert_int_equal(chmod(nft, mode), 0);
}

static void test_no_tool(void **state _unused_) {
  char *path = strdup(getenv("PATH"));

  setenv("PATH", "/nonexistent", 1); /* not even env is there */
  assert_int_equal(refuse(ELSEWHERE, "install the package nftables"), CUTTER_E_TOOL);
  setenv("PATH", folder, 1);
  assert_int_equal(symlink("/usr/bin/env", env), 0);
  assert_int_equal(refuse(ELSEWHERE, "install the package nftables"), CUTTER_E_TOOL);
  be_nft("", 0644);
  assert_int_equal(refuse(ELSEWHERE, "install the package nftables"), CUTTER_E_TOOL);
  setenv("PATH", path, 1);
  free(path);
}

static void test_a_tool_that_refuses(void **state _unused_) {
  be_nft("read -r line; echo 'Error: Operation not permitted'; cat >/dev/null", 0755);
  assert_int_equal(refuse(ELSEWHERE, "nft can't make a filter here: Error: Operation not permitted; it takes a kernel"),
                   CUTTER_E_REFUSED);
}

static void test_a_tool_that_ends(void **state _unused_) {
  be_nft("exit 3", 0755);
  assert_int_equal(refuse(ELSEWHERE, "nft can't make a filter here: it has ended; it takes a kernel"),
                   CUTTER_E_REFUSED);
  be_nft("echo 'no such library' >&2; kill -KILL $$", 0755);
  assert_int_equal(refuse(ELSEWHERE, "nft can't make a filter here: no such library: it has ended; it takes a kernel"),
                   CUTTER_E_REFUSED);
}

static void test_a_tool_that_hangs(void **state _unused_) {
  be_nft("exec tail -f /dev/null", 0755);
  assert_int_equal(refuse_within(ELSEWHERE, SOON_US, "nft does not answer"), CUTTER_E_SILENT);
  be_nft("echo warming up; exec tail -f /dev/null", 0755);
  assert_int_equal(refuse_within(ELSEWHERE, SOON_US, "nft does not answer"), CUTTER_E_SILENT);
}

static void test_a_tool_that_says_too_much(void **state _unused_) {
  be_nft("exec yes so many words", 0755);
  assert_int_equal(refuse(ELSEWHERE, "nft can't make a filter here: so many words; it takes a kernel"),
                   CUTTER_E_REFUSED);
}

/* --- while it lasts --- */

static void expect_heard(const char *words) {
  char text[8192] = "";
  FILE *file = fopen(heard, "r");

  assert_non_null(file);
  assert_true(fread(text, 1, sizeof text - 1, file) > 0);
  fclose(file);
  if (!strstr(text, words))
    fail_msg("%s", text);
}

static void test_what_it_is_told(void **state _unused_) {
  _cleanup_(buffer_done) Buffer errors = {0};
  _cleanup_(cutter_destroy) Cutter *cutter = NULL;
  char words[128];

  be_nft("while read -r line; do echo \"$line\" >>\"$0.heard\"; case $line in list*) " LIST_AS_NFT ";; esac; done",
         0755);
  assert_int_equal(make(ELSEWHERE, PATIENCE_US, &errors, &cutter), 0);
  assert_int_equal(cutter_cut(cutter, LAB_FORTH), 0);
  snprintf(words, sizeof words, "\nadd element inet pons_drill_%d out4 { 192.0.2.1 };\n", (int)getpid());
  expect_heard(words);
  assert_int_equal(cutter_heal(cutter), 0);
  snprintf(words, sizeof words, "flush set inet pons_drill_%d out4; ", (int)getpid());
  expect_heard(words);
  cutter_destroy(&cutter);
  assert_null(cutter);
}

/* It takes the table and the first cut, and then no more. */
static void test_a_tool_that_ends_meanwhile(void **state _unused_) {
  _cleanup_(buffer_done) Buffer errors = {0};
  _cleanup_(cutter_destroy) Cutter *cutter = NULL;

  be_nft("for i in 1 2; do while read -r line && [ \"${line#list}\" = \"$line\" ]; do :; done; " LIST_AS_NFT "; done",
         0755);
  assert_int_equal(make(ELSEWHERE, PATIENCE_US, &errors, &cutter), 0);
  assert_int_equal(cutter_cut(cutter, LAB_BOTH_WAYS), 0);
  assert_int_equal(cutter_heal(cutter), -EPIPE);
}

static void test_not_root(void **state _unused_) {
  int status = 0;
  pid_t pid = fork();

  if (pid == 0)
    _exit((geteuid() == 0 && setuid(NOBODY) < 0) ||
          refuse("tcp://192.0.2.1:7100", "only root can cut this machine off") != CUTTER_E_ROOT);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}

static int make_folder(void **state _unused_) {
  char path[8192];

  assert_non_null(mkdtemp(folder));
  snprintf(nft, sizeof nft, "%s/nft", folder);
  snprintf(env, sizeof env, "%s/env", folder);
  snprintf(heard, sizeof heard, "%s.heard", nft);
  snprintf(path, sizeof path, "%s:%s", folder, getenv("PATH"));
  setenv("PATH", path, 1);
  return 0;
}

static int remove_folder(void **state _unused_) {
  unlink(nft);
  unlink(env);
  unlink(heard);
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest anybody[] = {
      cmocka_unit_test(test_on_this_machine),
      cmocka_unit_test(test_a_name_that_is_not_known),
      cmocka_unit_test(test_not_root),
  };
  const struct CMUnitTest root[] = {
      cmocka_unit_test(test_no_tool),
      cmocka_unit_test(test_a_tool_that_refuses),
      cmocka_unit_test(test_a_tool_that_ends),
      cmocka_unit_test(test_a_tool_that_hangs),
      cmocka_unit_test(test_a_tool_that_says_too_much),
      cmocka_unit_test(test_what_it_is_told),
      cmocka_unit_test(test_a_tool_that_ends_meanwhile),
  };
  int r = cmocka_run_group_tests(anybody, NULL, NULL);

  return geteuid() == 0 ? r + cmocka_run_group_tests(root, make_folder, remove_folder) : r;
}
