/*
 * folder.h -- where the control sockets of one user's hosts lie, one file each.
 *
 * `$XDG_RUNTIME_DIR/troupe` if XDG_RUNTIME_DIR names a folder of this user's, else
 * `/tmp/troupe-UID`. It must be a folder, no link to one, of this user and open to
 * nobody else: otherwise somebody else could have put sockets there.
 *
 * Sockets are named NAME.PID.sock. All is done through the folder's descriptor, so
 * that nobody can exchange it in between, and a path may be longer than a socket's
 * address has room for.
 */
#ifndef TROUPE_CONTROL_FOLDER_H
#define TROUPE_CONTROL_FOLDER_H

#include "base/base.h"

#include <limits.h>

#define CONTROL_NAME_ROOM 48 /* of NAME, with its NUL */
#define CONTROL_FILE_ROOM (CONTROL_NAME_ROOM + 32)

struct control_folder {
    int  descriptor;
    char path[PATH_MAX];
};

/* Opens the folder; with `make` it is made if it is missing. 0; -ENOENT: it is not
 * there; -EPERM: it is not to be trusted; or another -errno; with a sentence in `why`. */
int  control_folder_open(struct control_folder *folder, bool make, char *why, size_t room);
void control_folder_close(struct control_folder *folder);

/* Makes the socket of the host called `name` in this process: its descriptor
 * listens, and `file` is what it is called. Or -errno. */
int  control_folder_listen(const struct control_folder *folder, const char *name,
                           char file[CONTROL_FILE_ROOM]);

/* A connection to a socket: its descriptor, which never blocks. -ECONNREFUSED: nobody
 * listens there any more; -EAGAIN: too many wait to be let in; -EPERM: it is another
 * user who listens. */
int  control_folder_connect(const struct control_folder *folder, const char *file);

/* What the socket of a host called `name` in this process is called: the name as it may
 * stand in a file's, cut visibly, and never hidden. */
void control_folder_name(char file[CONTROL_FILE_ROOM], const char *name);

/* Whether `file` is a socket's: then what its host is called and its process. */
bool control_folder_parse(const char *file, char name[CONTROL_NAME_ROOM], long *pid);

/* Calls `visit` for the socket of each host that lives, in no order; removes those of
 * hosts that have died. `visit` may be NULL. 0 or -errno. */
int  control_folder_each(const struct control_folder *folder,
                         void (*visit)(void *context, const char *file, const char *name, long pid),
                         void *context);

#endif
