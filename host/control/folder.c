/*
 * folder.c -- where the control sockets of one user's hosts lie, one file each.
 */
#include "control/folder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64 /* who connects waits there until the control thread takes him */

/* ---- The folder ----------------------------------------------------------- */

/* What XDG_RUNTIME_DIR promises to be; without that it is as if it were not set. (sudo
 * and containers hand on what belongs to another user, or to another machine.) */
static bool is_own_folder(const char *path)
{
    struct stat status;
    return path != NULL && path[0] == '/' && stat(path, &status) == 0 && S_ISDIR(status.st_mode) &&
           status.st_uid == geteuid();
}

static int choose_path(char *path, size_t room)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    int size = is_own_folder(runtime)
                   ? snprintf(path, room, "%s/troupe", runtime)
                   : snprintf(path, room, "/tmp/troupe-%lu", (unsigned long)geteuid());
    return size >= 0 && (size_t)size < room ? 0 : -ENAMETOOLONG;
}

/* Whether a folder that somebody may have put there is safe to use. */
static int check_trust(const struct control_folder *folder, char *why, size_t room)
{
    struct stat status;
    if (fstat(folder->descriptor, &status) != 0)
        return -errno;
    if (status.st_uid != geteuid()) {
        snprintf(why, room, "%s belongs to another user (%lu): remove it, or set XDG_RUNTIME_DIR",
                 folder->path, (unsigned long)status.st_uid);
        return -EPERM;
    }
    if ((status.st_mode & 077) != 0) {
        snprintf(why, room, "%s is open to other users (mode %03o): chmod 700 it", folder->path,
                 (unsigned)status.st_mode & 0777);
        return -EPERM;
    }
    return 0;
}

int control_folder_open(struct control_folder *folder, bool make, char *why, size_t room)
{
    folder->descriptor = -1;
    int error = choose_path(folder->path, sizeof folder->path);
    if (error != 0) {
        snprintf(why, room, "XDG_RUNTIME_DIR is too long");
        return error;
    }
    if (make && mkdir(folder->path, 0700) != 0 && errno != EEXIST) {
        error = -errno;
        snprintf(why, room, "%s cannot be made: %s", folder->path, strerror(-error));
        return error;
    }
    folder->descriptor = open(folder->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder->descriptor < 0) {
        error = -errno;
        struct stat status;
        bool is_link = lstat(folder->path, &status) == 0 && S_ISLNK(status.st_mode);
        snprintf(why, room, "%s %s", folder->path,
                 is_link ? "is a link, and must be a folder" : strerror(-error));
        return is_link || error == -ENOTDIR ? -EPERM : error;
    }
    error = check_trust(folder, why, room);
    if (error != 0)
        control_folder_close(folder);
    return error;
}

void control_folder_close(struct control_folder *folder)
{
    if (folder->descriptor >= 0)
        close(folder->descriptor);
    folder->descriptor = -1;
}

/* ---- Names ---------------------------------------------------------------- */

void control_folder_name(char file[CONTROL_FILE_ROOM], const char *name)
{
    char   stem[CONTROL_NAME_ROOM];
    size_t size = 0;
    for (; name[size] != '\0' && size < sizeof stem - 1; size++) {
        unsigned char byte = (unsigned char)name[size];
        bool plain = isalnum(byte) || byte == '-' || byte == '_' || (byte == '.' && size > 0);
        stem[size] = plain ? (char)byte : '_';
    }
    if (name[size] != '\0')
        stem[size - 1] = '~';
    if (size == 0)
        stem[size++] = '_';
    stem[size] = '\0';
    snprintf(file, CONTROL_FILE_ROOM, "%s.%ld.sock", stem, (long)getpid());
}

bool control_folder_parse(const char *file, char name[CONTROL_NAME_ROOM], long *pid)
{
    size_t size = strlen(file), digits = 0;
    if (file[0] == '.' || size < sizeof "a.1.sock" - 1 || strcmp(file + size - 5, ".sock") != 0)
        return false;
    size -= 5;
    while (digits < size && isdigit((unsigned char)file[size - digits - 1]))
        digits++;
    if (digits == 0 || digits > 10 || size < digits + 2 || file[size - digits - 1] != '.')
        return false;
    size_t stem = size - digits - 1;
    if (stem >= CONTROL_NAME_ROOM)
        return false;
    memcpy(name, file, stem);
    name[stem] = '\0';
    *pid = strtol(file + size - digits, NULL, 10);
    return true;
}

/* The address of `file` inside the folder, whatever has become of the path to it. */
static int make_address(const struct control_folder *folder, const char *file,
                        struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    int size = snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s",
                        folder->descriptor, file);
    return size > 0 && (size_t)size < sizeof address->sun_path ? 0 : -ENAMETOOLONG;
}

/* ---- Sockets -------------------------------------------------------------- */

/* It gets its name only when it listens: whoever finds one that refuses knows that
 * its host has died. */
int control_folder_listen(const struct control_folder *folder, const char *name,
                          char file[CONTROL_FILE_ROOM])
{
    char hidden[CONTROL_FILE_ROOM + 1];
    struct sockaddr_un address;
    control_folder_name(file, name);
    snprintf(hidden, sizeof hidden, ".%s", file);
    int error = make_address(folder, hidden, &address);
    if (error != 0)
        return error;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0)
        return -errno;
    unlinkat(folder->descriptor, hidden, 0); /* left by a process that had our number */
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0)
        goto fail;
    if (listen(listener, BACKLOG) != 0 ||
        renameat(folder->descriptor, hidden, folder->descriptor, file) != 0)
        goto remove;
    return listener;

remove:
    error = errno;
    unlinkat(folder->descriptor, hidden, 0);
    errno = error;
fail:
    error = -errno;
    close(listener);
    return error;
}

int control_folder_connect(const struct control_folder *folder, const char *file)
{
    struct sockaddr_un address;
    int error = make_address(folder, file, &address);
    if (error != 0)
        return error;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return -errno;
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) {
        error = -errno;
        close(descriptor);
        return error;
    }
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
        peer.uid != geteuid()) {
        close(descriptor);
        return -EPERM;
    }
    return descriptor;
}

/* ---- All of them ---------------------------------------------------------- */

static ino_t file_number(const struct control_folder *folder, const char *file)
{
    struct stat status;
    bool is_socket = fstatat(folder->descriptor, file, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                     S_ISSOCK(status.st_mode);
    return is_socket ? status.st_ino : 0;
}

/* Whether a host listens at the socket; it is removed if none does any more. */
static bool is_served(const struct control_folder *folder, const char *file)
{
    ino_t number = file_number(folder, file);
    if (number == 0)
        return false;
    int descriptor = control_folder_connect(folder, file);
    if (descriptor >= 0) {
        close(descriptor);
        return true;
    }
    if (descriptor == -EAGAIN)
        return true;
    /* Unless a new host with the same name and number has just taken its place. */
    if (descriptor == -ECONNREFUSED && file_number(folder, file) == number)
        unlinkat(folder->descriptor, file, 0);
    return false;
}

/* A socket whose host died before it could give it its name. */
static void remove_unfinished(const struct control_folder *folder, const char *file)
{
    char name[CONTROL_NAME_ROOM];
    long pid;
    if (control_folder_parse(file + 1, name, &pid) && kill((pid_t)pid, 0) != 0 && errno == ESRCH)
        unlinkat(folder->descriptor, file, 0);
}

int control_folder_each(const struct control_folder *folder,
                        void (*visit)(void *context, const char *file, const char *name, long pid),
                        void *context)
{
    int  descriptor = openat(folder->descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *files = descriptor >= 0 ? fdopendir(descriptor) : NULL;
    if (files == NULL) {
        int error = -errno;
        if (descriptor >= 0)
            close(descriptor);
        return error;
    }
    struct dirent *each;
    while ((each = readdir(files)) != NULL) {
        char name[CONTROL_NAME_ROOM];
        long pid;
        if (each->d_name[0] == '.')
            remove_unfinished(folder, each->d_name);
        else if (control_folder_parse(each->d_name, name, &pid) &&
                 is_served(folder, each->d_name) && visit != NULL)
            visit(context, each->d_name, name, pid);
    }
    closedir(files);
    return 0;
}
