/*
 * stage_take.c -- the functions of a stage that hand over what it has kept.
 */
#include "stage_take.h"

#include "script/pack_lua.h"
#include "stage_kept.h"

#include <lauxlib.h>
#include <string.h>

struct stage *stage_check(lua_State *L)
{
    struct stage *stage = luaL_checkudata(L, 1, STAGE_METATABLE);
    if (stage->host == NULL)
        luaL_error(L, "this stage is closed");
    return stage;
}

int stage_outbox(lua_State *L)
{
    struct stage *stage = stage_check(L);
    lua_newtable(L);
    struct departed *each;
    for (lua_Integer i = 1; (each = stage_kept_departed(stage)) != NULL; i++) {
        lua_createtable(L, 0, 4);
        lua_pushstring(L, each->to);
        lua_setfield(L, -2, "to");
        if (each->from[0] != '\0') {
            lua_pushstring(L, each->from);
            lua_setfield(L, -2, "from");
        }
        lua_pushstring(L, type_name(each->message->type));
        lua_setfield(L, -2, "type");
        pack_lua_push(L, each->message->payload, each->message->size);
        lua_setfield(L, -2, "msg");
        lua_rawseti(L, -2, i);
        stage_departed_free(each);
    }
    return 1;
}

int stage_output(lua_State *L)
{
    struct stage *stage = stage_check(L);
    lua_newtable(L);
    lua_Integer i = 0;
    for (struct line *line = stage->printed.head; line != NULL; line = line->next) {
        lua_pushlstring(L, line->text, line->size);
        lua_rawseti(L, -2, ++i);
    }
    stage_lines_drop(&stage->printed);
    return 1;
}

/* Taking the log is seeing what went wrong. */
int stage_log(lua_State *L)
{
    static const char *const levels[] = { "debug", "info", "warn", "error" };
    struct stage *stage = stage_check(L);
    stage->host->world.over_budget = 0;
    lua_newtable(L);
    lua_Integer i = 0;
    for (struct line *line = stage->logged.head; line != NULL; line = line->next) {
        lua_createtable(L, 0, 2);
        lua_pushstring(L, levels[line->level]);
        lua_setfield(L, -2, "level");
        lua_pushlstring(L, line->text, line->size);
        lua_setfield(L, -2, "text");
        lua_rawseti(L, -2, ++i);
    }
    stage_lines_drop(&stage->logged);
    return 1;
}

struct letters_visit {
    lua_State *L;
    struct stage *stage;
    lua_Integer count;
};

static void push_letter(void *context, const struct dead_letter *letter)
{
    struct letters_visit *visit = context;
    lua_State *L = visit->L;
    if (letter->id <= visit->stage->letters_seen)
        return;
    visit->stage->letters_seen = letter->id;
    lua_createtable(L, 0, 5);
    lua_pushstring(L, type_name(letter->message->type));
    lua_setfield(L, -2, "type");
    lua_pushstring(L, letter->target);
    lua_setfield(L, -2, "to");
    lua_pushstring(L, letter->sender);
    lua_setfield(L, -2, "from");
    lua_pushstring(L, failure_reason_name(letter->reason));
    lua_setfield(L, -2, "reason");
    lua_pushstring(L, letter->text);
    lua_setfield(L, -2, "text");
    lua_rawseti(L, -2, ++visit->count);
}

int stage_dead_letters(lua_State *L)
{
    struct letters_visit visit = { .L = L, .stage = stage_check(L) };
    lua_newtable(L);
    dead_letters_each(&stage_system(visit.stage)->letters, push_letter, &visit);
    return 1;
}

int stage_trace(lua_State *L)
{
    struct stage *stage = stage_check(L);
    const char *text = bytes_text(&stage->trace);
    lua_newtable(L);
    for (lua_Integer i = 1; *text != '\0'; i++) {
        const char *end = strchr(text, '\n');
        lua_pushlstring(L, text, (size_t)(end - text));
        lua_rawseti(L, -2, i);
        text = end + 1;
    }
    return 1;
}
