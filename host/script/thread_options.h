/*
 * thread_options.h -- the options that say where and how urgently an actor's
 * thread runs: cpu, priority.
 */
#ifndef TROUPE_SCRIPT_THREAD_OPTIONS_H
#define TROUPE_SCRIPT_THREAD_OPTIONS_H

#include "script/script.h"

/* Read the option at `index`: as script_read_option(). */
int thread_options_cpu(lua_State *L, int index, struct script_options *options, char *why,
                       size_t room);
int thread_options_priority(lua_State *L, int index, struct script_options *options, char *why,
                            size_t room);

#endif
