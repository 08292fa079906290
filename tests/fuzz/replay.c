/* Feeds the files of a corpus to a fuzz target, for builds without libFuzzer: replay FILE|FOLDER... */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long files_fed;

static int feed_file(const char *path) {
  FILE *file = fopen(path, "rb");
  uint8_t *data = NULL;
  size_t size = 0;
  size_t got;

  if (!file) {
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return -1;
  }
  do {
    data = realloc(data, size + 65536);
    if (!data)
      abort();
    got = fread(data + size, 1, 65536, file);
    size += got;
  } while (got > 0);
  fclose(file);
  /* Its own allocation of the exact size, so that a read past the end is a sanitizer's finding. */
  data = realloc(data, size ? size : 1);
  if (!data)
    abort();
  printf("%s, %zu bytes\n", path, size);
  fflush(stdout);
  LLVMFuzzerTestOneInput(data, size);
  free(data);
  files_fed++;
  return 0;
}

static int feed_folder(const char *path) {
  struct dirent **names;
  int n = scandir(path, &names, NULL, alphasort);
  int r = 0;

  if (n < 0) {
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return -1;
  }
  for (int i = 0; i < n; i++) {
    char file[4096];

    snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
    if (names[i]->d_name[0] != '.' && feed_file(file) < 0)
      r = -1;
    free(names[i]);
  }
  free(names);
  return r;
}

int main(int argc, char **argv) {
  int r = 0;

  for (int i = 1; i < argc; i++) {
    struct stat status;

    if (stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode))
      r |= feed_folder(argv[i]);
    else
      r |= feed_file(argv[i]);
  }
  LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
  printf("%lu files replayed\n", files_fed);
  if (files_fed == 0)
    fprintf(stderr, "the corpus is empty\n");
  return r < 0 || files_fed == 0;
}
