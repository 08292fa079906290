/* What:      pons.yaml as one read-only struct: loaded once, checked whole, swapped whole; where secrets are read.
 * Owns:      a Config owns all that it points to.
 * May use:   base, libcyaml and the libyaml beneath it.
 * Threading: config_load reads the environment: call it before threads start; a loaded Config is read-only, any.
 * Spec:      docs/configuration.md */
#ifndef PONS_CONFIG_CONFIG_H
#define PONS_CONFIG_CONFIG_H

#include "bus/base/buffer.h"
#include "bus/base/types.h"

#define CONFIG_PATH_SIZE 4096 /* PATH_MAX: of a file's path with its end */

/* Expected outcomes of this room. */
enum {
  CONFIG_E_INVALID = 1, /* the file or a PONS_ variable says something that can't be; errors names each place */
  CONFIG_E_SECRET = 2,  /* a secret can't be had: absent, empty, too large, or readable by everybody */
  CONFIG_E_UNKNOWN = 3, /* a price that nobody wrote down */
};

/* Each struct is one mapping of pons.yaml and each member one key of the same name; bus/config/keys.def has default,
   bounds and meaning of each. A `char *` is NULL only where the comment says so. `x_count` counts the list `x`. */

typedef struct ConfigLog {
  char *level; /* what log_level_parse takes */
} ConfigLog;

typedef struct ConfigLimits {
  uint32_t requests_per_client;
  uint64_t bytes_per_client;
  uint64_t bytes_all;
  uint32_t queue_per_service;
  uint32_t sessions;
  uint32_t subscriptions_per_session;
  uint32_t last_values;
} ConfigLimits;

typedef struct ConfigHeartbeat {
  uint32_t interval_ms;
  uint32_t timeout_ms;
  uint32_t idle_ms;
} ConfigHeartbeat;

typedef struct ConfigVersion {
  char *version;
  uint32_t weight;
} ConfigVersion;

typedef struct ConfigRoute {
  char *service;
  ConfigVersion *versions;
  uint32_t versions_count;
} ConfigRoute;

typedef struct ConfigKeys {
  char *dir; /* absolute; NULL: no keys */
} ConfigKeys;

typedef struct ConfigBroker {
  char *name;
  char **listen; /* ZeroMQ endpoints, complete: ipc paths are absolute */
  uint32_t listen_count;
  bool insecure;
  ConfigLimits limits;
  ConfigHeartbeat heartbeat;
  ConfigRoute *routes;
  uint32_t routes_count;
} ConfigBroker;

typedef struct ConfigAuthority {
  char *node; /* "none", "alone", "a" or "b" */
  char *listen;
  char *peer;    /* NULL: none */
  char *witness; /* NULL: none */
  char *witness_listen;
  char *takeover; /* "after_lease" or "manual"; never NULL */
  uint32_t vote_ms;
  uint32_t renew_ms;
  uint32_t retry_ms;
  uint32_t late_ms;
  uint32_t handover_ms;
  uint32_t beat_ms;
} ConfigAuthority;

typedef struct ConfigDurable {
  uint32_t rows;
  uint32_t bytes;
  uint32_t attempts;
  uint32_t backoff_ms;
  uint32_t backoff_longest_ms;
  uint32_t attempt_ms;
  uint32_t deadline_s;
  uint32_t keep_s;
} ConfigDurable;

typedef struct ConfigOther {
  char **endpoints; /* empty: there is one broker */
  uint32_t endpoints_count;
  bool preferred;
  bool run;
  char *name;
} ConfigOther;

typedef struct ConfigRetry {
  uint32_t budget_tokens;
  double ratio;
  uint32_t attempts;
} ConfigRetry;

typedef struct ConfigClient {
  char **endpoints; /* never empty */
  uint32_t endpoints_count;
  ConfigRetry retry;
  uint32_t deadline_ms;
} ConfigClient;

/* A secret is a reference; exactly one member is not NULL. All NULL: there is none. */
typedef struct ConfigSecret {
  char *file; /* absolute */
  char *env;
  char *credential;
} ConfigSecret;

typedef struct ConfigKey {
  char *name;
  ConfigSecret secret;
} ConfigKey;

typedef struct ConfigGateway {
  char **listen; /* tcp:// endpoints */
  uint32_t listen_count;
  ConfigKey *keys;
  uint32_t keys_count;
  char **cors_origins; /* as browsers write them */
  char **hosts;
  uint32_t cors_origins_count;
  uint32_t hosts_count;
  uint32_t body_max_bytes;
  uint64_t held_max_bytes;
  uint32_t connections;
  uint32_t deadline_ms;
  uint32_t idle_ms;
} ConfigGateway;

typedef struct ConfigCoordinator {
  uint32_t heavy_tokens;
  uint32_t output_tokens;
} ConfigCoordinator;

/* Prices are decimal text, USD for a million; NULL: unknown. config_price reads them. */
typedef struct ConfigTier {
  uint32_t above_tokens;
  char *input_usd;
  char *cached_usd; /* NULL: as input_usd */
  char *cache_write_usd;
  char *cache_write_hour_usd;
  char *output_usd;
} ConfigTier;

/* The members that a row of the model table and one of the price list have in common. */
#define CONFIG_FACTS                                                                                                   \
  char **can; /* empty: unknown */                                                                                     \
  uint32_t can_count;                                                                                                  \
  char *input_usd;                                                                                                     \
  char *cached_usd; /* NULL: as input_usd */                                                                           \
  char *cache_write_usd;                                                                                               \
  char *cache_write_hour_usd;                                                                                          \
  char *output_usd;                                                                                                    \
  char *input_audio_usd;                                                                                               \
  char *output_audio_usd;                                                                                              \
  char *minute_usd; /* for one minute */                                                                               \
  char *batch_input_usd;                                                                                               \
  char *batch_output_usd;                                                                                              \
  ConfigTier *tiers; /* by above_tokens, the least first */                                                            \
  uint32_t tiers_count

/* A row of the price list, which config_load uses up. */
typedef struct ConfigListed {
  char *host;
  char *model;
  char **also;
  uint32_t also_count;
  char *date;
  char *source;
  uint32_t context_tokens; /* 0: unknown */
  CONFIG_FACTS;
} ConfigListed;

typedef struct ConfigPriceList {
  ConfigListed *models;
  uint32_t models_count;
} ConfigPriceList;

typedef struct ConfigModel {
  char *name;
  char *kind; /* "chat" or "embedding" */
  char *executor;
  char *provider; /* NULL: a local model */
  char *upstream; /* never NULL */
  char *size;     /* "light", "heavy" or "any"; never NULL */
  uint32_t context_tokens;
  CONFIG_FACTS;
  char *prices_date;   /* YYYY-MM-DD; NULL: unknown */
  char *prices_source; /* NULL: unknown */
} ConfigModel;

typedef struct ConfigProvider {
  char *name;
  char *dialect;
  char *base_url;    /* without a / at its end; never NULL */
  char *listed_as;   /* NULL: the host of base_url */
  char *region;      /* NULL: none, or as base_url says */
  char *api_version; /* NULL: none */
  char *chat_path;   /* these of dialect custom; NULL: as OpenAI's */
  char *embed_path;
  char *models_path;
  char *key_header;
  char **headers;
  uint32_t headers_count;
  bool asks_usage;
  ConfigSecret key;
  ConfigSecret *keys;
  uint32_t keys_count;
  bool insecure;
  uint32_t connect_ms;
  uint32_t headers_ms;
  uint32_t first_ms;
  uint32_t idle_ms;
  uint32_t total_ms;
  char *ca_file; /* absolute; NULL: the system's */
  char *proxy;   /* NULL: as the environment says */
  uint32_t attempts;
  uint32_t wait_ms;
  uint32_t connections;
} ConfigProvider;

typedef struct ConfigLocalLlm {
  char *backend; /* "libllama" or "http" */
  char *model;
  char *file;        /* absolute; NULL: no model, the service is unavailable */
  char *library_dir; /* absolute, but NULL: beside the programs */
  char *template;    /* "tinyllama", "chatml" or "plain" */
  uint32_t threads;
  uint32_t context_tokens;
  uint32_t gpu_layers;
  char *base_url; /* never NULL */
  ConfigSecret key;
} ConfigLocalLlm;

typedef struct ConfigVariable {
  char *name;
  char *value; /* NULL when it is a secret */
  ConfigSecret secret;
} ConfigVariable;

typedef struct ConfigRestart {
  uint32_t burst;
  uint32_t within_ms;
  uint32_t delay_ms;
  uint32_t delay_max_ms;
} ConfigRestart;

typedef struct ConfigAgent {
  char *name;
  bool enabled;
  uint32_t instances;
  char *group;
  char *program; /* with a '/' a path, else looked for beside the programs of pons and then in PATH */
  char **arguments;
  uint32_t arguments_count;
  ConfigVariable *environment;
  uint32_t environment_count;
  uint32_t weight; /* 0: as the program says */
  char *tier;      /* NULL: as the program says */
  char *role;      /* NULL: as the program says */
  char *singleton; /* a lease; NULL: as the program says */
  char *version;   /* NULL: as the program says */
  bool beside;     /* two of it may be there at a time */
  ConfigRestart restart;
  uint32_t start_timeout_ms;
  uint32_t stop_timeout_ms;
  uint32_t watchdog_ms; /* 0: none */
} ConfigAgent;

typedef struct ConfigGroup {
  char *name;
  uint32_t burst;
  uint32_t within_ms;
} ConfigGroup;

typedef struct ConfigProfile {
  char *name;
  char **agents; /* names, or "*" for all */
  uint32_t agents_count;
} ConfigProfile;

typedef struct Config {
  char *site;
  ConfigLog log;
  char *runtime_dir;
  char *state_dir;
  char *profile;
  ConfigKeys keys;
  ConfigBroker broker;
  ConfigAuthority authority;
  ConfigDurable durable;
  ConfigOther other_broker;
  ConfigClient client;
  ConfigGateway gateway;
  ConfigCoordinator coordinator;
  ConfigModel *models;
  uint32_t models_count;
  char *price_list; /* absolute; NULL: none */
  ConfigProvider *providers;
  uint32_t providers_count;
  ConfigLocalLlm local_llm;
  ConfigAgent *agents; /* those of the file in its order, then the rest of the catalog with defaults */
  uint32_t agents_count;
  ConfigGroup *groups;
  uint32_t groups_count;
  ConfigProfile *profiles;
  uint32_t profiles_count;
  char *source; /* the file's path, or "built-in defaults"; not a key */
} Config;

/* Reads the configuration: the file at path, or for NULL the first of $PONS_CONFIG, ./pons.yaml, /etc/pons/pons.yaml
   that exists, or else the built-in defaults; then the PONS_ variables over it; then the price list beneath it, which
   completes the rows of the model table; then checks all of it.
   Returns 0 and gives the caller *ret. CONFIG_E_INVALID: something is wrong in the file or in a variable. Negative
   errno: the file can't be read (-ENOENT also for a $PONS_CONFIG that does not exist). On failure *ret is left alone.
   Appends to errors one line for each finding, "FILE:LINE:COLUMN: KEY: what is wrong; what to do" or "VARIABLE: ...";
   after success these are warnings only, each with "warning: " behind its place. No line holds a secret. Reads files.
 */
int config_load(const char *path, Config **ret, Buffer *errors);
/* As config_load(NULL, ...), for a program's start: the findings go to standard error. Returns 0 and the caller owns *ret, or
   negative errno, -EINVAL for what is wrong in the file or in a variable. */
int config_load_and_tell(Config **ret);
/* A line of agents/catalog.def. */
typedef struct ConfigCatalog {
  const char *name; /* NULL ends the list */
  const char *program;
  const char *secrets; /* the section of pons.yaml whose secrets it reads itself, or "" */
} ConfigCatalog;

/* As config_load, for who starts agents: catalog is agents/catalog.def. Each of them becomes
   an agent, with defaults where the file does not name it, and names of agents are checked: one that is neither in the
   catalog nor has a program, and one that a profile names but nobody defines, are findings. config_load, which knows no
   catalog (this room stands below agents), has the agents of the file alone and lets these names be. */
int config_load_agents(const char *path, const ConfigCatalog *catalog, Config **ret, Buffer *errors);
/* Frees a Config and nulls the pointer; takes NULL. Usable as _cleanup_. */
void config_destroy(Config **config);

/* Appends the whole configuration in effect as YAML that config_load would read back to the same; behind each secret
   stands the comment "<secret from file PATH>" or "<secret from environment NAME>" and never its value. */
void config_print(const Config *config, Buffer *ret);
/* Appends the table of all keys (type, default, bounds, variable, meaning) as Markdown: docs/configuration.md has it.
 */
void config_schema_print(Buffer *ret);
/* The same of a price list's keys. */
void config_price_list_print(Buffer *ret);

/* The agent, model, provider, group or profile of that name, borrowed, or NULL. */
const ConfigAgent *config_find_agent(const Config *config, const char *name);
const ConfigModel *config_find_model(const Config *config, const char *name);
const ConfigProvider *config_find_provider(const Config *config, const char *name);
const ConfigGroup *config_find_group(const Config *config, const char *name);
const ConfigProfile *config_find_profile(const Config *config, const char *name);
/* Appends where the brokers are, as bus/client takes it: commas within the endpoints of one, a semicolon between the two, the
   preferred one first; with keys a bar and the broker's public key behind its endpoints. No NUL. Returns 0; or what
   keyring_load has returned, or CONFIG_E_INVALID when a broker has no key in it, and errors says so. */
int config_brokers(const Config *config, Buffer *ret, Buffer *errors);
/* A price of the model table, USD per million tokens, as nano USD per token: 0.15 is 150. Decimals beyond the third are
   below one nano USD and are cut. Returns 0, or CONFIG_E_UNKNOWN for NULL, and *ret is left alone. */
int config_price(const char *usd, uint64_t *ret);
/* The same as pico USD, a thousandth of that: for sums. */
int config_price_pico(const char *usd, uint64_t *ret);
/* Whether agent is to run under profile: it is enabled, and the profile names it or says "*". */
bool config_profile_has(const ConfigProfile *profile, const ConfigAgent *agent);

/* Reads a secret where it is used: the file's bytes, or the variable's, without the newline at their end. Returns 0 and
   gives the caller *ret, to be ended with config_secret_destroy. CONFIG_E_SECRET: it can't be had; errors says why and
   what to do, without a byte of it. On failure *ret is left alone. Reads a file of at most 64 KiB. From the first secret on
   a core dump of this process has none of its memory (core(5), coredump_filter). */
int config_secret_read(const ConfigSecret *secret, char **ret, Buffer *errors);
/* Whether it refers to anything. */
bool config_secret_is_set(const ConfigSecret *secret);
/* The file that it is read from, written into ret, which is returned; NULL: it is no file. */
const char *config_secret_path(const ConfigSecret *secret, char ret[CONFIG_PATH_SIZE]);
/* How people call it: the file's name without its folder, the variable's, the credential's. Borrowed. */
const char *config_secret_name(const ConfigSecret *secret);
/* Overwrites the secret, frees it and nulls the pointer; takes NULL. Usable as _cleanup_. */
void config_secret_destroy(char **secret);
/* A secret that a section of pons.yaml refers to. */
typedef struct ConfigPlacedSecret {
  char place[96]; /* "providers, openai", for a person */
  const ConfigSecret *secret;
} ConfigPlacedSecret;

/* The index-th key of a provider, from 0: key, if there is one, and then keys. NULL behind the last. Borrowed. */
const ConfigSecret *config_provider_secret(const ConfigProvider *provider, uint32_t index);
/* The index-th secret, from 0, that a section ("gateway", "providers", "local_llm") refers to, borrowed from config.
   Returns false behind the last, and for any other section. */
bool config_section_secret(const Config *config, const char *section, uint32_t index, ConfigPlacedSecret *ret);
/* Reads each secret of the enabled agents, those of the sections that catalog names for them included, and drops it
   again: what `pons config check` does before anything starts. Returns 0, CONFIG_E_SECRET or -ENOMEM; appends one line
   to errors for each that can't be had. Reads files. */
int config_check_secrets(const Config *config, const ConfigCatalog *catalog, Buffer *errors);

#endif
