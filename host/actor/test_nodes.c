/*
 * test_nodes.c -- what actor/nodes.h promises, and where the router sends by it.
 */
#include "actor/test_system.h"
#include "base/fault.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static char why[400];

static bool is_at(const struct nodes *nodes, const char *name, const char *endpoint)
{
    const char *found = nodes_find(nodes, name);
    return found != NULL && strcmp(found, endpoint) == 0;
}

/* A node is where it was last said to be; nobody else's place changes by that. */
static void test_set_and_found(void)
{
    struct nodes nodes;
    nodes_open(&nodes);
    assert(!nodes_any(&nodes) && nodes_find(&nodes, "risk") == NULL);
    assert(nodes_set(&nodes, "risk", "tcp://127.0.0.1:1") == 0 && nodes_any(&nodes));
    assert(nodes_set(&nodes, "feed", "") == 0);
    assert(is_at(&nodes, "risk", "tcp://127.0.0.1:1") && is_at(&nodes, "feed", ""));
    assert(nodes_set(&nodes, "risk", "tcp://127.0.0.1:2") == 0);
    assert(is_at(&nodes, "risk", "tcp://127.0.0.1:2"));

    assert(nodes_set(&nodes, "risk", NULL) == 0 && nodes_find(&nodes, "risk") == NULL);
    assert(nodes_set(&nodes, "never", NULL) == 0 && nodes_any(&nodes));
    assert(nodes_set(&nodes, "feed", NULL) == 0 && !nodes_any(&nodes));
    nodes_close(&nodes);
}

/* What was found stays readable, and coming back takes no more memory. */
static void test_kept(void)
{
    struct nodes nodes;
    nodes_open(&nodes);
    nodes_set(&nodes, "risk", "tcp://127.0.0.1:1");
    const char *first = nodes_find(&nodes, "risk");
    nodes_set(&nodes, "risk", "tcp://127.0.0.1:2");
    nodes_set(&nodes, "risk", NULL);
    assert(strcmp(first, "tcp://127.0.0.1:1") == 0);
    nodes_set(&nodes, "risk", "tcp://127.0.0.1:1");
    assert(nodes_find(&nodes, "risk") == first);
    nodes_close(&nodes);
}

/* Many are told apart; the limit has an answer, also for names that were taken back. */
static void test_many(void)
{
    struct nodes nodes;
    char name[32], endpoint[64];
    nodes_open(&nodes);
    for (int i = 0; i < NODES_LIMIT; i++) {
        snprintf(name, sizeof name, "n%d", i);
        snprintf(endpoint, sizeof endpoint, "tcp://10.0.0.1:%d", 1 + i % 60000);
        assert(nodes_set(&nodes, name, endpoint) == 0);
    }
    assert(is_at(&nodes, "n0", "tcp://10.0.0.1:1") && is_at(&nodes, "n9999", "tcp://10.0.0.1:10000"));
    assert(nodes_read(&nodes, "more", ":5001", why, sizeof why) == -EAGAIN);
    assert(strcmp(why, "a host knows at most 10000 nodes") == 0);
    assert(nodes_set(&nodes, "n7", NULL) == 0 && nodes_set(&nodes, "more", "") == -EAGAIN);
    assert(nodes_set(&nodes, "n7", "") == 0);
    nodes_close(&nodes);
}

/* Texts of users: one spelling is kept; what is none is refused by the node's name. */
static void test_read(void)
{
    struct nodes nodes;
    nodes_open(&nodes);
    assert(nodes_read(&nodes, "risk", ":5002", why, sizeof why) == 0);
    assert(is_at(&nodes, "risk", "tcp://127.0.0.1:5002"));
    assert(nodes_read(&nodes, "feed", "", why, sizeof why) == 0 && is_at(&nodes, "feed", ""));
    assert(nodes_read(&nodes, "far", "tcp://*:5002", why, sizeof why) == -EINVAL);
    assert(strcmp(why, "node 'far': '*' is no address that can be reached") == 0);
    assert(nodes_read(&nodes, "a b", ":5002", why, sizeof why) == -EINVAL);
    assert(strstr(why, "'a b' is no name of a node") == why);
    nodes_close(&nodes);
}

/* Who asks for one that there is not hears which one may be meant, or which there are. */
static void test_explained(void)
{
    struct nodes nodes;
    nodes_open(&nodes);
    nodes_explain(&nodes, "risk", why, sizeof why);
    assert(strstr(why, "no node 'risk' is known here: write NAME@:PORT") == why);
    nodes_set(&nodes, "risk", "");
    nodes_explain(&nodes, "risc", why, sizeof why);
    assert(strcmp(why, "no node 'risc' is known here (did you mean 'risk'?)") == 0);
    nodes_explain(&nodes, "marketing", why, sizeof why);
    assert(strcmp(why, "no node 'marketing' is known here, only risk") == 0);
    nodes_close(&nodes);
}

#ifdef TROUPE_FAULTS
/* Without memory nothing has changed. */
static void test_no_memory(void)
{
    for (uint64_t fail = 1; fail <= 2; fail++) {
        struct nodes nodes;
        nodes_open(&nodes);
        fault_arm(fail);
        assert(nodes_set(&nodes, "risk", "tcp://127.0.0.1:1") == -ENOMEM);
        fault_arm(0);
        assert(nodes_find(&nodes, "risk") == NULL && !nodes_any(&nodes));
        assert(nodes_set(&nodes, "risk", "tcp://127.0.0.1:1") == 0);
        nodes_close(&nodes);
    }
}
#endif

/* ---- Looked up while they change ---- */

static atomic_bool over;

static void *look_up(void *context)
{
    const struct nodes *nodes = context;
    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        const char *found = nodes_find(nodes, "risk");
        assert(found == NULL || strncmp(found, "tcp://127.0.0.1:", 16) == 0);
    }
    return NULL;
}

static void test_threads(void)
{
    struct nodes  nodes;
    struct thread threads[3];
    char          name[32], endpoint[64];
    nodes_open(&nodes);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert(thread_start(&threads[i], "look", 0, look_up, &nodes) == 0);
    for (int i = 1; i <= 3000; i++) {
        snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", i % 20 + 1);
        snprintf(name, sizeof name, "other%d", i);
        assert(nodes_set(&nodes, "risk", i % 7 == 0 ? NULL : endpoint) == 0);
        assert(nodes_set(&nodes, name, endpoint) == 0);
    }
    atomic_store(&over, true);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        thread_join(&threads[i]);
    nodes_close(&nodes);
}

/* ---- The router ---- */

static bool leads_here(const char *text)
{
    struct address *address;
    assert(address_parse(text, strlen(text), &address, why, sizeof why) == 0);
    bool here_too = router_is_here(&here, address);
    address_unref(address);
    return here_too;
}

static bool is_5001(void *context, const char *endpoint)
{
    (void)context;
    return strcmp(endpoint, "tcp://127.0.0.1:5001") == 0;
}

/* An address is of this host without a place, at our endpoint, or of a node of those. */
static void test_here(void)
{
    open_with(0);
    here.remote.is_own = is_5001;
    nodes_set(&here.nodes, "feed", "");
    nodes_set(&here.nodes, "same", "tcp://127.0.0.1:5001");
    nodes_set(&here.nodes, "risk", "tcp://127.0.0.1:5002");
    assert(leads_here("a") && leads_here("a@:5001") && leads_here("a@feed") && leads_here("a@same"));
    assert(!leads_here("a@:5002") && !leads_here("a@risk") && !leads_here("a@unknown"));
    shut_down();
}

int main(void)
{
    test_set_and_found();
    test_kept();
    test_many();
    test_read();
    test_explained();
#ifdef TROUPE_FAULTS
    test_no_memory();
#endif
    test_threads();
    test_here();
    return 0;
}
