/* What:      which models a provider has, beside those that the model table knows of it.
 * Owns:      a Listing ends itself.
 * May use:   base, config, agent, relay; visit, provider.
 * Threading: the loop thread.
 * Spec:      agents/contracts/work.def; docs/providers.md */
#ifndef PONS_REMOTE_LISTING_H
#define PONS_REMOTE_LISTING_H

#include "agents/remote_api_adapter/visit.h"

/* Takes over an inline call: asks the provider of that name and answers sooner or later. */
void listing_begin(Remote *remote, Call *call, Text provider);

#endif
