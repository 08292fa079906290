/* The peer link's messages: tests/vectors/peer, written by another implementation, decode by their contracts and encode again to
   the same bytes. */
#include "bus/wire/peer.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the above first */
#include <cmocka.h>

static const Contract *const contracts[] = {
    CONTRACT(PeerHeader),       CONTRACT(PeerBeat),         CONTRACT(PeerVote),     CONTRACT(PeerLog),
    CONTRACT(PeerHeard),        CONTRACT(PeerAsk),          CONTRACT(PeerAnswer),   CONTRACT(PeerEvent),
    CONTRACT(PeerKept),         CONTRACT(PeerBegins),       CONTRACT(PeerLevel),    CONTRACT(PeerLease),
    CONTRACT(PeerFlag),         CONTRACT(PeerInstance),     CONTRACT(PeerVersions), CONTRACT(PeerDurable),
    CONTRACT(PeerDurableFetch), CONTRACT(PeerDurablePiece),
};

static const Contract *find(const char *name) {
  for (size_t i = 0; i < ELEMENTS(contracts); i++)
    if (strcmp(contracts[i]->name, name) == 0)
      return contracts[i];
  fail_msg("no contract %s", name);
  return NULL;
}

static void append_hex(Buffer *buffer, const char *hex) {
  unsigned byte;

  for (; sscanf(hex, "%2x", &byte) == 1; hex += 2) {
    uint8_t one = (uint8_t)byte;

    buffer_append(buffer, &one, 1);
  }
}

static void check(const Contract *contract, const char *hex, const char *file) {
  _cleanup_(buffer_done) Buffer bytes = {0};
  _cleanup_(buffer_done) Buffer again = {0};
  _cleanup_(arena_done) Arena arena = {0};
  ContractFault fault;
  void *value = malloc(contract->size_bytes);

  append_hex(&bytes, hex);
  if (contract_decode(contract, buffer_bytes(&bytes), &arena, value, &fault) != 0)
    fail_msg("%s: %s: %s", file, fault.path, fault.message);
  assert_int_equal(contract_encode(contract, value, &again, NULL), 0);
  assert_int_equal(again.size, bytes.size);
  assert_memory_equal(again.data, bytes.data, bytes.size);
  free(value);
}

static void check_file(const char *file) {
  char path[512];
  char line[1024];
  char name[64] = "";
  char hex[1024];
  FILE *stream;

  snprintf(path, sizeof path, "%s/tests/vectors/peer/%s", PONS_SOURCE_DIR, file);
  stream = fopen(path, "re");
  assert_non_null(stream);
  while (fgets(line, sizeof line, stream)) {
    if (sscanf(line, "contract: %63s", name) == 1)
      continue;
    if (sscanf(line, "header: %1023s", hex) == 1)
      check(CONTRACT(PeerHeader), hex, file);
    else if (sscanf(line, "body: %1023s", hex) == 1)
      check(find(name), hex, file);
  }
  fclose(stream);
}

static void every_vector_is_what_the_codec_writes(void **state _unused_) {
  DIR *folder = opendir(PONS_SOURCE_DIR "/tests/vectors/peer");
  const struct dirent *entry;
  int n = 0;

  assert_non_null(folder);
  while ((entry = readdir(folder)))
    if (entry->d_name[0] != '.') {
      check_file(entry->d_name);
      n++;
    }
  closedir(folder);
  assert_true(n >= 18);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_vector_is_what_the_codec_writes)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
