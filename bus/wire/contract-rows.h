/* What:      one pass over a contract table: includes the file CONTRACT_DEF with the rows that the includer has defined as
 *            macros, all other rows being nothing, and undefines them all. Has no include guard: once per pass.
 * Owns:      while it lasts, the macros MESSAGE OPEN_MESSAGE END EMPTY FLAG FIELD CHOICE NESTED LIST NESTED_LIST METHOD
 *            STREAM CALL.
 * May use:   -
 * Threading: -
 * Spec:      docs/contracts.md, "Rows" */
#ifndef MESSAGE
#define MESSAGE(name, about)
#endif
#ifndef OPEN_MESSAGE
#define OPEN_MESSAGE(name, about)
#endif
#ifndef END
#define END(name)
#endif
#ifndef EMPTY
#define EMPTY(name, about)
#endif
#ifndef FLAG
#define FLAG(presence, name, about)
#endif
#ifndef FIELD
#define FIELD(presence, type, name, min, max, unit, about)
#endif
#ifndef CHOICE
#define CHOICE(presence, name, allowed, about)
#endif
#ifndef NESTED
#define NESTED(presence, message, name, about)
#endif
#ifndef LIST
#define LIST(presence, type, name, count_min, count_max, min, max, unit, about)
#endif
#ifndef NESTED_LIST
#define NESTED_LIST(presence, message, name, count_min, count_max, about)
#endif
#ifndef METHOD
#define METHOD(service, method, version, request, reply, flags, about)
#endif
#ifndef STREAM
#define STREAM(service, method, version, request, chunk, reply, flags, about)
#endif
#ifndef CALL
#define CALL(agent, service, method)
#endif

#include CONTRACT_DEF

#undef MESSAGE
#undef OPEN_MESSAGE
#undef END
#undef EMPTY
#undef FLAG
#undef FIELD
#undef CHOICE
#undef NESTED
#undef LIST
#undef NESTED_LIST
#undef METHOD
#undef STREAM
#undef CALL
