/*
 * holder.c -- see holder.h. The socket is looked for in /proc/net/tcp, and who has it in
 * the descriptors of all processes that may be looked at.
 */
#include "base/holder.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEX_ROOM  33 /* of an address in these tables: 32 digits */
#define LISTENING 0x0a

/* The address as the tables have it: words of 32 bits in the machine's order. Empty: any. */
static void write_hex(const char *host, char hex[HEX_ROOM])
{
    uint32_t words[4];
    hex[0] = '\0';
    if (inet_pton(AF_INET, host, words) == 1)
        snprintf(hex, HEX_ROOM, "%08X", words[0]);
    else if (inet_pton(AF_INET6, host, words) == 1)
        snprintf(hex, HEX_ROOM, "%08X%08X%08X%08X", words[0], words[1], words[2], words[3]);
}

static bool is_any(const char *hex)
{
    return strspn(hex, "0") == strlen(hex);
}

/* Whether `theirs` is the address `ours`, also if it is an IPv4 one written as IPv6. */
static bool is_same(const char *theirs, const char *ours)
{
    size_t size = strlen(theirs), own = strlen(ours);
    if (size == own)
        return strcmp(theirs, ours) == 0;
    uint32_t mark = htonl(0xffff);
    char     mapped[HEX_ROOM];
    snprintf(mapped, sizeof mapped, "%016d%08X%.8s", 0, mark, ours);
    return own == 8 && size == 32 && strcmp(theirs, mapped) == 0;
}

struct listener {
    unsigned long inode; /* 0: none */
    unsigned      user;
    bool          exact;
};

/* Looks through one table for the best there is. */
static void look_through(const char *table, const char *ours, uint16_t port,
                         struct listener *listener)
{
    char     line[512], theirs[HEX_ROOM];
    unsigned their_port, state, user;
    unsigned long inode;
    FILE    *file = fopen(table, "re");
    while (file != NULL && !listener->exact && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, " %*d: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %u %*d %lu",
                   theirs, &their_port, &state, &user, &inode) != 5 ||
            state != LISTENING || their_port != port || inode == 0)
            continue;
        bool exact = is_same(theirs, ours);
        if (exact || is_any(theirs) || is_any(ours))
            *listener = (struct listener){ inode, user, exact };
    }
    if (file != NULL)
        fclose(file);
}

/* Whether one of the descriptors in the folder is that socket. */
static bool has_socket(const char *folder, const char *socket)
{
    DIR *descriptors = opendir(folder);
    bool found = false;
    const struct dirent *each;
    while (descriptors != NULL && !found && (each = readdir(descriptors)) != NULL) {
        char    target[64];
        ssize_t size = readlinkat(dirfd(descriptors), each->d_name, target, sizeof target - 1);
        if (size <= 0)
            continue;
        target[size] = '\0';
        found = strcmp(target, socket) == 0;
    }
    if (descriptors != NULL)
        closedir(descriptors);
    return found;
}

static void read_name(long pid, char name[HOLDER_NAME_ROOM])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/comm", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(name, HOLDER_NAME_ROOM, file) == NULL)
        snprintf(name, HOLDER_NAME_ROOM, "its name is not known");
    if (file != NULL)
        fclose(file);
    name[strcspn(name, "\n")] = '\0';
    for (char *c = name; *c != '\0'; c++)
        if (!isprint((unsigned char)*c))
            *c = '?';
}

enum holder_answer holder_find(const char *host, uint16_t port, struct holder *holder)
{
    char            ours[HEX_ROOM], socket[64], folder[300];
    struct listener listener = { 0 };
    write_hex(host, ours);
    look_through("/proc/net/tcp", ours, port, &listener);
    look_through("/proc/net/tcp6", ours, port, &listener);
    if (listener.inode == 0)
        return HOLDER_UNKNOWN;

    snprintf(socket, sizeof socket, "socket:[%lu]", listener.inode);
    *holder = (struct holder){ .user = listener.user };
    DIR *processes = opendir("/proc");
    const struct dirent *each;
    while (processes != NULL && holder->pid == 0 && (each = readdir(processes)) != NULL) {
        char *end;
        long  pid = strtol(each->d_name, &end, 10);
        if (pid <= 0 || *end != '\0')
            continue;
        snprintf(folder, sizeof folder, "/proc/%ld/fd", pid);
        if (has_socket(folder, socket))
            holder->pid = pid;
    }
    if (processes != NULL)
        closedir(processes);
    if (holder->pid == 0)
        return listener.user != getuid() ? HOLDER_OTHERS : HOLDER_UNKNOWN;
    read_name(holder->pid, holder->name);
    return HOLDER_FOUND;
}
