/*
 * evaluate.h -- Lua that a person types, evaluated inside an actor.
 *
 * An *evaluation* is a handler of its own: it runs on the actor's worker when no
 * other handler is in hand, may wait, is preempted and reported when it is slow.
 * But whatever becomes of it is told to whoever typed it and is no concern of the
 * actor's: its error is no failure of the actor, its slice stops nobody, and it can
 * be cancelled where it stands. (Only actor.exit() ends the actor.)
 *
 * What a text sees. First the names of its *session*: those that it assigned, `self`,
 * `err` (the report of the actor's last failure, or false) and `_` (the last result that
 * was not nil, or false); then the script's environment. Assigned globals stay with the session and never reach the script.
 *
 * Whoever asks (a client of the control socket) is known here by three functions of
 * his only. They may be called on any thread, and must not wait.
 */
#ifndef TROUPE_SCRIPT_EVALUATE_H
#define TROUPE_SCRIPT_EVALUATE_H

#include "script/script.h"

#define EVALUATE_RESULT_LIMIT ((size_t)64 * 1024) /* bytes of a result's text */

enum evaluate_what {
    EVALUATE_TEXT,     /* an expression, or a chunk of statements */
    EVALUATE_COMPLETE, /* what the name at the end of a text may become; runs no code, does not
                        * wait for a handler */
    EVALUATE_FORGET,   /* the session's names are not needed any more; nothing is told */
};

enum evaluate_news {
    EVALUATE_WAITS,     /* its turn has not come: "book is in on_buy, waiting for ..." */
    EVALUATE_PRINTED,   /* print() was called: a line with its newline */
    EVALUATE_RELOADED,  /* the script has another text than at the session's last evaluation */
    /* One of these is told last, once: */
    EVALUATE_DONE,      /* values as people read them; completions, one a line */
    EVALUATE_FAILED,    /* "attach:1: ..."; `more` is the traceback */
    EVALUATE_CANCELLED, /* where it stood; or "" if it never began */
    EVALUATE_EXITED,    /* it has ended its actor; with the reason that it gave */
    EVALUATE_LOST,      /* the actor ended, or was not running, before it was over */
};

/* Texts are lent for the call. */
struct evaluate_told {
    enum evaluate_news news;
    const char *text;
    size_t      size;
    const char *more;   /* or NULL. DONE: the values as a JSON list, null for those without a
                         * form, if it was asked for; FAILED: the traceback */
    size_t      more_size;
    unsigned    count;  /* DONE: values */
    bool        cut;    /* the text was longer */
};

struct evaluate_request {
    enum evaluate_what what;
    uint64_t    session;  /* whose names these are */
    const char *text;     /* copied */
    size_t      size;
    bool        json;
    void (*tell)(void *context, const struct evaluate_told *told);
    void (*release)(void *context); /* nothing more will be told; once, if evaluate() answered 0 */
    void *context;
};

struct evaluation;

/* Whether there is such an actor, and it is a script. Any thread. */
bool evaluate_is_possible(struct system *system, actor_id actor);

/* Sends it to the actor. 0, and *evaluation (NULL: not wanted) is counted for the
 * caller; -ESRCH: the actor has ended; -ENOTSUP: it is no script; -ENOMEM. Any thread. */
int evaluate(struct system *system, actor_id actor, const struct evaluate_request *request,
             struct evaluation **evaluation);

/* Nobody waits for it any more: if it has not begun it never will, and if it has it
 * is ended where it stands (but in a C function). CANCELLED is told when it is over;
 * or what it came to, if that was first. Any thread. */
void evaluation_cancel(struct system *system, struct evaluation *evaluation);

/* Whether it runs or waits in its actor, having begun. Any thread; a snapshot. */
bool evaluation_has_begun(const struct evaluation *evaluation);

struct evaluation *evaluation_ref(struct evaluation *evaluation);
void evaluation_unref(struct evaluation *evaluation); /* NULL is fine */

/* ------------------------------------------------ inside script/ only ---- */

/* A MESSAGE_EVALUATE for the script, which it takes. */
enum verdict evaluate_receive(struct script *script, struct message *message);

/* The handler in hand is an evaluation, and has died: what handler_failed() is to
 * others. */
enum verdict evaluate_failed(struct script *script);

/* Whether the handler in hand is an evaluation that was cancelled. In a signal
 * handler, while its code runs. */
bool evaluate_is_cancelled(const struct script *script);

/* Whether a handler is the evaluation that a message is about. */
bool evaluate_is_meant(const struct activation *activation, const struct message *message);

/* ---- Parts of its own: evaluate_names.c ---- */

/* Pushes the table of a session's names, made if need be, as the environment for its
 * next text: with `self`, `err` and what the script's environment has. May raise. */
void evaluate_push_names(lua_State *L, struct script *script, uint64_t session);
/* Stores the value on top of the stack, which it pops, as `_`, unless it is nil. */
void evaluate_keep_result(lua_State *L, uint64_t session);
/* Whether the script's text is another than when this was last asked. */
bool evaluate_sees_reload(lua_State *L, struct script *script, uint64_t session);
void evaluate_forget(lua_State *L, uint64_t session);

/* Appends what the name that `text` ends in may become, one a line and in order.
 * Raw: calls no function. May raise, for want of memory. evaluate_complete.c. */
void evaluate_complete(lua_State *L, struct script *script, uint64_t session, const char *text,
                       size_t size, struct bytes *out);

#endif
