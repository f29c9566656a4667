/*
 * program_prompt.c -- see program_prompt.h: libedit as Lua sees it.
 *
 * Characters are read here and not by libedit, so that signals can end a line: they are
 * blocked, and taken from a descriptor that is waited for beside the terminal.
 */
#include "script/program_prompt.h"

#include "base/base.h"
#include "base/signals.h"

#include <editline/readline.h>
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <locale.h>
#include <lua.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define HISTORY_LINES 1000
#define IDLE_MS       500
#define NAMES_MOST    200

static struct {
    lua_State  *L;
    bool        open;
    int         signals;       /* signalfd */
    struct termios before;     /* how the terminal was; only if */
    bool        has_before;
    const char *because;       /* why the line in hand has ended; NULL: it has not */
    bool        has_idle;      /* its function is at index 2 of the stack of read() */
    int         idle_ms;       /* how often it is called */
    int         complete;      /* registry: the function; LUA_NOREF */
    char       *names[NAMES_MOST]; /* what the word may become; from malloc() */
    unsigned    count, next;
} prompt = { .signals = -1, .complete = LUA_NOREF };

/* ---- Characters ------------------------------------------------------------ */

static const char *taken_signal(void)
{
    struct signalfd_siginfo info;
    if (read(prompt.signals, &info, sizeof info) != (ssize_t)sizeof info)
        return NULL;
    return info.ssi_signo == SIGINT ? "interrupted" : "terminated";
}

static bool idle_is_over(void)
{
    lua_State *L = prompt.L;
    if (!prompt.has_idle)
        return false;
    lua_pushvalue(L, 2);
    bool over = lua_pcall(L, 0, 2, 0) != LUA_OK || lua_toboolean(L, -2);
    if (!over && lua_toboolean(L, -1)) { /* it has written something */
        rl_on_new_line();
        rl_forced_update_display();
    }
    lua_settop(L, 2);
    return over;
}

/* A byte of the terminal's, or -1: the line has ended. */
static int read_byte(void)
{
    while (prompt.because == NULL) {
        struct pollfd files[] = { { .fd = STDIN_FILENO, .events = POLLIN },
                                  { .fd = prompt.signals, .events = POLLIN } };
        int ready = poll(files, 2, prompt.idle_ms);
        if (ready > 0 && files[1].revents != 0)
            prompt.because = taken_signal();
        if (prompt.because == NULL && ready > 0 && files[0].revents != 0) {
            unsigned char byte;
            ssize_t got = read(STDIN_FILENO, &byte, 1);
            if (got == 1)
                return byte;
            if (got == 0 || (errno != EINTR && errno != EAGAIN))
                prompt.because = "end";
        }
        if (ready == 0 && idle_is_over())
            prompt.because = "idle";
    }
    return -1;
}

/* For libedit: a character, which it takes for a wide one. */
static int read_character(FILE *unused)
{
    (void)unused;
    int c = read_byte();
    if (c < 0xc0 || MB_CUR_MAX == 1)
        return c;
    int more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    int code = c & (0x3f >> more);
    for (; more > 0; more--) {
        c = read_byte();
        if (c < 0)
            return c;
        code = code << 6 | (c & 0x3f);
    }
    return code;
}

/* ---- Completion ------------------------------------------------------------- */

static char *next_name(const char *word, int state)
{
    (void)word;
    if (state == 0)
        prompt.next = 0;
    if (prompt.next == prompt.count)
        return NULL;
    return strdup(prompt.names[prompt.next++]);
}

static void forget_names(void)
{
    while (prompt.count > 0)
        free(prompt.names[--prompt.count]);
}

/* (text, where the word begins): fills prompt.names. */
static int ask_names(lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, prompt.complete);
    lua_insert(L, 1);
    lua_call(L, 2, 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    lua_Unsigned count = lua_rawlen(L, -1);
    for (lua_Unsigned i = 1; i <= count && prompt.count < NAMES_MOST; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i);
        char *name = strdup(luaL_checkstring(L, -1));
        if (name != NULL)
            prompt.names[prompt.count++] = name;
        lua_pop(L, 1);
    }
    return 0;
}

static char **complete_word(const char *word, int start, int end)
{
    lua_State *L = prompt.L;
    rl_attempted_completion_over = 1; /* no names of files instead */
    forget_names();
    if (prompt.complete != LUA_NOREF) {
        lua_pushcfunction(L, ask_names);
        lua_pushlstring(L, rl_line_buffer, (size_t)end);
        lua_pushinteger(L, start + 1);
        if (lua_pcall(L, 2, 0, 0) != LUA_OK)
            lua_pop(L, 1);
    }
    char **found = prompt.count > 0 ? rl_completion_matches(word, next_name) : NULL;
    forget_names();
    return found;
}

/* complete(function) */
static int prompt_complete(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_unref(L, LUA_REGISTRYINDEX, prompt.complete);
    lua_settop(L, 1);
    prompt.complete = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* ---- Lines --------------------------------------------------------------------- */

static void open_terminal(void)
{
    prompt.has_before = tcgetattr(STDIN_FILENO, &prompt.before) == 0;
    static char breaks[] = " \t\n\"'`=<>+-*/%^~#&|(){},;";
    sigset_t signals = ending_signals();
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    prompt.signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1)
        setlocale(LC_CTYPE, "C.UTF-8");
    rl_getc_function = read_character;
    rl_initialize();
    rl_attempted_completion_function = complete_word;
    rl_completion_append_character = '\0';
    rl_completer_word_break_characters = breaks;
    using_history();
    stifle_history(HISTORY_LINES);
    prompt.open = true;
}

/* libedit, which was asked for its own modes before it reads, leaves them behind. */
static void give_terminal_back(void)
{
    rl_deprep_terminal();
    if (prompt.has_before)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &prompt.before);
}

/* read(prompt, idle?, every_ms?) */
static int prompt_read(lua_State *L)
{
    const char *text = luaL_checkstring(L, 1);
    lua_Integer every_ms = luaL_optinteger(L, 3, IDLE_MS);
    luaL_argcheck(L, every_ms > 0 && every_ms <= INT_MAX, 3, "out of range");
    prompt.idle_ms = (int)every_ms;
    lua_settop(L, 2);
    if (!prompt.open)
        open_terminal();
    prompt.L = L;
    prompt.because = NULL;
    prompt.has_idle = lua_isfunction(L, 2);
    rl_prep_terminal(0); /* before the prompt: what answers it is ours, be it a ^D at once */
    char *line = readline(text);
    give_terminal_back();
    if (line != NULL && prompt.because == NULL) {
        lua_pushstring(L, line);
        free(line);
        return 1;
    }
    free(line);
    lua_pushnil(L);
    lua_pushstring(L, prompt.because != NULL ? prompt.because : "end");
    return 2;
}

/* ---- History --------------------------------------------------------------------- */

/* The folders that the file is in, where they are missing. 0 or -errno. */
static int make_folders(const char *path)
{
    char folder[4096];
    size_t size = strlen(path);
    if (size >= sizeof folder)
        return -ENAMETOOLONG;
    for (size_t at = 1; at < size; at++) {
        if (path[at] != '/')
            continue;
        memcpy(folder, path, at);
        folder[at] = '\0';
        if (mkdir(folder, 0700) != 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

static int push_done(lua_State *L, int error)
{
    if (error == 0) {
        lua_pushboolean(L, true);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, strerror(error));
    return 2;
}

/* load_history(path) */
static int prompt_load_history(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    if (!prompt.open)
        open_terminal();
    return push_done(L, access(path, F_OK) == 0 ? read_history(path) : 0);
}

/* remember(line) */
static int prompt_remember(lua_State *L)
{
    add_history(luaL_checkstring(L, 1));
    return 0;
}

/* save_history(path): for nobody else's eyes. */
static int prompt_save_history(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    int error = -make_folders(path);
    if (error == 0) {
        mode_t mask = umask(077);
        error = write_history(path);
        umask(mask);
    }
    return push_done(L, error);
}

int program_prompt_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "read", prompt_read },
        { "complete", prompt_complete },
        { "load_history", prompt_load_history },
        { "remember", prompt_remember },
        { "save_history", prompt_save_history },
        { NULL, NULL },
    };
    luaL_newlib(L, functions);
    return 1;
}
