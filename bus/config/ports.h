/* What:      the one table of TCP ports, as constants.
 * Owns:      nothing.
 * May use:   nothing.
 * Threading: any.
 * Spec:      bus/config/ports.def */
#ifndef PONS_CONFIG_PORTS_H
#define PONS_CONFIG_PORTS_H

/* PORT_BUS, PORT_PEER and so on. */
typedef enum Port {
#define PORT(name, number, program, about) PORT_##name = number,
#include "bus/config/ports.def"
#undef PORT
} Port;

#endif
