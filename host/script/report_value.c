/*
 * report_value.c -- see report_value.h.
 *
 * Values that are kept for sorting lie in stack slots, which lua_checkstack()
 * grants or refuses.
 */
#include "script/report_value.h"

#include "script/identifier.h"
#include "script/ref.h"
#include "script/report.h"

#include <inttypes.h>
#include <stdio.h>

#define DEPTH_LIMIT  2    /* tables in tables */
#define LIST_LIMIT   8    /* elements shown of an array */
#define MEMBER_LIMIT 16   /* other members shown of a table */
#define SCAN_LIMIT   2000 /* members looked at to find the first in order */
#define STRING_LIMIT 80   /* bytes shown of a string */

void report_escape(struct bytes *out, const char *text, size_t size)
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

size_t report_cut(const char *text, size_t size)
{
    for (int i = 0; i < 3 && size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80; i++)
        size--;
    return size;
}

static void print_string(struct printer *p, const char *text, size_t size)
{
    size_t shown = size > STRING_LIMIT ? report_cut(text, STRING_LIMIT) : size;
    bytes_append_byte(p->out, '"');
    report_escape(p->out, text, shown);
    bytes_append_text(p->out, shown < size ? "...\"" : "\"");
}

void report_number(lua_State *L, int index, char *text, size_t room)
{
    if (lua_isinteger(L, index)) {
        snprintf(text, room, "%" PRId64, (int64_t)lua_tointeger(L, index));
        return;
    }
    int size = snprintf(text, room, "%.14g", lua_tonumber(L, index));
    if (text[strspn(text, "-0123456789")] == '\0')
        snprintf(text + size, room - (size_t)size, ".0");
}

void report_userdata(struct printer *p, int index)
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
        report_escape(p->out, text, size);
    else
        bytes_printf(p->out, "actor %" PRIu32 ".%" PRIu32, actor_id_slot(id),
                     actor_id_generation(id));
}

static void print_value(struct printer *p, int index, int depth);

static struct member member_of_key(lua_State *L, int key)
{
    struct member member = { .kind = KEY_OTHER, .type = lua_type(L, key) };
    if (member.type == LUA_TSTRING) {
        member.kind = KEY_STRING;
        member.text = lua_tolstring(L, key, &member.size);
    } else if (lua_isinteger(L, key)) {
        member.kind = KEY_INTEGER;
        member.integer = lua_tointeger(L, key);
    } else if (member.type == LUA_TBOOLEAN) {
        member.integer = lua_toboolean(L, key);
    } else if (member.type == LUA_TLIGHTUSERDATA) {
        member.pointer = lua_touserdata(L, key);
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

bool report_is_empty(lua_State *L, int index)
{
    lua_pushnil(L);
    if (!lua_next(L, index))
        return true;
    lua_pop(L, 2);
    return false;
}

int report_collect(lua_State *L, int index, lua_Integer border, int slots, struct member *members,
                   int limit, bool *more)
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
        if (!is_element && at < limit) {
            *more |= count == limit;
            member.slot = count < limit ? slots + count++ : members[count - 1].slot;
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
    int count = report_collect(L, index, border, top + 1, members, MEMBER_LIMIT, &more);
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

static void print_table(struct printer *p, int index, int depth)
{
    if (!lua_checkstack(p->L, MEMBER_LIMIT + 8))
        bytes_append_text(p->out, "{...}");
    else if (report_is_empty(p->L, index))
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
        report_number(L, index, number, sizeof number);
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
        report_userdata(p, index);
        break;
    case LUA_TTHREAD:
        bytes_append_text(p->out, "coroutine");
        break;
    default:
        bytes_append_text(p->out, type == LUA_TNONE ? "nothing" : lua_typename(L, type));
        break;
    }
}

void report_print(struct printer *p, int index, size_t room)
{
    struct bytes *out = p->out;
    size_t        start = out->size;
    p->end = start + room;
    print_value(p, lua_absindex(p->L, index), 0);
    if (out->size <= p->end)
        return;
    size_t kept = room > 3 ? room - 3 : 0;
    out->size = start + report_cut((const char *)out->data + start, kept);
    bytes_append_text(out, "...");
}

void report_value(lua_State *L, int index, size_t room, struct bytes *out)
{
    struct printer p = { .L = L, .out = out };
    report_print(&p, index, room);
}
