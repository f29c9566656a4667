/*
 * host.c -- builds the house bottom up, runs it, takes it down top down.
 */
#include "host_internal.h"

#include "base/log.h"
#include "base/memory.h"
#include "message/wire.h"
#include "place.h"
#include "script/reload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int refuse(int error, char *why, size_t room, const char *text)
{
    snprintf(why, room, "%s", text);
    return error;
}

/* ---- Making ------------------------------------------------------------ */

static unsigned count_cores(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (cores < 1)
        return 1;
    return cores > WORKERS_MAX ? WORKERS_MAX : (unsigned)cores;
}

static void free_texts(char **texts)
{
    for (char **each = texts; each != NULL && *each != NULL; each++)
        free(*each);
    free(texts);
}

/* A copy of a NULL-terminated array of strings. */
static char **copy_texts(const char *const *texts)
{
    size_t count = 0;
    while (texts != NULL && texts[count] != NULL)
        count++;
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = strdup(texts[i]);
        if (copy[i] == NULL) {
            free_texts(copy);
            return NULL;
        }
    }
    return copy;
}

static void close_world(struct host *host)
{
    reloads_close(host->world.reloads);
    sources_free(host->world.sources);
    free_texts(host->world.arguments);
    free(host->lua_folder);
}

static int open_world(struct host *host, const struct host_options *options)
{
    struct script_world *world = &host->world;
    const char *share = place_share();
    char actors[4096];

    snprintf(actors, sizeof actors, "%s/actors", share);
    world->system = &host->system;
    world->stage = options->stepped;
    world->seed = options->seed;
    world->sources = sources_new((const char *const[]){ actors, NULL });
    world->arguments = copy_texts(options->arguments);
    if (world->sources == NULL || world->arguments == NULL ||
        asprintf(&host->lua_folder, "%s/lua", share) < 0) {
        host->lua_folder = NULL;
        close_world(host);
        return -ENOMEM;
    }
    if (reloads_open(&world->reloads, world) != 0) {
        close_world(host);
        return -ENOMEM;
    }
    host->package_path[0] = host->lua_folder;
    world->package_path = host->package_path;
    world->defaults = (struct script_defaults){
        .memory_bytes = options->memory_bytes > 0 ? options->memory_bytes : (size_t)256 << 20,
        .slice_ns = (options->slice_ms > 0 ? options->slice_ms : 5000) * NS_PER_MS,
        .ask_timeout_ns = 5 * NS_PER_SEC,
    };
    return 0;
}

static int open_gateway(struct host *host, const struct host_options *options, char *why,
                        size_t room)
{
    if (options->stepped)
        return 0;
    struct gateway_options gateway_options = GATEWAY_OPTIONS_DEFAULT;
    gateway_options.bind = options->bind;
    gateway_options.also_bind = options->also_bind;
    gateway_options.advertise = options->advertise;
    gateway_options.flat = options->flat;
    gateway_options.flat_actor = options->flat_actor;
    gateway_options.open = options->open;
    gateway_options.allow = options->allow;
    gateway_options.reply_to = options->reply_to;
    gateway_options.curve_key = options->curve_key;
    gateway_options.curve_peers = options->curve_peers;
    gateway_options.name_process = host_name_process;
    if (options->peers > 0)
        gateway_options.peers = options->peers;
    return gateway_open(&host->gateway, &host->system, &gateway_options, why, room);
}

static bool is_log_format(const char *word)
{
    return word == NULL || strcmp(word, "text") == 0 || strcmp(word, "json") == 0;
}

static void set_log(const struct host_options *options)
{
    if (options->log_format != NULL)
        log_set_form(strcmp(options->log_format, "json") == 0 ? LOG_JSON : LOG_TEXT);
    if (options->log_level != NULL)
        log_set_level((enum log_level)log_find_level(options->log_level));
}

static int check_options(const struct host_options *options, char *why, size_t room)
{
    if (options->workers > WORKERS_MAX) {
        snprintf(why, room, "a host has at most %d workers", WORKERS_MAX);
        return -EINVAL;
    }
    if (!is_log_format(options->log_format))
        return refuse(-EINVAL, why, room, "log_format is \"text\" or \"json\"");
    if (options->log_level != NULL && log_find_level(options->log_level) < 0)
        return refuse(-EINVAL, why, room, "log_level is \"debug\", \"info\", \"warn\" or \"error\"");
    if (options->stepped && options->control != NULL)
        return refuse(-EINVAL, why, room, "a stepped host has no control socket: it has no threads");
    if (options->stepped &&
        (options->bind != NULL || options->advertise != NULL || options->flat != NULL))
        return refuse(-EINVAL, why, room, "a stepped host cannot listen: it has no threads");
    if (options->depth > JSON_LIMITS_DEFAULT.depth)
        return refuse(-EINVAL, why, room, "tables in tables are at most 64 deep");
    if (options->stepped && options->watch)
        return refuse(-EINVAL, why, room, "a stepped host cannot watch files: it has no threads");
    if (options->watch_trial_ms > 0 && !options->watch)
        return refuse(-EINVAL, why, room, "watch_trial_ms is of reloads by watch");
    if (options->watch_trial_ms > RELOAD_TRIAL_MAX_NS / NS_PER_MS)
        return refuse(-EINVAL, why, room, "a trial may last 24 h at most");
    if (options->advertise != NULL && options->bind == NULL)
        return refuse(-EINVAL, why, room, "an endpoint can only be advertised together with bind");
    if ((options->flat == NULL) != (options->flat_actor == NULL))
        return refuse(-EINVAL, why, room, "flat is an endpoint, and flat_actor who answers there");
    return 0;
}

/* Three quarters of the machine's memory, or of what the process may have at all. */
static size_t memory_for_scripts(void)
{
    long   pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
    size_t bytes = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : SIZE_MAX / 2;
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        limit.rlim_cur < bytes)
        bytes = (size_t)limit.rlim_cur;
    return bytes / 4 * 3;
}

static struct system_limits limits_of(const struct host_options *options)
{
    struct system_limits limits = SYSTEM_LIMITS_DEFAULT;
    if (options->actors > 0)
        limits.actors = options->actors;
    if (options->children > 0)
        limits.children = options->children;
    if (options->timers > 0)
        limits.timers = options->timers;
    if (options->dead_letters > 0)
        limits.dead_letters = options->dead_letters;
    limits.memory_bytes = options->memory_total > 0 ? options->memory_total : memory_for_scripts();
    return limits;
}

int host_make(struct host **out, const struct host_options *options, char *why, size_t room)
{
    static const struct host_options defaults;
    if (options == NULL)
        options = &defaults;
    int error = check_options(options, why, room);
    if (error != 0)
        return error;
    set_log(options);

    struct host *host = calloc(1, sizeof *host);
    if (host == NULL)
        return refuse(-ENOMEM, why, room, "out of memory");
    struct system_limits limits = limits_of(options);
    unsigned workers = options->workers > 0 ? options->workers : count_cores();
    error = system_open(&host->system, options->stepped ? 0 : workers, options->seed, &limits);
    if (error != 0) {
        snprintf(why, room, "the host cannot be made: %s", strerror(-error));
        goto free_host;
    }
    host->system.owner = host;
    host->since = time(NULL);
    host->since_ns = clock_now(&host->system.clock);
    wire_set_limits(options->frame_bytes, options->depth);
    atomic_init(&host->watching, options->watch);
    host->watch_trial_ns = options->watch_trial_ms * NS_PER_MS;
    host->shutdown_ns = (options->shutdown_ms > 0 ? options->shutdown_ms : 5000) * NS_PER_MS;
    lock_init(&host->lock);
    error = host_open_nodes(host, options, why, room);
    if (error != 0)
        goto close_system;
    error = open_world(host, options);
    if (error != 0) {
        snprintf(why, room, "the host cannot be made: %s", strerror(-error));
        goto close_system;
    }
    error = host_open_streams(host, options->stepped);
    if (error != 0) {
        snprintf(why, room, "the host cannot be made: %s", strerror(-error));
        goto close_world;
    }
    error = open_gateway(host, options, why, room);
    if (error != 0)
        goto close_streams;
    error = host_open_control(host, options->control);
    if (error != 0) {
        snprintf(why, room, "the host cannot be made: %s", strerror(-error));
        goto close_gateway;
    }
    *out = host;
    return 0;

close_gateway:
    gateway_close(host->gateway);
close_streams:
    host_close_streams(host);
close_world:
    close_world(host);
close_system:
    host_close_nodes(host);
    lock_fini(&host->lock);
    system_close(&host->system);
free_host:
    free(host);
    return error;
}

/* ---- Running ----------------------------------------------------------- */

int host_start(struct host *host)
{
    if (host->started)
        return host->start_error;
    host->started = true;
    host->start_error = system_start(&host->system);
    if (host->start_error == 0 && host->gateway != NULL)
        host->start_error = gateway_start(host->gateway);
    if (host->start_error == 0)
        host->start_error = host_start_watch(host);
    return host->start_error;
}

static bool is_over_locked(const struct system *system)
{
    return system->stop_asked ||
           atomic_load_explicit(&system->registry.living, memory_order_acquire) <= system->hidden;
}

/* Time passes as fast as there is nothing to do. */
static void run_stepped(struct host *host)
{
    struct system *system = &host->system;
    for (;;) {
        lock_acquire(&system->lock);
        bool over = is_over_locked(system);
        lock_release(&system->lock);
        if (over)
            return;
        if (host_step(host))
            continue;
        uint64_t next_ns = timers_next(system->timers);
        if (next_ns == UINT64_MAX && system->streams.step(system->streams.context, 1000))
            continue;
        if (next_ns == UINT64_MAX)
            return; /* nothing will ever happen again */
        timers_advance(system->timers, next_ns);
    }
}

int host_run(struct host *host)
{
    struct system *system = &host->system;
    int error = host_start(host);
    if (error != 0) {
        log_error("host: its threads cannot be started: %s", strerror(-error));
        return 1;
    }
    if (system->scheduler.regular == 0)
        run_stepped(host);

    lock_acquire(&system->lock);
    while (system->scheduler.regular > 0 && !is_over_locked(system))
        signal_wait(&system->changed, &system->lock);
    int code = system->stop_asked ? system->exit_code : system->last_error ? 1 : 0;
    lock_release(&system->lock);

    host_shut_down(host, host->shutdown_ns);
    return code == 0 && host->left > 0 ? 1 : code;
}

void host_stop(struct host *host, int code)
{
    system_ask_stop(&host->system, code);
}

bool host_step(struct host *host)
{
    struct system *system = &host->system;
    return reloads_step(host->world.reloads) || scheduler_step(system) ||
           system->streams.step(system->streams.context, 0);
}

uint64_t host_next_ns(struct host *host)
{
    uint64_t timer_ns = timers_next(host->system.timers);
    uint64_t trial_ns = reloads_next_ns(host->world.reloads);
    return timer_ns < trial_ns ? timer_ns : trial_ns;
}

void host_advance(struct host *host, uint64_t ns)
{
    struct system *system = &host->system;
    uint64_t end_ns = clock_now(&system->clock) + ns;
    for (;;) {
        while (host_step(host))
            continue;
        uint64_t next_ns = host_next_ns(host);
        if (next_ns > end_ns)
            break;
        timers_advance(system->timers, next_ns);
    }
    clock_set(&system->clock, end_ns);
}

bool host_free(struct host *host)
{
    if (host == NULL)
        return true;
    struct system *system = &host->system;
    if (host_has_living(host))
        host_start(host); /* somebody has to end them */
    if (host->started)
        host_shut_down(host, 0);
    host_stop_control(host);
    if (host->stuck)
        return false;
    host_close_watch(host);
    gateway_close(host->gateway);
    host_stop_streams(host, HOST_LINGER_NS); /* if it was only stepped */
    system_close(system);
    host_close_control(host);
    host_close_streams(host);
    while (host->held != NULL) {
        struct held_config *held = host->held;
        host->held = held->next;
        memory_put(held, sizeof *held + held->size);
    }
    for (unsigned i = 0; i < host->script_count; i++)
        free(host->scripts[i]);
    close_world(host);
    host_close_nodes(host);
    lock_fini(&host->lock);
    free(host);
    return true;
}

/* ---- What it says of itself -------------------------------------------- */

host_actor host_find(struct host *host, const char *name)
{
    return registry_find_name(&host->system.registry, name, strlen(name));
}

size_t host_living(struct host *host, char *text, size_t room)
{
    struct registry *registry = &host->system.registry;
    struct bytes names;
    size_t living = 0;
    bytes_init(&names, room > 0 ? room - 1 : 1);

    lock_acquire(&registry->lock);
    for (struct actor *each = registry->oldest; each != NULL; each = each->born_after) {
        if (each->hidden)
            continue;
        uint32_t messages = mailbox_unhandled(&each->box);
        living++;
        bytes_printf(&names, "%s%s (%u message%s)", names.size > 0 ? ", " : "", each->name,
                     messages, messages == 1 ? "" : "s");
    }
    lock_release(&registry->lock);
    snprintf(text, room, "%.*s%s", (int)names.size, names.size > 0 ? (char *)names.data : "",
             names.failed ? ", ..." : "");
    bytes_fini(&names);
    return living;
}

const char *host_endpoint(const struct host *host)
{
    return host->gateway != NULL ? gateway_endpoint(host->gateway) : "";
}

const char *host_bound(const struct host *host, unsigned index)
{
    return host->gateway != NULL ? gateway_bound(host->gateway, index) : NULL;
}

const char *host_flat_endpoint(const struct host *host)
{
    return host->gateway != NULL ? gateway_flat_endpoint(host->gateway) : "";
}

const char *host_control(const struct host *host)
{
    return host->control != NULL ? control_path(host->control) : "";
}

int host_reload(struct host *host, char *why, size_t room)
{
    struct keyring_news news;
    if (host->gateway == NULL)
        return refuse(-ENOTSUP, why, room, "this host has no keys");
    int error = gateway_reload(host->gateway, &news, why, room);
    if (error == 0)
        snprintf(why, room, "%zu key%s listed now, %zu of them new; %zu no more", news.keys,
                 news.keys == 1 ? " is" : "s are", news.added, news.removed);
    return error;
}

int host_make_key(const char *path, char public_key[HOST_KEY], char *why, size_t room)
{
    return key_file_make(path, public_key, why, room);
}

const char *host_version(void)
{
    return TROUPE_VERSION;
}
