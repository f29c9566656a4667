/*
 * tools.h -- what `troupe listen`, `bench` and `doctor` are made of below their
 * Lua: the port of script/program_tools.h, filled.
 *
 * Each tool has a host of its own that runs no actors. It is told of everything
 * that comes in by system->intercept, on the gateway's thread, and sends through
 * system->remote, under any name.
 */
#ifndef TROUPE_TOOLS_H
#define TROUPE_TOOLS_H

#include "host_internal.h"
#include "script/program_children.h"
#include "script/program_control.h"
#include "script/program_tools.h"

extern const struct tools_port tools_port;
extern const struct control_port control_port; /* tools_control.c */
extern const struct children_port children_port; /* tools_children.c */

/* What the command line says of security, for host_make(). */
void tools_secure(struct host_options *options, const struct program_security *security);

/* ---- For its own files ------------------------------------------------- */

/* A tool's host, not started. `options` may be NULL. 0 or -errno, why. */
int tools_make_host(struct host **host, const struct tools_listen *options, char *why,
                    size_t room);

/* Blocks SIGINT and SIGTERM, to be asked for from now on: the number of one
 * that has come, or 0. */
void tools_take_signals(void);
int  tools_signal(void);

int         tools_listen_open(struct listening **out, const struct tools_listen *options,
                              char *why, size_t room);
const char *tools_listen_endpoint(const struct listening *listening);
enum tools_news tools_listen_next(struct listening *listening, uint64_t timeout_ms,
                                  struct tools_heard *heard);
int         tools_listen_reply(struct listening *listening, const char *type, const char *json,
                               char *why, size_t room);
void        tools_listen_reject(struct listening *listening, const char *reason);
int         tools_listen_send(struct listening *listening, const char *from, const char *to,
                              const char *type, const char *json, char *why, size_t room);
size_t      tools_listen_waiting(struct listening *listening);
void        tools_listen_close(struct listening *listening);

int  tools_bench_open(struct bench **out, const struct tools_bench *options, char *why,
                      size_t room);
void tools_bench_go_on(struct bench *bench, uint64_t for_ms);
void tools_bench_read(struct bench *bench, struct tools_measured *measured);
void tools_bench_close(struct bench *bench);

#endif
