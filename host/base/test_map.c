/*
 * test_map.c -- the promises of map.h, against a plain list.
 */
#include "base/fault.h"
#include "base/map.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int values[1000]; /* only their addresses matter */

static uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* An empty map answers, and costs no memory. */
static void test_empty(void)
{
    struct map map;
    size_t position = 0;
    size_t before = memory_used();
    map_init(&map);
    assert(map_find(&map, "a", 1) == NULL);
    assert(map_remove(&map, "a", 1) == NULL);
    assert(map_next(&map, &position) == NULL);
    assert(memory_used() == before);
    map_fini(&map);
}

/* Keys are bytes: empty, with a NUL inside, or the beginning of another. */
static void test_keys(void)
{
    struct map map;
    map_init(&map);
    assert(map_set(&map, "", 0, &values[0]) == 0);
    assert(map_set(&map, "a", 1, &values[1]) == 0);
    assert(map_set(&map, "a\0", 2, &values[2]) == 0);
    assert(map_set(&map, "a\0b", 3, &values[3]) == 0);
    assert(map_set(&map, "abcdefgh", 8, &values[4]) == 0);
    assert(map_set(&map, "abcdefghi", 9, &values[5]) == 0);
    assert(map.count == 6);
    assert(map_find(&map, "", 0) == &values[0]);
    assert(map_find(&map, "a", 1) == &values[1]);
    assert(map_find(&map, "a\0", 2) == &values[2]);
    assert(map_find(&map, "a\0b", 3) == &values[3]);
    assert(map_find(&map, "abcdefgh", 8) == &values[4]);
    assert(map_find(&map, "abcdefghi", 9) == &values[5]);
    assert(map_find(&map, "ab", 2) == NULL);
    map_fini(&map);
}

/* Setting a key again replaces its value; the key given need not outlive the call. */
static void test_replace(void)
{
    struct map map;
    map_init(&map);
    char key[] = "name";
    assert(map_set(&map, key, 4, &values[0]) == 0);
    assert(map_set(&map, key, 4, &values[1]) == 0);
    memcpy(key, "____", 4);
    assert(map.count == 1);
    assert(map_find(&map, "name", 4) == &values[1]);
    assert(map_remove(&map, "name", 4) == &values[1]);
    assert(map_find(&map, "name", 4) == NULL && map.count == 0);
    map_fini(&map);
}

/* After any history it holds what a plain array would. */
static void test_against_an_array(void)
{
    enum { KEYS = 1000, STEPS = 300000 };
    static void *expected[KEYS];
    struct map map;
    uint32_t state = 11;
    size_t count = 0;
    map_init(&map);
    for (int step = 0; step < STEPS; step++) {
        size_t key = random_next(&state) % KEYS;
        char name[32];
        size_t size = (size_t)snprintf(name, sizeof name, "%zu.actor.%zu", key, key * key);
        /* Now mostly growing, now mostly shrinking. */
        unsigned action = random_next(&state) % 10;
        unsigned growing = step / 20000 % 2 == 0 ? 6 : 2;
        assert(map_find(&map, name, size) == expected[key]);
        if (action < growing) {
            void *value = &values[random_next(&state) % ARRAY_LENGTH(values)];
            count += expected[key] == NULL;
            expected[key] = value;
            assert(map_set(&map, name, size, value) == 0);
        } else if (action < 8) {
            count -= expected[key] != NULL;
            assert(map_remove(&map, name, size) == expected[key]);
            expected[key] = NULL;
        }
        assert(map.count == count);
    }

    /* The visit sees each entry once, with a NUL after its key. */
    size_t position = 0;
    size_t seen = 0;
    const struct map_entry *entry;
    while ((entry = map_next(&map, &position)) != NULL) {
        assert(strlen(entry->key) == entry->size);
        size_t key = strtoul(entry->key, NULL, 10);
        assert(entry->value == expected[key] && entry->value != NULL);
        expected[key] = NULL;
        seen++;
    }
    assert(seen == count && count > 0);
    map_fini(&map);
    assert(map.count == 0 && map_find(&map, "a", 1) == NULL);
}

#ifdef TROUPE_FAULTS
/* Whichever allocation fails, the map is as it was, and the next try succeeds. */
static void test_faults(void)
{
    struct map map;
    map_init(&map);
    for (size_t i = 0; i < 100; i++) {
        char name[16];
        size_t size = (size_t)snprintf(name, sizeof name, "%zu", i);
        int err = -ENOMEM;
        for (uint64_t n = 1; err != 0; n++) {
            assert(map_find(&map, name, size) == NULL && map.count == i);
            fault_arm(n);
            err = map_set(&map, name, size, &values[i]);
            assert(err == 0 || err == -ENOMEM);
        }
        fault_arm(0);
        assert(map_find(&map, name, size) == &values[i]);
    }
    fault_arm(1);
    assert(map_set(&map, "7", 1, &values[0]) == 0); /* replacing needs no memory */
    fault_arm(0);
    map_fini(&map);
}
#endif

int main(void)
{
    size_t before = memory_used();
    test_empty();
    test_keys();
    test_replace();
    test_against_an_array();
#ifdef TROUPE_FAULTS
    test_faults();
#endif
    assert(memory_used() == before);
    puts("map: ok");
    return 0;
}
