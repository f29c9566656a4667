/*
 * mailbox.c -- see the header for the hand-over and for how room is kept.
 */
#include "actor/mailbox_room.h"

#include "actor/lifecycle.h"
#include "base/memory.h"

struct message mailbox_asleep_mark, mailbox_closed_mark;

/* Room is given back in lots, an eighth of the box but no more than this: an
 * atomic operation a message would cost more than the rest of the taking. */
#define LOT_MAX 64

static uint64_t load_of(const struct message *message)
{
    return ONE_MESSAGE + message_weight(message);
}

/* A message larger than the whole box must still fit into an empty one. */
static bool has_room(const struct mailbox *box, uint64_t load, uint64_t more)
{
    uint32_t count = COUNT_OF(load);
    return count < atomic_load_explicit(&box->limit, memory_order_relaxed) &&
           (count == 0 || (load & BYTES_MASK) + (more & BYTES_MASK) <=
                              atomic_load_explicit(&box->bytes, memory_order_relaxed));
}

void mailbox_open(struct mailbox *box, const struct mailbox_options *options)
{
    atomic_store_explicit(&box->limit, options->limit, memory_order_relaxed);
    atomic_store_explicit(&box->bytes, options->bytes, memory_order_relaxed);
    atomic_store_explicit(&box->overflow, (uint8_t)options->overflow, memory_order_relaxed);
    uint32_t lot = options->limit / 8;
    box->lot = lot == 0 ? 1 : lot < LOT_MAX ? lot : LOT_MAX;
    atomic_store_explicit(&box->top, NULL, memory_order_release);
}

static void list_append(struct message_list *list, struct message *message)
{
    atomic_store_explicit(&message->next, NULL, memory_order_relaxed);
    if (list->tail == NULL)
        list->head = message;
    else
        atomic_store_explicit(&list->tail->next, message, memory_order_relaxed);
    list->tail = message;
}

static struct message *next_of(const struct message *message)
{
    return atomic_load_explicit(&message->next, memory_order_relaxed);
}

/* A stack taken whole, turned round: oldest first. */
static struct message *turn_round(struct message *newest)
{
    struct message *oldest = NULL;
    while (newest != NULL) {
        struct message *next = next_of(newest);
        atomic_store_explicit(&newest->next, oldest, memory_order_relaxed);
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* Takes room for `more`; false if there is none. */
static bool take_room(struct mailbox *box, uint64_t more)
{
    uint64_t load = atomic_load_explicit(&box->load, memory_order_relaxed);
    do {
        if ((load & MAILBOX_WAITED) || !has_room(box, load, more))
            return false; /* those who wait come first */
    } while (!atomic_compare_exchange_weak_explicit(&box->load, &load, load + more,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

static enum mailbox_answer push(struct mailbox *box, struct message *message)
{
    uint32_t born_ms = message->born_ms; /* once pushed it is the taker's */
    struct message *top = atomic_load_explicit(&box->top, memory_order_relaxed);
    do {
        if (UNLIKELY(top == MAILBOX_CLOSED_MARK))
            return MAILBOX_CLOSED;
        atomic_store_explicit(&message->next, top == MAILBOX_ASLEEP ? NULL : top,
                              memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(&box->top, &top, message,
                                                    memory_order_acq_rel, memory_order_relaxed));
    if (top != NULL && top != MAILBOX_ASLEEP)
        return MAILBOX_OK;
    atomic_store_explicit(&box->pile_ms, born_ms, memory_order_relaxed);
    return top == NULL ? MAILBOX_OK : MAILBOX_WOKE;
}

/* As a figure in which 0 means that there is none. */
static uint32_t birth_of(const struct message *message)
{
    return message == NULL ? 0 : message->born_ms != 0 ? message->born_ms : 1;
}

/* drop_old, and the box is full: takes the stack from under the taker's eyes
 * (it looks at `older` first, under the lock, so the order holds) and drops
 * from its old end what is too much. */
static struct message *trim(struct mailbox *box)
{
    struct message *dropped = NULL;

    spin_acquire(&box->lock);
    struct message *top = atomic_load_explicit(&box->top, memory_order_relaxed);
    while (top != NULL && top != MAILBOX_ASLEEP && top != MAILBOX_CLOSED_MARK) {
        if (atomic_compare_exchange_weak_explicit(&box->top, &top, NULL, memory_order_acquire,
                                                  memory_order_relaxed)) {
            struct message *next;
            for (struct message *each = turn_round(top); each != NULL; each = next) {
                next = next_of(each);
                list_append(&box->older, each);
            }
            break;
        }
    }
    struct message_list kept = { 0 };
    struct message_list out = { 0 };
    struct message *next;
    uint32_t limit = atomic_load_explicit(&box->limit, memory_order_relaxed);
    uint64_t bytes = atomic_load_explicit(&box->bytes, memory_order_relaxed);
    for (struct message *each = box->older.head; each != NULL; each = next) {
        uint64_t load = atomic_load_explicit(&box->load, memory_order_relaxed);
        bool over = COUNT_OF(load) > limit || (load & BYTES_MASK) > bytes;
        next = next_of(each);
        /* The newest stays: one larger than the box fits into an empty one. */
        if (over && next != NULL && each->lane == LANE_ORDINARY &&
            (each->flags & MESSAGE_COUNTED)) {
            atomic_fetch_sub_explicit(&box->load, load_of(each), memory_order_relaxed);
            list_append(&out, each);
        } else {
            list_append(&kept, each);
        }
    }
    box->older = kept;
    atomic_store_explicit(&box->older_ms, birth_of(kept.head), memory_order_relaxed);
    dropped = out.head;
    spin_release(&box->lock);
    return dropped;
}

enum mailbox_answer mailbox_put(struct mailbox *box, struct message **message, bool reserved,
                                struct message **dropped)
{
    struct message *put = *message;
    bool counted = !reserved && put->lane >= LANE_HIGH;
    bool over = false;
    enum message_lane lane = (enum message_lane)put->lane;
    uint64_t load = load_of(put); /* once pushed it is the taker's */

    *dropped = NULL;
    if (counted && !take_room(box, load)) {
        if (mailbox_overflow(box) != OVERFLOW_DROP_OLD)
            return atomic_load_explicit(&box->top, memory_order_relaxed) == MAILBOX_CLOSED_MARK
                       ? MAILBOX_CLOSED
                       : MAILBOX_FULL;
        atomic_fetch_add_explicit(&box->load, load, memory_order_relaxed);
        over = true;
    }
    if (counted)
        put->flags |= MESSAGE_COUNTED;
    else
        put->flags &= (uint8_t)~MESSAGE_COUNTED;
    if (UNLIKELY(put->lane != LANE_ORDINARY))
        atomic_store_explicit(&box->urgent, true, memory_order_relaxed); /* seen with the push */
    bool by_lane = is_counted_by_lane(put);
    enum mailbox_answer answer = push(box, put);
    if (UNLIKELY(answer == MAILBOX_CLOSED)) {
        if (counted)
            atomic_fetch_sub_explicit(&box->load, load, memory_order_relaxed);
        return answer;
    }
    *message = NULL;
    if (UNLIKELY(by_lane))
        count_by_lane(box, lane, 1);
    if (UNLIKELY(over))
        *dropped = trim(box);
    return answer;
}

static void count_parked(struct mailbox *box, int more)
{
    uint32_t count = atomic_load_explicit(&box->parked_count, memory_order_relaxed);
    atomic_store_explicit(&box->parked_count, count + (uint32_t)more, memory_order_relaxed);
}

enum mailbox_answer mailbox_park(struct mailbox *box, struct message **message,
                                 struct message **wake)
{
    struct parked *parked = memory_get(sizeof *parked);
    if (parked == NULL)
        return MAILBOX_FULL;
    *parked = (struct parked){ .message = *message, .wake = wake != NULL ? *wake : NULL };
    uint64_t more = load_of(*message);

    spin_acquire(&box->lock);
    uint64_t load = atomic_load_explicit(&box->load, memory_order_relaxed);
    for (;;) {
        if (atomic_load_explicit(&box->top, memory_order_relaxed) == MAILBOX_CLOSED_MARK) {
            spin_release(&box->lock);
            memory_put(parked, sizeof *parked);
            return MAILBOX_CLOSED;
        }
        if (!(load & MAILBOX_WAITED) && has_room(box, load, more)) {
            struct message *dropped;
            spin_release(&box->lock);
            memory_put(parked, sizeof *parked);
            enum mailbox_answer answer = mailbox_put(box, message, false, &dropped);
            return answer == MAILBOX_FULL ? mailbox_park(box, message, wake) : answer;
        }
        /* Only while it is full, by this compare-and-swap: who makes room sees the mark. */
        if (atomic_compare_exchange_weak_explicit(&box->load, &load, load | MAILBOX_WAITED,
                                                  memory_order_acq_rel, memory_order_relaxed))
            break;
    }
    if (box->parked_tail == NULL)
        box->parked_head = parked;
    else
        box->parked_tail->next = parked;
    box->parked_tail = parked;
    count_parked(box, 1);
    spin_release(&box->lock);
    *message = NULL;
    if (wake != NULL)
        *wake = NULL;
    return MAILBOX_PARKED;
}

struct message *mailbox_unpark(struct mailbox *box, actor_id sender, uint64_t request)
{
    struct message *message = NULL;

    spin_acquire(&box->lock);
    struct parked **link = &box->parked_head;
    struct parked *before = NULL;
    for (struct parked *each = *link; each != NULL; before = each, link = &each->next, each = *link) {
        if (each->message->from != sender || each->message->request != request)
            continue;
        *link = each->next;
        if (box->parked_tail == each)
            box->parked_tail = before;
        message = each->message;
        count_parked(box, -1);
        message_free(each->wake);
        memory_put(each, sizeof *each);
        break;
    }
    if (box->parked_head == NULL)
        atomic_fetch_and_explicit(&box->load, ~MAILBOX_WAITED, memory_order_relaxed);
    spin_release(&box->lock);
    return message;
}

/* Moves everything that was put into the lanes. */
static void sort_in(struct mailbox *box, struct message *oldest)
{
    struct message *next;
    for (struct message *each = oldest; each != NULL; each = next) {
        next = next_of(each);
        list_append(&box->lanes[each->lane], each);
    }
}

static void collect(struct mailbox *box)
{
    if (UNLIKELY(mailbox_overflow(box) == OVERFLOW_DROP_OLD)) {
        spin_acquire(&box->lock);
        sort_in(box, box->older.head);
        box->older = (struct message_list){ 0 };
        atomic_store_explicit(&box->older_ms, 0, memory_order_relaxed);
        sort_in(box, turn_round(atomic_exchange_explicit(&box->top, NULL, memory_order_acquire)));
        spin_release(&box->lock);
        return;
    }
    if (atomic_load_explicit(&box->top, memory_order_relaxed) == NULL)
        return;
    sort_in(box, turn_round(atomic_exchange_explicit(&box->top, NULL, memory_order_acquire)));
}

/* Stores parked messages while there is room; returns the wakes to send. */
static struct message *admit_parked(struct mailbox *box)
{
    struct message_list wakes = { 0 };

    collect(box); /* what their senders sent before comes before */
    spin_acquire(&box->lock);
    while (box->parked_head != NULL) {
        struct parked *parked = box->parked_head;
        struct message *message = parked->message;
        uint64_t more = load_of(message);
        uint64_t load = atomic_load_explicit(&box->load, memory_order_relaxed);
        if (!has_room(box, load, more))
            break;
        atomic_fetch_add_explicit(&box->load, more, memory_order_relaxed);
        box->parked_head = parked->next;
        if (box->parked_head == NULL)
            box->parked_tail = NULL;
        message->flags |= MESSAGE_COUNTED;
        count_parked(box, -1);
        if (is_counted_by_lane(message))
            count_by_lane(box, (enum message_lane)message->lane, 1);
        list_append(&box->lanes[message->lane], message);
        if (parked->wake != NULL)
            list_append(&wakes, parked->wake);
        memory_put(parked, sizeof *parked);
    }
    if (box->parked_head == NULL)
        atomic_fetch_and_explicit(&box->load, ~MAILBOX_WAITED, memory_order_relaxed);
    spin_release(&box->lock);
    return wakes.head;
}

static struct message *give_back(struct mailbox *box)
{
    uint64_t returned = atomic_load_explicit(&box->returned, memory_order_relaxed);
    if (returned == 0)
        return NULL;
    uint64_t before = atomic_fetch_sub_explicit(&box->load, returned, memory_order_acq_rel);
    atomic_store_explicit(&box->returned, 0, memory_order_relaxed);
    return UNLIKELY(before & MAILBOX_WAITED) ? admit_parked(box) : NULL;
}

static inline struct message *take_first(struct mailbox *box, enum message_lane lane)
{
    struct message_list *list = &box->lanes[lane];
    struct message *message = list->head;
    list->head = next_of(message);
    if (list->head == NULL)
        list->tail = NULL;
    return message;
}

/* Takes `message`, which lies behind `before` (NULL: it is the first), out of its lane. */
static struct message *take_out(struct message_list *list, struct message *before,
                                struct message *message)
{
    if (before == NULL)
        list->head = next_of(message);
    else
        atomic_store_explicit(&before->next, next_of(message), memory_order_relaxed);
    if (list->tail == message)
        list->tail = before;
    return message;
}

/* What a held actor takes, too. */
static bool pierces(const struct message *message)
{
    return message->kind == MESSAGE_HOLD ||
           (message->kind == MESSAGE_STOP && message->reason == STOP_KILL);
}

static struct message *take_piercing(struct mailbox *box)
{
    struct message_list *list = &box->lanes[LANE_CONTROL];
    struct message *before = box->passed;
    struct message *each = before != NULL ? next_of(before) : list->head;
    for (; each != NULL; before = each, each = next_of(each))
        if (pierces(each))
            break;
    box->passed = before;
    return each != NULL ? take_out(list, before, each) : NULL;
}

static struct message *take_chosen(struct mailbox *box, mailbox_chooser *chooses, void *context)
{
    for (int lane = LANE_NOTICE; lane < LANE_COUNT; lane++) {
        struct message_list *list = &box->lanes[lane];
        struct message *before = NULL;
        if (lane == LANE_ORDINARY && box->passed != NULL)
            before = box->passed; /* nothing wanted up to here */
        struct message *each = before != NULL ? next_of(before) : list->head;
        for (; each != NULL; before = each, each = next_of(each)) {
            if (chooses(context, each))
                return take_out(list, before, each);
        }
        if (lane == LANE_ORDINARY)
            box->passed = before;
    }
    return NULL;
}

static inline struct message *pick(struct mailbox *box, enum appetite appetite, mailbox_chooser *chooses,
                            void *context)
{
    if (box->lanes[LANE_CONTROL].head != NULL && LIKELY(appetite != APPETITE_HELD))
        return take_first(box, LANE_CONTROL);
    if (LIKELY(appetite == APPETITE_ALL)) {
        if (box->lanes[LANE_NOTICE].head != NULL)
            return take_first(box, LANE_NOTICE);
        if (box->lanes[LANE_HIGH].head != NULL)
            return take_first(box, LANE_HIGH);
        if (box->lanes[LANE_ORDINARY].head != NULL)
            return take_first(box, LANE_ORDINARY);
        return NULL;
    }
    if (appetite == APPETITE_CHOSEN)
        return take_chosen(box, chooses, context);
    return appetite == APPETITE_HELD ? take_piercing(box) : NULL;
}

/* Says what has now waited longest in the lanes of counted messages. (What is high
 * and waits beside others is younger, or is taken next.) */
static inline void show_front(struct mailbox *box)
{
    const struct message *front = box->lanes[LANE_ORDINARY].head;
    if (LIKELY(front == NULL))
        front = box->lanes[LANE_HIGH].head;
    atomic_store_explicit(&box->front_ms, birth_of(front), memory_order_relaxed);
}

struct message *mailbox_take(struct mailbox *box, enum appetite appetite, mailbox_chooser *chooses,
                             void *context, struct message **wakes)
{
    *wakes = NULL;
    if (UNLIKELY(atomic_load_explicit(&box->urgent, memory_order_relaxed))) {
        /* Cleared before the stack is taken: what sets it later is found later. */
        atomic_exchange_explicit(&box->urgent, false, memory_order_acquire);
        collect(box);
    }
    struct message *message = pick(box, appetite, chooses, context);
    if (message == NULL) {
        *wakes = give_back(box);
        collect(box);
        message = pick(box, appetite, chooses, context);
    }
    show_front(box);
    if (message == NULL)
        return NULL;
    if (UNLIKELY(is_counted_by_lane(message)))
        count_by_lane(box, (enum message_lane)message->lane, -1);
    if (message->flags & MESSAGE_COUNTED) {
        uint64_t returned =
            atomic_load_explicit(&box->returned, memory_order_relaxed) + load_of(message);
        atomic_store_explicit(&box->returned, returned, memory_order_relaxed);
        message->flags &= (uint8_t)~MESSAGE_COUNTED;
        if (UNLIKELY(COUNT_OF(returned) >= box->lot) && *wakes == NULL)
            *wakes = give_back(box);
    }
    return message;
}

struct message *mailbox_settle(struct mailbox *box)
{
    return give_back(box);
}

void mailbox_reconsider(struct mailbox *box)
{
    box->passed = NULL;
}

bool mailbox_sleep(struct mailbox *box)
{
    bool slept;
    struct message *empty = NULL;

    if (UNLIKELY(mailbox_overflow(box) == OVERFLOW_DROP_OLD)) {
        spin_acquire(&box->lock);
        slept = box->older.head == NULL &&
                atomic_compare_exchange_strong_explicit(&box->top, &empty, MAILBOX_ASLEEP,
                                                        memory_order_acq_rel,
                                                        memory_order_relaxed);
        spin_release(&box->lock);
        return slept;
    }
    return atomic_compare_exchange_strong_explicit(&box->top, &empty, MAILBOX_ASLEEP,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

void mailbox_close(struct mailbox *box, struct message **messages, struct parked **parked)
{
    struct message_list all = { 0 };

    uint64_t given_back = atomic_load_explicit(&box->returned, memory_order_relaxed);

    atomic_store_explicit(&box->returned, 0, memory_order_relaxed);
    spin_acquire(&box->lock);
    struct message *newest =
        atomic_exchange_explicit(&box->top, MAILBOX_CLOSED_MARK, memory_order_acq_rel);
    if (newest == MAILBOX_ASLEEP || newest == MAILBOX_CLOSED_MARK)
        newest = NULL;
    struct message *rest[2] = { box->older.head, turn_round(newest) };
    box->older = (struct message_list){ 0 };
    *parked = box->parked_head;
    atomic_store_explicit(&box->parked_count, 0, memory_order_relaxed);
    atomic_store_explicit(&box->older_ms, 0, memory_order_relaxed);
    box->parked_head = box->parked_tail = NULL;
    atomic_fetch_and_explicit(&box->load, ~MAILBOX_WAITED, memory_order_relaxed);
    spin_release(&box->lock);

    sort_in(box, rest[0]);
    sort_in(box, rest[1]);
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        struct message *next;
        for (struct message *each = box->lanes[lane].head; each != NULL; each = next) {
            next = next_of(each);
            if (is_counted_by_lane(each))
                count_by_lane(box, (enum message_lane)lane, -1);
            if (each->flags & MESSAGE_COUNTED)
                given_back += load_of(each);
            each->flags &= (uint8_t)~MESSAGE_COUNTED;
            list_append(&all, each);
        }
        box->lanes[lane] = (struct message_list){ 0 };
    }
    atomic_fetch_sub_explicit(&box->load, given_back, memory_order_relaxed);
    mailbox_reconsider(box);
    show_front(box);
    *messages = all.head;
}
