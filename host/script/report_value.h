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

/* Appends bytes of a string, none that would break a line or a terminal. */
void report_escape(struct bytes *out, const char *text, size_t size);

/* The number at `index` as text. */
void report_number(lua_State *L, int index, char *text, size_t room);

/* The userdata at `index`: a ref as its address. */
void report_userdata(struct printer *p, int index);

/* A member of a table that is shown, and the stack slot with its value. */
struct member {
    enum { KEY_INTEGER, KEY_STRING, KEY_OTHER } kind; /* in this order */
    lua_Integer integer;
    const char *text;    /* of the key; lives as long as that */
    size_t      size;
    int         type;    /* of another key: */
    void       *pointer; /* a light userdata; (a boolean's value is `integer`) */
    int         slot;
};

/* Collects the first `limit` members, in order, of the table at `index` that are not
 * among its elements 1..border. Their values are copied to the slots from
 * `slots` on. Returns how many; *more says whether some were left out. Needs 4 free
 * stack slots. */
int report_collect(lua_State *L, int index, lua_Integer border, int slots, struct member *members,
                   int limit, bool *more);

/* Whether the table at `index` has no members. Needs 2 free stack slots. */
bool report_is_empty(lua_State *L, int index);

/* Less than `size`, if the byte there is in the middle of a UTF-8 character. */
size_t report_cut(const char *text, size_t size);

#endif
