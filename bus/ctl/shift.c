#include "bus/ctl/shift.h"

void shift_note(Shift *shift, uint64_t sent_us, uint64_t told_us, uint64_t heard_us) {
  uint64_t trip_us = heard_us - sent_us;

  if (heard_us < sent_us || (shift->is_known && trip_us >= shift->trip_us))
    return;
  *shift = (Shift){true, (int64_t)(told_us - (sent_us + trip_us / 2)), trip_us};
}

uint64_t shift_back(const Shift *shift, uint64_t at_us) {
  if (shift->ahead_us > 0 && at_us < (uint64_t)shift->ahead_us)
    return 0;
  return at_us - (uint64_t)shift->ahead_us;
}
