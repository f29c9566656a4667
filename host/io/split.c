/*
 * split.c -- bytes become items: lines, or chunks as they come.
 *
 * A line ends with \n, and \r\n is one end, too. A line may hold any bytes.
 */
#include "io/io_room.h"

#include <errno.h>
#include <string.h>

static ssize_t split_chunks(struct io_stream *stream, const char *bytes, size_t size,
                            bool *starved)
{
    size_t used = 0;
    while (used < size) {
        size_t more = size - used < stream->limit ? size - used : stream->limit;
        if (!io_deliver_text(stream, bytes + used, more)) {
            *starved = true;
            break;
        }
        used += more;
    }
    return (ssize_t)used;
}

ssize_t io_split(struct io_stream *stream, const char *bytes, size_t size, bool last,
                 bool *starved)
{
    const char *at = bytes, *end = bytes + size;
    if (stream->chunks)
        return split_chunks(stream, bytes, size, starved);
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((newline != NULL ? newline : end) - at);
        if (length > stream->limit)
            return -EMSGSIZE;
        if (newline == NULL && !last)
            break;
        const char *next = newline != NULL ? newline + 1 : end;
        if (length > 0 && at[length - 1] == '\r')
            length--;
        if (!io_deliver_text(stream, at, length)) {
            *starved = true;
            break;
        }
        at = next;
    }
    return at - bytes;
}
