/* What:      a form with files, as HTTP sends it.
 * Owns:      nothing.
 * May use:   base.
 * Threading: any; pure.
 * Spec:      RFC 7578; RFC 2046, section 5.1; names escaped as WHATWG HTML, 4.10.22.8 */
#ifndef PONS_DIALECT_MULTIPART_H
#define PONS_DIALECT_MULTIPART_H

#include "bus/base/buffer.h"

/* A form being written. The boundary is what no value has in it. */
typedef struct Multipart {
  char boundary[48];
  Buffer *out;
} Multipart;

/* Begins a form, which goes to *out, with a boundary that is in none of the values. number: where the search for one begins;
   one that nobody can foresee, so that no value can be full of boundaries. */
Multipart multipart_begin(const Bytes *values, size_t count, uint64_t number, Buffer *out);
/* Appends a field; value is one of the values of multipart_begin. */
void multipart_put(Multipart *form, const char *name, Bytes value);
/* Appends a file. */
void multipart_put_file(Multipart *form, const char *name, Text file_name, const char *type, Bytes value);
/* Ends the form and writes its content type, "multipart/form-data; boundary=…", to ret. */
void multipart_end(Multipart *form, char *ret, size_t size_bytes);

#endif
