/*
 * command_mail.c -- `send` and `ask`: messages for an actor here, by its bare name.
 *
 *     {"do":"send","name":"pong","type":"Ping","json":"{\"count\": 1}"}
 *
 *     {"do":"ask","name":"pong","type":"Ping","json":"{\"count\": 1}"}
 *     {"type":"Pong","json":"{\"count\": 1}"}
 *
 * An answer is waited for as long as the client does.
 */
#include "asker.h"
#include "commands.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>

struct question {
    atomic_int   references;       /* until it is over, and while it is being opened */
    struct question *next;         /* guarded by the questions' lock */
    struct host *host;
    struct control_client *client; /* counted */
    struct asker *asker;           /* counted; NULL while it is being opened; guarded likewise */
    char         type[64];
    char         name[ADDRESS_NAME_LIMIT + 1];
};

struct questions {
    struct lock      lock;
    struct question *first;        /* guarded by lock */
};

static int exit_code_of(int error)
{
    switch (error) {
    case 0:
        return 0;
    case -EINVAL:
        return 2;
    case -ETIMEDOUT:
        return 3;
    case -ECONNREFUSED:
        return 4;
    case -EHOSTUNREACH:
    case -ESHUTDOWN:
        return 5;
    default:
        return 1;
    }
}

/* ---- What both have --------------------------------------------------------- */

struct letter {
    const char *name, *type, *json;
};

/* False: the client has been told. */
static bool read_letter(const struct control_request *request, struct control_client *client,
                        struct letter *letter)
{
    letter->name = control_request_text(request, "name");
    letter->type = control_request_text(request, "type");
    letter->json = control_request_text(request, "json");
    if (letter->name == NULL || letter->type == NULL) {
        control_end(client, 2, "a name and a type are expected");
        return false;
    }
    if (strchr(letter->name, '@') != NULL) {
        control_end(client, 2, "only actors of this host are spoken to here");
        return false;
    }
    return true;
}

static void serve_send(void *context, struct control_client *client,
                       const struct control_request *request)
{
    struct letter letter;
    char why[HOST_WHY];
    if (!read_letter(request, client, &letter))
        return;
    int error = host_send(context, letter.name, letter.type, letter.json, why, sizeof why);
    control_end(client, exit_code_of(error), error == 0 ? NULL : why);
}

/* ---- Questions --------------------------------------------------------------- */

/* The question of this client, with its asker counted for the caller; or NULL. */
static struct asker *find_asker(struct questions *questions, const struct control_client *client)
{
    struct asker *asker = NULL;
    lock_acquire(&questions->lock);
    for (struct question *each = questions->first; each != NULL; each = each->next)
        if (each->client == client && each->asker != NULL)
            asker = asker_ref(each->asker);
    lock_release(&questions->lock);
    return asker;
}

static void remove_question(struct question *question)
{
    struct questions *questions = question->host->questions;
    lock_acquire(&questions->lock);
    struct question **at = &questions->first;
    while (*at != question)
        at = &(*at)->next;
    *at = question->next;
    lock_release(&questions->lock);
}

static void question_unref(struct question *question)
{
    if (atomic_fetch_sub_explicit(&question->references, 1, memory_order_acq_rel) > 1)
        return;
    asker_unref(question->asker);
    control_client_unref(question->client);
    memory_put(question, sizeof *question);
}

/* It is over: on any thread, also while serve_ask() opens it. */
static void told(void *context, struct asker *asker)
{
    struct question *question = context;
    char why[HOST_WHY], *type, *json;
    int  error = asker_outcome(question->host, asker, question->name, question->type, &type, &json,
                               why, sizeof why);
    if (error == 0) {
        struct command_row row;
        command_row_begin(&row);
        command_row_text(&row, "type", type);
        command_row_text(&row, "json", json);
        bool said = command_row_say(&row, question->client);
        control_end(question->client, said ? 0 : 1, said ? NULL : "the answer is too long");
        free(type);
        free(json);
    } else {
        control_end(question->client, exit_code_of(error), why);
    }
    remove_question(question);
    question_unref(question);
}

static void gone(void *context, struct control_client *client)
{
    struct host  *host = context;
    struct asker *asker = find_asker(host->questions, client);
    if (asker == NULL)
        return; /* it is just being answered */
    asker_cancel(host, asker, -ETIMEDOUT, "who asked waits no more");
    asker_unref(asker);
}

static void serve_ask(void *context, struct control_client *client,
                      const struct control_request *request)
{
    struct host  *host = context;
    struct letter letter;
    char why[HOST_WHY] = "out of memory";
    if (!read_letter(request, client, &letter))
        return;
    struct question *question = memory_get_zeroed(sizeof *question);
    if (question == NULL) {
        control_end(client, 1, why);
        return;
    }
    atomic_init(&question->references, 2);
    question->host = host;
    question->client = control_client_ref(client);
    snprintf(question->name, sizeof question->name, "%s", letter.name);
    snprintf(question->type, sizeof question->type, "%s", letter.type);
    lock_acquire(&host->questions->lock);
    question->next = host->questions->first;
    host->questions->first = question;
    lock_release(&host->questions->lock);
    struct asker *asker;
    int error = asker_open(host, letter.name, letter.type, letter.json, told, question, &asker, why,
                           sizeof why);
    if (error == 0) {
        lock_acquire(&host->questions->lock);
        question->asker = asker;
        lock_release(&host->questions->lock);
    } else {
        control_end(client, exit_code_of(error), why);
        remove_question(question);
        question_unref(question);
    }
    question_unref(question);
}

/* ---- Opening and closing ------------------------------------------------------ */

int command_mail_open(struct host *host)
{
    struct questions *questions = memory_get_zeroed(sizeof *questions);
    if (questions == NULL)
        return -ENOMEM;
    lock_init(&questions->lock);
    host->questions = questions;
    int error = control_add(host->control, &(struct control_command){ .name = "send",
                                                                      .serve = serve_send,
                                                                      .context = host });
    if (error != 0)
        return error;
    return control_add(host->control, &(struct control_command){ .name = "ask",
                                                                 .serve = serve_ask,
                                                                 .gone = gone,
                                                                 .context = host });
}

void command_mail_close(struct host *host)
{
    if (host->questions == NULL)
        return;
    lock_fini(&host->questions->lock);
    memory_put(host->questions, sizeof *host->questions);
    host->questions = NULL;
}
