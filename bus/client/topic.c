/* Topics and patterns: tokens joined by dots, `*` for one token, a last `>` for one or more. */
#include "bus/client/client.h"

/* Takes the first token off rest. */
static Text take_token(Text *rest) {
  const char *dot = rest->size ? memchr(rest->data, '.', rest->size) : NULL;
  Text token = dot ? (Text){rest->data, (size_t)(dot - rest->data)} : *rest;
  size_t taken = token.size + (dot ? 1 : 0);

  *rest = (Text){rest->data + taken, rest->size - taken};
  return token;
}

static bool is_valid(Text text, bool wildcards) {
  Text rest = text;

  if (text.size == 0 || text.size > LIMIT_TARGET_BYTES || text.data[text.size - 1] == '.')
    return false;
  while (rest.size > 0) {
    Text token = take_token(&rest);
    bool wild = text_is(token, "*") || (rest.size == 0 && text_is(token, ">"));

    if (!(wildcards && wild) && !name_is_valid(token))
      return false;
  }
  return true;
}

bool topic_is_valid(Text topic) {
  return is_valid(topic, false);
}

bool topic_pattern_is_valid(Text pattern) {
  return is_valid(pattern, true);
}

bool topic_matches(Text pattern, Text topic) {
  while (pattern.size > 0 && topic.size > 0) {
    Text wanted = take_token(&pattern);
    Text token = take_token(&topic);

    if (text_is(wanted, ">"))
      return true;
    if (!text_is(wanted, "*") && !text_equal(wanted, token))
      return false;
  }
  return pattern.size == 0 && topic.size == 0;
}
