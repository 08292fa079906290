/* Rooms: wire contracts. The first byte chooses a contract, the rest is a body. What decodes must encode and check again;
   what does not must name its fault, and leave the struct all zero. */
#include <stdlib.h>

#include "agents/contracts/contracts.h"
#include "bus/wire/peer.h"
#include "bus/wire/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const Contract *const contracts[] = {
    CONTRACT(Hello),        CONTRACT(Welcome),   CONTRACT(ErrorBody),  CONTRACT(ForwardBody),
    CONTRACT(PonsRegistry), CONTRACT(EchoSay),   CONTRACT(PonsLimit),  CONTRACT(PonsTrace),
    CONTRACT(ProbeBody),    CONTRACT(HaveBody),  CONTRACT(PeerHeader), CONTRACT(PeerBeat),
    CONTRACT(PeerVote),     CONTRACT(PeerLease), CONTRACT(PeerLog),    CONTRACT(PeerAsk),
};

static void must(bool truth) {
  if (!truth)
    abort();
}

static void check_decoded(const Contract *contract, const void *value) {
  _cleanup_(buffer_done) Buffer again = {0};

  must(contract_encode(contract, value, &again, NULL) == 0);
  must(contract_check(contract, buffer_bytes(&again), NULL) == 0);
}

static void check_refused(const Contract *contract, const uint8_t *value, int reason, const ContractFault *fault) {
  must(fault->reason == reason && fault->message[0] != '\0');
  for (size_t i = 0; i < contract->size_bytes; i++)
    must(value[i] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const Contract *contract = contracts[size ? data[0] % ELEMENTS(contracts) : 0];
  Bytes body = size ? (Bytes){data + 1, size - 1} : BYTES_NONE;
  _cleanup_(arena_done) Arena arena = {0};
  void *value = malloc(contract->size_bytes);
  ContractFault fault = {0};
  int r;

  must(value != NULL);
  r = contract_decode(contract, body, &arena, value, &fault);
  if (r == 0)
    check_decoded(contract, value);
  else
    check_refused(contract, value, r, &fault);
  /* without a struct there is no arena to run out of */
  must(contract_check(contract, body, NULL) == r || r == CONTRACT_E_SPACE);
  free(value);
  return 0;
}
