/*
 * outlet.h -- our own standard output and error, written to without ever waiting.
 *
 * What the reader does not take yet is kept, and the caller is asked to hold back: so
 * a reader that stands still stops nothing but the flow of lines.
 *
 * An outlet is a way of its own to the file: that it never blocks concerns nobody else
 * who has that file open. One thread.
 */
#ifndef TROUPE_IO_OUTLET_H
#define TROUPE_IO_OUTLET_H

#include "base/bytes.h"

#define OUTLET_FULL ((size_t)64 << 10) /* kept bytes from which on no more is wanted */
#define OUTLET_MOST ((size_t)4 << 20)  /* what is put beyond that is lost */

enum outlet_kind {
    OUTLET_PLAIN,    /* a regular file, which takes all at once */
    OUTLET_OWN,      /* opened anew, and never blocks */
    OUTLET_BORROWED, /* could not be: it is asked first, and given little at once */
    OUTLET_SOCKET,
};

struct outlet {
    enum outlet_kind kind;
    int          descriptor;
    bool         is_terminal;
    bool         gone;  /* nobody reads it any more: what is put is dropped */
    int          error; /* the first other failure: what it was about is lost; 0: none */
    struct bytes kept;
    size_t       begin; /* of what is still to be written */
};

/* For a descriptor that stays open as long. Cannot fail. */
void outlet_open(struct outlet *outlet, int descriptor);
/* Drops what is kept. */
void outlet_close(struct outlet *outlet);

/* Whether two descriptors are one pipe or terminal or file. */
bool outlet_is_same(int descriptor, int other);

void outlet_put(struct outlet *outlet, const char *text, size_t size);
/* Writes what is taken at once. */
void outlet_flush(struct outlet *outlet);

static inline size_t outlet_kept(const struct outlet *outlet)
{
    return outlet->kept.size - outlet->begin;
}

static inline bool outlet_is_full(const struct outlet *outlet)
{
    return outlet_kept(outlet) >= OUTLET_FULL;
}

#endif
