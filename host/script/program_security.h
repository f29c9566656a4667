/*
 * program_security.h -- who may come in and who is answered, as the command line says it.
 */
#ifndef TROUPE_SCRIPT_PROGRAM_SECURITY_H
#define TROUPE_SCRIPT_PROGRAM_SECURITY_H

#include "base/base.h"

struct lua_State;

/* As in host.h; NULL: not said. */
struct program_security {
    const char *allow, *reply_to, *curve_key, *curve_peers;
    bool        open;
};

/* Reads these fields of the table at index 1, which keeps the texts. */
struct program_security program_security_fields(struct lua_State *L);

#endif
