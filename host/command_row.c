/*
 * command_row.c -- a line of an answer: fields of a JSON object.
 */
#include "commands.h"

void command_row_begin(struct command_row *row)
{
    bytes_init(&row->packed, 0);
    row->at = pack_open(&row->packed, PACK_ORDERED_MAP);
    row->count = 0;
}

void command_row_field(struct command_row *row, const char *field)
{
    pack_put_string(&row->packed, field, strlen(field));
    row->count++;
}

/* What is no UTF-8 has no place in JSON: it is cut there. */
void command_row_text(struct command_row *row, const char *field, const char *text)
{
    size_t size = text != NULL ? strlen(text) : 0;
    while (!json_valid_utf8(text, size))
        size--;
    command_row_field(row, field);
    if (text != NULL)
        pack_put_string(&row->packed, text, size);
    else
        pack_put_null(&row->packed);
}

void command_row_integer(struct command_row *row, const char *field, int64_t integer)
{
    command_row_field(row, field);
    pack_put_integer(&row->packed, integer);
}

void command_row_number(struct command_row *row, const char *field, double number)
{
    command_row_field(row, field);
    pack_put_double(&row->packed, number);
}

void command_row_flag(struct command_row *row, const char *field, bool flag)
{
    command_row_field(row, field);
    pack_put_boolean(&row->packed, flag);
}

bool command_row_say(struct command_row *row, struct control_client *client)
{
    struct bytes line;
    bytes_init(&line, 0);
    pack_close(&row->packed, row->at, row->count);
    bool said = !row->packed.failed &&
                json_write(row->packed.data, row->packed.size, JSON_COMPACT, NULL, NULL, &line,
                           NULL) == 0 &&
                control_say(client, (const char *)line.data, line.size);
    bytes_fini(&line);
    bytes_fini(&row->packed);
    return said;
}
