#include "bus/wire/session.h"

#define CONTRACT_DEF "bus/wire/session.def"
#include "bus/wire/contract-tables.h"
#undef CONTRACT_DEF
