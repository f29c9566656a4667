/*
 * enter.h -- Enter on the terminal: somebody there wants something now.
 */
#ifndef TROUPE_ENTER_H
#define TROUPE_ENTER_H

#include <stdbool.h>

/* From now on `pressed` is called, on a thread of its own, for each empty line typed
 * at the terminal that is our standard input. It is read only while this process is in
 * the foreground there and `is_free` says that nobody else of us reads it; other lines
 * are read and dropped. Nothing happens if the standard input is no terminal. 0 or
 * -errno. Once a process. */
int enter_watch(bool (*is_free)(void), void (*pressed)(void));

#endif
