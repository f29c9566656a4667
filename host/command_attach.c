/*
 * command_attach.c -- `attach`: a prompt inside the host or inside one of its actors.
 *
 * A client that attaches is answered with what happens there until it leaves, and by
 * the number of its *session*. It asks for more on a second connection: requests that
 * name the session and are answered at once.
 *
 *     {"do":"attach","actor":"book"}            without an actor: inside the host, that is
 *                                               in a hidden actor made for it
 *     {"session":7,"host":"market","actor":"book"}
 *     {"waits":"book is in on_buy, waiting for an answer from risk for 1.2 s"}
 *     {"print":"a line\n"}
 *     {"reloaded":true}                         its script has another text than before
 *     {"restarted":"error: ..."}                its state is a new one
 *     {"dropped":12}                            lines that the client was too slow to read
 *     {"done":"42","count":1,"json":"[42]","cut":false}
 *     {"failed":"attach:1: ...","trace":"..."}
 *     {"cancelled":"..."}  {"exited":"reason"}  {"lost":true}
 *     {"end":1,"why":"book has ended: killed"}
 *
 *     {"do":"attach.evaluate","session":7,"text":"self.count","json":true}
 *     {"do":"attach.interrupt","session":7}
 *     {"do":"attach.complete","session":7,"text":"self.co"}   {"names":["config","count"]}
 *     {"do":"attach.actors"}                    {"actors":["book","feed"]}
 *     {"do":"attach.state","session":7}                       {"state":"book is handling Buy"}
 */
#include "attach.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ACTORS_MOST 2000 /* that are named, the oldest */

/* ---- Requests: the control thread -------------------------------------------- */

/* The one that is `asked` for, counted; or NULL, and the client has been told so. */
static struct attachment *find(struct attach *attach, struct control_client *client,
                               const struct control_request *request)
{
    int64_t session = 0;
    control_request_integer(request, "session", &session);
    lock_acquire(&attach->lock);
    struct attachment *each = attach->all;
    while (each != NULL && each->session != (uint64_t)session)
        each = each->next;
    if (each != NULL)
        attachment_ref(each);
    lock_release(&attach->lock);
    if (each == NULL)
        control_end(client, 1, "there is no such session (any more): attach first");
    return each;
}

static void serve_evaluate(void *context, struct control_client *client,
                           const struct control_request *request)
{
    struct attach *attach = context;
    const char *text = control_request_text(request, "text");
    struct attachment *attachment = find(attach, client, request);
    if (attachment == NULL)
        return;
    lock_acquire(&attach->lock);
    bool free = !attachment->busy && text != NULL;
    attachment->busy = attachment->busy || free;
    lock_release(&attach->lock);
    if (!free) {
        control_end(client, 1, text == NULL ? "there is no text to evaluate, or it has a NUL in it"
                                            : "the evaluation before has not ended");
        attachment_unref(attachment);
        return;
    }
    struct evaluation *evaluation = NULL;
    struct evaluate_request wish = {
        .what = EVALUATE_TEXT,
        .session = attachment->session,
        .text = text,
        .size = strlen(text),
        .json = control_request_flag(request, "json"),
        .tell = attachment_tell,
        .release = attachment_unref,
        .context = attachment_ref(attachment),
    };
    int error = evaluate(&attach->host->system, attachment->actor, &wish, &evaluation);
    lock_acquire(&attach->lock);
    if (error != 0)
        attachment->busy = false;
    bool under_way = attachment->busy;
    if (under_way)
        attachment->evaluation = evaluation;
    lock_release(&attach->lock);
    if (error != 0)
        attachment_unref(attachment); /* the evaluation's */
    else if (!under_way)
        evaluation_unref(evaluation);
    control_end(client, error == 0 ? 0 : 1,
                error == 0 ? NULL : error == -ENOMEM ? "out of memory" : "the actor has ended");
    attachment_unref(attachment);
}

static void serve_interrupt(void *context, struct control_client *client,
                            const struct control_request *request)
{
    struct attachment *attachment = find(context, client, request);
    if (attachment == NULL)
        return;
    attachment_interrupt(attachment);
    control_end(client, 0, NULL);
    attachment_unref(attachment);
}

/* Why nothing has come of it yet, seen from outside: what the actor says itself is told
 * as `waits`, but one that runs says nothing. */
static void serve_state(void *context, struct control_client *client,
                        const struct control_request *request)
{
    struct attach *attach = context;
    struct attachment *attachment = find(attach, client, request);
    if (attachment == NULL)
        return;
    struct actor *actor = registry_find(&attach->host->system.registry, attachment->actor);
    struct evaluation *evaluation = attachment_evaluation(attachment);
    if (actor != NULL && evaluation != NULL && !evaluation_has_begun(evaluation)) {
        type_id type = atomic_load_explicit(&actor->handling, memory_order_relaxed);
        char state[ATTACH_NAME_ROOM + TYPE_NAME_LIMIT + 100];
        if (type == TYPE_EVALUATE)
            snprintf(state, sizeof state, "%s is in a text typed at a prompt", attachment->name);
        else if (type != TYPE_NONE)
            snprintf(state, sizeof state, "%s is handling %s", attachment->name, type_name(type));
        else
            snprintf(state, sizeof state, "%s has not had its turn yet", attachment->name);
        struct command_row row;
        command_row_begin(&row);
        command_row_text(&row, "state", state);
        command_row_say(&row, client);
    }
    evaluation_unref(evaluation);
    control_end(client, 0, NULL);
    attachment_unref(attachment);
}

/* ---- Completion --------------------------------------------------------------- */

static void tell_completions(void *context, const struct evaluate_told *told)
{
    struct control_client *client = context;
    struct command_row row;
    command_row_begin(&row);
    command_row_field(&row, "names");
    size_t at = pack_open(&row.packed, PACK_MARKED_ARRAY);
    uint32_t count = 0;
    const char *end = told->news == EVALUATE_DONE ? told->text + told->size : told->text;
    for (const char *name = told->text, *next; name < end; name = next + 1, count++) {
        next = memchr(name, '\n', (size_t)(end - name));
        if (next == NULL)
            next = end;
        pack_put_string(&row.packed, name, (size_t)(next - name));
    }
    pack_close(&row.packed, at, count);
    command_row_say(&row, client);
    control_end(client, 0, NULL);
}

static void release_client(void *client)
{
    control_client_unref(client);
}

static void serve_complete(void *context, struct control_client *client,
                           const struct control_request *request)
{
    struct attach *attach = context;
    const char *text = control_request_text(request, "text");
    struct attachment *attachment = find(attach, client, request);
    if (attachment == NULL)
        return;
    struct evaluate_request wish = {
        .what = EVALUATE_COMPLETE,
        .session = attachment->session,
        .text = text,
        .size = text != NULL ? strlen(text) : 0,
        .tell = tell_completions,
        .release = release_client,
        .context = control_client_ref(client),
    };
    if (evaluate(&attach->host->system, attachment->actor, &wish, NULL) != 0) {
        control_client_unref(client);
        control_end(client, 1, "the actor has ended");
    }
    attachment_unref(attachment);
}

static void serve_actors(void *context, struct control_client *client,
                         const struct control_request *request)
{
    struct attach *attach = context;
    struct registry *registry = &attach->host->system.registry;
    struct command_row row;
    uint32_t count = 0;
    (void)request;
    command_row_begin(&row);
    command_row_field(&row, "actors");
    size_t at = pack_open(&row.packed, PACK_MARKED_ARRAY);
    lock_acquire(&registry->lock);
    for (struct actor *each = registry->oldest; each != NULL && count < ACTORS_MOST;
         each = each->born_after) {
        if (each->hidden)
            continue;
        pack_put_string(&row.packed, each->name, strlen(each->name));
        count++;
    }
    lock_release(&registry->lock);
    pack_close(&row.packed, at, count);
    command_row_say(&row, client);
    control_end(client, 0, NULL);
}

/* ---- Coming and going ----------------------------------------------------------- */

/* A hidden actor that handles nothing: what is evaluated in it is all that it does.
 * (Its text is ours, and ends at once: the only Lua that this thread runs.) */
static int make_actor(struct attach *attach, struct attachment *attachment, char *why, size_t room)
{
    static const char text[] = "return {}";
    struct source *source;
    snprintf(attachment->name, sizeof attachment->name, "attach#%llu",
             (unsigned long long)attachment->session);
    struct script_options options = { .name = attachment->name, .hidden = true };
    int error = source_from_text("=attach", text, sizeof text - 1, &source, why, room);
    if (error != 0)
        return error;
    error = script_spawn_source(&attach->host->world, source, 0, &options, &attachment->actor, why,
                                room);
    source_unref(source);
    attachment->own = error == 0;
    if (error == 0)
        error = lifecycle_start(&attach->host->system, attachment->actor, NULL, 0);
    return error;
}

static int find_actor(struct attach *attach, struct attachment *attachment, const char *name,
                      char *why, size_t room)
{
    struct registry *registry = &attach->host->system.registry;
    char nearest[ATTACH_NAME_ROOM];
    attachment->actor = registry_find_name(registry, name, strlen(name));
    if (attachment->actor == 0) {
        const char *meant = registry_suggest(registry, name, nearest, sizeof nearest);
        snprintf(why, room, "no actor is called '%.*s' in %s%s%s%s", ADDRESS_NAME_LIMIT, name,
                 attach->host->name, meant != NULL ? " (did you mean '" : "",
                 meant != NULL ? meant : "", meant != NULL ? "'?)" : "");
        return -ESRCH;
    }
    if (!evaluate_is_possible(&attach->host->system, attachment->actor)) {
        snprintf(why, room, "%s is no script: there is nothing to attach to", name);
        return -ENOTSUP;
    }
    snprintf(attachment->name, sizeof attachment->name, "%s", name);
    return 0;
}

static void greet(struct attachment *attachment)
{
    struct command_row row;
    command_row_begin(&row);
    command_row_integer(&row, "session", (int64_t)attachment->session);
    command_row_text(&row, "host", attachment->attach->host->name);
    if (!attachment->own)
        command_row_text(&row, "actor", attachment->name);
    command_row_say(&row, attachment->client);
}

static void serve_attach(void *context, struct control_client *client,
                         const struct control_request *request)
{
    struct attach *attach = context;
    char why[HOST_WHY] = "out of memory";
    const char *name = control_request_text(request, "actor");
    struct attachment *attachment = memory_get_zeroed(sizeof *attachment);
    if (attachment == NULL) {
        control_end(client, 1, why);
        return;
    }
    attachment->attach = attach;
    attachment->references = 2; /* the list's, and ours */
    attachment->client = control_client_ref(client);
    bytes_init(&attachment->last, CONTROL_BUFFER_MAX);
    lock_acquire(&attach->lock);
    attachment->session = ++attach->sessions;
    lock_release(&attach->lock);
    int error = name != NULL ? find_actor(attach, attachment, name, why, sizeof why)
                             : make_actor(attach, attachment, why, sizeof why);
    if (error != 0) {
        if (attachment->own)
            lifecycle_stop(&attach->host->system, attachment->actor, false);
        control_end(client, error == -ESRCH ? 5 : 1, why);
        attachment->references = 1;
        attachment_unref(attachment);
        return;
    }
    lock_acquire(&attach->lock);
    attachment->next = attach->all;
    attach->all = attachment;
    atomic_fetch_add_explicit(&attach->count, 1, memory_order_seq_cst);
    lock_release(&attach->lock);
    greet(attachment);
    if (registry_find(&attach->host->system.registry, attachment->actor) == NULL)
        attachment_end(attachment, "the actor has ended"); /* before its end could find us */
    attachment_unref(attachment);
}

static void gone(void *context, struct control_client *client)
{
    struct attach *attach = context;
    lock_acquire(&attach->lock);
    struct attachment *each = attach->all;
    while (each != NULL && each->client != client)
        each = each->next;
    if (each != NULL)
        attachment_ref(each);
    lock_release(&attach->lock);
    if (each == NULL)
        return;
    attachment_leave(each);
    attachment_unref(each);
}

static void more(void *context, struct control_client *client)
{
    attachment_catch_up(context, client);
}

/* ---- The command ------------------------------------------------------------------ */

int command_attach_open(struct host *host)
{
    struct attach *attach = memory_get_zeroed(sizeof *attach);
    if (attach == NULL)
        return -ENOMEM;
    attach->host = host;
    host->attach = attach;
    lock_init(&attach->lock);
    attach->hook = (struct incarnation_hook){ .over = attach_incarnation_ended, .context = attach };
    incarnation_listen(&host->system, &attach->hook);
    const struct control_command commands[] = {
        { .name = "attach", .serve = serve_attach, .gone = gone, .more = more, .context = attach },
        { .name = "attach.evaluate", .serve = serve_evaluate, .context = attach },
        { .name = "attach.interrupt", .serve = serve_interrupt, .context = attach },
        { .name = "attach.complete", .serve = serve_complete, .context = attach },
        { .name = "attach.actors", .serve = serve_actors, .context = attach },
        { .name = "attach.state", .serve = serve_state, .context = attach },
    };
    int error = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(commands) && error == 0; i++)
        error = control_add(host->control, &commands[i]);
    return error;
}

void command_attach_close(struct host *host)
{
    if (host->attach == NULL)
        return;
    lock_fini(&host->attach->lock);
    memory_put(host->attach, sizeof *host->attach);
    host->attach = NULL;
}
