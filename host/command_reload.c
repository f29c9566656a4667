/*
 * command_reload.c -- `reload`: new code for scripts, in this host or in all at once.
 *
 *     {"do":"reload","paths":["/home/me/pong.lua"],"undo":false,"trial":30}
 *     {"ok":true,"changed":true,"scripts":[...],...}    as script/reload.h describes it
 *
 * Without paths it is all that is in use. With "decide" the actors stay held once all
 * have prepared, for 10 s at most, until it is said what is to be done; who goes away,
 * or asks something else, has called it off:
 *
 *     {"prepared":{...},"ticket":3}
 *
 * and on another connection
 *
 *     {"do":"verdict","ticket":3,"commit":true}         else it is called off
 */
#include "commands.h"

#include "base/memory.h"
#include "script/reload.h"

#include <errno.h>
#include <stdio.h>

#define PATHS_MOST   1024
#define DECIDE_NS    (10 * NS_PER_SEC)
#define LOOK_NS      (100 * NS_PER_MS) /* how often whether the host is ending */

enum decision { UNDECIDED, COMMIT, ABORT };

struct reload_ask {
    struct reload_ask *next;       /* guarded by the reloads' lock */
    struct host *host;
    struct control_client *client; /* counted */
    int64_t       ticket;
    enum decision decision;        /* guarded by the reloads' lock */
};

struct reload_asks {
    struct lock   lock;
    struct signal decided;
    struct reload_ask *first;      /* guarded by lock */
    int64_t       tickets;         /* guarded by lock */
};

/* ---- What is asked ------------------------------------------------------------ */

static struct reload_ask *ask_new(struct host *host, struct control_client *client)
{
    struct reload_asks *asks = host->reload_asks;
    struct reload_ask *ask = memory_get_zeroed(sizeof *ask);
    if (ask == NULL)
        return NULL;
    ask->host = host;
    ask->client = control_client_ref(client);
    lock_acquire(&asks->lock);
    ask->ticket = ++asks->tickets;
    ask->next = asks->first;
    asks->first = ask;
    lock_release(&asks->lock);
    return ask;
}

static void ask_free(struct reload_ask *ask)
{
    struct reload_asks *asks = ask->host->reload_asks;
    lock_acquire(&asks->lock);
    struct reload_ask **at = &asks->first;
    while (*at != ask)
        at = &(*at)->next;
    *at = ask->next;
    lock_release(&asks->lock);
    control_client_unref(ask->client);
    memory_put(ask, sizeof *ask);
}

/* The first verdict counts. False: there is nothing (more) to be decided. */
static bool decide_locked(struct reload_asks *asks, struct reload_ask *ask, enum decision decision)
{
    if (ask == NULL || ask->decision != UNDECIDED)
        return false;
    ask->decision = decision;
    signal_all(&asks->decided);
    return true;
}

static bool decide_by_ticket(struct reload_asks *asks, int64_t ticket, enum decision decision)
{
    lock_acquire(&asks->lock);
    struct reload_ask *ask = asks->first;
    while (ask != NULL && ask->ticket != ticket)
        ask = ask->next;
    bool decided = decide_locked(asks, ask, decision);
    lock_release(&asks->lock);
    return decided;
}

static void gone(void *context, struct control_client *client)
{
    struct host *host = context;
    struct reload_asks *asks = host->reload_asks;
    lock_acquire(&asks->lock);
    struct reload_ask *ask = asks->first;
    while (ask != NULL && ask->client != client)
        ask = ask->next;
    decide_locked(asks, ask, ABORT);
    lock_release(&asks->lock);
}

/* ---- On the reloader's thread ------------------------------------------------- */

static void say_prepared(struct reload_ask *ask, const char *json)
{
    struct bytes line;
    bytes_init(&line, 0);
    bytes_printf(&line, "{\"prepared\":%s,\"ticket\":%lld}", json, (long long)ask->ticket);
    if (line.failed || !control_say(ask->client, (const char *)line.data, line.size))
        decide_by_ticket(ask->host->reload_asks, ask->ticket, ABORT);
    bytes_fini(&line);
}

static bool await_verdict(void *context, const char *json)
{
    struct reload_ask *ask = context;
    struct reload_asks *asks = ask->host->reload_asks;
    struct clock *clock = &ask->host->system.clock;
    uint64_t until_ns = clock_now(clock) + DECIDE_NS;
    say_prepared(ask, json);
    lock_acquire(&asks->lock);
    while (ask->decision == UNDECIDED) {
        uint64_t now_ns = clock_now(clock);
        if (now_ns >= until_ns || reloads_are_stopping(ask->host->world.reloads))
            ask->decision = ABORT;
        else
            signal_wait_until(&asks->decided, &asks->lock,
                              now_ns + LOOK_NS < until_ns ? now_ns + LOOK_NS : until_ns);
    }
    bool commit = ask->decision == COMMIT;
    lock_release(&asks->lock);
    return commit;
}

static void over(void *context, int code, const char *json)
{
    struct reload_ask *ask = context;
    char why[HOST_WHY];
    bool said = control_say(ask->client, json, strlen(json));
    if (code != 0)
        host_reload_why(json, why, sizeof why);
    else if (!said)
        snprintf(why, sizeof why, "it is done; the report is too long");
    control_end(ask->client, code, code != 0 || !said ? why : NULL);
    ask_free(ask);
}

/* ---- On the control thread ---------------------------------------------------- */

/* The paths of the request; NULL: none. -1: too many, or no texts. */
static int read_paths(const struct control_request *request, const char **paths)
{
    int count = 0;
    const char *path;
    while ((path = control_request_item(request, "paths", (size_t)count)) != NULL) {
        if (count == PATHS_MOST)
            return -1;
        paths[count++] = path;
    }
    paths[count] = NULL;
    return count;
}

static void serve_reload(void *context, struct control_client *client,
                         const struct control_request *request)
{
    struct host *host = context;
    const char  *paths[PATHS_MOST + 1];
    double       trial = 0;
    int count = read_paths(request, paths);
    control_request_number(request, "trial", &trial);
    bool undo = control_request_flag(request, "undo");
    if (count < 0) {
        control_end(client, 2, "too many paths");
        return;
    }
    if (!(trial >= 0 && trial <= (double)(RELOAD_TRIAL_MAX_NS / NS_PER_SEC))) {
        control_end(client, 2, "a trial takes a day at most");
        return;
    }
    if (undo && trial > 0) {
        control_end(client, 2, "what is undone is not on trial");
        return;
    }
    struct reload_ask *ask = ask_new(host, client);
    if (ask == NULL) {
        control_end(client, 1, "out of memory");
        return;
    }
    bool decides = control_request_flag(request, "decide");
    struct reload_request asked = {
        .paths = count > 0 ? paths : NULL,
        .undo = undo,
        .trial_ns = (uint64_t)(trial * (double)NS_PER_SEC),
        .asked_by = "troupe reload",
        .decide = decides ? await_verdict : NULL,
        .done = over,
        .context = ask,
    };
    int error = reloads_ask(host->world.reloads, &asked);
    if (error == 0)
        return;
    control_end(client, error == -ESHUTDOWN ? 5 : 1,
                error == -ESHUTDOWN ? "the host is ending" : strerror(-error));
    ask_free(ask);
}

static void serve_verdict(void *context, struct control_client *client,
                          const struct control_request *request)
{
    struct host *host = context;
    int64_t ticket = 0;
    control_request_integer(request, "ticket", &ticket);
    bool decided = decide_by_ticket(host->reload_asks, ticket,
                                    control_request_flag(request, "commit") ? COMMIT : ABORT);
    control_end(client, decided ? 0 : 1, decided ? NULL : "it has been decided already");
}

int command_reload_open(struct host *host)
{
    struct reload_asks *asks = memory_get_zeroed(sizeof *asks);
    if (asks == NULL)
        return -ENOMEM;
    lock_init(&asks->lock);
    signal_init(&asks->decided);
    host->reload_asks = asks;
    int error = control_add(host->control, &(struct control_command){ .name = "reload",
                                                                      .serve = serve_reload,
                                                                      .gone = gone,
                                                                      .context = host });
    if (error != 0)
        return error;
    return control_add(host->control, &(struct control_command){ .name = "verdict",
                                                                 .serve = serve_verdict,
                                                                 .context = host });
}

void command_reload_close(struct host *host)
{
    struct reload_asks *asks = host->reload_asks;
    if (asks == NULL)
        return;
    signal_fini(&asks->decided);
    lock_fini(&asks->lock);
    memory_put(asks, sizeof *asks);
    host->reload_asks = NULL;
}
