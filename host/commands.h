/*
 * commands.h -- what the control socket serves: each command in a file of its own.
 *
 * A command is opened before the host's threads start, and closed when its actors
 * have ended and the control thread has: what it has made then is freed. Both lists
 * are in host_control.c.
 */
#ifndef TROUPE_COMMANDS_H
#define TROUPE_COMMANDS_H

#include "host_internal.h"

/* 0 or -ENOMEM: what is half made then is closed as well. */
typedef int  command_open(struct host *host);
/* Also if it was never opened. */
typedef void command_close(struct host *host);

command_open command_info_open, command_kill_open, command_dead_open, command_metrics_open,
    command_mail_open, command_ps_open, command_trace_open, command_logs_open, command_attach_open,
    command_reload_open;
command_close command_kill_close, command_mail_close, command_logs_close, command_attach_close,
    command_reload_close;

/* For writing answers: an object of packed fields, which is said as a line of JSON. */
struct command_row {
    struct bytes packed;
    size_t       at;
    uint32_t     count;
};
void command_row_begin(struct command_row *row);
void command_row_text(struct command_row *row, const char *field, const char *text); /* NULL: null */
void command_row_integer(struct command_row *row, const char *field, int64_t integer);
void command_row_number(struct command_row *row, const char *field, double number);
void command_row_flag(struct command_row *row, const char *field, bool flag);
/* The next value is the caller's to pack into row->packed. */
void command_row_field(struct command_row *row, const char *field);
/* Says it, and lets go of it. False: it was not said (control_say()). */
bool command_row_say(struct command_row *row, struct control_client *client);

#endif
