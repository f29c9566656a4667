/*
 * host_internal.h -- what a host is made of, for the files of the roof.
 */
#ifndef TROUPE_HOST_INTERNAL_H
#define TROUPE_HOST_INTERNAL_H

#include "host.h"

#include "actor/system.h"
#include "control/control.h"
#include "io/io.h"
#include "message/json.h"
#include "message/pack.h"
#include "net/gateway.h"
#include "net/subscriptions.h"
#include "script/reload.h"
#include "script/script.h"

#include <time.h>

/* The config of an actor that is registered but held back. */
struct held_config {
    struct held_config *next;
    actor_id id;
    size_t   size;
    uint8_t  packed[];
};

/* Frames, and what was written to streams, may take that long to leave. */
#define HOST_LINGER_NS NS_PER_SEC

#define HOST_SCRIPTS_TOLD 16

struct host {
    struct system       system;
    struct script_world world;
    struct gateway     *gateway;      /* NULL: a stepped host, which has no way out of its own */
    struct io          *io;           /* streams; and those from publishers: */
    struct subscriptions *subscriptions; /* NULL: a stepped host has none */
    struct control     *control;      /* NULL: it has no socket */
    struct kills       *kills;        /* command_kill.c's */
    struct questions   *questions;    /* command_mail.c's */
    struct reload_asks *reload_asks;  /* command_reload.c's */
    struct observer    *observer;     /* NULL: nobody has looked on yet; observer.h */
    bool                keeps_log;    /* command_logs.c's */
    char               *name;         /* owned: that of options->control, or NULL */
    char               *topology;     /* owned, or NULL; as is: */
    char               *node;
    time_t              since;        /* when it was made */
    uint64_t            since_ns;     /* the same by its clock */
    struct attach      *attach;       /* command_attach.c */
    _Atomic bool        watching;     /* scripts are loaded anew when their files change */
    uint64_t            watch_trial_ns; /* of what is reloaded then; fixed by host_make() */
    struct watcher     *watcher;      /* NULL: not watching, or not started */
    _Atomic bool        watch_refused; /* the last reload of what was saved; concerns only the log */
    uint64_t            shutdown_ns;  /* budget */
    bool                started;      /* or tried to */
    int                 start_error;
    bool                shut_down;    /* all actors have ended, or were given up */
    unsigned            left;         /* actors that had not ended within the budget */
    bool                stuck;        /* a thread was left behind in C code */
    struct lock         lock;
    struct held_config *held;         /* guarded by lock, as: */
    char               *scripts[HOST_SCRIPTS_TOLD]; /* owned: what it was given first, for `info` */
    unsigned            script_count;
    char               *lua_folder;   /* owned; as all of: */
    const char         *package_path[2];
};

/* Ends all actors, the traffic and the threads, within `budget_ns`. Once. */
void host_shut_down(struct host *host, uint64_t budget_ns);
bool host_has_living(const struct host *host);

/* A stepped host: when something is to be done next, if the clock is moved on;
 * UINT64_MAX: nothing ever. */
uint64_t host_next_ns(struct host *host);

/* The message that a C behaviour has in hand on this thread, or NULL. */
const struct host_message *host_in_hand(const struct host *host);
/* Its actor: the sender of what is sent now; 0: nobody. */
actor_id host_sender(const struct host *host);

/* An outgoing message from its texts. 0 and *address (counted) and *message;
 * -EINVAL or -ENOMEM with a sentence in `why`. */
int host_compose(enum message_kind kind, const char *to, const char *type, const char *json,
                 struct address **address, struct message **message, char *why, size_t room);

/* Packs the JSON text of an object (NULL: {}). 0, -EINVAL, -ENOMEM. */
int host_pack(const char *json, struct bytes *packed, char *why, size_t room);

/* The same for an actor's config (`config` is empty), in which {"$ref": "text"} becomes
 * the address that `text` is. */
int host_read_config(const char *json, struct bytes *config, char *why, size_t room);
/* Before the actor starts: appends its config with the names that are those of living
 * actors of this host made refs to these. 0 or -ENOMEM. */
int host_settle_config(struct host *host, const uint8_t *config, size_t size,
                       struct bytes *settled);

/* The nodes of the options, and of what it is one; 0 or -errno and why. Closed in any case. */
int  host_open_nodes(struct host *host, const struct host_options *options, char *why,
                     size_t room);
void host_close_nodes(struct host *host);
/* The endpoint of an address, or of its node; "": here. NULL: there is no such node, and
 * `why` says so. */
const char *host_place(struct host *host, const struct address *address, char *why, size_t room);

/* Appends the payload of a message as JSON. False: it has no JSON form; why. */
bool host_write_json(const struct host *host, const struct message *message, struct bytes *json,
                     char *why, size_t room);

/* Streams, in this order; to stop twice is fine. 0 or -errno. */
int  host_open_streams(struct host *host, bool stepped);
void host_stop_streams(struct host *host, uint64_t patience_ns);
void host_close_streams(struct host *host);

/* Opens the control socket and adds its commands (commands.h), with the control
 * thread running. A warning and 0 if it cannot be made; -ENOMEM. */
int  host_open_control(struct host *host, const char *name);
/* Ends the control thread; then, when no actor is left, frees all of it. */
void host_stop_control(struct host *host);
void host_close_control(struct host *host);

/* A holder_namer: by the control sockets of this user's hosts. */
bool host_name_process(long pid, char *text, size_t room);

/* Seconds since it was made, to the millisecond. */
double host_uptime(struct host *host);
/* Whether a script reads the standard input now. Any thread. */
bool host_reads_stdin(struct host *host);

/* As host_reload_scripts() with all that is in use, but returns at once: log lines say
 * what has come of it. 0 or -errno. Any thread. */
int host_ask_reload(struct host *host, const char *asked_by);

/* Watch mode, if the host is to watch: once the host is started; 0 or -errno. Closed
 * after all threads have ended that may load a script. */
int  host_start_watch(struct host *host);
void host_close_watch(struct host *host);

/* Why a reload was refused: what its report (script/reload.h; NULL: none) says. */
void host_reload_why(const char *report, char *why, size_t room);

/* What router_send*() says, as an errno. */
int host_error_of(enum router_answer answer);

#endif
