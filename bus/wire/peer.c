#include "bus/wire/peer.h"

#define CONTRACT_DEF "bus/wire/peer.def"
#include "bus/wire/contract-tables.h"
#undef CONTRACT_DEF
