/*
 * declared.c -- see declared.h.
 *
 * Types are found by open addressing in a table of pointers, so that a `struct
 * declared` stays where it is.
 */
#include "script/declared.h"

#include "actor/actor_log.h"
#include "base/log.h"
#include "base/memory.h"
#include "message/pack.h"
#include "script/api.h"
#include "script/ref.h"
#include "script/scratch.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define FIRST_CAPACITY 4
#define REASON_ROOM    (TYPE_NAME_LIMIT + sizeof(struct shape_error) + 32)

struct declared_types {
    unsigned         count, capacity; /* a power of two, more than half of it free */
    struct declared *slots[];
};

/* ---- The table ---------------------------------------------------------- */

static struct declared **slot_of(struct declared_types *types, type_id type)
{
    type_id alike = type_alike(type);
    for (unsigned i = alike;; i++) {
        struct declared **slot = &types->slots[i & (types->capacity - 1)];
        if (*slot == NULL || type_alike((*slot)->type) == alike)
            return slot;
    }
}

struct declared *declared_in(struct declared_types *types, type_id type)
{
    return types != NULL ? *slot_of(types, type) : NULL;
}

const struct declared *declared_next(const struct declared_types *types, unsigned *position)
{
    while (types != NULL && *position < types->capacity) {
        const struct declared *declared = types->slots[(*position)++];
        if (declared != NULL)
            return declared;
    }
    return NULL;
}

struct declared *declared_find(const struct script *script, type_id type)
{
    return declared_in(script->declared, type);
}

static size_t types_size(unsigned capacity)
{
    return sizeof(struct declared_types) + capacity * sizeof(struct declared *);
}

static bool make_room(struct declared_types **place)
{
    struct declared_types *old = *place;
    if (old != NULL && 2 * (old->count + 1) < old->capacity)
        return true;
    unsigned capacity = old != NULL ? 2 * old->capacity : FIRST_CAPACITY;
    struct declared_types *types = memory_get_zeroed(types_size(capacity));
    if (types == NULL)
        return false;
    types->capacity = capacity;
    for (unsigned i = 0; old != NULL && i < old->capacity; i++) {
        if (old->slots[i] == NULL)
            continue;
        *slot_of(types, old->slots[i]->type) = old->slots[i];
        types->count++;
    }
    if (old != NULL)
        memory_put(old, types_size(old->capacity));
    *place = types;
    return true;
}

int declared_share(struct declared_types **types, struct declared *declared)
{
    struct declared *in_place = declared_in(*types, declared->type);
    if (in_place == NULL && *types != NULL && (*types)->count >= DECLARED_LIMIT)
        return -EAGAIN;
    if (in_place == NULL && !make_room(types))
        return -ENOMEM;
    *slot_of(*types, declared->type) = declared;
    declared->versions++;
    if (in_place == NULL)
        (*types)->count++;
    else
        in_place->versions--; /* whoever gave it has it still */
    return 0;
}

int declared_add(struct declared_types **types, type_id type, struct shape *shape,
                 struct declared **declared)
{
    struct declared *made = memory_get(sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    *made = (struct declared){ .type = type, .shape = shape };
    int error = declared_share(types, made);
    if (error != 0)
        memory_put(made, sizeof *made);
    else
        *declared = made;
    return error;
}

void declared_retire(struct declared_types *types, struct declared **retired)
{
    if (types == NULL)
        return;
    for (unsigned i = 0; i < types->capacity; i++) {
        struct declared *declared = types->slots[i];
        if (declared == NULL || --declared->versions > 0)
            continue;
        declared->next = *retired;
        *retired = declared;
    }
    memory_put(types, types_size(types->capacity));
}

void declared_free_retired(struct declared **retired)
{
    while (*retired != NULL) {
        struct declared *declared = *retired;
        *retired = declared->next;
        shape_free(declared->shape);
        memory_put(declared, sizeof *declared);
    }
}

void declared_free(struct declared_types **types)
{
    struct declared *retired = NULL;
    declared_retire(*types, &retired);
    declared_free_retired(&retired);
    *types = NULL;
}

/* ---- Given by the spawner ------------------------------------------------ */

/* Where the record behind this one begins: records are aligned as the first is. */
static size_t given_size(size_t shape_size)
{
    size_t size = sizeof(struct declared_given) + shape_size;
    return (size + 7) / 8 * 8;
}

void declared_put_given(struct bytes *out, type_id type, const struct shape *shape)
{
    static const uint8_t padding[8];
    struct declared_given given = { .type = type, .shape_size = (uint32_t)shape_size(shape) };
    size_t                size = given_size(given.shape_size);
    bytes_append(out, &given, sizeof given);
    bytes_append(out, shape, given.shape_size);
    bytes_append(out, padding, size - sizeof given - given.shape_size);
}

const struct declared_given *declared_given_alike(const uint8_t *given, size_t size, type_id type)
{
    for (size_t at = 0; at < size;) {
        const struct declared_given *each = (const void *)(given + at);
        if (type_alike(each->type) == type_alike(type))
            return each;
        at += given_size(each->shape_size);
    }
    return NULL;
}

int declared_take_given(struct script *script, const uint8_t *given, size_t size)
{
    for (size_t at = 0; at < size;) {
        const struct declared_given *each = (const void *)(given + at);
        struct declared             *made;
        struct shape *shape = shape_copy((const void *)(each + 1));
        int error = shape != NULL ? declared_add(&script->given, each->type, shape, &made) : -ENOMEM;
        if (error != 0) {
            shape_free(shape);
            return error;
        }
        at += given_size(each->shape_size);
    }
    return 0;
}

int declared_give(struct script *script)
{
    const struct declared_types *given = script->given;
    for (unsigned i = 0; given != NULL && i < given->capacity; i++) {
        int error = given->slots[i] != NULL ? declared_share(&script->declared, given->slots[i]) : 0;
        if (error != 0)
            return error;
    }
    return 0;
}

/* ---- What is sent ------------------------------------------------------- */

const uint8_t *declared_fit_sent(lua_State *L, struct script *script, type_id type,
                                 const uint8_t *packed, size_t *size)
{
    const struct declared *declared = declared_find(script, type);
    if (declared == NULL)
        return packed;
    struct bytes      *out = scratch_take(SCRATCH_FIT);
    struct shape_error error;
    bool               changed;
    switch (shape_fit(declared->shape, packed, *size, NULL, NULL, out, &changed, &error)) {
    case 0:
        *size = out->size;
        return *size > 0 ? out->data : (const uint8_t *)"";
    case -EINVAL:
        luaL_error(L, "%s.%s: %s", type_name(declared->type), error.field, error.why);
        UNREACHABLE();
    default:
        luaL_error(L, "%s: not enough memory for it", type_name(declared->type));
        UNREACHABLE();
    }
}

/* ---- What comes --------------------------------------------------------- */

/* Whether it may be the name of a script's actor: also of one that was given none
 * ("worker#7"), but not of one of the host's own ("$ask#7"). */
static bool is_actor_name(const char *name, size_t size)
{
    const char *mark = memrchr(name, '#', size);
    if (mark == NULL)
        return address_name_is_valid(name, size);
    size_t digits = strspn(mark + 1, "0123456789");
    return digits > 0 && mark[1 + digits] == '\0' &&
           address_name_is_valid(name, (size_t)(mark - name));
}

/* What a text stands for: a place elsewhere is an address in digits, as all that
 * comes from outside must be; a name alone is one of this host. */
static bool read_ref(void *context, const char *text, size_t size, struct bytes *out)
{
    const struct script *script = context;
    struct address *address;
    char            place[ADDRESS_ENDPOINT_LIMIT], whole[REF_TEXT_ROOM];
    int error = address_parse(text, size, &address, NULL, 0);
    if (error != 0) {
        out->failed = out->failed || error == -ENOMEM;
        return out->failed;
    }
    const char *endpoint = address_endpoint(address);
    bool here = router_is_here(script->world->system, address);
    bool good = here ? is_actor_name(address_name(address), address->name_size)
                     : address_node(endpoint) != NULL ||
                           address_endpoint_normalise(endpoint, address->endpoint_size, true, false,
                                                      place, NULL, 0) == 0;
    size_t whole_size = ref_address_text(address, whole, sizeof whole);
    if (good && here) {
        actor_id id = registry_find_name(&script->world->system->registry, address_name(address),
                                         address->name_size);
        if (id != 0)
            pack_put_actor(out, id);
        else
            pack_put_address(out, address_name(address), address->name_size);
    } else if (good && whole_size > 0) {
        pack_put_address(out, whole, whole_size);
    }
    address_unref(address);
    return good && (here || whole_size > 0);
}

/* 0: it fits, and is in `out` if that is not what came (*changed). Else -errno, and
 * the reason as a Reject gives it. */
static int fit(struct script *script, const struct declared *declared,
               const struct message *message, struct bytes *out, bool *changed, char *reason)
{
    struct shape_error error;
    bool text = (message->flags & MESSAGE_TEXT) != 0;
    int  answer = shape_fit(declared->shape, message->payload, message->size,
                            text ? read_ref : NULL, script, out, changed, &error);
    if (answer == -EINVAL)
        snprintf(reason, REASON_ROOM, "Bad field '%s' in %s: %s", error.field,
                 type_name(message->type), error.why);
    else if (answer != 0)
        snprintf(reason, REASON_ROOM, "Out of memory");
    return answer;
}

static void note_misfit(struct script *script, struct declared *declared,
                        const struct message *message, const char *reason)
{
    struct system *system = script->world->system;
    char sender[ADDRESS_NAME_LIMIT + 1] = "nobody";
    atomic_fetch_add_explicit(&system->counters.bad_fields, 1, memory_order_relaxed);
    if (declared->warned)
        return;
    declared->warned = true;
    if (message->from != 0)
        registry_name(&system->registry, message->from, sender, sizeof sender);
    else if (api_origin(message) != NULL)
        snprintf(sender, sizeof sender, "elsewhere");
    actor_log(script->actor, LOG_WARN, "a message from %s was refused: %s", sender, reason);
}

/* The message as the declaration wants it, in place of *message. NULL: it does not
 * fit; *message is as it was, and `reason` says why. */
static struct message *admit(struct script *script, struct declared *declared,
                             struct message *message, char *reason)
{
    struct bytes *out = scratch_take(SCRATCH_FIT);
    bool changed;
    int  error = fit(script, declared, message, out, &changed, reason);
    if (error == 0 && !changed)
        return message;
    struct message *other =
        error == 0 ? message_replace(message, out->size > 0 ? out->data : NULL, out->size) : NULL;
    if (other != NULL)
        return other;
    if (error == 0)
        snprintf(reason, REASON_ROOM, "Out of memory");
    note_misfit(script, declared, message, reason);
    return NULL;
}

struct message *declared_admit(struct script *script, struct message *message)
{
    struct declared *declared = declared_find(script, message->type);
    char reason[REASON_ROOM];
    if (declared == NULL)
        return message;
    struct message *admitted = admit(script, declared, message, reason);
    if (admitted == NULL)
        router_refuse(script->world->system, &message, FAILURE_REJECTED, reason, reason);
    return admitted;
}

struct message *declared_admit_answer(struct script *script, struct message *message)
{
    struct system   *system = script->world->system;
    struct declared *declared = declared_find(script, message->type);
    char reason[REASON_ROOM];
    if (declared == NULL)
        return message;
    struct message *admitted = admit(script, declared, message, reason);
    if (admitted != NULL)
        return admitted;
    if (message->origin != NULL && system->remote.reject != NULL)
        system->remote.reject(system->remote.context, message, script->actor->name, reason);
    struct message *failure =
        message_new(MESSAGE_FAILURE, TYPE_NONE, reason, strlen(reason));
    if (failure != NULL) { /* else its deadline will tell it */
        failure->to = message->to;
        failure->request = message->request;
        failure->reason = FAILURE_FAILED;
    }
    message_free(message);
    return failure;
}

bool declared_admits_timer(struct script *script, const struct message *content)
{
    struct declared *declared = declared_find(script, content->type);
    char reason[REASON_ROOM];
    bool changed;
    if (declared == NULL ||
        fit(script, declared, content, scratch_take(SCRATCH_FIT), &changed, reason) == 0)
        return true;
    note_misfit(script, declared, content, reason);
    return false;
}
