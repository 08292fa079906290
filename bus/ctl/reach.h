/* What:      a short connection of a command with the broker: open, ask, print errors, close.
 * Owns:      the loop and the client.
 * May use:   base, wire, loop, client, config, contracts.
 * Threading: the main thread.
 * Spec:      docs/pons.1.md */
#ifndef PONS_CTL_REACH_H
#define PONS_CTL_REACH_H

#include "bus/client/client.h"
#include "bus/ctl/command.h"

enum { CTL_INTERRUPTED = 130 /* exit status after Ctrl-C: 128 + SIGINT */ };

typedef struct Reach {
  const Ctl *ctl;
  Loop *loop;
  Client *client;
  char *endpoint; /* as asked for, commas between, and a semicolon before the second broker's */
  bool interrupted;
  bool refused;      /* an event or a subscription; that was said */
  char refusal[256]; /* why the broker does not want this client, or empty */
} Reach;

/* Connects to --endpoint, or to what the configuration names, within wait_ms. Returns CTL_OK; CTL_USAGE; CTL_UNREACHABLE
   after it has said so on standard error, or, when quiet, nothing. The caller closes *ret in every case. Blocks. */
CtlExit reach_open(Ctl *ctl, uint64_t wait_ms, bool quiet, Reach *ret);
/* The same with broker `number` alone (0: the preferred one), and quiet. CTL_USAGE when there are not so many. */
CtlExit reach_open_one(Ctl *ctl, uint32_t number, uint64_t wait_ms, Reach *ret);
/* The same with the broker of this machine alone, whichever is preferred, and not quiet: for what an operator says to that one. */
CtlExit reach_open_own(Ctl *ctl, uint64_t wait_ms, Reach *ret);
/* Usable as _cleanup_. */
void reach_close(Reach *reach);
/* Where the brokers are, and the key with which this command asks them (NULL: none is wanted). Returns CTL_OK, and the caller frees
   *ret_endpoints and drops *ret_key; CTL_USAGE after it has said why. */
CtlExit reach_find(Ctl *ctl, char **ret_endpoints, KeyPair **ret_key);
/* How long commands wait for a broker, in ms: --timeout, but at most 2 s. */
uint64_t reach_wait_ms(const Ctl *ctl);

/* Turns the loop until done, Ctrl-C, a refusal, or standard output takes no more, at most until deadline_us (TIME_NEVER = for ever). Returns as
   loop_run_until. */
int reach_run(Reach *reach, bool (*done)(void *userdata), void *userdata, uint64_t deadline_us);

/* Asks a method of the broker that takes request_json (NULL: nothing) and gives its reply as JSON; the caller owns the
   reference. Returns CTL_OK; CTL_FAILED, after the error was printed. Blocks. */
CtlExit reach_ask(Reach *reach, const char *service, const char *method, const char *request_json, json_t **ret);

/* Prints how a request failed: status, message, path, what to do; as JSON on standard output with --json. */
void reach_print_failure(const Ctl *ctl, const Answer *answer);
/* The same, knowing who was asked: which of the broker's own services are there is a matter of its configuration. */
void reach_print_failure_of(const Ctl *ctl, const char *service, const Answer *answer);

#endif
