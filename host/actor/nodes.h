/*
 * nodes.h -- where the nodes of a topology are: `book@risk` leads to the endpoint of
 * the node `risk`.
 *
 * To look a node up takes no lock and makes nobody wait, so that a message to it costs
 * no more than one to an endpoint. What was once said of a node is therefore kept until
 * the host ends; a node that moves to and fro takes no more memory than its places do.
 */
#ifndef TROUPE_ACTOR_NODES_H
#define TROUPE_ACTOR_NODES_H

#include "base/thread.h"

#define NODES_LIMIT   10000 /* names, those that were taken back included */
#define NODES_BUCKETS 64

struct node;

struct nodes {
    struct lock lock;   /* of those who change it */
    unsigned    made;   /* guarded by lock */
    _Atomic unsigned known; /* those that have a place; concerns only how quickly there are none */
    _Atomic(struct node *) buckets[NODES_BUCKETS]; /* release by who adds, acquire by readers */
};

void nodes_open(struct nodes *nodes);
void nodes_close(struct nodes *nodes);

/* The node is at this endpoint (as address_endpoint_normalise() writes it), or here
 * (""), from now on; NULL: it is not known any more. 0; -EINVAL: that is no name of a
 * node; -EAGAIN: there are NODES_LIMIT; -ENOMEM. Any thread. */
int nodes_set(struct nodes *nodes, const char *name, const char *endpoint);

/* The same from a text as users write it (":5002"), with a sentence in `why` unless 0.
 * -EINVAL also: it is no endpoint. */
int nodes_read(struct nodes *nodes, const char *name, const char *text, char *why, size_t room);

/* The endpoint of the node, "" if it is this host, NULL if it is not known. Valid until
 * nodes_close(). Any thread. */
const char *nodes_find(const struct nodes *nodes, const char *name);

/* Whether any is known. */
static inline bool nodes_any(const struct nodes *nodes)
{
    return atomic_load_explicit(&nodes->known, memory_order_relaxed) > 0;
}

/* Says that the node is not known, which may have been meant, and which there are. */
void nodes_explain(struct nodes *nodes, const char *name, char *why, size_t room);

#endif
