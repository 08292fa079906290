#include "bus/ctl/jsontext.h"

#include <stdlib.h>

json_t *jsontext_new(Text text) {
  json_t *string = json_stringn(text.size ? text.data : "", text.size);
  char *ascii;

  if (string)
    return string;
  ascii = malloc(text.size);
  if (!ascii)
    return NULL;
  for (size_t i = 0; i < text.size; i++)
    ascii[i] = (unsigned char)text.data[i] < 0x80 ? text.data[i] : '?';
  string = json_stringn(ascii, text.size);
  free(ascii);
  return string;
}
