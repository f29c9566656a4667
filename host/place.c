/*
 * place.c -- where our own Lua files lie.
 */
#include "place.h"

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char share[PATH_MAX];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The folder of the running program. */
static bool find_program_folder(char *folder, size_t room)
{
    ssize_t size = readlink("/proc/self/exe", folder, room - 1);
    if (size <= 0 || (size_t)size >= room - 1)
        return false;
    folder[size] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    return true;
}

static bool is_there(const char *folder, const char *name)
{
    char path[2 * PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, R_OK) == 0;
}

static void find_share(void)
{
    char folder[PATH_MAX], beside[PATH_MAX + 32];
    snprintf(share, sizeof share, "%s", TROUPE_INSTALL_SHARE);
    if (!find_program_folder(folder, sizeof folder))
        return;
    if (is_there(folder, "CMakeCache.txt") && is_there(TROUPE_SOURCE_DIR, "lua")) {
        snprintf(share, sizeof share, "%s", TROUPE_SOURCE_DIR);
        return;
    }
    snprintf(beside, sizeof beside, "%s/../share/troupe", folder);
    if (is_there(beside, "lua") && realpath(beside, folder) != NULL)
        snprintf(share, sizeof share, "%s", folder);
}

const char *place_share(void)
{
    pthread_once(&once, find_share);
    return share;
}
