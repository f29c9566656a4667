/*
 * urgency.c -- see urgency.h.
 */
#include "actor/urgency.h"

#include "actor/system.h"
#include "base/log.h"

#include <sched.h>
#include <string.h>
#include <sys/resource.h>

void urgency_init(struct urgency *urgency)
{
    *urgency = (struct urgency){ .count = 0 };
    lock_init(&urgency->lock);
}

void urgency_fini(struct urgency *urgency)
{
    lock_fini(&urgency->lock);
}

/* 0 or an errno. */
static int raise_to(pthread_t thread, int priority)
{
    struct sched_param parameters = { .sched_priority = priority };
    return pthread_setschedparam(thread, SCHED_FIFO | SCHED_RESET_ON_FORK, &parameters);
}

void urgency_enter(struct system *system)
{
    struct urgency *urgency = &system->urgency;
    lock_acquire(&urgency->lock);
    if (urgency->count < URGENT_THREADS) {
        urgency->threads[urgency->count++] = pthread_self();
        if (urgency->raised != 0)
            raise_to(pthread_self(), urgency->raised);
    }
    lock_release(&urgency->lock);
}

void urgency_leave(struct system *system)
{
    struct urgency *urgency = &system->urgency;
    lock_acquire(&urgency->lock);
    for (unsigned i = 0; i < urgency->count; i++) {
        if (!pthread_equal(urgency->threads[i], pthread_self()))
            continue;
        urgency->threads[i] = urgency->threads[--urgency->count];
        break;
    }
    lock_release(&urgency->lock);
}

static int raise_own_locked(struct urgency *urgency, int priority)
{
    int error = 0;
    if (urgency->raised >= priority)
        return 0;
    for (unsigned i = 0; error == 0 && i < urgency->count; i++)
        error = raise_to(urgency->threads[i], priority);
    if (error == 0)
        urgency->raised = priority;
    return error;
}

static void tell(const char *name, int priority, int error)
{
    struct rlimit limit = { 0 };
    getrlimit(RLIMIT_RTPRIO, &limit);
    const struct log_subject about = { .actor = name };
    log_about(LOG_WARN, &about,
              "priority %d is refused: %s; it runs without. SCHED_FIFO needs RLIMIT_RTPRIO to be "
              "more than the priority (it is %lu: ulimit -r, LimitRTPRIO= of systemd), or "
              "CAP_SYS_NICE", priority, strerror(error), (unsigned long)limit.rlim_cur);
}

void urgency_grant(struct system *system, struct thread *thread, int priority, const char *name)
{
    struct urgency *urgency = &system->urgency;
    int granted = priority < URGENCY_MAX ? priority : URGENCY_MAX - 1;

    lock_acquire(&urgency->lock);
    int error = raise_own_locked(urgency, granted + 1);
    if (error == 0)
        error = raise_to(thread->handle, granted);
    bool first = error != 0 && !urgency->refused;
    urgency->refused = urgency->refused || first;
    lock_release(&urgency->lock);
    if (first)
        tell(name, priority, error);
}
