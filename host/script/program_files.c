/*
 * program_files.c -- see program_files.h.
 */
#include "script/program_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER      "troupe.folder"
#define FOLDER_MODE 0777 /* what the umask leaves of it */
#define FILE_MODE   0666

static int push_error(lua_State *L, const char *path, int error)
{
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", path, strerror(error));
    return 2;
}

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static int files_make_folder(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    bool made = mkdir(path, FOLDER_MODE) == 0;
    int  error = errno;
    if (!made && (error != EEXIST || !is_folder(path)))
        return push_error(L, path, error == EEXIST ? ENOTDIR : error);
    lua_pushboolean(L, made);
    return 1;
}

static bool write_all(int file, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t written = write(file, text, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        text += written;
        size -= (size_t)written;
    }
    return true;
}

static int files_make_file(lua_State *L)
{
    size_t      size;
    const char *path = luaL_checkstring(L, 1);
    const char *text = luaL_checklstring(L, 2, &size);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (file < 0)
        return push_error(L, path, errno);
    int error = write_all(file, text, size) ? 0 : errno;
    if (close(file) != 0 && error == 0)
        error = errno;
    if (error != 0) {
        unlink(path);
        return push_error(L, path, error);
    }
    lua_pushboolean(L, true);
    return 1;
}

static int files_kind_of(lua_State *L)
{
    struct stat status;
    if (stat(luaL_checkstring(L, 1), &status) != 0)
        return 0;
    lua_pushstring(L, S_ISREG(status.st_mode) ? "file" : S_ISDIR(status.st_mode) ? "folder" : "other");
    return 1;
}

/* What is open lies in a userdata that closes it: reading names may raise. */
static int files_close_folder(lua_State *L)
{
    DIR **folder = luaL_checkudata(L, 1, FOLDER);
    if (*folder != NULL)
        closedir(*folder);
    *folder = NULL;
    return 0;
}

static int files_names_in(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    DIR       **folder = lua_newuserdatauv(L, sizeof *folder, 0);
    *folder = NULL;
    luaL_setmetatable(L, FOLDER);
    lua_toclose(L, -1);
    *folder = opendir(path);
    if (*folder == NULL)
        return push_error(L, path, errno);
    lua_newtable(L);
    lua_Integer count = 0;
    for (struct dirent *entry = readdir(*folder); entry != NULL; entry = readdir(*folder)) {
        if (entry->d_name[0] == '.')
            continue;
        lua_pushstring(L, entry->d_name);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

void program_files_add(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "make_folder", files_make_folder },
        { "make_file", files_make_file },
        { "kind_of", files_kind_of },
        { "names_in", files_names_in },
        { NULL, NULL },
    };
    luaL_newmetatable(L, FOLDER);
    lua_pushcfunction(L, files_close_folder);
    lua_setfield(L, -2, "__close");
    lua_pushcfunction(L, files_close_folder);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}
