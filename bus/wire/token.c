#include "bus/wire/token.h"

int token_compare(LeaseToken a, LeaseToken b) {
  if (a.epoch != b.epoch)
    return a.epoch < b.epoch ? -1 : 1;
  return a.counter < b.counter ? -1 : a.counter > b.counter;
}

bool token_admit(LeaseToken *highest, LeaseToken token) {
  if (token.epoch == 0 || token_compare(token, *highest) < 0)
    return false;
  *highest = token;
  return true;
}
