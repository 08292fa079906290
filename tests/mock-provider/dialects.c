#include "tests/mock-provider/dialect.h"

static const Dialect *const DIALECTS[] = {&DIALECT_OPENAI,  &DIALECT_ANTHROPIC, &DIALECT_GEMINI,
                                          &DIALECT_BEDROCK, &DIALECT_AZURE,     &DIALECT_CUSTOM};

const Dialect *dialect_of(Text path) {
  for (size_t i = 0; i < ELEMENTS(DIALECTS); i++)
    if (DIALECTS[i]->claims(path))
      return DIALECTS[i];
  return DIALECTS[0];
}

void answer_done(Answer *answer) {
  buffer_done(&answer->headers);
  buffer_done(&answer->body);
  story_done(&answer->story);
  *answer = (Answer){0};
}
