#include "bus/base/spelling.h"

uint32_t spelling_distance(Text a, Text b) {
  uint32_t row[SPELLING_WORD_BYTES + 1];

  if (a.size > SPELLING_WORD_BYTES || b.size > SPELLING_WORD_BYTES)
    return SPELLING_FAR;
  for (uint32_t j = 0; j <= b.size; j++)
    row[j] = j;
  for (uint32_t i = 1; i <= a.size; i++) {
    uint32_t corner = row[0];

    row[0] = i;
    for (uint32_t j = 1; j <= b.size; j++) {
      uint32_t change = corner + (a.data[i - 1] != b.data[j - 1]);

      corner = row[j];
      row[j] = (uint32_t)min_u64(change, min_u64(row[j], row[j - 1]) + 1);
    }
  }
  return row[b.size];
}

bool spelling_is_near(Text a, Text b) {
  uint32_t distance = spelling_distance(a, b);

  return distance <= 1 + min_u64(a.size, b.size) / 4 && distance < min_u64(a.size, b.size);
}
