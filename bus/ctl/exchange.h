/* What:      one request of `pons call` or `pons stream`, from question to exit status.
 * Owns:      nothing that outlives a call.
 * May use:   base, client, contracts, jansson.
 * Threading: the main thread.
 * Spec:      docs/pons.1.md, "call", "stream" */
#ifndef PONS_CTL_EXCHANGE_H
#define PONS_CTL_EXCHANGE_H

#include "bus/ctl/command.h"

/* Asks what the command line says and prints pieces and answer. as_stream: pieces are asked for and printed as they come.
   Returns the exit status. Blocks. */
CtlExit exchange_run(Ctl *ctl, bool as_stream);

#endif
