#include "bus/ctl/exchange.h"

CtlExit cmd_stream(Ctl *ctl) {
  return exchange_run(ctl, true);
}
