/*
 * pretty.c -- see pretty.h.
 *
 * A table is tried on one line first; if that would be too long it is written again,
 * a member a line.
 */
#include "script/pretty.h"

#include "script/identifier.h"
#include "script/report.h"
#include "script/report_value.h"

#include <inttypes.h>
#include <stdio.h>

#define LINE_WIDTH   76
#define INDENT       2
#define DEPTH_LIMIT  8   /* tables in tables */
#define LIST_LIMIT   200 /* elements shown of an array */
#define MEMBER_LIMIT 64  /* other members shown of a table */

struct pretty {
    struct printer p;
    const void *path[DEPTH_LIMIT]; /* the tables that the value lies in */
    size_t      line_end;          /* out->size may not pass it on one line */
    bool        cut;
};

static void print_value(struct pretty *t, int index, int depth, int indent, bool one_line);

/* ---- Scalars ------------------------------------------------------------------- */

/* The bytes of the printable character at `text`; 0: there is none. */
static size_t character(const char *text, size_t left)
{
    unsigned char c = (unsigned char)*text;
    size_t size = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return size <= left && json_is_printable(text, size) ? size : 0;
}

static void print_string(struct pretty *t, const char *text, size_t size)
{
    struct bytes *out = t->p.out;
    bytes_append_byte(out, '"');
    for (size_t at = 0, step; at < size; at += step) {
        if (out->size > t->p.end) {
            t->cut = true;
            break;
        }
        step = character(text + at, size - at);
        if (step == 0 && ((unsigned char)text[at] >= 0x80)) {
            bytes_printf(out, "\\x%02x", (unsigned char)text[at]);
            step = 1;
        } else {
            step = step == 0 ? 1 : step;
            report_escape(out, text + at, step);
        }
    }
    bytes_append_byte(out, '"');
}

static void print_function(struct pretty *t, int index)
{
    lua_Debug about;
    lua_State *L = t->p.L;
    if (lua_iscfunction(L, index) || !lua_checkstack(L, 1)) {
        bytes_append_text(t->p.out, "<function>");
        return;
    }
    lua_pushvalue(L, index);
    lua_getinfo(L, ">S", &about);
    bytes_printf(t->p.out, "<function %s:%d>", about.short_src, about.linedefined);
}

static void print_userdata(struct pretty *t, int index)
{
    lua_State *L = t->p.L;
    struct bytes *out = t->p.out;
    size_t before = out->size;
    bytes_append_text(out, "<");
    report_userdata(&t->p, index);
    bytes_append_text(out, ">");
    if (lua_islightuserdata(L, index) && lua_touserdata(L, index) == NULL) {
        out->size = before;
        bytes_append_text(out, "json.null");
    }
}

/* ---- Tables ---------------------------------------------------------------------- */

static void print_key(struct pretty *t, const struct member *member)
{
    struct bytes *out = t->p.out;
    char name[200];
    if (member->kind == KEY_STRING && is_identifier(member->text, member->size)) {
        bytes_append(out, member->text, member->size);
        bytes_append_text(out, " = ");
        return;
    }
    bytes_append_byte(out, '[');
    if (member->kind == KEY_INTEGER) {
        bytes_printf(out, "%" PRId64, (int64_t)member->integer);
    } else if (member->kind == KEY_STRING) {
        print_string(t, member->text, member->size);
    } else if (member->type == LUA_TBOOLEAN) {
        bytes_append_text(out, member->integer ? "true" : "false");
    } else if (member->type == LUA_TLIGHTUSERDATA && t->p.actor_text != NULL) {
        size_t size = t->p.actor_text(t->p.text_context, (uintptr_t)member->pointer, name, sizeof name);
        bytes_printf(out, "<%.*s>", size <= sizeof name ? (int)size : 0, name);
    } else {
        bytes_printf(out, "<%s>", lua_typename(t->p.L, member->type));
    }
    bytes_append_text(out, "] = ");
}

/* What comes before a member: a comma, and a new line or a space. */
static void begin_member(struct pretty *t, bool *first, int indent, bool one_line)
{
    struct bytes *out = t->p.out;
    if (!*first)
        bytes_append_byte(out, ',');
    if (one_line)
        bytes_append_text(out, *first ? "" : " ");
    else
        bytes_printf(out, "\n%*s", indent, "");
    *first = false;
}

static bool goes_on(const struct pretty *t, bool one_line)
{
    return t->p.out->size <= t->p.end && (!one_line || t->p.out->size <= t->line_end);
}

static void print_members(struct pretty *t, int index, int depth, int indent, bool one_line)
{
    lua_State *L = t->p.L;
    int top = lua_gettop(L);
    bool first = true, more = false;
    lua_Integer border = (lua_Integer)lua_rawlen(L, index);
    for (lua_Integer i = 1; i <= border && i <= LIST_LIMIT && goes_on(t, one_line); i++) {
        begin_member(t, &first, indent, one_line);
        lua_rawgeti(L, index, i);
        print_value(t, top + 1, depth, indent, one_line);
        lua_settop(L, top);
    }
    if (border > LIST_LIMIT) {
        begin_member(t, &first, indent, one_line);
        bytes_printf(t->p.out, "... (%" PRId64 " elements)", (int64_t)border);
        t->cut = true;
    }
    struct member members[MEMBER_LIMIT];
    lua_settop(L, top + MEMBER_LIMIT); /* the slots */
    int count = report_collect(L, index, border, top + 1, members, MEMBER_LIMIT, &more);
    for (int i = 0; i < count && goes_on(t, one_line); i++) {
        begin_member(t, &first, indent, one_line);
        print_key(t, &members[i]);
        print_value(t, members[i].slot, depth, indent, one_line);
    }
    if (more) {
        begin_member(t, &first, indent, one_line);
        bytes_append_text(t->p.out, "...");
        t->cut = true;
    }
    lua_settop(L, top);
}

static bool is_inside_itself(const struct pretty *t, const void *table, int depth)
{
    for (int i = 0; i < depth; i++)
        if (t->path[i] == table)
            return true;
    return false;
}

/* On one line; false, and nothing was written, if that is too long. */
static bool print_short(struct pretty *t, int index, int depth, int indent)
{
    struct bytes *out = t->p.out;
    size_t before = out->size;
    bool cut = t->cut;
    t->line_end = before + (size_t)(indent < LINE_WIDTH / 2 ? LINE_WIDTH - indent : LINE_WIDTH / 2);
    bytes_append_byte(out, '{');
    print_members(t, index, depth + 1, 0, true);
    bytes_append_byte(out, '}');
    if (out->size <= t->line_end && !out->failed)
        return true;
    out->size = before;
    out->failed = false;
    t->cut = cut;
    return false;
}

static void print_table(struct pretty *t, int index, int depth, int indent, bool one_line)
{
    struct bytes *out = t->p.out;
    const void *table = lua_topointer(t->p.L, index);
    if (!lua_checkstack(t->p.L, MEMBER_LIMIT + 8)) {
        bytes_append_text(out, "{...}");
        t->cut = true;
        return;
    }
    if (report_is_empty(t->p.L, index)) {
        bytes_append_text(out, "{}");
        return;
    }
    if (is_inside_itself(t, table, depth)) {
        bytes_append_text(out, "<cycle>");
        return;
    }
    if (depth == DEPTH_LIMIT) {
        bytes_append_text(out, "{...}");
        t->cut = true;
        return;
    }
    t->path[depth] = table;
    if (one_line) {
        bytes_append_byte(out, '{');
        print_members(t, index, depth + 1, 0, true);
        bytes_append_byte(out, '}');
    } else if (!print_short(t, index, depth, indent)) {
        bytes_append_byte(out, '{');
        print_members(t, index, depth + 1, indent + INDENT, false);
        bytes_printf(out, "\n%*s}", indent, "");
    }
}

static void print_value(struct pretty *t, int index, int depth, int indent, bool one_line)
{
    lua_State *L = t->p.L;
    size_t size;
    const char *text;
    switch (lua_type(L, index)) {
    case LUA_TTABLE:
        print_table(t, index, depth, indent, one_line);
        break;
    case LUA_TSTRING:
        text = lua_tolstring(L, index, &size);
        print_string(t, text, size);
        break;
    case LUA_TFUNCTION:
        print_function(t, index);
        break;
    case LUA_TLIGHTUSERDATA:
    case LUA_TUSERDATA:
        print_userdata(t, index);
        break;
    case LUA_TTHREAD:
        bytes_append_text(t->p.out, "<coroutine>");
        break;
    default:
        report_value(L, index, 64, t->p.out);
        break;
    }
}

bool pretty_print(lua_State *L, int index, size_t room, json_actor_text *actor_text,
                  void *context, struct bytes *out)
{
    struct pretty t = {
        .p = { .L = L, .out = out, .end = room, .actor_text = actor_text, .text_context = context },
    };
    print_value(&t, lua_absindex(L, index), 0, 0, false);
    if (out->size > room) {
        out->size = report_cut((const char *)out->data, room);
        t.cut = true;
    }
    return !t.cut && !out->failed;
}
