/* What:      the contracts of all services: a struct and a CONTRACT() per message, the methods, and who calls what.
 * Owns:      nothing; all of it is const.
 * May use:   wire/contract, wire/header for the limits.
 * Threading: any.
 * Spec:      docs/contracts.md; agents/contracts/families.def lists the tables */
#ifndef PONS_CONTRACTS_H
#define PONS_CONTRACTS_H

#include "bus/wire/contract.h"
#include "bus/wire/header.h"

#define CONTRACT_DEF "agents/contracts/families.def"
#include "bus/wire/contract-structs.h"
#undef CONTRACT_DEF

/* The contract of a method, or NULL when there is none. A walk over all methods: look it up once and keep it. */
const MethodContract *contract_find(Text service, Text method);

/* The method, or the call, of that number, counted from 0; NULL behind the last. In the order of the tables. */
const MethodContract *contract_method_at(size_t number);
const ContractCall *contract_call_at(size_t number);

#endif
