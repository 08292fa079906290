/* What:      a chat request of OpenAI's, read once and in place, for dialects that have to say it in other words.
 * Owns:      nothing: everything borrows from the request.
 * May use:   base, json, contracts, fault.
 * Threading: any; pure.
 * Spec:      OpenAI's API description (openai/openai-openapi), "Create chat completion"; members.def */
#ifndef PONS_DIALECT_ASK_H
#define PONS_DIALECT_ASK_H

#include "adapters/dialect/fault.h"
#include "bus/json/json.h"

enum {
  ASK_CALLS_MAX = 128, /* tool calls of one message, tools of one request */
  ASK_OWN_MAX = 16,    /* of AskTable.own */
};

typedef enum AskMember {
#define MEMBER(name, type, sample, neutral) ASK_##name,
#include "adapters/dialect/members.def"
#undef MEMBER
  ASK_MEMBER_END
} AskMember;

typedef enum AskPartKind {
#define PART(name, type, sample) ASK_PART_##name,
#include "adapters/dialect/members.def"
#undef PART
  ASK_PART_END
} AskPartKind;

/* What becomes of a member or a part at a provider. A table has one for each: the zero is a forgotten one. */
typedef enum AskFate {
  ASK_UNDECIDED,
  ASK_MAPPED,  /* said in its words */
  ASK_REFUSED, /* it can't be said there, and leaving it out would change the answer */
  ASK_DROPPED, /* left out: the answer is as good without it */
} AskFate;

typedef struct AskTable {
  AskFate members[ASK_MEMBER_END];
  AskFate parts[ASK_PART_END];
  const char *const
      *own; /* further members, the provider's own, which it gets as they are; at most ASK_OWN_MAX, NULL at
                              the end */
} AskTable;

/* As members.def has it. */
const char *ask_member_name(AskMember member);
const char *ask_part_type(AskPartKind kind);

/* The member under name, or none when it is null. */
Json ask_member(Json object, const char *name);

/* A request that has been checked whole: each member of the right type, each message, part, tool and call of a shape that
   the walks below can give. What is absent or null is none. */
typedef struct AskChat {
  Json whole;
  Json members[ASK_MEMBER_END];
  Json own[ASK_OWN_MAX]; /* as the table has them */
  const AskTable *table;
  const char *about; /* the provider's name in a sentence */
} AskChat;

/* Checks request, an object, against table. Returns 0, or DIALECT_E_FAULT with *ret_fault a mistake of the caller's: its
   param is the path of what is wrong ("messages[2].content[0].type"). about begins a sentence: "Anthropic's API". */
int ask_read(Json request, const AskTable *table, const char *about, AskChat *ret, DialectFault *ret_fault);

/* --- messages --- */

typedef enum AskRole { ASK_SYSTEM, ASK_USER, ASK_ASSISTANT, ASK_TOOL } AskRole; /* developer is system */

typedef struct AskMessage {
  AskRole role;
  Json whole;
  Json content;        /* a string, a list of parts, or none */
  Json calls;          /* ASSISTANT: a list for ask_next_call, or none */
  Json call_id;        /* TOOL: of the call that it answers */
  Json call_name;      /* TOOL: the function that was called */
  uint32_t call_index; /* TOOL: which of that message's calls it was, from 0 */
} AskMessage;

typedef struct AskMessages {
  JsonWalk walk;
  uint32_t count; /* of the calls that wait for their results */
  Json ids[ASK_CALLS_MAX];
  Json names[ASK_CALLS_MAX];
} AskMessages;

/* Begins a walk over the messages. */
AskMessages ask_messages(const AskChat *ask);
/* The next message; its parts, calls and results are taken apart by the walks below. Returns false at the end. */
bool ask_next_message(AskMessages *messages, AskMessage *ret);

/* --- parts --- */

typedef struct AskPart {
  AskPartKind kind;
  Json whole;   /* the object, or the string that is all of the content */
  Json text;    /* TEXT, REFUSAL */
  Json url;     /* IMAGE: of the image; FILE: file_data, a data: URL; AUDIO: the base64 text alone */
  Json format;  /* AUDIO: "wav"; FILE: the file's name, or none */
  size_t index; /* in its list, for a fault's path; 0 for a string */
} AskPart;

typedef struct AskParts {
  JsonWalk walk;
  Json string; /* the content is this one text */
  size_t next; /* index in the list */
} AskParts;

/* A string's one text or the list's parts. Passed over are texts that are empty, which no provider but OpenAI takes, and parts
   that are dropped. */
AskParts ask_parts(Json content);
bool ask_next_part(AskParts *parts, const AskChat *ask, AskPart *ret);

/* What a URL of an image or a file says. */
typedef struct AskMedia {
  bool is_inline; /* a data: URL, of which type and base64 are the parts; else url */
  Text type;      /* "image/png" */
  Text base64;
  Text url; /* https://… */
} AskMedia;

/* Reads the JSON string url; texts borrow from it, or from *room where it has escapes. ask_read has checked it. */
void ask_read_media(Json url, Buffer *room, AskMedia *ret);

/* --- tools --- */

typedef struct AskTool {
  Json whole; /* the entry of tools */
  Json name;
  Json description; /* or none */
  Json parameters;  /* an object, or none */
  Json strict;      /* or none */
} AskTool;

/* Whether there is any. */
bool ask_has_tools(const AskChat *ask);
/* JsonWalk walk = json_walk(ask.members[ASK_tools]). */
bool ask_next_tool(JsonWalk *walk, AskTool *ret);

typedef struct AskCall {
  Json whole;
  Json id;
  Json name;
  Json arguments; /* a string with an object of JSON in it, or an empty one */
} AskCall;

/* JsonWalk walk = json_walk(message.calls). */
bool ask_next_call(JsonWalk *walk, AskCall *ret);
/* Appends the object that is in a call's arguments; {} for an empty string. */
void ask_put_arguments(Json arguments, Buffer *out);

typedef enum AskChoice {
  ASK_CHOICE_NONE_SAID,
  ASK_CHOICE_AUTO,
  ASK_CHOICE_NONE,
  ASK_CHOICE_REQUIRED,
  ASK_CHOICE_NAMED
} AskChoice;

/* What tool_choice says; *ret_name is the function's of NAMED. */
AskChoice ask_tool_choice(const AskChat *ask, Json *ret_name);
/* Whether it says that a tool must be called. */
bool ask_forces_tool(const AskChat *ask);

/* --- the rest --- */

typedef enum AskFormat { ASK_FORMAT_TEXT, ASK_FORMAT_JSON, ASK_FORMAT_SCHEMA } AskFormat;

/* What response_format says; *ret_schema is the schema of SCHEMA, *ret_name its name. */
AskFormat ask_format(const AskChat *ask, Json *ret_schema, Json *ret_name);

typedef enum AskEffort {
  ASK_EFFORT_NONE_SAID,
  ASK_EFFORT_NONE,
  ASK_EFFORT_MINIMAL,
  ASK_EFFORT_LOW,
  ASK_EFFORT_MEDIUM,
  ASK_EFFORT_HIGH,
  ASK_EFFORT_XHIGH
} AskEffort;

/* What reasoning_effort says. */
AskEffort ask_effort(const AskChat *ask);
/* The longest answer: max_completion_tokens, else max_tokens, else 0. */
uint64_t ask_max_tokens(const AskChat *ask);
bool ask_streams(const AskChat *ask);
/* A member of OpenAI's and the provider's name for it. */
typedef struct AskName {
  AskMember member;
  const char *name;
} AskName;

/* Appends each of these members that was said, as it came, under the provider's name. */
void ask_put_members(const AskChat *ask, const AskName *names, size_t count, Buffer *out);
/* Appends the longest answer, if it was said, under name. */
void ask_put_max_tokens(const AskChat *ask, const char *name, Buffer *out);
/* Whether the client wants the usage of a stream. */
bool ask_wants_usage(const AskChat *ask);
/* Appends `stop`, a string or a list of strings, as a list under name, if it was said. */
void ask_put_stop(const AskChat *ask, const char *name, Buffer *out);
/* The member of the provider's own under a name of the table's, or none. */
Json ask_own(const AskChat *ask, const char *name);
/* Appends each member of the provider's own as it came, but for the one named except (NULL: none). */
void ask_put_own(const AskChat *ask, const char *except, Buffer *out);

#endif
