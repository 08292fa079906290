#include "tests/mock-provider/story.h"

#include <time.h>

static const char *const WORDS[] = {"the",  "bridge", "carries", "what",  "is",  "said", "from", "one",
                                    "half", "to",     "the",     "other", "and", "back", "in",   "order"};
static const char ALL_WORDS[] = " the bridge carries what is said from one half to the other and back in order";
static const char FILL[] = "A bridge carries what is said from one half to the other, and the answer back. ";

void story_begin(Story *story, const Knobs *knobs, uint64_t number) {
  bool fixed = knobs->seed != UNSET;

  *story = (Story){.number = fixed ? knobs->seed : number,
                   .created_s = fixed ? UINT64_C(1700000000) + knobs->seed % 1000000 : (uint64_t)time(NULL),
                   .choices = 1};
}

uint32_t story_words(Text text) {
  uint32_t words = 0;
  bool inside = false;

  for (size_t i = 0; i < text.size; i++) {
    bool blank = text.data[i] == ' ';

    words += !blank && !inside;
    inside = !blank;
  }
  return words;
}

void story_plan(Story *story, const Knobs *knobs, uint64_t limit_tokens) {
  story->chunks = knobs->echo ? story_words((Text){(const char *)story->echo.data, story->echo.size}) : knobs->tokens;
  story->chunk_bytes = knobs->bytes != UNSET && !knobs->echo ? knobs->bytes : 0;
  story->cut_short = limit_tokens && limit_tokens < story->chunks;
  if (story->cut_short)
    story->chunks = (uint32_t)limit_tokens;
  story->answer_tokens = story->chunks;
}

static void put_fill(size_t bytes, Buffer *out) {
  while (bytes) {
    size_t n = bytes < sizeof FILL - 1 ? bytes : sizeof FILL - 1;

    buffer_append(out, FILL, n);
    bytes -= n;
  }
}

/* The next word with the blanks before it; the last one takes the blanks behind it too. */
static void put_echo(Story *story, bool last, Buffer *out) {
  const char *data = (const char *)story->echo.data;
  size_t from = story->echo_at, at = from;

  while (at < story->echo.size && data[at] == ' ')
    at++;
  while (at < story->echo.size && data[at] != ' ')
    at++;
  if (last && !story->cut_short)
    at = story->echo.size;
  buffer_append(out, data + from, at - from);
  story->echo_at = at;
}

void story_put_chunk(Story *story, uint32_t index, Buffer *out) {
  const char *word = WORDS[(story->number + index) % ELEMENTS(WORDS)];

  if (story->echo.size) {
    put_echo(story, index + 1 == story->chunks, out);
  } else if (story->chunk_bytes) {
    put_fill(story->chunk_bytes, out);
  } else {
    if (index)
      buffer_append(out, " ", 1);
    buffer_append(out, word, strlen(word));
  }
}

void story_put_all(Story *story, const Knobs *knobs, Buffer *out) {
  if (knobs->bytes != UNSET && !knobs->echo) {
    put_fill(knobs->bytes, out);
    return;
  }
  for (uint32_t i = 0; i < story->chunks; i++) {
    /* A long answer is mostly whole rounds of the words. */
    while (!story->echo.size && i && (story->number + i) % ELEMENTS(WORDS) == 0 &&
           i + ELEMENTS(WORDS) < story->chunks) {
      buffer_append(out, ALL_WORDS, sizeof ALL_WORDS - 1);
      i += ELEMENTS(WORDS);
    }
    story_put_chunk(story, i, out);
  }
}

void story_done(Story *story) {
  buffer_done(&story->echo);
  buffer_done(&story->calls);
}
