/*
 * program_control.h -- the command line's way to running hosts: their control sockets,
 * as functions of `require "troupe.port"`.
 *
 * control_list() -> { {name=, pid=, path=}... } sorted, folder; or nil, why
 * control_connect(path) -> connection; or nil, why
 *
 *   connection:send(text) -> true; or nil, "closed". Adds the newline.
 *   connection:receive(seconds?) -> a line; or nil and "timeout", "closed",
 *       "interrupted" (SIGINT) or "terminated" (SIGTERM). Without `seconds` it waits for ever.
 *   connection:descriptor() -> the number to wait for elsewhere until receive(0) may have a line
 *   connection:close()
 *
 * control_take_signals(): from now on SIGINT and SIGTERM are seen by receive() only, and
 * do not end the process: for who has a terminal to put in order.
 *
 * The roof fills the port (host/tools_control.c). One thread: that of the command line.
 */
#ifndef TROUPE_SCRIPT_PROGRAM_CONTROL_H
#define TROUPE_SCRIPT_PROGRAM_CONTROL_H

#include "base/base.h"

struct lua_State;

struct control_host {
    char path[4096 + 128];
    char name[64];
    long pid;
};

struct control_port {
    /* Fills in at most `most` hosts and the folder where their sockets lie. How many
     * there are, or -errno with a sentence in `why`. */
    int (*list)(struct control_host *hosts, unsigned most, char *folder, size_t folder_room,
                char *why, size_t room);
    /* The descriptor of a connection, which never blocks; or -errno, why. */
    int (*connect)(const char *path, char *why, size_t room);
};

/* Sets the functions in the table on top of the stack. `port` outlives the state. */
void program_control_add(struct lua_State *L, const struct control_port *port);

#endif
