/*
 * report_value.h -- a value as reports and log lines show it: raw, bounded, in
 * one line. As report.h says, nothing here allocates Lua memory or raises.
 */
#ifndef TROUPE_SCRIPT_REPORT_VALUE_H
#define TROUPE_SCRIPT_REPORT_VALUE_H

#include "base/bytes.h"
#include "message/json.h"

#include <lua.h>

/* Prints one value into `out` until that has `end` bytes. */
struct printer {
    lua_State       *L;
    struct bytes    *out;
    size_t           end;
    json_actor_text *actor_text;
    void            *text_context;
};

/* Prints the value at `index` in at most `room` bytes. */
void report_print(struct printer *p, int index, size_t room);

/* Less than `size`, if the byte there is in the middle of a UTF-8 character. */
size_t report_cut(const char *text, size_t size);

#endif
