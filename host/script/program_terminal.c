/*
 * program_terminal.c -- see program_terminal.h.
 *
 * What is written is what all terminals of the last forty years obey, so nothing is
 * asked of a database of terminals.
 */
#include "script/program_terminal.h"

#include "base/base.h"
#include "base/signals.h"
#include "script/program_class.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define TERMINAL "troupe.terminal"

#define ENTER "\033[?1049h\033[?25l\033[2J\033[H" /* another picture, no cursor, all empty */
#define LEAVE "\033[0m\033[?25h\033[?1049l"

#define REST_OF_KEY_MS 50  /* a key is a few bytes that come at once */
#define WRITE_MS       5000
#define POLL_MOST_S    3600

static struct {
    struct termios before;
    volatile sig_atomic_t drawn; /* ours is shown */
    int  signals;                /* signalfd; -1: it is closed */
    sigset_t mask_before;
} terminal = { .signals = -1 };

static const int deadly[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
static struct sigaction deadly_before[ARRAY_LENGTH(deadly)];

/* ---- Coming and going ------------------------------------------------------ */

static bool write_all(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t written = write(STDOUT_FILENO, text, size);
        if (written > 0) {
            text += written;
            size -= (size_t)written;
            continue;
        }
        struct pollfd file = { .fd = STDOUT_FILENO, .events = POLLOUT };
        if (errno != EINTR && (errno != EAGAIN || poll(&file, 1, WRITE_MS) != 1))
            return false;
    }
    return true;
}

/* Also in a signal handler. */
static void leave(void)
{
    if (!terminal.drawn)
        return;
    terminal.drawn = 0;
    write_all(LEAVE, sizeof LEAVE - 1);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal.before);
}

static bool enter(void)
{
    struct termios raw = terminal.before;
    raw.c_iflag &= ~(tcflag_t)(ICRNL | IXON | INPCK | ISTRIP);
    raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON | IEXTEN | ISIG);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) != 0)
        return false;
    terminal.drawn = 1;
    return write_all(ENTER, sizeof ENTER - 1);
}

/* The process dies of it, with the terminal as it was. */
static void on_death(int number)
{
    leave();
    for (size_t i = 0; i < ARRAY_LENGTH(deadly); i++)
        if (deadly[i] == number)
            sigaction(number, &deadly_before[i], NULL);
    raise(number);
}

static void close_terminal(void)
{
    leave();
    if (terminal.signals < 0)
        return;
    for (size_t i = 0; i < ARRAY_LENGTH(deadly); i++)
        sigaction(deadly[i], &deadly_before[i], NULL);
    close(terminal.signals);
    terminal.signals = -1;
    pthread_sigmask(SIG_SETMASK, &terminal.mask_before, NULL);
}

static int terminal_open(lua_State *L)
{
    sigset_t signals;
    struct sigaction death = { .sa_handler = on_death };
    if (terminal.signals >= 0)
        return program_push_failure(L, "the terminal is open already");
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
        tcgetattr(STDIN_FILENO, &terminal.before) != 0)
        return program_push_failure(L, "standard input and output are no terminal");
    lua_newuserdatauv(L, 1, 0);
    luaL_setmetatable(L, TERMINAL);

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGWINCH);
    sigaddset(&signals, SIGCONT);
    pthread_sigmask(SIG_BLOCK, &signals, &terminal.mask_before);
    terminal.signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (terminal.signals < 0) {
        pthread_sigmask(SIG_SETMASK, &terminal.mask_before, NULL);
        return program_push_failure(L, strerror(errno));
    }
    sigemptyset(&death.sa_mask);
    for (size_t i = 0; i < ARRAY_LENGTH(deadly); i++)
        sigaction(deadly[i], &death, &deadly_before[i]);
    if (enter())
        return 1;
    close_terminal();
    return program_push_failure(L, "the terminal is gone");
}

static int terminal_close(lua_State *L)
{
    luaL_checkudata(L, 1, TERMINAL);
    close_terminal();
    return 0;
}

static int terminal_suspend(lua_State *L)
{
    luaL_checkudata(L, 1, TERMINAL);
    leave();
    return 0;
}

static int terminal_resume(lua_State *L)
{
    luaL_checkudata(L, 1, TERMINAL);
    lua_pushboolean(L, terminal.signals >= 0 && enter());
    return 1;
}

/* ---- Size and writing -------------------------------------------------------- */

static int terminal_size(lua_State *L)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
        if (!isatty(STDOUT_FILENO))
            return 0;
        size = (struct winsize){ .ws_col = 80, .ws_row = 24 }; /* it does not say */
    }
    lua_pushinteger(L, size.ws_col);
    lua_pushinteger(L, size.ws_row);
    return 2;
}

static int terminal_write(lua_State *L)
{
    size_t size;
    luaL_checkudata(L, 1, TERMINAL);
    const char *text = luaL_checklstring(L, 2, &size);
    if (!write_all(text, size))
        return 0;
    lua_pushboolean(L, true);
    return 1;
}

/* ---- Keys ---------------------------------------------------------------------- */

struct key {
    char   bytes[16];
    size_t size;
};

static bool read_byte(struct key *key, int wait_ms)
{
    struct pollfd file = { .fd = STDIN_FILENO, .events = POLLIN };
    if (key->size == sizeof key->bytes || poll(&file, 1, wait_ms) != 1 ||
        read(STDIN_FILENO, &key->bytes[key->size], 1) != 1)
        return false;
    key->size++;
    return true;
}

/* What follows ESC: "[A", "OA", "[5~". */
static const char *name_sequence(struct key *key)
{
    static const struct {
        const char *bytes, *name;
    } names[] = {
        { "[A", "up" },      { "[B", "down" },       { "[C", "right" },     { "[D", "left" },
        { "OA", "up" },      { "OB", "down" },       { "OC", "right" },     { "OD", "left" },
        { "[5~", "page_up" }, { "[6~", "page_down" }, { "[H", "home" },      { "[F", "end" },
        { "OH", "home" },    { "OF", "end" },        { "[1~", "home" },     { "[4~", "end" },
        { "[3~", "delete" },
    };
    if (!read_byte(key, REST_OF_KEY_MS))
        return "escape";
    if (key->bytes[1] != '[' && key->bytes[1] != 'O')
        return "";
    while (read_byte(key, REST_OF_KEY_MS)) {
        char last = key->bytes[key->size - 1];
        if (last >= '@' && last <= '~')
            break;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (strlen(names[i].bytes) == key->size - 1 &&
            memcmp(names[i].bytes, key->bytes + 1, key->size - 1) == 0)
            return names[i].name;
    return "";
}

/* The rest of a letter of UTF-8. */
static void read_letter(struct key *key)
{
    unsigned first = (unsigned char)key->bytes[0];
    unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    while (more-- > 0 && read_byte(key, REST_OF_KEY_MS))
        ;
}

/* The process stops here, as any that is no tool would, until it is continued. */
static void stop_here(void)
{
    leave();
    raise(SIGSTOP);
    enter();
}

/* NULL: one that means nothing. */
static const char *read_key(struct key *key)
{
    key->size = 0;
    if (!read_byte(key, 0))
        return "gone";
    switch (key->bytes[0]) {
    case 3:
        return "interrupted";
    case 26:
        stop_here();
        return "resized";
    case '\r':
    case '\n':
        return "enter";
    case '\t':
        return "tab";
    case 8:
    case 127:
        return "backspace";
    case 27:
        return name_sequence(key);
    default:
        read_letter(key);
        return NULL;
    }
}

static const char *read_signal(void)
{
    struct signalfd_siginfo news;
    if (read(terminal.signals, &news, sizeof news) != (ssize_t)sizeof news)
        return "";
    switch (news.ssi_signo) {
    case SIGINT:
        return "interrupted";
    case SIGTERM:
        return "terminated";
    case SIGHUP:
        return "gone";
    case SIGCONT: /* whoever stopped it has used the terminal meanwhile */
        if (terminal.drawn)
            enter();
        return "resized";
    default:
        return "resized";
    }
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int terminal_key(lua_State *L)
{
    luaL_checkudata(L, 1, TERMINAL);
    bool bounded = !lua_isnoneornil(L, 2);
    lua_Number seconds = bounded ? luaL_checknumber(L, 2) : POLL_MOST_S;
    seconds = seconds > 0 ? seconds < POLL_MOST_S ? seconds : POLL_MOST_S : 0;
    uint64_t until_ms = now_ms() + (uint64_t)(seconds * 1000);
    if (terminal.signals < 0)
        return luaL_error(L, "the terminal is closed");
    for (;;) {
        struct pollfd files[] = { { .fd = terminal.signals, .events = POLLIN },
                                  { .fd = STDIN_FILENO, .events = POLLIN } };
        uint64_t time_ms = now_ms();
        int count = poll(files, ARRAY_LENGTH(files),
                         time_ms < until_ms ? (int)(until_ms - time_ms) : 0);
        const char *name = "";
        struct key  key = { .size = 0 };
        if (count > 0 && files[0].revents != 0)
            name = read_signal();
        else if (count > 0 && files[1].revents != 0)
            name = read_key(&key);
        if (name == NULL)
            lua_pushlstring(L, key.bytes, key.size);
        else if (name[0] != '\0')
            lua_pushstring(L, name);
        else if (count == 0 && bounded)
            return 0;
        else
            continue;
        return 1;
    }
}

/* pause(seconds) -> nil, or what has come meanwhile */
static int terminal_pause(lua_State *L)
{
    lua_Number seconds = luaL_checknumber(L, 1);
    seconds = seconds > 0 ? seconds < POLL_MOST_S ? seconds : POLL_MOST_S : 0;
    struct timespec time = { .tv_sec = (time_t)seconds };
    sigset_t signals = ending_signals();
    time.tv_nsec = (long)((seconds - (lua_Number)time.tv_sec) * 1e9);
    int number = sigtimedwait(&signals, NULL, &time);
    if (number < 0)
        return 0;
    lua_pushstring(L, number == SIGINT ? "interrupted" : "terminated");
    return 1;
}

void program_terminal_add(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "size", terminal_size },       { "write", terminal_write },   { "key", terminal_key },
        { "suspend", terminal_suspend }, { "resume", terminal_resume }, { "close", terminal_close },
        { "__close", terminal_close },   { "__gc", terminal_close },    { NULL, NULL },
    };
    static const luaL_Reg functions[] = {
        { "terminal", terminal_open }, { "terminal_size", terminal_size },
        { "pause", terminal_pause }, { NULL, NULL },
    };
    program_make_class(L, TERMINAL, methods, NULL);
    luaL_setfuncs(L, functions, 0);
}
