#include "deploy/selftest/words.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPACE "\xe2\x96\x81"

/* The token types of GGUF's tokenizer.ggml.token_type. */
enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, BYTE = 6 };

static const char *const words[] = {"Hello", ",",   " I",     " am", " the", " local", " test", " model",    ".",
                                    " yes",  " no", " light", " on", " off", " turn",  "user",  "assistant", "system"};
static Words all;

static bool find(const char *text, uint32_t *ret) {
  for (uint32_t i = 0; i < all.count; i++) {
    if (strcmp(all.text[i], text) == 0) {
      *ret = i;
      return true;
    }
  }
  return false;
}

static void add(const char *text, float score, int32_t type) {
  uint32_t at = all.count;

  if (find(text, &at))
    return;
  snprintf(all.text[at], WORD_BYTES, "%s", text);
  all.score[at] = score;
  all.type[at] = type;
  all.count++;
}

/* As the tokenizer has it: with its sign for a space. */
static void spell(const char *word, char ret[WORD_BYTES]) {
  if (word[0] == ' ')
    snprintf(ret, WORD_BYTES, SPACE "%s", word + 1);
  else
    snprintf(ret, WORD_BYTES, "%s", word);
}

/* Pieces merge pairwise, so every beginning of a word must be a token for the word to be reached. */
static void add_word(const char *word) {
  char spelt[WORD_BYTES];
  char part[WORD_BYTES];
  size_t first = word[0] == ' ' ? sizeof SPACE - 1 : 1;

  spell(word, spelt);
  for (size_t size = first + 1; size <= strlen(spelt); size++) {
    snprintf(part, sizeof part, "%.*s", (int)size, spelt);
    add(part, (float)size, NORMAL);
  }
}

static void build(void) {
  char text[WORD_BYTES];

  add("<unk>", 0, UNKNOWN);
  add("<s>", 0, CONTROL);
  add("</s>", 0, CONTROL);
  for (unsigned byte = 0; byte < 256; byte++) {
    snprintf(text, sizeof text, "<0x%02X>", byte);
    add(text, 0, BYTE);
  }
  add(SPACE, -1, NORMAL);
  for (char letter = '!'; letter <= '~'; letter++)
    add((char[]){letter, 0}, -2, NORMAL);
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    add_word(words[i]);
}

const Words *words_all(void) {
  if (all.count == 0)
    build();
  return &all;
}

uint32_t words_get(const char *word) {
  char spelt[WORD_BYTES];
  uint32_t ret;

  words_all();
  spell(word, spelt);
  if (!find(spelt, &ret)) {
    fprintf(stderr, "no such word: %s\n", word);
    exit(1);
  }
  return ret;
}
