/*
 * test_suggest.c -- the promises of suggest.h.
 */
#include "base/suggest.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* What is suggested for `wanted`, out of a list that ends with NULL. */
static const char *nearest(const char *wanted, const char *const names[])
{
    struct suggest suggest;
    suggest_init(&suggest, wanted);
    for (; *names != NULL; names++)
        suggest_offer(&suggest, *names);
    return suggest.best;
}

static bool is_meant(const char *wanted, const char *name)
{
    return nearest(wanted, (const char *const[]){name, NULL}) != NULL;
}

/* One letter changed, missing, too many, or swapped with its neighbour. */
static void test_slips(void)
{
    assert(is_meant("Incremenr", "Increment"));
    assert(is_meant("Incrment", "Increment"));
    assert(is_meant("Inncrement", "Increment"));
    assert(is_meant("Incermnet", "Increment")); /* two swaps */
    assert(is_meant("teh", "the"));             /* a swap is one step */
    assert(is_meant("adn", "and"));
}

/* Case and underscores make no difference. */
static void test_spelling(void)
{
    assert(is_meant("getvalue", "Get_Value"));
    assert(is_meant("__index", "index"));
    struct suggest suggest;
    suggest_init(&suggest, "on_Start");
    suggest_offer(&suggest, "OnStart");
    assert(suggest.best != NULL && suggest.distance == 0);
}

/* Up to a third of the longer name, at least one; but something must be alike. */
static void test_threshold(void)
{
    assert(is_meant("cat", "car"));
    assert(!is_meant("cat", "cup"));
    assert(is_meant("abcdef", "abcdxy"));
    assert(!is_meant("abcdef", "abcxyz"));
    assert(is_meant("at", "it"));
    assert(!is_meant("a", "b"));
    assert(!is_meant("", "x"));
    assert(!is_meant("", "_"));
    assert(!is_meant("Increment", "Decrease"));
}

/* The nearest wins; of equals the first. */
static void test_choice(void)
{
    assert(strcmp(nearest("worker", (const char *const[]){"walker", "workers", "warden", NULL}),
                  "workers") == 0);
    assert(strcmp(nearest("bat", (const char *const[]){"dog", "cat", "hat", NULL}), "cat") == 0);
    assert(nearest("bat", (const char *const[]){NULL}) == NULL);
}

/* Names of any length may be offered; those beyond the limit are never meant. */
static void test_long_names(void)
{
    char name[SUGGEST_NAME_LIMIT + 2], wanted[SUGGEST_NAME_LIMIT + 2];
    memset(name, 'n', sizeof name);
    name[SUGGEST_NAME_LIMIT] = '\0';
    strcpy(wanted, name);
    wanted[3] = 'x';
    assert(is_meant(wanted, name));
    name[SUGGEST_NAME_LIMIT] = 'n';
    name[SUGGEST_NAME_LIMIT + 1] = '\0';
    assert(!is_meant(wanted, name));
    assert(!is_meant(name, wanted));
}

int main(void)
{
    test_slips();
    test_spelling();
    test_threshold();
    test_choice();
    test_long_names();
    puts("suggest: ok");
    return 0;
}
