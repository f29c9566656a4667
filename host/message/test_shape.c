/*
 * test_shape.c -- what message/shape.h promises.
 */
#include "message/shape.h"

#include "base/memory.h"
#include "message/json.h"
#include "message/pack.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- a declaration in C ---- */

struct spec {
    const char        *name, *type; /* of a table with fields: what stands behind "fields" */
    const struct spec *fields;
    unsigned           count;
};

static struct bytes draft_fields, draft_names;

static int draft_table(struct shape_draft *draft, const struct spec *specs, unsigned count,
                       bool sorted, char *twice)
{
    int first = shape_draft_table(draft, count);
    assert(first >= 0);
    for (unsigned i = 0; i < count; i++) {
        struct shape_type type = { .kind = SHAPE_FIELDS };
        const char *text = specs[i].type;
        bool nested = strncmp(text, "fields", 6) == 0;
        assert(nested ? shape_parse_suffix(text + 6, strlen(text + 6), &type, NULL, 0)
                      : shape_parse_type(text, strlen(text), &type, NULL, 0));
        assert(shape_draft_field(draft, first + (int)i, specs[i].name, strlen(specs[i].name),
                                 type) == 0);
        if (nested) {
            int inner = draft_table(draft, specs[i].fields, specs[i].count, sorted, twice);
            shape_draft_nest(draft, first + (int)i, inner, specs[i].count);
        }
    }
    shape_draft_close(draft, first, count, sorted, twice);
    return first;
}

static struct shape *make(const struct spec *specs, unsigned count, bool sorted)
{
    struct shape_draft draft;
    char twice[64];
    shape_draft_begin(&draft, &draft_fields, &draft_names);
    draft_table(&draft, specs, count, sorted, twice);
    assert(twice[0] == '\0');
    struct shape *shape = shape_new(&draft, count);
    assert(shape != NULL);
    return shape;
}

/* ---- fitting JSON ---- */

/* A reader that knows only texts with an @. */
static bool read_ref(void *context, const char *text, size_t size, struct bytes *out)
{
    ++*(unsigned *)context;
    if (memchr(text, '@', size) == NULL)
        return false;
    pack_put_address(out, text, size);
    return true;
}

static struct bytes fit_packed, fit_out, fit_text;
static bool last_changed;
static const uint8_t *last_packed;

/* What comes of the message: its JSON, or "FIELD: WHY". */
static const char *fit(const struct shape *shape, const char *json, bool from_outside)
{
    struct shape_error error;
    unsigned           refs = 0;
    bytes_clear(&fit_packed, 4096);
    bytes_clear(&fit_out, 4096);
    bytes_clear(&fit_text, 4096);
    if (*json != '\0')
        assert(json_read(json, strlen(json), &JSON_LIMITS_DEFAULT, &fit_packed, NULL) == 0);
    bytes_append(&fit_out, "before", 6);
    int err = shape_fit(shape, fit_packed.data, fit_packed.size, from_outside ? read_ref : NULL, &refs,
                        &fit_out, &last_changed, &error);
    if (err == 0) {
        last_packed = fit_out.data + 6;
        assert(fit_out.size == 6 || pack_check(fit_out.data + 6, fit_out.size - 6));
        assert(json_write(fit_out.data + 6, fit_out.size - 6, 0, NULL, NULL, &fit_text, NULL) == 0);
    } else {
        assert(err == -EINVAL && fit_out.size == 6);
        bytes_printf(&fit_text, "%s: %s", error.field, error.why);
    }
    assert(memcmp(fit_out.data, "before", 6) == 0);
    return bytes_text(&fit_text);
}

static bool becomes(const struct shape *shape, const char *json, const char *expected)
{
    const char *found = fit(shape, json, true);
    if (strcmp(found, expected) != 0)
        fprintf(stderr, "%s\n  becomes  %s\n  expected %s\n", json, found, expected);
    return strcmp(found, expected) == 0;
}

static const struct spec point[] = { { "y", "number", NULL, 0 }, { "x", "number", NULL, 0 } };

static const struct spec all[] = {
    { "n", "integer", NULL, 0 },       { "f", "number?", NULL, 0 },
    { "s", "string?", NULL, 0 },       { "b", "boolean?", NULL, 0 },
    { "t", "table?", NULL, 0 },        { "r", "ref?", NULL, 0 },
    { "a", "any?", NULL, 0 },          { "ns", "integer[]?", NULL, 0 },
    { "m", "number[][]?", NULL, 0 },   { "rs", "ref[]?", NULL, 0 },
    { "pos", "fields?", point, 2 },    { "way", "fields[]?", point, 2 },
};

/* What is declared is let through, in the order of the declaration. */
static void test_fitting(void)
{
    struct shape *shape = make(all, ARRAY_LENGTH(all), false);
    assert(becomes(shape, "{\"n\":1}", "{\"n\":1}"));
    assert(!last_changed && last_packed[0] == PACK_ORDERED_MAP);
    assert(becomes(shape, "{\"b\":true,\"s\":\"x\",\"f\":0.5,\"n\":-7}",
                   "{\"n\":-7,\"f\":0.5,\"s\":\"x\",\"b\":true}"));
    assert(!last_changed);
    assert(becomes(shape, "{\"n\":1,\"f\":2}", "{\"n\":1,\"f\":2}"));
    assert(becomes(shape, "{\"n\":1,\"f\":2.0}", "{\"n\":1,\"f\":2.0}"));
    assert(becomes(shape, "{\"n\":1,\"t\":{\"z\":[],\"b\":null}}", "{\"n\":1,\"t\":{\"b\":null,\"z\":[]}}"));
    assert(becomes(shape, "{\"n\":1,\"t\":[1,{}]}", "{\"n\":1,\"t\":[1,{}]}"));
    assert(becomes(shape, "{\"n\":1,\"a\":[null]}", "{\"n\":1,\"a\":[null]}"));
    assert(becomes(shape, "{\"n\":1,\"ns\":[1,2,3]}", "{\"n\":1,\"ns\":[1,2,3]}"));
    assert(becomes(shape, "{\"n\":1,\"m\":[[],[1,2.5]]}", "{\"n\":1,\"m\":[[],[1,2.5]]}"));
    assert(becomes(shape, "{\"n\":1,\"pos\":{\"x\":1,\"y\":2}}", "{\"n\":1,\"pos\":{\"y\":2,\"x\":1}}"));
    assert(becomes(shape, "{\"n\":1,\"way\":[{\"x\":1,\"y\":2},{\"y\":3,\"x\":4}]}",
                   "{\"n\":1,\"way\":[{\"y\":2,\"x\":1},{\"y\":3,\"x\":4}]}"));
    assert(!last_changed);
    shape_free(shape);
}

/* A float with an integer's value is an integer where that is declared; null is
 * nothing where nothing is allowed; an empty table is an empty array. */
static void test_changes(void)
{
    struct shape *shape = make(all, ARRAY_LENGTH(all), false);
    assert(becomes(shape, "{\"n\":1.0}", "{\"n\":1}") && last_changed);
    assert(becomes(shape, "{\"n\":-0.0}", "{\"n\":0}") && last_changed);
    assert(becomes(shape, "{\"n\":-9223372036854775808.0}", "{\"n\":-9223372036854775808}"));
    assert(becomes(shape, "{\"n\":9223372036854775808.0}", "n: integer expected, not 9.2233720368548e+18"));
    assert(becomes(shape, "{\"n\":1,\"ns\":[1.0,2]}", "{\"n\":1,\"ns\":[1,2]}") && last_changed);
    assert(becomes(shape, "{\"n\":1,\"s\":null,\"ns\":null,\"pos\":null}", "{\"n\":1}") && last_changed);
    assert(becomes(shape, "{\"n\":1,\"a\":null}", "{\"n\":1,\"a\":null}") && !last_changed);
    assert(becomes(shape, "{\"n\":1,\"ns\":{},\"m\":{}}", "{\"n\":1,\"ns\":[],\"m\":[]}") && !last_changed);
    assert(becomes(shape, "{\"n\":1,\"r\":\"a@b\",\"rs\":[\"c@d\"]}", "{\"n\":1,\"r\":\"a@b\",\"rs\":[\"c@d\"]}"));
    assert(last_changed);
    struct pack_item item;
    pack_read(pack_field(last_packed, "r"), &item);
    assert(item.tag == PACK_ADDRESS);
    assert(strcmp(fit(shape, "{\"n\":1,\"r\":\"a@b\"}", false), "r: ref expected, not string") == 0);
    shape_free(shape);
}

/* What is not is refused, with the place and the reason. */
static void test_refusing(void)
{
    struct shape *shape = make(all, ARRAY_LENGTH(all), true);
    assert(becomes(shape, "", "n: missing, integer expected"));
    assert(becomes(shape, "{}", "n: missing, integer expected"));
    assert(becomes(shape, "{\"s\":\"x\"}", "n: missing, integer expected"));
    assert(becomes(shape, "{\"n\":null}", "n: integer expected, not null"));
    assert(becomes(shape, "{\"n\":\"1\"}", "n: integer expected, not string"));
    assert(becomes(shape, "{\"n\":1.5}", "n: integer expected, not 1.5"));
    assert(becomes(shape, "{\"n\":true}", "n: integer expected, not boolean"));
    assert(becomes(shape, "{\"n\":1,\"f\":\"1\"}", "f: number expected, not string"));
    assert(becomes(shape, "{\"n\":1,\"s\":1}", "s: string expected, not integer"));
    assert(becomes(shape, "{\"n\":1,\"b\":0}", "b: boolean expected, not integer"));
    assert(becomes(shape, "{\"n\":1,\"t\":\"x\"}", "t: table expected, not string"));
    assert(becomes(shape, "{\"n\":1,\"r\":{}}", "r: ref expected, not table"));
    assert(becomes(shape, "{\"n\":1,\"r\":\"nowhere\"}", "r: ref expected, not 'nowhere'"));
    assert(becomes(shape, "{\"n\":1,\"ns\":1}", "ns: integer[] expected, not integer"));
    assert(becomes(shape, "{\"n\":1,\"ns\":{\"a\":1}}", "ns: integer[] expected, not table"));
    assert(becomes(shape, "{\"n\":1,\"ns\":[1,null]}", "ns[2]: integer expected, not null"));
    assert(becomes(shape, "{\"n\":1,\"m\":[[1],[2,\"x\"]]}", "m[2][2]: number expected, not string"));
    assert(becomes(shape, "{\"n\":1,\"m\":[1]}", "m[1]: number[] expected, not integer"));
    assert(becomes(shape, "{\"n\":1,\"rs\":[\"a@b\",\"c\"]}", "rs[2]: ref expected, not 'c'"));
    assert(becomes(shape, "{\"n\":1,\"pos\":[]}", "pos: table expected, not array"));
    assert(becomes(shape, "{\"n\":1,\"pos\":{\"x\":1}}", "pos.y: missing, number expected"));
    assert(becomes(shape, "{\"n\":1,\"pos\":{\"x\":1,\"y\":2,\"zed\":3}}", "pos.zed: unknown field"));
    assert(becomes(shape, "{\"n\":1,\"way\":[{\"x\":1,\"y\":2},{\"x\":[],\"y\":2}]}",
                   "way[2].x: number expected, not array"));
    assert(becomes(shape, "{\"n\":1,\"wya\":[]}", "wya: unknown field (did you mean 'way'?)"));
    assert(becomes(shape, "{\"n\":1,\"\":1}", ": unknown field"));
    assert(becomes(shape, "{\"n\":1,\"a\\nb\":1}", "?: unknown field"));
    shape_free(shape);
}

/* Long names and deep paths are cut, and never within a character. */
static void test_long_paths(void)
{
    struct shape *shape = make(all, 1, true);
    char json[400] = "{\"n\":1,\"x", expected[400] = "x";
    for (int i = 0; i < 60; i++)
        strcat(json, "\xe2\x82\xac");
    strcat(json, "\":1}");
    for (int i = 0; i < 13; i++)
        strcat(expected, "\xe2\x82\xac");
    strcat(expected, ": unknown field");
    assert(becomes(shape, json, expected));
    shape_free(shape);

    struct spec levels[SHAPE_DEPTH_LIMIT];
    for (int i = 0; i < SHAPE_DEPTH_LIMIT; i++)
        levels[i] = (struct spec){ "a_level_of_twenty_so", i + 1 < SHAPE_DEPTH_LIMIT ? "fields" : "integer",
                                   &levels[i + 1], i + 1 < SHAPE_DEPTH_LIMIT };
    shape = make(levels, 1, true);
    char deep[1000] = "";
    for (int i = 0; i < SHAPE_DEPTH_LIMIT; i++)
        strcat(deep, "{\"a_level_of_twenty_so\":");
    strcat(deep, "true");
    for (int i = 0; i < SHAPE_DEPTH_LIMIT; i++)
        strcat(deep, "}");
    const char *found = fit(shape, deep, true);
    assert(strstr(found, "a_level_of_twenty_so: integer expected, not boolean") != NULL);
    shape_free(shape);
}

/* As a map the fields are written sorted bytewise, as a list as they stand there. */
static void test_order(void)
{
    static const struct spec fields[] = { { "b", "any?", NULL, 0 }, { "B", "any?", NULL, 0 },
                                          { "ab", "any?", NULL, 0 }, { "a", "any?", NULL, 0 },
                                          { "pos", "fields?", point, 2 } };
    struct shape *listed = make(fields, 5, false), *sorted = make(fields, 5, true);
    const char *json = "{\"a\":1,\"pos\":{\"x\":1,\"y\":2},\"ab\":2,\"b\":3,\"B\":4}";
    assert(becomes(listed, json, "{\"b\":3,\"B\":4,\"ab\":2,\"a\":1,\"pos\":{\"y\":2,\"x\":1}}"));
    assert(becomes(sorted, json, "{\"B\":4,\"a\":1,\"ab\":2,\"b\":3,\"pos\":{\"x\":1,\"y\":2}}"));
    assert(!shape_equal(listed, sorted) && shape_equal(listed, listed));
    /* But the same fields they are; one without some of them is not alike. */
    struct shape *copy = shape_copy(listed), *fewer = make(fields, 4, false);
    assert(shape_alike(listed, sorted) && shape_alike(sorted, copy) && shape_equal(listed, copy));
    assert(!shape_alike(listed, fewer) && !shape_alike(fewer, sorted));
    shape_free(copy);
    shape_free(fewer);
    shape_free(listed);
    listed = make(fields, 5, true);
    assert(shape_equal(listed, sorted));
    shape_free(listed);
    shape_free(sorted);
    sorted = make(fields, 0, true);
    assert(becomes(sorted, "{}", "{}") && becomes(sorted, "", "{}"));
    assert(becomes(sorted, "{\"a\":1}", "a: unknown field"));
    shape_free(sorted);
    shape_free(NULL);
}

static bool parses(const char *text, struct shape_type expected)
{
    struct shape_type type = { 0 };
    return shape_parse_type(text, strlen(text), &type, NULL, 0) && type.kind == expected.kind &&
           type.arrays == expected.arrays && type.optional == expected.optional;
}

static bool refused(const char *text, const char *expected)
{
    struct shape_type type;
    char why[160];
    bool right = !shape_parse_type(text, strlen(text), &type, why, sizeof why) &&
                 strcmp(why, expected) == 0;
    if (!right)
        fprintf(stderr, "%s: %s\n", text, why);
    return right;
}

/* Types as they are written. */
static void test_types(void)
{
    assert(parses("integer", (struct shape_type){ SHAPE_INTEGER, 0, false }));
    assert(parses("any?", (struct shape_type){ SHAPE_ANY, 0, true }));
    assert(parses("ref[]", (struct shape_type){ SHAPE_REF, 1, false }));
    assert(parses("string[][]?", (struct shape_type){ SHAPE_STRING, 2, true }));
    assert(refused("integr", "no type is called 'integr' (did you mean 'integer'?)"));
    assert(refused("quaternion", "no type is called 'quaternion'; there are any, boolean, integer, "
                                 "number, ref, string and table"));
    assert(refused("", "no type is called ''; there are any, boolean, integer, number, ref, string "
                       "and table"));
    assert(refused("integer?[]", "behind a type may stand [] for an array and then ? for optional, "
                                 "not '[]'"));
    assert(refused("integer[", "behind a type may stand [] for an array and then ? for optional, "
                               "not '['"));
    assert(refused("any[][][][][]", "arrays in arrays have at most 4 levels"));
}

/* Drafts have limits, and say which name is there twice. */
static void test_drafts(void)
{
    struct shape_draft draft;
    char twice[64];
    shape_draft_begin(&draft, &draft_fields, &draft_names);
    assert(shape_draft_table(&draft, SHAPE_TABLE_LIMIT + 1) == -E2BIG);
    for (int i = 0; i < SHAPE_FIELD_LIMIT / SHAPE_TABLE_LIMIT; i++)
        assert(shape_draft_table(&draft, SHAPE_TABLE_LIMIT) == i * SHAPE_TABLE_LIMIT);
    assert(shape_draft_table(&draft, 1) == -E2BIG);
    assert(shape_draft_table(&draft, 0) == SHAPE_FIELD_LIMIT);

    static const struct spec same[] = { { "ab", "any", NULL, 0 }, { "a", "any", NULL, 0 },
                                        { "ab", "any", NULL, 0 } };
    shape_draft_begin(&draft, &draft_fields, &draft_names);
    draft_table(&draft, same, 3, false, twice);
    assert(strcmp(twice, "ab") == 0);
}

/* Many fields, in whatever order they come. */
static void test_many_fields(void)
{
    static char names[SHAPE_TABLE_LIMIT][8];
    struct spec specs[SHAPE_TABLE_LIMIT];
    for (unsigned i = 0; i < SHAPE_TABLE_LIMIT; i++) {
        snprintf(names[i], sizeof names[i], "f%u", i * 7 % SHAPE_TABLE_LIMIT);
        specs[i] = (struct spec){ names[i], "integer", NULL, 0 };
    }
    struct shape *shape = make(specs, SHAPE_TABLE_LIMIT, false);
    static char json[8000], expected[8000];
    strcpy(json, "{");
    strcpy(expected, "{");
    for (unsigned i = 0; i < SHAPE_TABLE_LIMIT; i++) {
        sprintf(json + strlen(json), "%s\"f%u\":%u", i > 0 ? "," : "", i, i);
        sprintf(expected + strlen(expected), "%s\"%s\":%s", i > 0 ? "," : "", names[i], names[i] + 1);
    }
    strcat(json, "}");
    strcat(expected, "}");
    assert(becomes(shape, json, expected));
    assert(becomes(shape, expected, expected));
    assert(strcmp(fit(shape, "{}", true), "f0: missing, integer expected") == 0);
    shape_free(shape);
}

/* ---- against a plain checker ---- */

static uint64_t random_state = 88172645463325252u;

static unsigned random_below(unsigned limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % limit;
}

#define RANDOM_FIELDS 64

static struct spec   random_specs[RANDOM_FIELDS];
static char          random_names[RANDOM_FIELDS][8], random_types[RANDOM_FIELDS][24];
static unsigned      random_used;

/* Fills in a table of random fields; returns its first. */
static unsigned random_table(unsigned count, unsigned depth)
{
    static const char *const kinds[] = { "any", "boolean", "integer", "number", "ref",
                                         "string", "table", "fields" };
    static const char *const suffixes[] = { "", "", "?", "?", "[]", "[]?", "[][]" };
    unsigned first = random_used;
    random_used += count;
    for (unsigned i = first; i < first + count; i++) {
        unsigned inner = 1 + random_below(3);
        bool     nested = depth > 0 && random_used + inner <= RANDOM_FIELDS && random_below(3) == 0;
        snprintf(random_names[i], sizeof random_names[i], "%c%u", "abc"[random_below(3)], i - first);
        snprintf(random_types[i], sizeof random_types[i], "%s%s", nested ? kinds[7] : kinds[random_below(7)],
                 suffixes[random_below(ARRAY_LENGTH(suffixes))]);
        random_specs[i] = (struct spec){ random_names[i], random_types[i], NULL, nested ? inner : 0 };
        if (nested)
            random_specs[i].fields = &random_specs[random_table(inner, depth - 1)];
    }
    return first;
}

static void put_any(struct bytes *out, unsigned depth)
{
    static const double numbers[] = { 1.0, -3.0, 0.5, 1e30, -0.0, INFINITY, NAN };
    switch (random_below(depth > 0 ? 9 : 7)) {
    case 0: pack_put_null(out); break;
    case 1: pack_put_boolean(out, random_below(2)); break;
    case 2: pack_put_integer(out, (int64_t)random_below(1000) - 500); break;
    case 3: pack_put_double(out, numbers[random_below(ARRAY_LENGTH(numbers))]); break;
    case 4: pack_put_string(out, "a@b", 1 + random_below(3)); break;
    case 5: pack_put_actor(out, 77); break;
    case 6: pack_put_address(out, "x@y", 3); break;
    default: {
        bool     map = random_below(2);
        unsigned count = random_below(3);
        size_t   head = pack_open(out, map ? PACK_MAP : PACK_ARRAY);
        for (unsigned i = 0; i < count; i++) {
            if (map)
                pack_put_string(out, &"pq"[i % 2], 1);
            put_any(out, depth - 1);
        }
        pack_close(out, head, count);
    }
    }
}

static void put_message(struct bytes *out, const struct spec *specs, unsigned count);

/* A value that mostly is what the type says. */
static void put_typed(struct bytes *out, const struct spec *spec, const char *suffix)
{
    if (random_below(40) == 0) {
        put_any(out, 2);
    } else if (*suffix == '[') {
        unsigned count = random_below(3);
        size_t   head = pack_open(out, random_below(2) ? PACK_ARRAY : PACK_MARKED_ARRAY);
        for (unsigned i = 0; i < count; i++)
            put_typed(out, spec, suffix + 2);
        pack_close(out, head, count);
    } else {
        switch (spec->type[0]) {
        case 'a': put_any(out, 2); break;
        case 'b': pack_put_boolean(out, random_below(2)); break;
        case 'i':
            if (random_below(4))
                pack_put_integer(out, random_below(300));
            else
                pack_put_double(out, random_below(300));
            break;
        case 'n': pack_put_double(out, 0.25 * random_below(9)); break;
        case 'r':
            if (random_below(3))
                pack_put_actor(out, 5);
            else
                pack_put_string(out, "r@s", 3);
            break;
        case 's': pack_put_string(out, "text", random_below(5)); break;
        case 't': pack_close(out, pack_open(out, random_below(2) ? PACK_MAP : PACK_ARRAY), 0); break;
        default:  put_message(out, spec->fields, spec->count);
        }
    }
}

static const char *suffix_of(const struct spec *spec)
{
    return spec->type + strcspn(spec->type, "[?");
}

static void put_message(struct bytes *out, const struct spec *specs, unsigned count)
{
    size_t   head = pack_open(out, random_below(4) ? PACK_MAP : PACK_ORDERED_MAP);
    unsigned written = 0, shift = random_below(count + 1);
    for (unsigned i = 0; i < count; i++) {
        const struct spec *spec = &specs[(i + shift) % count];
        const char *suffix = suffix_of(spec);
        if (random_below(suffix[strlen(suffix) / 2 * 2] == '?' ? 3 : 60) == 0)
            continue;
        pack_put_string(out, spec->name, strlen(spec->name));
        put_typed(out, spec, suffix);
        written++;
    }
    if (random_below(30) == 0) {
        pack_put_string(out, "odd", 3);
        put_any(out, 1);
        written++;
    }
    pack_close(out, head, written);
}

/* The plain checker: says whether it fits, and writes how it then looks. It finds
 * each field by walking the map from its start, and looks at nothing else twice. */
static bool plain_fields(const struct spec *specs, unsigned count, const uint8_t *at, struct bytes *out);

static bool plain_value(const struct spec *spec, const char *suffix, const uint8_t *at,
                        struct bytes *out)
{
    struct pack_item item;
    const uint8_t   *inside = pack_read(at, &item);
    bool array = item.tag == PACK_ARRAY || item.tag == PACK_MARKED_ARRAY;
    if (*suffix == '[') {
        if (!array && !(item.tag == PACK_MAP && item.count == 0))
            return false;
        size_t head = pack_open(out, item.count == 0 ? PACK_MARKED_ARRAY : item.tag);
        pack_close(out, head, item.count);
        for (uint32_t i = 0; i < item.count; i++, inside = pack_skip(inside))
            if (!plain_value(spec, suffix + 2, inside, out))
                return false;
        return true;
    }
    bool whole = item.tag == PACK_DOUBLE && fabs(item.number) < 1e15 && rint(item.number) == item.number;
    switch (spec->type[0]) {
    case 'f': return item.tag == PACK_MAP && plain_fields(spec->fields, spec->count, at, out);
    case 'b':
        if (item.tag != PACK_TRUE && item.tag != PACK_FALSE)
            return false;
        break;
    case 'i':
        if (whole)
            pack_put_integer(out, (int64_t)item.number);
        if (whole || item.tag != PACK_INT64)
            return whole;
        break;
    case 'n':
        if (item.tag != PACK_DOUBLE && item.tag != PACK_INT64)
            return false;
        break;
    case 'r':
        if (item.tag == PACK_STRING && memchr(item.text, '@', item.size) != NULL) {
            pack_put_address(out, item.text, item.size);
            return true;
        }
        if (item.tag != PACK_ACTOR && item.tag != PACK_ADDRESS)
            return false;
        break;
    case 's':
        if (item.tag != PACK_STRING)
            return false;
        break;
    case 't':
        if (!array && item.tag != PACK_MAP)
            return false;
        break;
    default: break;
    }
    bytes_append(out, at, (size_t)(pack_skip(at) - at));
    return true;
}

static bool is_spec(const struct spec *specs, unsigned count, const struct pack_item *key)
{
    for (unsigned i = 0; i < count; i++)
        if (strlen(specs[i].name) == key->size && memcmp(specs[i].name, key->text, key->size) == 0)
            return true;
    return false;
}

static bool plain_fields(const struct spec *specs, unsigned count, const uint8_t *at, struct bytes *out)
{
    struct pack_item map = { .count = 0 }, key;
    const uint8_t *member = pack_read(at, &map);
    for (uint32_t i = 0; i < map.count; i++, member = pack_skip(member)) {
        member = pack_read(member, &key);
        if (!is_spec(specs, count, &key))
            return false;
    }
    uint32_t written = 0;
    size_t   head = pack_open(out, PACK_ORDERED_MAP);
    for (unsigned i = 0; i < count; i++) {
        const char *type = specs[i].type;
        bool optional = type[strlen(type) - 1] == '?', any = strcmp(type, "any?") == 0;
        const uint8_t *value = pack_field(at, specs[i].name);
        if (value != NULL && *value == PACK_NULL && optional && !any)
            value = NULL;
        if (value == NULL && !optional)
            return false;
        if (value == NULL)
            continue;
        pack_put_string(out, specs[i].name, strlen(specs[i].name));
        if (!plain_value(&specs[i], suffix_of(&specs[i]), value, out))
            return false;
        written++;
    }
    pack_close(out, head, written);
    return true;
}

static void fit_random(const struct shape *shape, unsigned count, const struct bytes *message,
                       unsigned *fitting)
{
    struct bytes found, plain;
    struct shape_error error;
    unsigned refs = 0;
    bytes_init(&found, 0);
    bytes_init(&plain, 0);
    int  err = shape_fit(shape, message->data, message->size, read_ref, &refs, &found, &last_changed, &error);
    bool fits = plain_fields(random_specs, count, message->data, &plain);
    assert(fits == (err == 0));
    if (fits) {
        if (plain.size == 5) /* an empty message */
            plain.size = 0;
        assert(found.size == plain.size && (plain.size == 0 || memcmp(found.data, plain.data, found.size) == 0));
        ++*fitting;
    } else {
        assert(json_is_printable(error.field, strlen(error.field)) && error.why[0] != '\0');
    }
    bytes_fini(&found);
    bytes_fini(&plain);
}

static void test_random(void)
{
    unsigned fitting = 0, rounds = 0;
    for (int i = 0; i < 2000; i++) {
        random_used = 0;
        unsigned count = 1 + random_below(8);
        random_table(count, 3);
        struct shape *shape = make(random_specs, count, false);
        for (int j = 0; j < 20; j++, rounds++) {
            bytes_clear(&fit_packed, SIZE_MAX);
            put_message(&fit_packed, random_specs, count);
            assert(pack_check(fit_packed.data, fit_packed.size));
            fit_random(shape, count, &fit_packed, &fitting);
        }
        shape_free(shape);
    }
    assert(fitting > rounds / 10 && fitting < rounds * 9 / 10); /* else this tests nothing */
}

/* Where there is no room for what fits, that is said, and nothing is written. */
static void test_full(void)
{
    struct shape *shape = make(all, ARRAY_LENGTH(all), false);
    static const char json[] = "{\"n\":1.0,\"ns\":[1,2],\"way\":[{\"x\":1,\"y\":2}],\"r\":\"a@b\",\"s\":\"text\"}";
    struct bytes narrow;
    struct shape_error error;
    unsigned refs = 0;
    bytes_clear(&fit_packed, 0);
    assert(json_read(json, strlen(json), &JSON_LIMITS_DEFAULT, &fit_packed, NULL) == 0);
    for (size_t limit = 1;; limit++) {
        bytes_init(&narrow, limit);
        int err = shape_fit(shape, fit_packed.data, fit_packed.size, read_ref, &refs, &narrow, &last_changed, &error);
        bool whole = err == 0;
        assert(whole || (err == -ENOMEM && narrow.size == 0));
        bytes_fini(&narrow);
        if (whole)
            break;
    }
    shape_free(shape);
}

int main(void)
{
    struct bytes *const buffers[] = { &draft_fields, &draft_names, &fit_packed, &fit_out, &fit_text };
    for (size_t i = 0; i < ARRAY_LENGTH(buffers); i++)
        bytes_init(buffers[i], 0);
    test_fitting();
    test_changes();
    test_refusing();
    test_long_paths();
    test_order();
    test_types();
    test_drafts();
    test_many_fields();
    test_random();
    test_full();
    for (size_t i = 0; i < ARRAY_LENGTH(buffers); i++)
        bytes_fini(buffers[i]);
    return 0;
}
