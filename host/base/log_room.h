/*
 * log_room.h -- what log.c (who writes lines), log_form.c (how they look) and
 * log_recent.c (where the last ones are kept) share. Nobody else includes it.
 */
#ifndef TROUPE_BASE_LOG_ROOM_H
#define TROUPE_BASE_LOG_ROOM_H

#include "base/log.h"

/* Copies `text` to `line`, which has room for `limit` bytes and a NUL, with control
 * characters escaped. What is cut off leaves "..." behind. */
void log_escape(char *line, size_t limit, const char *text, bool keep_newlines);

/* Copies the first `limit` bytes of `text`, which has more, with "..." at their end. */
void log_cut(char *line, size_t limit, const char *text);

/* Its head, text and fields in one, cut. */
void log_compose(char *raw, size_t room, const struct log_line *line);

/* Keeps a copy, if any are kept. Any thread. */
void log_recent_keep(const struct log_line *line);

#endif
