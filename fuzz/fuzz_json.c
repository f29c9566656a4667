/*
 * fuzz_json.c -- what message/json.h promises, about any text.
 */
#include "fuzz.h"

#include "base/fault.h"
#include "message/json.h"
#include "message/pack.h"
#include "packed.h"
#include "reference.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>

/* Few enough values that an input of some thousand bytes can pass the limit. */
static const struct json_limits limits = { .depth = 64, .values = 500 };

static const char before[] = "before";
#define BEFORE (sizeof before - 1)

/* A buffer that has something in it already, which must stay. */
static void begin(struct bytes *bytes, size_t limit)
{
    bytes_init(bytes, limit);
    bytes_append(bytes, before, BEFORE);
}

static bool is_as_begun(const struct bytes *bytes)
{
    return bytes->size == BEFORE && memcmp(bytes->data, before, BEFORE) == 0;
}

static bool same(const struct bytes *a, const struct bytes *b, size_t skipped)
{
    return a->size == b->size &&
           memcmp(a->data + skipped, b->data + skipped, a->size - skipped) == 0;
}

/* "REASON at byte N", the place inside the text or just behind it. */
static void check_error(const struct json_error *error, size_t size)
{
    char ending[32];
    assert(error->at <= size);
    assert(memchr(error->reason, '\0', sizeof error->reason) != NULL);
    snprintf(ending, sizeof ending, " at byte %zu", error->at);
    size_t length = strlen(error->reason), tail = strlen(ending);
    assert(length > tail && strcmp(error->reason + length - tail, ending) == 0);
    assert(reference_is_utf8(error->reason, length, true));
}

/* Nothing but what the text says, in the one form that it has. */
static void check_packed(const uint8_t *packed, size_t size, const struct reference *reference)
{
    assert(pack_check(packed, size));
    struct bytes         sorted;
    struct packed_survey survey;
    bytes_init(&sorted, 0);
    packed_through_text(packed, &sorted, &survey);
    assert(!survey.bad_text && !survey.not_finite && !survey.foreign && !survey.duplicate);
    assert(survey.depth <= reference->deepest && survey.values <= reference->values);
    assert(sorted.size == size);
    bytes_fini(&sorted);
}

/* Each limit is where it says: what is just within is read, one less is not. */
static void check_limits(const char *text, size_t size, const struct reference *reference)
{
    struct json_limits tight = { reference->deepest, (unsigned)reference->values };
    struct bytes       out;
    begin(&out, 0);
    assert(json_read(text, size, &tight, &out, NULL) == 0);
    bytes_fini(&out);

    begin(&out, 0);
    tight.values--;
    assert(json_read(text, size, &tight, &out, NULL) == -EINVAL && is_as_begun(&out));
    tight.values++;
    if (tight.depth > 0) {
        tight.depth--;
        assert(json_read(text, size, &tight, &out, NULL) == -EINVAL && is_as_begun(&out));
    }
    bytes_fini(&out);
}

/* As the styles say: nothing but printable ASCII, or no space between tokens. */
static void check_style(const struct bytes *text, int style)
{
    bool   quoted = false;
    size_t spaces = 0, separators = 0;
    for (size_t i = BEFORE; i < text->size; i++) {
        uint8_t byte = text->data[i];
        assert(byte >= 0x20 && !((style & JSON_ASCII) && byte > 0x7e));
        if (quoted && byte == '\\')
            i++;
        else if (byte == '"')
            quoted = !quoted;
        else if (!quoted)
            spaces += byte == ' ', separators += byte == ',' || byte == ':';
    }
    assert(!quoted && spaces == (style & JSON_SPACED ? separators : 0));
}

/* Every style is read back as the same bytes, sorted; and written again it is
 * the same text. */
static void check_written(const struct bytes *packed)
{
    struct bytes         sorted, text, back, again;
    struct packed_survey survey;
    bytes_init(&sorted, 0);
    packed_through_text(packed->data + BEFORE, &sorted, &survey);
    for (int style = 0; style <= (JSON_SPACED | JSON_ASCII); style++) {
        begin(&text, 0);
        begin(&again, 0);
        bytes_init(&back, 0);
        assert(json_write(packed->data + BEFORE, packed->size - BEFORE, style, NULL, NULL, &text,
                          NULL) == 0);
        check_style(&text, style);
        char *copy = fuzz_tight_copy(text.data + BEFORE, text.size - BEFORE);
        assert(json_read(copy, text.size - BEFORE, &limits, &back, NULL) == 0);
        free(copy);
        assert(same(&sorted, &back, 0));
        assert(json_write(back.data, back.size, style, NULL, NULL, &again, NULL) == 0);
        assert(same(&text, &again, 0));
        bytes_fini(&text);
        bytes_fini(&back);
        bytes_fini(&again);
    }
    bytes_fini(&sorted);
}

/* A double has as few digits as read back to it, and an exponent if it is below
 * 0.0001 or has more than 16 digits in front of the point. */
static void check_number(const struct bytes *packed)
{
    struct pack_item item;
    struct bytes     text;
    char             shorter[40];
    int              digits = 0;
    pack_read(packed->data + BEFORE, &item);
    if (item.tag != PACK_DOUBLE || item.number == 0)
        return;
    bytes_init(&text, 0);
    assert(json_write(packed->data + BEFORE, packed->size - BEFORE, 0, NULL, NULL, &text,
                      NULL) == 0);
    const char *at = bytes_text(&text), *exponent = strchr(at, 'e');
    assert(strtod(at, NULL) == item.number && strpbrk(at, ".e") != NULL);
    assert((exponent != NULL) == (fabs(item.number) < 1e-4 || fabs(item.number) >= 1e16));
    at += strspn(at, "-0.");
    int zeros = 0; /* at the end they are no digits */
    for (; *at != '\0' && *at != 'e'; at++) {
        digits += *at != '.';
        zeros = *at == '0' ? zeros + 1 : *at == '.' ? zeros : 0;
    }
    for (int less = 1; less < digits - zeros; less++) {
        snprintf(shorter, sizeof shorter, "%.*e", less - 1, item.number);
        assert(strtod(shorter, NULL) != item.number);
    }
    bytes_fini(&text);
}

/* With less room than is needed, or memory that runs out on the way, the answer
 * is the same or -ENOMEM, and what was in the buffer stays alone in it. */
static void check_without_memory(const char *text, size_t size, int right)
{
    size_t       choice = fuzz_choice(text, size, 64);
    struct bytes out, written;
    begin(&out, BEFORE + choice);
    begin(&written, 0);
#ifdef TROUPE_FAULTS
    fault_arm(choice / 4 + 1);
#endif
    int err = json_read(text, size, &limits, &out, NULL);
    assert(err == right || err == -ENOMEM);
    assert(err == 0 || is_as_begun(&out));
    if (err == 0) {
        err = json_write(out.data + BEFORE, out.size - BEFORE, 0, NULL, NULL, &written, NULL);
        assert(err == 0 || (err == -ENOMEM && is_as_begun(&written)));
    }
#ifdef TROUPE_FAULTS
    fault_arm(0);
#endif
    bytes_fini(&out);
    bytes_fini(&written);
}

/* One value in front of anything: read like a document, and no byte more. */
static void check_value(const char *text, size_t size)
{
    struct reference reference;
    struct bytes     expected, out;
    size_t           at = fuzz_choice(text, size, size < 4 ? size + 1 : 4), start = at;
    begin(&expected, 0);
    begin(&out, 0);
    reference_init(&reference, text, size, limits);
    reference.at = at;
    reference_skip_space(&reference);
    int err = json_read_value(text, size, &at, &limits, &out, NULL);
    if (reference_value(&reference, &expected)) {
        assert(err == 0 && at == reference.at && same(&expected, &out, 0));
    } else {
        assert(err == -EINVAL && at == start && is_as_begun(&out));
    }
    bytes_fini(&expected);
    bytes_fini(&out);
}

/* The text as the contents of a string, and as a name. */
static void check_string(const char *text, size_t size)
{
    bool valid = reference_is_utf8(text, size, false);
    assert(json_valid_utf8(text, size) == valid);
    assert(json_is_printable(text, size) == reference_is_utf8(text, size, true));
    for (int style = 0; style <= JSON_ASCII; style += JSON_ASCII) {
        struct bytes     written, back;
        struct reference reference;
        begin(&written, 0);
        bytes_init(&back, 0);
        assert(json_write_string(text, size, style, &written) == valid);
        if (valid) {
            check_style(&written, style);
            reference_init(&reference, (const char *)written.data, written.size, limits);
            reference.at = BEFORE;
            assert(reference_string(&reference, &back) && reference.at == written.size);
            assert(back.size == size && (size == 0 || memcmp(back.data, text, size) == 0));
        } else {
            assert(is_as_begun(&written));
        }
        bytes_fini(&written);
        bytes_fini(&back);
    }
}

bool fuzz_accepts(const char *data, size_t size)
{
    char             *text = fuzz_tight_copy(data, size);
    struct reference  reference;
    struct bytes      expected, packed;
    struct json_error error = { "", 0 };

    begin(&expected, 0);
    reference_init(&reference, text, size, limits);
    bool right = reference_document(&reference, &expected);
    begin(&packed, 0);
    int err = json_read(text, size, &limits, &packed, &error);
    assert(err == (right ? 0 : -EINVAL));
    if (right) {
        assert(reference_is_utf8(text, size, false));
        assert(same(&expected, &packed, 0));
        check_packed(packed.data + BEFORE, packed.size - BEFORE, &reference);
        check_limits(text, size, &reference);
        check_written(&packed);
        check_number(&packed);
    } else {
        assert(is_as_begun(&packed));
        check_error(&error, size);
    }
    check_without_memory(text, size, err);
    check_value(text, size);
    check_string(text, size);

    bytes_fini(&expected);
    bytes_fini(&packed);
    free(text);
    return right;
}
