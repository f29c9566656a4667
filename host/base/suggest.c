/*
 * suggest.c -- see suggest.h.
 */
#include "base/suggest.h"

#include <string.h>

/* A name as it is compared: small letters, no underscores. */
struct plain {
    char   text[SUGGEST_NAME_LIMIT];
    size_t size;
};

/* False if the name is too long. */
static bool make_plain(struct plain *plain, const char *name)
{
    plain->size = 0;
    for (; *name != '\0'; name++) {
        if (*name == '_')
            continue;
        if (plain->size == sizeof plain->text)
            return false;
        bool large = *name >= 'A' && *name <= 'Z';
        plain->text[plain->size++] = large ? (char)(*name - 'A' + 'a') : *name;
    }
    return true;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* How many letters were changed, left out, added, or swapped with the next. */
static unsigned distance_between(const struct plain *a, const struct plain *b)
{
    unsigned rows[3][SUGGEST_NAME_LIMIT + 1];
    unsigned *two_back = rows[0], *one_back = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b->size; j++)
        row[j] = (unsigned)j;

    for (size_t i = 1; i <= a->size; i++) {
        unsigned *oldest = two_back;
        two_back = one_back;
        one_back = row;
        row = oldest;
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b->size; j++) {
            unsigned changed = a->text[i - 1] != b->text[j - 1];
            row[j] = least(one_back[j - 1] + changed, least(one_back[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a->text[i - 1] == b->text[j - 2] &&
                a->text[i - 2] == b->text[j - 1])
                row[j] = least(row[j], two_back[j - 2] + 1);
        }
    }
    return row[b->size];
}

void suggest_init(struct suggest *suggest, const char *wanted)
{
    *suggest = (struct suggest){.wanted = wanted};
}

void suggest_offer(struct suggest *suggest, const char *candidate)
{
    struct plain wanted, offered;
    if (!make_plain(&wanted, suggest->wanted) || !make_plain(&offered, candidate))
        return;

    size_t longer = wanted.size > offered.size ? wanted.size : offered.size;
    size_t allowed = longer / 3 > 1 ? longer / 3 : 1;
    unsigned distance = distance_between(&wanted, &offered);
    if (distance > allowed || distance >= longer)
        return;
    if (suggest->best == NULL || distance < suggest->distance) {
        suggest->best = candidate;
        suggest->distance = distance;
    }
}
