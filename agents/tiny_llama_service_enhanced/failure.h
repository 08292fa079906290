/* What:      what a failure means for a request: the cause by which it is decided who tries next, and what its caller is told.
 * Owns:      nothing.
 * May use:   executor, contracts; order, engine's error codes.
 * Threading: any; pure.
 * Spec:      agents/contracts/causes.def */
#ifndef PONS_LOCAL_FAILURE_H
#define PONS_LOCAL_FAILURE_H

#include "agents/executor/task.h"
#include "agents/tiny_llama_service_enhanced/order.h"

/* The fault of an ENGINE_E_* but ENGINE_E_CANCELLED, which is none, with its sentence; borrows it. */
Fault failure_of_engine(int error, Text why);
/* The fault of a request that was refused; borrows from fault. */
Fault failure_of_order(const OrderFault *fault);

#endif
