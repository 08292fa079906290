/* Headers and library must be of one version exactly: llama_context_params is passed by value, and gained a member in its
   middle without a new soname. So the version is asked for before anything else is called. */
#ifdef PONS_LIBLLAMA
#include "agents/tiny_llama_service_enhanced/library.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

/* If this fails, PONS_LLAMA_DIR has the headers of another version: run deploy/llm. */
_Static_assert(sizeof(struct llama_context_params) == 160 && sizeof(struct llama_model_params) == 80,
               "these are not the headers of libllama " LIBRARY_VERSION);

enum { ERROR_BYTES = 400 };

static Library library;
static bool is_open;
static pthread_mutex_t error_mutex = PTHREAD_MUTEX_INITIALIZER;
static char first_error[ERROR_BYTES];

void library_take_error(Buffer *ret) {
  pthread_mutex_lock(&error_mutex);
  buffer_append(ret, first_error, strcspn(first_error, "\n"));
  first_error[0] = 0;
  pthread_mutex_unlock(&error_mutex);
}

/* What libllama says is for its developers; of its errors the first says what the others follow from. */
static void on_log(enum ggml_log_level level, const char *text, void *userdata) {
  (void)userdata;
  if (level != GGML_LOG_LEVEL_ERROR)
    return;
  pthread_mutex_lock(&error_mutex);
  if (first_error[0] == 0)
    snprintf(first_error, sizeof first_error, "%s", text);
  pthread_mutex_unlock(&error_mutex);
}

/* The folder of this program. Returns false when it can't be read. */
static bool own_folder(char ret[PATH_MAX]) {
  ssize_t size = readlink("/proc/self/exe", ret, PATH_MAX - 1);
  char *slash;

  if (size <= 0)
    return false;
  ret[size] = 0;
  slash = strrchr(ret, '/');
  if (slash)
    *slash = 0;
  return slash != NULL;
}

/* The folder to look into, by default that of an installed tree, or of a build tree. */
static bool find_folder(const char *folder, char *ret, size_t room) {
  static const char *const below[] = {"/../llama/lib", "/../../llama/lib"};
  char own[PATH_MAX];

  if (folder)
    return snprintf(ret, room, "%s", folder) < (int)room;
  if (!own_folder(own))
    return false;
  for (size_t i = 0; i < ELEMENTS(below); i++)
    if (snprintf(ret, room, "%s%s", own, below[i]) < (int)room && access(ret, X_OK) == 0)
      return true;
  return false;
}

static void *open_file(const char *folder, Buffer *why) {
  static const char *const names[] = {"libllama.v" LIBRARY_VERSION ".so", "libllama.vulkan.v" LIBRARY_VERSION ".so",
                                      "libllama.so"};
  char path[PATH_MAX + 64];

  for (size_t i = 0; i < ELEMENTS(names); i++) {
    void *handle;

    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    if (access(path, R_OK) != 0)
      continue;
    handle = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!handle)
      buffer_printf(why, "libllama can't be opened: %s", dlerror());
    return handle;
  }
  buffer_printf(why, "there is no %s in %s; run deploy/llm, or set local_llm.library_dir", names[0], folder);
  return NULL;
}

/* What is built from the release's sources anywhere but in its own workshop calls itself -dev; so ggml's is asked too. */
static bool check_version(void *handle, const char *folder, Buffer *why) {
  const char *(*llama)(void) = (const char *(*)(void))dlsym(handle, "llama_version");
  const char *(*ggml)(void) = (const char *(*)(void))dlsym(handle, "ggml_version");
  const char *found = llama ? llama() : "of an unknown version";
  const char *beneath = ggml ? ggml() : "unknown";

  if ((strcmp(found, LIBRARY_VERSION) == 0 || strcmp(found, LIBRARY_VERSION "-dev") == 0) &&
      strcmp(beneath, LIBRARY_GGML_VERSION) == 0)
    return true;
  buffer_printf(why,
                "libllama in %s is %s with ggml %s, and this program needs exactly " LIBRARY_VERSION
                " with ggml " LIBRARY_GGML_VERSION "; run deploy/llm",
                folder, found, beneath);
  return false;
}

static bool find_functions(void *handle, Library *ret, Buffer *why) {
  static const char *const names[] = {
#define NAME(name) #name,
      LIBRARY_FUNCTIONS(NAME)
#undef NAME
  };
  void **slots = (void **)(void *)ret;

  _Static_assert(sizeof(Library) == sizeof names, "a slot for each name");
  for (size_t i = 0; i < ELEMENTS(names); i++) {
    slots[i] = dlsym(handle, names[i]);
    if (!slots[i]) {
      buffer_printf(why, "libllama has no %s; run deploy/llm", names[i]);
      return false;
    }
  }
  return true;
}

int library_open(const char *folder, const Library **ret, Buffer *why) {
  char place[PATH_MAX + 32];
  void (*load_backends)(const char *folder);
  Library found;
  void *handle;

  if (is_open) {
    *ret = &library;
    return 0;
  }
  if (!find_folder(folder, place, sizeof place)) {
    buffer_printf(why, "libllama is not beside the programs; run deploy/llm, or set local_llm.library_dir");
    return LIBRARY_E_ABSENT;
  }
  handle = open_file(place, why);
  if (!handle)
    return LIBRARY_E_ABSENT;
  load_backends = (void (*)(const char *))dlsym(handle, "ggml_backend_load_all_from_path");
  if (!check_version(handle, place, why) || !find_functions(handle, &found, why) || !load_backends) {
    dlclose(handle);
    return LIBRARY_E_VERSION;
  }
  library = found;
  is_open = true;
  library.llama_log_set(on_log, NULL);
  /* Without this no backend is there, not even the CPU's. */
  load_backends(place);
  library.llama_backend_init();
  *ret = &library;
  return 0;
}

#else
/* Built without libllama: engine-none.c. */
typedef int LibraryNone;
#endif
