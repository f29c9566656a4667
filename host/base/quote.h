/*
 * quote.h -- any bytes as a JSON string that every reader takes.
 *
 * For what is shown and logged, not for the wire: bytes that are no UTF-8 become U+FFFD,
 * what does not fit is cut. Control characters, also those of Latin-1 that terminals
 * obey, are escaped.
 */
#ifndef TROUPE_BASE_QUOTE_H
#define TROUPE_BASE_QUOTE_H

#include "base/base.h"

/* The most that a text of `size` bytes may take up, quotes and all. */
#define QUOTE_MOST(size) (6 * (size) + 2)
/* The least room there must be: what is cut ends in "...". */
#define QUOTE_LEAST 8

/* Writes the text with its quotes to `to`, at most `room` bytes of it, no NUL; returns
 * how many. */
size_t quote_json(char *to, size_t room, const char *text, size_t size);

#endif
