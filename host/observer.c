/*
 * observer.c -- see observer.h.
 */
#include "observer.h"

#include "actor/tap.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>

#define LOOK_NS (10 * NS_PER_MS)

struct observer {
    struct thread  thread;
    struct lock    lock;
    struct signal  changed;
    struct viewer *added;   /* not yet begun, the last one first; guarded by lock */
    bool           closing; /* likewise */
    struct viewer *viewers; /* only its thread */
};

/* ---- Its thread ------------------------------------------------------------ */

static void let_go(struct viewer *viewer, bool begun)
{
    struct control_client *client = viewer->client;
    viewer->end(viewer, begun);
    control_client_unref(client);
}

static void begin_all(struct observer *observer, struct viewer *added)
{
    while (added != NULL) {
        struct viewer *viewer = added;
        char why[HOST_WHY];
        added = viewer->next;
        int code = viewer->begin(viewer, why, sizeof why);
        if (code != 0) {
            control_end(viewer->client, code, why);
            let_go(viewer, false);
            continue;
        }
        viewer->next = observer->viewers;
        observer->viewers = viewer;
    }
}

static void look_all(struct observer *observer)
{
    tap_collect(false);
    for (struct viewer **link = &observer->viewers; *link != NULL;) {
        struct viewer *viewer = *link;
        if (!control_client_gone(viewer->client) && viewer->look(viewer)) {
            link = &viewer->next;
            continue;
        }
        *link = viewer->next;
        let_go(viewer, true);
    }
}

static uint64_t soon(void)
{
    struct clock clock;
    clock_init(&clock, false);
    return clock_now(&clock) + LOOK_NS;
}

static void *observer_main(void *argument)
{
    struct observer *observer = argument;
    lock_acquire(&observer->lock);
    while (!observer->closing) {
        struct viewer *added = observer->added;
        observer->added = NULL;
        lock_release(&observer->lock);
        begin_all(observer, added);
        look_all(observer);
        bool idle = observer->viewers == NULL;
        lock_acquire(&observer->lock);
        if (!observer->closing && observer->added == NULL)
            signal_wait_until(&observer->changed, &observer->lock, idle ? UINT64_MAX : soon());
    }
    struct viewer *added = observer->added;
    observer->added = NULL;
    lock_release(&observer->lock);

    for (struct viewer *next; added != NULL; added = next) {
        next = added->next;
        let_go(added, false);
    }
    for (struct viewer *each = observer->viewers, *next; each != NULL; each = next) {
        next = each->next;
        let_go(each, true);
    }
    return NULL;
}

/* ---- Others ------------------------------------------------------------------ */

static int start(struct host *host)
{
    struct observer *observer = memory_get_zeroed(sizeof *observer);
    if (observer == NULL)
        return -ENOMEM;
    lock_init(&observer->lock);
    signal_init(&observer->changed);
    int error = thread_start(&observer->thread, "observer", 0, observer_main, observer);
    if (error != 0) {
        signal_fini(&observer->changed);
        lock_fini(&observer->lock);
        memory_put(observer, sizeof *observer);
        return error;
    }
    host->observer = observer;
    return 0;
}

int observer_add(struct host *host, struct viewer *viewer)
{
    if (host->observer == NULL) { /* only the control thread adds */
        int error = start(host);
        if (error != 0)
            return error;
    }
    struct observer *observer = host->observer;
    control_client_ref(viewer->client);
    lock_acquire(&observer->lock);
    viewer->next = observer->added;
    observer->added = viewer;
    signal_one(&observer->changed);
    lock_release(&observer->lock);
    return 0;
}

void observer_close(struct host *host)
{
    struct observer *observer = host->observer;
    if (observer == NULL)
        return;
    host->observer = NULL;
    lock_acquire(&observer->lock);
    observer->closing = true;
    signal_one(&observer->changed);
    lock_release(&observer->lock);
    thread_join(&observer->thread);
    signal_fini(&observer->changed);
    lock_fini(&observer->lock);
    memory_put(observer, sizeof *observer);
}
