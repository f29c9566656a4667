/*
 * attach.c -- see attach.h.
 */
#include "attach.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* ---- Attachments ------------------------------------------------------------ */

struct attachment *attachment_ref(struct attachment *attachment)
{
    atomic_fetch_add_explicit(&attachment->references, 1, memory_order_relaxed);
    return attachment;
}

void attachment_unref(void *context)
{
    struct attachment *attachment = context;
    if (atomic_fetch_sub_explicit(&attachment->references, 1, memory_order_acq_rel) > 1)
        return;
    bytes_fini(&attachment->last);
    control_client_unref(attachment->client);
    memory_put(attachment, sizeof *attachment);
}

/* Takes it off the list: its client is gone, or its actor. False: it was not on it. */
static bool take_off(struct attachment *attachment)
{
    struct attach *attach = attachment->attach;
    lock_acquire(&attach->lock);
    struct attachment **at = &attach->all;
    while (*at != NULL && *at != attachment)
        at = &(*at)->next;
    bool found = *at != NULL;
    if (found) {
        *at = attachment->next;
        atomic_fetch_sub_explicit(&attach->count, 1, memory_order_relaxed);
    }
    lock_release(&attach->lock);
    return found;
}

/* ---- What is said ----------------------------------------------------------- */

/* A text for people, made fit for JSON: what is no UTF-8 as "\xff". */
static void put_text(struct command_row *row, const char *field, const char *text, size_t size)
{
    struct bytes clean;
    bytes_init(&clean, 0);
    for (size_t at = 0, step; at < size; at += step) {
        unsigned char c = (unsigned char)text[at];
        step = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        if (step <= size - at && json_valid_utf8(text + at, step)) {
            bytes_append(&clean, text + at, step);
        } else {
            bytes_printf(&clean, "\\x%02x", c);
            step = 1;
        }
    }
    command_row_field(row, field);
    pack_put_string(&row->packed, clean.size > 0 ? (const char *)clean.data : "", clean.size);
    bytes_fini(&clean);
}

static void say_number(struct attachment *attachment, const char *field, uint64_t number)
{
    struct command_row row;
    command_row_begin(&row);
    command_row_integer(&row, field, (int64_t)number);
    command_row_say(&row, attachment->client);
}

/* Says what was kept back, now that there is room. */
static void catch_up_locked(struct attachment *attachment)
{
    if (attachment->dropped > 0) {
        say_number(attachment, "dropped", attachment->dropped);
        attachment->dropped = 0;
    }
    if (attachment->last.size > 0 &&
        control_say(attachment->client, (const char *)attachment->last.data, attachment->last.size))
        bytes_clear(&attachment->last, 0);
}

/* Says the row; if the client does not read, a last one is kept, others are counted. */
void attachment_say(struct attachment *attachment, struct command_row *row, bool last)
{
    struct bytes line;
    bytes_init(&line, 0);
    pack_close(&row->packed, row->at, row->count);
    bool written = !row->packed.failed &&
                   json_write(row->packed.data, row->packed.size, JSON_COMPACT, NULL, NULL, &line,
                              NULL) == 0;
    bytes_fini(&row->packed);
    if (!written && last) { /* no memory for it: then at least that it is over */
        bytes_clear(&line, 0);
        bytes_append_text(&line, "{\"failed\":\"out of memory\"}");
        written = !line.failed;
    }
    lock_acquire(&attachment->attach->lock);
    if (attachment->dropped > 0)
        catch_up_locked(attachment);
    if (!written || !control_say(attachment->client, (const char *)line.data, line.size)) {
        if (last)
            bytes_append(&attachment->last, line.data, line.size);
        else
            attachment->dropped++;
    }
    lock_release(&attachment->attach->lock);
    bytes_fini(&line);
}

void attachment_catch_up(struct attach *attach, struct control_client *client)
{
    lock_acquire(&attach->lock);
    for (struct attachment *each = attach->all; each != NULL; each = each->next)
        if (each->client == client)
            catch_up_locked(each);
    lock_release(&attach->lock);
}

/* ---- What happens in an evaluation: any thread ------------------------------- */

/* Nothing of it will be told after the row that comes now. */
static void evaluation_over(struct attachment *attachment)
{
    lock_acquire(&attachment->attach->lock);
    struct evaluation *evaluation = attachment->evaluation;
    attachment->evaluation = NULL;
    attachment->busy = false;
    lock_release(&attachment->attach->lock);
    evaluation_unref(evaluation);
}

void attachment_tell(void *context, const struct evaluate_told *told)
{
    static const char *const fields[] = {
        [EVALUATE_WAITS] = "waits",   [EVALUATE_PRINTED] = "print",
        [EVALUATE_DONE] = "done",     [EVALUATE_FAILED] = "failed",
        [EVALUATE_EXITED] = "exited", [EVALUATE_CANCELLED] = "cancelled",
        [EVALUATE_LOST] = "lost",     [EVALUATE_RELOADED] = "reloaded",
    };
    struct attachment *attachment = context;
    struct command_row row;
    bool last = told->news >= EVALUATE_DONE;
    command_row_begin(&row);
    if (told->news == EVALUATE_LOST || told->news == EVALUATE_RELOADED)
        command_row_flag(&row, fields[told->news], true);
    else
        put_text(&row, fields[told->news], told->text, told->size);
    if (told->news == EVALUATE_DONE) {
        command_row_integer(&row, "count", told->count);
        command_row_flag(&row, "cut", told->cut);
    }
    if (told->more != NULL)
        put_text(&row, told->news == EVALUATE_DONE ? "json" : "trace", told->more, told->more_size);
    if (last)
        evaluation_over(attachment);
    attachment_say(attachment, &row, last);
}

/* ---- How it ends ------------------------------------------------------------ */

/* The evaluation under way, counted; NULL: there is none. */
struct evaluation *attachment_evaluation(struct attachment *attachment)
{
    lock_acquire(&attachment->attach->lock);
    struct evaluation *evaluation =
        attachment->evaluation != NULL ? evaluation_ref(attachment->evaluation) : NULL;
    lock_release(&attachment->attach->lock);
    return evaluation;
}

void attachment_interrupt(struct attachment *attachment)
{
    struct evaluation *evaluation = attachment_evaluation(attachment);
    if (evaluation != NULL)
        evaluation_cancel(&attachment->attach->host->system, evaluation);
    evaluation_unref(evaluation);
}

/* What it left in the host goes with it. */
void attachment_leave(struct attachment *attachment)
{
    struct system *system = &attachment->attach->host->system;
    if (!take_off(attachment))
        return;
    attachment_interrupt(attachment);
    struct evaluate_request forget = { .what = EVALUATE_FORGET, .session = attachment->session };
    if (attachment->own)
        lifecycle_stop(system, attachment->actor, false);
    else
        evaluate(system, attachment->actor, &forget, NULL); /* if it has ended, so have the names */
    attachment_unref(attachment); /* the list's */
}

void attachment_end(struct attachment *attachment, const char *why)
{
    control_end(attachment->client, 1, why);
    attachment_leave(attachment);
}

/* ---- The ends of actors: any worker ------------------------------------------------ */

/* One of those in the actor, counted, that has a number higher than `after`. */
static struct attachment *next_in(struct attach *attach, actor_id actor, uint64_t after)
{
    struct attachment *found = NULL;
    lock_acquire(&attach->lock);
    for (struct attachment *each = attach->all; each != NULL; each = each->next)
        if (each->actor == actor && each->session > after &&
            (found == NULL || each->session < found->session))
            found = each;
    if (found != NULL)
        attachment_ref(found);
    lock_release(&attach->lock);
    return found;
}

void attach_incarnation_ended(void *context, struct actor *actor)
{
    struct attach *attach = context;
    if (atomic_load_explicit(&attach->count, memory_order_seq_cst) == 0)
        return;
    char why[ATTACH_NAME_ROOM + ACTOR_REASON_ROOM + 20];
    struct attachment *each;
    for (uint64_t after = 0; (each = next_in(attach, actor_self(actor), after)) != NULL;) {
        after = each->session;
        if (actor->phase == PHASE_GONE) {
            snprintf(why, sizeof why, "%s has ended: %s", each->name, actor_end_reason(actor));
            attachment_end(each, why);
        } else {
            struct command_row row;
            command_row_begin(&row);
            command_row_text(&row, "restarted", actor_end_reason(actor));
            attachment_say(each, &row, false);
        }
        attachment_unref(each);
    }
}

