/*
 * report.c -- see report.h.
 *
 * Of the Lua API only what neither allocates nor raises is called here:
 * lua_getinfo without "f" and "L", lua_getlocal, lua_next, lua_rawgeti, and
 * lua_tolstring on strings only.
 */
#include "script/report.h"

#include "script/report_value.h"

#include <stdio.h>

#define REASON_ROOM  1000 /* bytes of the error message */
#define ROOM_AFTER   64   /* left free behind it, if the buffer is small */
#define LOCAL_ROOM   160  /* of one local's value */
#define LOCAL_LIMIT  24   /* locals shown */
#define LINE_WIDTH   100  /* after which locals go on in the next line */
#define TRACE_HEAD   12   /* levels of the traceback shown at its start */
#define TRACE_TAIL   8    /* and at its end */

/* ---- The reason -------------------------------------------------------- */

/* How long the reason may get: some room is left for what is said after it. */
static size_t room_for_reason(const struct bytes *out)
{
    size_t left = out->limit - out->size;
    left = left > ROOM_AFTER ? left - ROOM_AFTER : 0;
    return left < REASON_ROOM ? left : REASON_ROOM;
}

/* Appends an error message as one line: a line break and the indent after it
 * become a space. */
static void put_one_line(struct bytes *out, const char *text, size_t size)
{
    size_t room = room_for_reason(out), end = out->size + room, i = 0;
    bool   cut = size > room;
    if (cut)
        size = report_cut(text, room);
    while (size > 0 && text[size - 1] == '\n')
        size--;
    for (; i < size && out->size < end; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0xc0 && out->size + 4 > end && size - i > 4)
            break; /* not in the middle of a character */
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
    if (cut || i < size)
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
    report_print(p, index, room_for_reason(p->out));
    bytes_append_byte(p->out, ')');
}

void report_text(const char *text, size_t size, struct bytes *out)
{
    put_one_line(out, text, size);
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

void report_place(lua_State *co, int line, char *text, size_t room)
{
    lua_Debug frame;
    text[0] = '\0';
    if (!find_failing_frame(co, &frame))
        return;
    lua_getinfo(co, "l", &frame);
    snprintf(text, room, "%s:%d: ", frame.short_src, line > 0 ? line : frame.currentline);
}

static void put_error(struct printer *p, const struct report_context *context)
{
    lua_State *dead = p->L;
    bool       placed = lua_type(dead, -1) == LUA_TSTRING && says_where(lua_tostring(dead, -1));
    char       place[REPORT_PLACE_ROOM];
    if (!placed && context->place != NULL) {
        bytes_append_text(p->out, context->place);
    } else if (!placed) {
        report_place(dead, context->line, place, sizeof place);
        bytes_append_text(p->out, place);
    }
    if (context->reason != NULL)
        report_text(context->reason, strlen(context->reason), p->out);
    else
        put_reason(p, -1);
}

void report_error(lua_State *dead, struct bytes *out)
{
    static const struct report_context nothing;
    struct printer p = { .L = dead, .out = out };
    put_error(&p, &nothing);
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
            report_print(p, -1, LOCAL_ROOM);
        }
        lua_pop(dead, 1);
    }
    if (more)
        bytes_append_text(out, "  ...");
    if (shown > 0)
        bytes_append_byte(out, '\n');
}

/* `line`: if it is not 0, the frame stands there. */
static void put_frame(struct bytes *out, lua_State *dead, lua_Debug *frame, int line)
{
    lua_getinfo(dead, "Slnt", frame);
    bytes_printf(out, "    %s:", frame->short_src);
    if (frame->currentline > 0)
        bytes_printf(out, "%d:", line > 0 ? line : frame->currentline);
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

static void put_traceback(struct bytes *out, lua_State *dead, int line)
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
            put_frame(out, dead, &frame, level == 0 ? line : 0);
    }
}

void report_coroutine(lua_State *co, int line, json_actor_text *actor_text, void *context,
                      struct bytes *out)
{
    struct printer p = {
        .L = co, .out = out, .actor_text = actor_text, .text_context = context };
    put_locals(&p);
    put_traceback(out, co, line);
}

void report_build(lua_State *dead, const struct report_context *context, struct bytes *out)
{
    struct printer p = { .L = dead,
                         .out = out,
                         .actor_text = context->actor_text,
                         .text_context = context->text_context };
    put_error(&p, context);
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
    if (context->inside != NULL)
        bytes_append_text(out, context->inside);
    report_coroutine(dead, context->line, context->actor_text, context->text_context, out);
    if (context->outcome != NULL)
        bytes_printf(out, "  %s\n", context->outcome);
}
