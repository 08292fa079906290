#include "bus/ctl/exchange.h"

CtlExit cmd_call(Ctl *ctl) {
  return exchange_run(ctl, false);
}
