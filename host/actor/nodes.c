/*
 * nodes.c -- see nodes.h: a table whose entries, and the texts in them, are only added.
 */
#include "actor/nodes.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/suggest.h"
#include "message/address.h"

#include <errno.h>
#include <stdio.h>

#define NAMES_SHOWN 8 /* when somebody looks for one that there is not */

/* Where a node is or was. */
struct place {
    struct place *next;
    size_t        size; /* of the block */
    char          endpoint[];
};

struct node {
    struct node          *next;   /* fixed once it can be found */
    size_t                size;   /* of the block */
    struct place         *places; /* guarded by nodes->lock */
    /* One of `places`, or NULL; release and acquire as for the buckets. */
    _Atomic(const char *) endpoint;
    char                  name[];
};

static _Atomic(struct node *) *bucket_of(const struct nodes *nodes, const char *name)
{
    uint64_t hash = hash_more(HASH_EMPTY, name, strlen(name));
    return (_Atomic(struct node *) *)&nodes->buckets[hash % NODES_BUCKETS];
}

void nodes_open(struct nodes *nodes)
{
    lock_init(&nodes->lock);
    nodes->made = 0;
    atomic_init(&nodes->known, 0);
    for (size_t i = 0; i < NODES_BUCKETS; i++)
        atomic_init(&nodes->buckets[i], NULL);
}

static void free_node(struct node *node)
{
    while (node->places != NULL) {
        struct place *place = node->places;
        node->places = place->next;
        memory_put(place, place->size);
    }
    memory_put(node, node->size);
}

void nodes_close(struct nodes *nodes)
{
    for (size_t i = 0; i < NODES_BUCKETS; i++) {
        struct node *node = atomic_load_explicit(&nodes->buckets[i], memory_order_relaxed);
        while (node != NULL) {
            struct node *next = node->next;
            free_node(node);
            node = next;
        }
    }
    lock_fini(&nodes->lock);
}

static struct node *find(const struct nodes *nodes, const char *name)
{
    struct node *node = atomic_load_explicit(bucket_of(nodes, name), memory_order_acquire);
    while (node != NULL && strcmp(node->name, name) != 0)
        node = node->next;
    return node;
}

const char *nodes_find(const struct nodes *nodes, const char *name)
{
    const struct node *node = find(nodes, name);
    return node != NULL ? atomic_load_explicit(&node->endpoint, memory_order_acquire) : NULL;
}

/* A node without a place, or NULL: no memory. */
static struct node *add_locked(struct nodes *nodes, const char *name)
{
    size_t       size = sizeof(struct node) + strlen(name) + 1;
    struct node *node = memory_get(size);
    if (node == NULL)
        return NULL;
    _Atomic(struct node *) *bucket = bucket_of(nodes, name);
    node->next = atomic_load_explicit(bucket, memory_order_relaxed);
    node->size = size;
    node->places = NULL;
    atomic_init(&node->endpoint, NULL);
    strcpy(node->name, name);
    atomic_store_explicit(bucket, node, memory_order_release);
    nodes->made++;
    return node;
}

/* The text that is kept of the endpoint, or NULL: no memory. */
static const char *keep_locked(struct node *node, const char *endpoint)
{
    for (const struct place *each = node->places; each != NULL; each = each->next)
        if (strcmp(each->endpoint, endpoint) == 0)
            return each->endpoint;
    size_t        size = sizeof(struct place) + strlen(endpoint) + 1;
    struct place *place = memory_get(size);
    if (place == NULL)
        return NULL;
    place->next = node->places;
    place->size = size;
    strcpy(place->endpoint, endpoint);
    node->places = place;
    return place->endpoint;
}

static int set_locked(struct nodes *nodes, const char *name, const char *endpoint)
{
    struct node *node = find(nodes, name);
    const char  *kept = NULL;
    if (node == NULL && endpoint == NULL)
        return 0;
    if (node == NULL && nodes->made == NODES_LIMIT)
        return -EAGAIN;
    if (node == NULL && (node = add_locked(nodes, name)) == NULL)
        return -ENOMEM;
    if (endpoint != NULL && (kept = keep_locked(node, endpoint)) == NULL)
        return -ENOMEM;
    bool was = atomic_load_explicit(&node->endpoint, memory_order_relaxed) != NULL;
    atomic_store_explicit(&node->endpoint, kept, memory_order_release);
    if (was != (kept != NULL))
        atomic_fetch_add_explicit(&nodes->known, was ? -1u : 1u, memory_order_relaxed);
    return 0;
}

int nodes_set(struct nodes *nodes, const char *name, const char *endpoint)
{
    if (!address_name_is_valid(name, strlen(name)))
        return -EINVAL;
    lock_acquire(&nodes->lock);
    int error = set_locked(nodes, name, endpoint);
    lock_release(&nodes->lock);
    return error;
}

int nodes_read(struct nodes *nodes, const char *name, const char *text, char *why, size_t room)
{
    char endpoint[ADDRESS_ENDPOINT_LIMIT] = "", mistake[200];
    if (text != NULL && *text != '\0' &&
        address_endpoint_normalise(text, strlen(text), false, false, endpoint, mistake,
                                   sizeof mistake) != 0) {
        snprintf(why, room, "node '%.60s': %s", name, mistake);
        return -EINVAL;
    }
    int error = nodes_set(nodes, name, text != NULL ? endpoint : NULL);
    if (error == -EINVAL)
        snprintf(why, room, "'%.60s' is no name of a node: it is made of letters, digits, '_', '.' "
                 "and '-'", name);
    else if (error == -EAGAIN)
        snprintf(why, room, "a host knows at most %d nodes", NODES_LIMIT);
    else if (error != 0)
        snprintf(why, room, "out of memory");
    return error;
}

void nodes_explain(struct nodes *nodes, const char *name, char *why, size_t room)
{
    struct suggest suggest;
    struct bytes   names;
    unsigned       known = 0;
    suggest_init(&suggest, name);
    bytes_init(&names, 400);

    lock_acquire(&nodes->lock);
    for (size_t i = 0; i < NODES_BUCKETS; i++) {
        const struct node *node = atomic_load_explicit(&nodes->buckets[i], memory_order_relaxed);
        for (; node != NULL; node = node->next) {
            if (atomic_load_explicit(&node->endpoint, memory_order_relaxed) == NULL)
                continue;
            suggest_offer(&suggest, node->name);
            if (++known <= NAMES_SHOWN)
                bytes_printf(&names, "%s%.60s", known > 1 ? ", " : "", node->name);
        }
    }
    lock_release(&nodes->lock);

    if (known == 0)
        snprintf(why, room, "no node '%s' is known here: write NAME@:PORT or NAME@tcp://HOST:PORT",
                 name);
    else if (suggest.best != NULL)
        snprintf(why, room, "no node '%s' is known here (did you mean '%s'?)", name, suggest.best);
    else
        snprintf(why, room, "no node '%s' is known here, only %s%s", name, bytes_text(&names),
                 known > NAMES_SHOWN ? ", ..." : "");
    bytes_fini(&names);
}
