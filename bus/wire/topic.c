#include "bus/wire/topic.h"

/* Takes the first token off rest. */
static Text take_token(Text *rest) {
  const char *dot = rest->size ? memchr(rest->data, '.', rest->size) : NULL;
  Text token = dot ? (Text){rest->data, (size_t)(dot - rest->data)} : *rest;
  size_t taken = token.size + (dot ? 1 : 0);

  *rest = (Text){rest->data + taken, rest->size - taken};
  return token;
}

static bool is_wildcard(Text token, bool last) {
  return text_is(token, "*") || (last && text_is(token, ">"));
}

static bool check(Text text, bool wildcards) {
  if (text.size == 0 || text.size > LIMIT_TARGET_BYTES || text.data[text.size - 1] == '.')
    return false;
  while (text.size > 0) {
    Text token = take_token(&text);

    if (!name_is_valid(token) && !(wildcards && is_wildcard(token, text.size == 0)))
      return false;
  }
  return true;
}

bool topic_is_valid(Text topic) {
  return check(topic, false);
}

bool topic_pattern_is_valid(Text pattern) {
  return check(pattern, true);
}

bool topic_pattern_is_wild(Text pattern) {
  return pattern.size > 0 && (memchr(pattern.data, '*', pattern.size) || pattern.data[pattern.size - 1] == '>');
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

bool topic_covers(Text pattern, Text other) {
  while (pattern.size > 0 && other.size > 0) {
    Text wanted = take_token(&pattern);
    Text token = take_token(&other);

    if (text_is(wanted, ">"))
      return true;
    if (text_is(token, ">") || (!text_is(wanted, "*") && !text_equal(wanted, token)))
      return false;
  }
  return pattern.size == 0 && other.size == 0;
}
