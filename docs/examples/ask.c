/* Asks the echo agent: ask [WORDS [ENDPOINT]]. */
#include <stdio.h>

#include "agents/contracts/contracts.h"
#include "bus/client/client.h"

int main(int argc, char **argv) {
  _cleanup_(loop_destroy) Loop *loop = NULL;
  _cleanup_(client_destroy) Client *client = NULL;
  _cleanup_(answer_destroy) Answer *answer = NULL;
  _cleanup_(buffer_done) Buffer body = {0};
  const char *endpoint = argc > 2 ? argv[2] : "tcp://127.0.0.1:7100";
  Ask ask = {.deadline_us = 5 * US_PER_S};

  if (loop_new(&loop) < 0 ||
      client_new(loop, &(ClientOptions){.endpoint = endpoint, .agent = TEXT("ask")}, &client) < 0)
    return 1;
  /* The contract of the method knows its service, its fields and their bounds. */
  if (ask_encode(contract_find(TEXT("echo"), TEXT("say")), &(EchoSay){.text = text_of(argc > 1 ? argv[1] : "hello")},
                 &body, &ask, NULL) != 0)
    return 2;
  if (client_call(client, &ask, &answer) < 0)
    return 1;
  if (answer->status != STATUS_OK) {
    fprintf(stderr, "%s: %.*s\n", status_name(answer->status), TEXT_ARG(answer->message));
    return 3;
  }

  _cleanup_(arena_done) Arena arena = {0};
  EchoSaid said;

  if (answer_decode(contract_find(TEXT("echo"), TEXT("say")), answer, &arena, &said, NULL) != 0)
    return 1;
  printf("%.*s\n", TEXT_ARG(said.text));
  return 0;
}
