/* What:      what a failure of the engine means for a request: the cause by which it is decided who tries next.
 * Owns:      nothing.
 * May use:   engine.h's error codes.
 * Threading: any; pure.
 * Spec:      agents/contracts/chat.def, ChatFailure.cause */
#ifndef PONS_LOCAL_FAILURE_H
#define PONS_LOCAL_FAILURE_H

/* The cause of an ENGINE_E_*; NULL for 0 and ENGINE_E_CANCELLED, which are no failures. */
const char *failure_cause(int error);

#endif
