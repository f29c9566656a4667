/*
 * embed.c -- a host inside a C program: an actor in C, one in Lua, and the
 * program's own thread, all talking.
 *
 *   cc embed.c -o embed $(pkg-config --cflags --libs troupe) && ./embed
 *
 * In the source tree it is built as build/embed.
 *
 * expect: the script says: Report {"times": 3, "total": 6}
 * expect: the counter says: Total {"n": 42}
 * expect: it cannot answer Nonsense: counter gave no answer to Nonsense
 * expect: exit code 0
 */
#include <troupe.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- An actor in C: Add { n = integer }, and Get, which replies Total ---- */

struct counter {
    long total;
};

static void counter_receive(void *context, const struct host_message *message)
{
    struct counter *counter = context;
    const char *type = host_message_type(message);
    const char *json = host_message_json(message);
    long n;
    if (json == NULL)
        return; /* it holds what JSON cannot say */
    if (strcmp(type, "Add") == 0 && sscanf(json, "{\"n\": %ld}", &n) == 1) {
        counter->total += n;
    } else if (strcmp(type, "Get") == 0) {
        char total[64], why[HOST_WHY];
        snprintf(total, sizeof total, "{\"n\": %ld}", counter->total);
        if (host_reply(message, "Total", total, why, sizeof why) != 0)
            fprintf(stderr, "counter: %s\n", why);
    }
}

static const struct host_behaviour counter_behaviour = { .receive = counter_receive, .end = free };

/* ---- An actor in Lua ----------------------------------------------------- */

static const char adder[] =
    "function on_start(self)\n"
    "  for n = 1, 3 do actor.ref('counter'):send('Add', { n = n }) end\n"
    "end\n"
    "function on_report(self, msg, env)\n"
    "  local total = actor.ref('counter'):ask('Get')\n"
    "  env:reply('Report', { total = total.n, times = 3 })\n"
    "end\n";

/* ---- The program --------------------------------------------------------- */

static void fail(const char *why)
{
    fprintf(stderr, "embed: %s\n", why);
    exit(1);
}

static void ask(struct host *host, const char *who, const char *to, const char *type)
{
    char *reply_type, *reply_json, why[HOST_WHY];
    if (host_ask(host, to, type, NULL, 5000, &reply_type, &reply_json, why, sizeof why) != 0) {
        printf("it cannot answer %s: %s\n", type, why);
        return;
    }
    printf("the %s says: %s %s\n", who, reply_type, reply_json);
    free(reply_type);
    free(reply_json);
}

int main(void)
{
    struct host *host;
    char why[HOST_WHY];
    if (host_make(&host, NULL, why, sizeof why) != 0)
        fail(why);

    struct counter *counter = calloc(1, sizeof *counter);
    if (counter == NULL)
        fail("out of memory");
    if (host_spawn_c(host, "counter", &counter_behaviour, counter, NULL, why, sizeof why) != 0)
        fail(why);
    struct host_spawn_options options = { .name = "adder" };
    if (host_spawn_text(host, "=adder", adder, &options, NULL, why, sizeof why) != 0)
        fail(why);

    ask(host, "script", "adder", "Report");
    if (host_send(host, "counter", "Add", "{\"n\": 36}", why, sizeof why) != 0)
        fail(why);
    ask(host, "counter", "counter", "Get");
    ask(host, "counter", "counter", "Nonsense");

    host_stop(host, 0);
    printf("exit code %d\n", host_run(host));
    host_free(host);
    return 0;
}
