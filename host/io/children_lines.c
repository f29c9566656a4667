/*
 * children_lines.c -- bytes that a child writes become lines.
 */
#include "io/children_room.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

void children_stream_init(struct child_stream *stream, int descriptor)
{
    *stream = (struct child_stream){ .descriptor = descriptor };
    bytes_init(&stream->data, CHILDREN_LINE_MOST + CHILDREN_READ);
}

void children_stream_close(struct child_stream *stream)
{
    if (stream->descriptor >= 0)
        close(stream->descriptor);
    stream->descriptor = -1;
    bytes_fini(&stream->data);
    stream->begin = stream->searched = 0;
}

static void end(struct child_stream *stream)
{
    close(stream->descriptor);
    stream->descriptor = -1;
}

/* What was told makes room. */
static void compact(struct child_stream *stream)
{
    size_t size = stream->data.size - stream->begin;
    if (size == 0)
        bytes_clear(&stream->data, CHILDREN_READ);
    else if (stream->begin > 0)
        memmove(stream->data.data, stream->data.data + stream->begin, size);
    stream->searched -= stream->begin;
    stream->data.size = size;
    stream->begin = 0;
}

void children_stream_read(struct child_stream *stream)
{
    size_t most = stream->bounded && stream->left < CHILDREN_READ ? stream->left : CHILDREN_READ;
    compact(stream);
    if (most == 0) {
        end(stream);
        return;
    }
    if (!bytes_reserve(&stream->data, most)) { /* no memory: it is tried again */
        stream->data.failed = false;
        return;
    }
    ssize_t size = read(stream->descriptor, stream->data.data + stream->data.size, most);
    if (size > 0) {
        stream->data.size += (size_t)size;
        stream->left -= stream->bounded ? (size_t)size : 0;
    } else if (size == 0 || (errno != EAGAIN && errno != EINTR) || stream->bounded) {
        end(stream);
    }
}

void children_stream_bound(struct child_stream *stream)
{
    int left = 0;
    if (stream->descriptor < 0)
        return;
    stream->bounded = true;
    stream->left = ioctl(stream->descriptor, FIONREAD, &left) == 0 ? (size_t)left : 0;
}

bool children_stream_line(struct child_stream *stream, const char **text, size_t *size)
{
    const uint8_t *data = stream->data.data;
    size_t have = stream->data.size - stream->begin;
    const uint8_t *newline = NULL;
    if (stream->data.size > stream->searched)
        newline = memchr(data + stream->searched, '\n', stream->data.size - stream->searched);
    stream->searched = stream->data.size;
    if (have == 0 || (newline == NULL && have < CHILDREN_LINE_MOST && stream->descriptor >= 0))
        return false;
    *text = (const char *)data + stream->begin;
    *size = newline != NULL ? (size_t)(newline - data) - stream->begin : have;
    if (*size > CHILDREN_LINE_MOST) {
        *size = CHILDREN_LINE_MOST;
        newline = NULL;
    }
    stream->begin += *size + (newline != NULL);
    stream->searched = stream->begin;
    bool is_rest = stream->cut && *size == 0; /* of a line that ended with its last piece */
    stream->cut = newline == NULL;
    return !is_rest || children_stream_line(stream, text, size);
}
