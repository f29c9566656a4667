/*
 * report.c -- see report.h.
 *
 * Of the Lua API only what neither allocates nor raises is called here:
 * lua_getinfo without "f" and "L", lua_getlocal, lua_next, lua_rawgeti, and
 * lua_tolstring on strings only. Values that are kept for sorting lie in stack
 * slots, which lua_checkstack() grants or refuses.
 */
#include "script/report.h"

#include "script/identifier.h"
#include "script/ref.h"

#include <inttypes.h>
#include <stdio.h>

#define REASON_ROOM  1000 /* bytes of the error message */
#define LOCAL_ROOM   160  /* of one local's value */
#define LOCAL_LIMIT  24   /* locals shown */
#define LINE_WIDTH   100  /* after which locals go on in the next line */
#define DEPTH_LIMIT  2    /* tables in tables */
#define LIST_LIMIT   8    /* elements shown of an array */
#define MEMBER_LIMIT 16   /* other members shown of a table */
#define SCAN_LIMIT   2000 /* members looked at to find the first in order */
#define STRING_LIMIT 80   /* bytes shown of a string */
#define TRACE_HEAD   12   /* levels of the traceback shown at its start */
#define TRACE_TAIL   8    /* and at its end */

/* Prints one value into `out` until that has `end` bytes. */
struct printer {
    lua_State       *L;
    struct bytes    *out;
    size_t           end;
    json_actor_text *actor_text;
    void            *text_context;
};

/* ---- Values ------------------------------------------------------------ */

/* Appends bytes of a string, none that would break a line or a terminal. */
static void put_escaped(struct bytes *out, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\n')
            bytes_append_text(out, "\\n");
        else if (c == '"' || c == '\\')
            bytes_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            bytes_printf(out, "\\%03u", c);
        else
            bytes_append_byte(out, c);
    }
}

/* Less than `size`, if the byte there is in the middle of a UTF-8 character. */
static size_t cut_between_characters(const char *text, size_t size)
{
    for (int i = 0; i < 3 && size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80; i++)
        size--;
    return size;
}

static void print_string(struct printer *p, const char *text, size_t size)
{
    size_t shown = size > STRING_LIMIT ? cut_between_characters(text, STRING_LIMIT) : size;
    bytes_append_byte(p->out, '"');
    put_escaped(p->out, text, shown);
    bytes_append_text(p->out, shown < size ? "...\"" : "\"");
}

static void format_number(lua_State *L, int index, char *text, size_t room)
{
    if (lua_isinteger(L, index)) {
        snprintf(text, room, "%" PRId64, (int64_t)lua_tointeger(L, index));
        return;
    }
    int size = snprintf(text, room, "%.14g", lua_tonumber(L, index));
    if (text[strspn(text, "-0123456789")] == '\0')
        snprintf(text + size, room - (size_t)size, ".0");
}

static void print_userdata(struct printer *p, int index)
{
    actor_id        id;
    struct address *address;
    char            text[REF_TEXT_ROOM];
    if (!ref_get(p->L, index, &id, &address)) {
        bytes_append_text(p->out, lua_islightuserdata(p->L, index) ? "null" : "userdata");
        return;
    }
    size_t size = 0;
    if (address != NULL)
        size = ref_address_text(address, text, sizeof text);
    else if (p->actor_text != NULL)
        size = p->actor_text(p->text_context, id, text, sizeof text);
    if (size > 0 && size <= sizeof text)
        put_escaped(p->out, text, size);
    else
        bytes_printf(p->out, "actor %" PRIu32 ".%" PRIu32, actor_id_slot(id),
                     actor_id_generation(id));
}

static void print_value(struct printer *p, int index, int depth);

/* A member of a table that is shown, and the stack slot with its value. */
struct member {
    enum { KEY_INTEGER, KEY_STRING, KEY_OTHER } kind; /* in this order */
    lua_Integer integer;
    const char *text; /* of the key; lives as long as that */
    size_t      size;
    int         type; /* of another key */
    int         slot;
};

static struct member member_of_key(lua_State *L, int key)
{
    struct member member = { .kind = KEY_OTHER, .type = lua_type(L, key) };
    if (member.type == LUA_TSTRING) {
        member.kind = KEY_STRING;
        member.text = lua_tolstring(L, key, &member.size);
    } else if (lua_isinteger(L, key)) {
        member.kind = KEY_INTEGER;
        member.integer = lua_tointeger(L, key);
    }
    return member;
}

static bool comes_before(const struct member *a, const struct member *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind;
    if (a->kind == KEY_INTEGER)
        return a->integer < b->integer;
    if (a->kind == KEY_OTHER)
        return false;
    size_t size = a->size < b->size ? a->size : b->size;
    int order = memcmp(a->text, b->text, size);
    return order != 0 ? order < 0 : a->size < b->size;
}

/* Collects the first members, in order, of the table at `index` that are not
 * among its elements 1..border. Their values are copied to the slots from
 * `slots` on. Returns how many; *more says whether some were left out. */
static int collect(lua_State *L, int index, lua_Integer border, int slots, struct member *members,
                   bool *more)
{
    int count = 0, seen = 0;
    lua_pushnil(L);
    int key = lua_gettop(L);
    while (lua_next(L, index)) {
        if (++seen > SCAN_LIMIT) {
            *more = true;
            break;
        }
        struct member member = member_of_key(L, key);
        bool is_element = member.kind == KEY_INTEGER && member.integer >= 1 &&
                          member.integer <= border;
        int at = count;
        while (at > 0 && comes_before(&member, &members[at - 1]))
            at--;
        if (!is_element && at < MEMBER_LIMIT) {
            *more |= count == MEMBER_LIMIT;
            member.slot = count < MEMBER_LIMIT ? slots + count++ : members[count - 1].slot;
            memmove(&members[at + 1], &members[at],
                    (size_t)(count - 1 - at) * sizeof *members);
            members[at] = member;
            lua_copy(L, key + 1, member.slot);
        } else if (!is_element) {
            *more = true;
        }
        lua_settop(L, key);
    }
    lua_settop(L, key - 1);
    return count;
}

static void print_key(struct printer *p, const struct member *member)
{
    if (member->kind == KEY_INTEGER) {
        bytes_printf(p->out, "[%" PRId64 "] = ", (int64_t)member->integer);
    } else if (member->kind == KEY_OTHER) {
        bytes_printf(p->out, "[%s] = ", lua_typename(p->L, member->type));
    } else if (is_identifier(member->text, member->size)) {
        bytes_append(p->out, member->text, member->size);
        bytes_append_text(p->out, " = ");
    } else {
        bytes_append_byte(p->out, '[');
        print_string(p, member->text, member->size);
        bytes_append_text(p->out, "] = ");
    }
}

static void print_comma(struct printer *p, bool *first)
{
    if (!*first)
        bytes_append_text(p->out, ", ");
    *first = false;
}

static void print_members(struct printer *p, int index, int depth)
{
    lua_State *L = p->L;
    int        top = lua_gettop(L);
    bool       first = true;

    lua_Integer border = (lua_Integer)lua_rawlen(L, index);
    for (lua_Integer i = 1; i <= border && i <= LIST_LIMIT && p->out->size < p->end; i++) {
        print_comma(p, &first);
        lua_rawgeti(L, index, i);
        print_value(p, top + 1, depth + 1);
        lua_settop(L, top);
    }
    if (border > LIST_LIMIT) {
        print_comma(p, &first);
        bytes_printf(p->out, "... (%" PRId64 " elements)", (int64_t)border);
    }

    struct member members[MEMBER_LIMIT];
    bool more = false;
    lua_settop(L, top + MEMBER_LIMIT); /* the slots */
    int count = collect(L, index, border, top + 1, members, &more);
    for (int i = 0; i < count && p->out->size < p->end; i++) {
        print_comma(p, &first);
        print_key(p, &members[i]);
        print_value(p, members[i].slot, depth + 1);
    }
    if (more) {
        print_comma(p, &first);
        bytes_append_text(p->out, "...");
    }
    lua_settop(L, top);
}

static bool is_empty(lua_State *L, int index)
{
    lua_pushnil(L);
    if (!lua_next(L, index))
        return true;
    lua_pop(L, 2);
    return false;
}

static void print_table(struct printer *p, int index, int depth)
{
    if (!lua_checkstack(p->L, MEMBER_LIMIT + 8))
        bytes_append_text(p->out, "{...}");
    else if (is_empty(p->L, index))
        bytes_append_text(p->out, "{}");
    else if (depth >= DEPTH_LIMIT)
        bytes_append_text(p->out, "{...}");
    else {
        bytes_append_byte(p->out, '{');
        print_members(p, index, depth);
        bytes_append_byte(p->out, '}');
    }
}

static void print_value(struct printer *p, int index, int depth)
{
    lua_State *L = p->L;
    int        type = lua_type(L, index);
    char       number[64];
    switch (type) {
    case LUA_TNIL:
        bytes_append_text(p->out, "nil");
        break;
    case LUA_TBOOLEAN:
        bytes_append_text(p->out, lua_toboolean(L, index) ? "true" : "false");
        break;
    case LUA_TNUMBER:
        format_number(L, index, number, sizeof number);
        bytes_append_text(p->out, number);
        break;
    case LUA_TSTRING: {
        size_t size;
        const char *text = lua_tolstring(L, index, &size);
        print_string(p, text, size);
        break;
    }
    case LUA_TTABLE:
        print_table(p, index, depth);
        break;
    case LUA_TLIGHTUSERDATA:
    case LUA_TUSERDATA:
        print_userdata(p, index);
        break;
    case LUA_TTHREAD:
        bytes_append_text(p->out, "coroutine");
        break;
    default:
        bytes_append_text(p->out, type == LUA_TNONE ? "nothing" : lua_typename(L, type));
        break;
    }
}

/* Prints the value at `index` in at most `room` bytes. */
static void print_within(struct printer *p, int index, size_t room)
{
    struct bytes *out = p->out;
    size_t        start = out->size;
    p->end = start + room;
    print_value(p, lua_absindex(p->L, index), 0);
    if (out->size <= p->end)
        return;
    size_t kept = room > 3 ? room - 3 : 0;
    out->size = start + cut_between_characters((const char *)out->data + start, kept);
    bytes_append_text(out, "...");
}

void report_value(lua_State *L, int index, size_t room, struct bytes *out)
{
    struct printer p = { .L = L, .out = out };
    print_within(&p, index, room);
}

/* ---- The reason -------------------------------------------------------- */

/* Appends an error message as one line: a line break and the indent after it
 * become a space. */
static void put_one_line(struct bytes *out, const char *text, size_t size)
{
    bool cut = size > REASON_ROOM;
    if (cut)
        size = cut_between_characters(text, REASON_ROOM);
    while (size > 0 && text[size - 1] == '\n')
        size--;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\n' || c == '\t' || c == '\r') {
            while (i + 1 < size && strchr("\n\t\r ", text[i + 1]) != NULL && text[i + 1] != '\0')
                i++;
            bytes_append_byte(out, ' ');
        } else if (c < 0x20 || c == 0x7f) {
            bytes_printf(out, "\\%03u", c);
        } else {
            bytes_append_byte(out, c);
        }
    }
    if (cut)
        bytes_append_text(out, "...");
}

/* The text of a `why`, which is what assert(ref:ask(...)) raises: a table with a
 * metatable and nothing but a reason and a text. NULL: it is none. */
static const char *text_of_why(lua_State *L, int index, size_t *size)
{
    const char *text = NULL;
    int         members = 0;
    bool        has_reason = false;

    index = lua_absindex(L, index);
    if (!lua_istable(L, index) || !lua_checkstack(L, 3) || !lua_getmetatable(L, index))
        return NULL;
    lua_pop(L, 1);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (++members > 2 || lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) {
            lua_pop(L, 2);
            return NULL;
        }
        const char *key = lua_tostring(L, -2);
        if (strcmp(key, "text") == 0)
            text = lua_tolstring(L, -1, size);
        else if (strcmp(key, "reason") == 0)
            has_reason = true;
        lua_pop(L, 1);
    }
    return has_reason ? text : NULL;
}

static void put_reason(struct printer *p, int index)
{
    lua_State  *L = p->L;
    int         type = lua_type(L, index);
    size_t      size;
    const char *text = type == LUA_TSTRING ? lua_tolstring(L, index, &size)
                                           : text_of_why(L, index, &size);
    if (text != NULL) {
        put_one_line(p->out, text, size);
        return;
    }
    if (type <= LUA_TNIL) {
        bytes_append_text(p->out, "(error object is nil)");
        return;
    }
    bytes_printf(p->out, "(error object is a %s: ",
                 type == LUA_TTHREAD ? "coroutine" : lua_typename(L, type));
    print_within(p, index, REASON_ROOM);
    bytes_append_byte(p->out, ')');
}

void report_reason(lua_State *L, int index, struct bytes *out)
{
    struct printer p = { .L = L, .out = out };
    put_reason(&p, index);
}

/* The innermost Lua function: the one that failed, or called what failed. */
static bool find_failing_frame(lua_State *dead, lua_Debug *frame)
{
    for (int level = 0; level < 100 && lua_getstack(dead, level, frame); level++) {
        lua_getinfo(dead, "S", frame);
        if (*frame->what != 'C')
            return true;
    }
    return false;
}

/* Whether the error message begins with "file:line:", as most do. */
static bool says_where(const char *text)
{
    for (; *text != '\0' && *text != '\n'; text++) {
        if (*text != ':')
            continue;
        size_t digits = strspn(text + 1, "0123456789");
        if (digits > 0 && text[1 + digits] == ':')
            return true;
    }
    return false;
}

void report_error(lua_State *dead, struct bytes *out)
{
    lua_Debug frame;
    bool      placed = lua_type(dead, -1) == LUA_TSTRING && says_where(lua_tostring(dead, -1));
    if (!placed && find_failing_frame(dead, &frame)) {
        lua_getinfo(dead, "l", &frame);
        bytes_printf(out, "%s:%d: ", frame.short_src, frame.currentline);
    }
    report_reason(dead, -1, out);
}

/* ---- Locals and traceback ---------------------------------------------- */

static void put_locals(struct printer *p)
{
    lua_State *dead = p->L;
    lua_Debug  frame;
    if (!lua_checkstack(dead, 4) || !find_failing_frame(dead, &frame))
        return;

    struct bytes *out = p->out;
    size_t        line = out->size;
    int           shown = 0;
    bool          more = false;
    const char   *name;
    for (int i = 1; !more && (name = lua_getlocal(dead, &frame, i)) != NULL; i++) {
        bool is_ours = *name != '('; /* "(for state)" is Lua's */
        more = is_ours && shown == LOCAL_LIMIT;
        if (is_ours && !more) {
            if (shown++ == 0) {
                bytes_append_text(out, "  locals   ");
            } else if (out->size - line > LINE_WIDTH) {
                line = out->size + 1;
                bytes_append_text(out, "\n           ");
            } else {
                bytes_append_text(out, "  ");
            }
            bytes_printf(out, "%s = ", name);
            print_within(p, -1, LOCAL_ROOM);
        }
        lua_pop(dead, 1);
    }
    if (more)
        bytes_append_text(out, "  ...");
    if (shown > 0)
        bytes_append_byte(out, '\n');
}

static void put_frame(struct bytes *out, lua_State *dead, lua_Debug *frame)
{
    lua_getinfo(dead, "Slnt", frame);
    bytes_printf(out, "    %s:", frame->short_src);
    if (frame->currentline > 0)
        bytes_printf(out, "%d:", frame->currentline);
    if (*frame->namewhat != '\0')
        bytes_printf(out, " in %s '%s'\n",
                     strcmp(frame->namewhat, "global") == 0 ? "function" : frame->namewhat,
                     frame->name);
    else if (*frame->what == 'm')
        bytes_append_text(out, " in main chunk\n");
    else if (*frame->what != 'C')
        bytes_printf(out, " in function <%s:%d>\n", frame->short_src, frame->linedefined);
    else
        bytes_append_text(out, " in ?\n");
    if (frame->istailcall)
        bytes_append_text(out, "    (...tail calls...)\n");
}

/* How many levels the stack has. lua_getstack() walks, so not one by one. */
static int count_levels(lua_State *dead)
{
    lua_Debug frame;
    int       below = 0, beyond = 1;
    while (lua_getstack(dead, beyond, &frame)) {
        below = beyond;
        beyond *= 2;
    }
    while (below < beyond) {
        int middle = (below + beyond) / 2;
        if (lua_getstack(dead, middle, &frame))
            below = middle + 1;
        else
            beyond = middle;
    }
    return below;
}

static void put_traceback(struct bytes *out, lua_State *dead)
{
    int       levels = count_levels(dead);
    lua_Debug frame;
    if (levels == 0 || !lua_getstack(dead, 0, &frame))
        return;
    bytes_append_text(out, "  stack traceback:\n");
    int skipped = levels - TRACE_HEAD - TRACE_TAIL;
    for (int level = 0; level < levels; level++) {
        if (level == TRACE_HEAD && skipped > 1) {
            bytes_printf(out, "    ... (%d levels)\n", skipped);
            level += skipped;
        }
        if (lua_getstack(dead, level, &frame))
            put_frame(out, dead, &frame);
    }
}

void report_build(lua_State *dead, const struct report_context *context, struct bytes *out)
{
    struct printer p = { .L = dead,
                         .out = out,
                         .actor_text = context->actor_text,
                         .text_context = context->text_context };
    report_error(dead, out);
    bytes_printf(out, "\n  actor    %s (%s", context->actor, context->script);
    if (context->version != NULL)
        bytes_printf(out, ", version %s", context->version);
    bytes_append_byte(out, ')');
    if (context->handler != NULL)
        bytes_printf(out, ", in %s", context->handler);
    bytes_append_byte(out, '\n');
    if (context->message != NULL)
        bytes_printf(out, "  message  %s\n", context->message);
    if (context->sender != NULL)
        bytes_printf(out, "  from     %s\n", context->sender);
    put_locals(&p);
    put_traceback(out, dead);
    if (context->outcome != NULL)
        bytes_printf(out, "  %s\n", context->outcome);
}
