/*
 * script_report.c -- what is known of the handler that failed, for its report.
 */
#include "script/script.h"

#include "base/log.h"
#include "script/api.h"
#include "script/dispatch.h"
#include "script/report.h"

#define SHOWN_MESSAGE_LIMIT 400

static size_t actor_text(void *context, uint64_t id, char *text, size_t room)
{
    struct script *script = context;
    registry_name(&script->world->system->registry, id, text, room);
    return strlen(text);
}

/* "Ping {"count": 1}", cut. */
static void describe_message(struct script *script, struct bytes *out)
{
    bytes_append_text(out, type_name(script->type));
    const struct message *content = script->content;
    if (content == NULL)
        return;
    struct bytes json;
    bytes_init(&json, 1024 * 1024);
    if (json_write(content->payload, content->size, JSON_SPACED, actor_text, script, &json,
                   NULL) == 0) {
        size_t shown = json.size < SHOWN_MESSAGE_LIMIT ? json.size : SHOWN_MESSAGE_LIMIT;
        bytes_append_byte(out, ' ');
        bytes_append(out, json.data, shown);
        if (json.size > SHOWN_MESSAGE_LIMIT)
            bytes_append_text(out, "...");
    }
    bytes_fini(&json);
}

static const char *describe_sender(struct script *script, char *text, size_t room)
{
    const struct message *message = script->current;
    if (message == NULL)
        return NULL;
    const struct address *origin = api_origin(message);
    if (message->from == 0 && origin == NULL)
        return NULL;
    return api_target_text(script, message->from, origin, text, room);
}

void script_report(struct script *script, lua_State *dead, const char *outcome)
{
    char handler[TYPE_NAME_LIMIT + 4], sender[ADDRESS_NAME_LIMIT + ADDRESS_ENDPOINT_LIMIT + 2];
    struct bytes text, message;
    bytes_init(&text, LOG_BLOCK_LIMIT);
    bytes_init(&message, 2 * SHOWN_MESSAGE_LIMIT + TYPE_NAME_LIMIT);
    describe_message(script, &message);

    struct report_context context = {
        .actor = script->actor->name,
        .script = source_path(script->source),
        .version = script->version[0] != '\0' ? script->version : NULL,
        .handler = dispatch_name(script, script->type, handler, sizeof handler),
        .message = bytes_text(&message),
        .sender = describe_sender(script, sender, sizeof sender),
        .outcome = outcome,
        .actor_text = actor_text,
        .text_context = script,
    };
    report_build(dead, &context, &text);
    log_block(LOG_ERROR, bytes_text(&text));
    bytes_fini(&message);
    bytes_fini(&text);
}
