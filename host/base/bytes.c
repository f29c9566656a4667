/*
 * bytes.c -- see bytes.h. Memory comes from base/memory.h, so that faults can be injected.
 */
#include "base/bytes.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>

#define FIRST_CAPACITY 64

void bytes_init(struct bytes *bytes, size_t limit)
{
    *bytes = (struct bytes){.limit = limit > 0 ? limit : SIZE_MAX};
}

void bytes_fini(struct bytes *bytes)
{
    memory_put(bytes->data, bytes->capacity);
    bytes_init(bytes, bytes->limit);
}

void bytes_clear(struct bytes *bytes, size_t keep)
{
    if (bytes->capacity > keep)
        bytes_fini(bytes);
    bytes->size = 0;
    bytes->failed = false;
}

bool bytes_reserve_slow(struct bytes *bytes, size_t more)
{
    if (more > bytes->limit - bytes->size) {
        bytes->failed = true;
        return false;
    }
    size_t needed = bytes->size + more;
    size_t capacity = bytes->capacity > SIZE_MAX / 2 ? SIZE_MAX : bytes->capacity * 2;
    if (capacity < FIRST_CAPACITY)
        capacity = FIRST_CAPACITY;
    if (capacity < needed)
        capacity = needed;
    if (capacity > bytes->limit)
        capacity = bytes->limit;

    uint8_t *data = memory_resize(bytes->data, bytes->capacity, capacity);
    if (data == NULL) {
        bytes->failed = true;
        return false;
    }
    bytes->data = data;
    bytes->capacity = capacity;
    return true;
}

void bytes_printf(struct bytes *bytes, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        bytes->failed = true;
        return;
    }
    size_t size = (size_t)length;
    if (size < sizeof text) {
        bytes_append(bytes, text, size);
        return;
    }

    char *longer = memory_get(size + 1);
    if (longer == NULL) {
        bytes->failed = true;
        return;
    }
    va_start(arguments, format);
    vsnprintf(longer, size + 1, format, arguments);
    va_end(arguments);
    bytes_append(bytes, longer, size);
    memory_put(longer, size + 1);
}

const char *bytes_text(struct bytes *bytes)
{
    if (!bytes_reserve(bytes, 1))
        return "";
    bytes->data[bytes->size] = '\0';
    return (const char *)bytes->data;
}
