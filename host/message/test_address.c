/*
 * test_address.c -- what message/address.h promises.
 */
#include "message/address.h"

#include "base/fault.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define TEXT(literal) (literal), (sizeof(literal) - 1)

enum { FROM_WIRE = 1, FOR_BIND = 2 };

static bool normalises(const char *text, size_t size, int how, const char *expected)
{
    char out[ADDRESS_ENDPOINT_LIMIT] = "", why[160] = "";
    int  err = address_endpoint_normalise(text, size, how & FROM_WIRE, how & FOR_BIND, out, why,
                                          sizeof why);
    assert(err == 0 || err == -EINVAL);
    assert((err == 0) == (why[0] == '\0'));
    if (expected == NULL)
        return err == -EINVAL;
    return err == 0 && strcmp(out, expected) == 0;
}

/* One place has one spelling. */
static void test_spelling(void)
{
    assert(normalises(TEXT(":5001"), 0, "tcp://127.0.0.1:5001"));
    assert(normalises(TEXT("tcp://localhost:5001"), FROM_WIRE, "tcp://127.0.0.1:5001"));
    assert(normalises(TEXT("tcp://LocalHost:5001"), 0, "tcp://127.0.0.1:5001"));
    assert(normalises(TEXT("tcp://127.0.0.1:5001"), FROM_WIRE, "tcp://127.0.0.1:5001"));
    assert(normalises(TEXT("tcp://255.255.255.255:65535"), FROM_WIRE,
                      "tcp://255.255.255.255:65535"));
    assert(normalises(TEXT("tcp://0.0.0.0:1"), FROM_WIRE, "tcp://127.0.0.1:1"));
    assert(normalises(TEXT("tcp://[::]:1"), FROM_WIRE, "tcp://[::1]:1"));
    assert(normalises(TEXT("tcp://[::ffff:0.0.0.0]:1"), FROM_WIRE, "tcp://127.0.0.1:1"));
    assert(normalises(TEXT("tcp://0.0.0.0:1"), FOR_BIND, "tcp://0.0.0.0:1"));
    assert(normalises(TEXT("tcp://[::]:1"), FOR_BIND, "tcp://[::]:1"));
    assert(normalises(TEXT("tcp://[::1]:5001"), FROM_WIRE, "tcp://[::1]:5001"));
    assert(normalises(TEXT("tcp://[0:0:0:0:0:0:0:1]:5001"), FROM_WIRE, "tcp://[::1]:5001"));
    assert(normalises(TEXT("tcp://[FE80::00A]:9"), FROM_WIRE, "tcp://[fe80::a]:9"));
    assert(normalises(TEXT("tcp://[::ffff:10.0.0.1]:9"), FROM_WIRE, "tcp://10.0.0.1:9"));
}

/* Host names pass where the user wrote them, and never off the wire. */
static void test_host_names(void)
{
    assert(normalises(TEXT("tcp://risk-1.example.org:5001"), 0, "tcp://risk-1.example.org:5001"));
    assert(normalises(TEXT("tcp://my_db:5001"), 0, "tcp://my_db:5001"));
    assert(normalises(TEXT("tcp://risk-1.example.org:5001"), FROM_WIRE, NULL));
    assert(normalises(TEXT("tcp://localhost.example.org:1"), FROM_WIRE, NULL));
    assert(address_endpoint_is_numeric("tcp://10.0.0.1:5001"));
    assert(address_endpoint_is_numeric("tcp://[fe80::1]:5001"));
    assert(!address_endpoint_is_numeric("tcp://risk-1.example.org:5001"));
    assert(normalises(TEXT("tcp://a..b:1"), 0, NULL));
    assert(normalises(TEXT("tcp://.a:1"), 0, NULL));
    assert(normalises(TEXT("tcp://a.:1"), 0, NULL));
    assert(normalises(TEXT("tcp://-a:1"), 0, NULL));
    assert(normalises(TEXT("tcp://a b:1"), 0, NULL));
    assert(normalises(TEXT("tcp://a;b:1"), 0, NULL));
    assert(normalises(TEXT("tcp://eth0;tcp://h:1"), 0, NULL));
    char name[400] = "tcp://";
    memset(name + 6, 'a', 254);
    memcpy(name + 6 + 253, ":1", 3);
    assert(normalises(name, strlen(name), 0, name));
    memcpy(name + 6 + 254, ":1", 3);
    name[6 + 253] = 'a';
    assert(normalises(name, strlen(name), 0, NULL));
}

/* What looks like an address but is not strictly one is refused in any case:
 * some resolvers would read it as one. */
static void test_numbers(void)
{
    static const char *const bad[] = {
        "tcp://127.1:1", "tcp://1.2.3:1", "tcp://1.2.3.4.5:1", "tcp://256.0.0.1:1",
        "tcp://01.2.3.4:1", "tcp://1.2.3.04:1", "tcp://0x7f.0.0.1:1", "tcp://0x7f000001:1",
        "tcp://2130706433:1", "tcp://1.2.3.4.:1", "tcp://.1.2.3.4:1", "tcp://1..2.3:1",
        "tcp://1.2.3.4444:1", "tcp://+1.2.3.4:1", "tcp:// 1.2.3.4:1", "tcp://1.2.3.4 :1",
        "tcp://1.2.3.-4:1", "tcp://[::1:1", "tcp://::1:1", "tcp://[::1]]:1", "tcp://[[::1]:1",
        "tcp://[]:1", "tcp://[:::]:1", "tcp://[::1%lo]:1", "tcp://[127.0.0.1]:1",
        "tcp://[::12345]:1", "tcp://[1:2:3:4:5:6:7:8:9]:1",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert(normalises(bad[i], strlen(bad[i]), 0, NULL));
        assert(normalises(bad[i], strlen(bad[i]), FROM_WIRE, NULL));
        assert(normalises(bad[i], strlen(bad[i]), FOR_BIND, NULL));
    }
}

/* A port is plain digits from 1 to 65535. */
static void test_ports(void)
{
    static const char *const bad[] = {
        "tcp://1.2.3.4:", "tcp://1.2.3.4", "tcp://1.2.3.4:0", "tcp://1.2.3.4:65536",
        "tcp://1.2.3.4:99999", "tcp://1.2.3.4:100000", "tcp://1.2.3.4:+1", "tcp://1.2.3.4:-1",
        "tcp://1.2.3.4: 1", "tcp://1.2.3.4:1 ", "tcp://1.2.3.4:01", "tcp://1.2.3.4:1x",
        "tcp://1.2.3.4:0x1", "tcp://1.2.3.4:1/", "tcp://1.2.3.4:1:2", "tcp://1.2.3.4:*",
        ":", ":0", ":+5", ":65536", ": 1", "::1", ":5001x", "tcp://:5001", "tcp://1.2.3.4:1\n",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert(normalises(bad[i], strlen(bad[i]), 0, NULL));
    assert(normalises(TEXT("tcp://1.2.3.4:1\0"), 0, NULL));
    assert(normalises(TEXT("tcp://1.2.3.4\0:1"), 0, NULL));
    assert(normalises(TEXT("tcp://[::1\0]:1"), 0, NULL));
    assert(normalises(TEXT("tcp://localhost\0:1"), 0, NULL));
    assert(normalises(TEXT(":5001\0"), 0, NULL));
}

/* Only tcp is spoken. */
static void test_schemes(void)
{
    static const char *const bad[] = {
        "", "garbage", "tcp", "tcp:", "tcp:/", "tcp://", "TCP://1.2.3.4:1", "ipc:///tmp/x",
        "inproc://x", "udp://1.2.3.4:1", "pgm://1.2.3.4:1", "http://1.2.3.4:1", " tcp://1.2.3.4:1",
        "tcp:///1.2.3.4:1", "1.2.3.4:1", "localhost:1", "tcp://user@1.2.3.4:1",
        "tcp://eth0;1.2.3.4:1",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        assert(normalises(bad[i], strlen(bad[i]), 0, NULL));
        assert(normalises(bad[i], strlen(bad[i]), FROM_WIRE | FOR_BIND, NULL));
    }
}

/* `*` and port 0 can be listened on, not reached. */
static void test_binding(void)
{
    assert(normalises(TEXT("tcp://*:5001"), 0, NULL));
    assert(normalises(TEXT("tcp://*:5001"), FROM_WIRE, NULL));
    assert(normalises(TEXT("tcp://*:5001"), FOR_BIND, "tcp://*:5001"));
    assert(normalises(TEXT("tcp://127.0.0.1:0"), FOR_BIND, "tcp://127.0.0.1:0"));
    assert(normalises(TEXT(":0"), FOR_BIND, "tcp://127.0.0.1:0"));
    assert(normalises(TEXT("tcp://**:5001"), FOR_BIND, NULL));
    assert(normalises(TEXT("tcp://*:*"), FOR_BIND, NULL));
}

/* The reason is a sentence, cut to the room there is, printable whatever came. */
static void test_reasons(void)
{
    char out[ADDRESS_ENDPOINT_LIMIT], why[160];
    assert(address_endpoint_normalise(TEXT("tcp://1.2.3.4:70000"), false, false, out, why,
                                      sizeof why) == -EINVAL);
    assert(strcmp(why, "'tcp://1.2.3.4:70000' needs a port from 1 to 65535") == 0);
    assert(address_endpoint_normalise(TEXT("\x1b[31m\0"), false, false, out, why, 12) == -EINVAL);
    assert(strcmp(why, "'?[31m?' is") == 0);
    assert(address_endpoint_normalise(TEXT("x"), false, false, out, NULL, 0) == -EINVAL);
}

/* Loopback is 127.0.0.0/8 and ::1. */
static void test_loopback(void)
{
    static const char *const near[] = { "tcp://127.0.0.1:1", "tcp://127.255.0.9:1",
                                        "tcp://[::1]:1", "tcp://localhost:1", ":1",
                                        "tcp://[::ffff:127.0.0.1]:1", "tcp://127.0.0.1:0" };
    static const char *const far[] = { "tcp://128.0.0.1:1", "tcp://0.0.0.0:1", "tcp://*:1",
                                       "tcp://[::]:1", "tcp://[::2]:1", "tcp://10.0.0.1:1", "",
                                       "node:risk", "tcp://127.evil.org:1", "garbage",
                                       "tcp://[::ffff:10.0.0.1]:1", "tcp://[::7f00:1]:1" };
    for (size_t i = 0; i < ARRAY_LENGTH(near); i++)
        assert(address_endpoint_is_loopback(near[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(far); i++)
        assert(!address_endpoint_is_loopback(far[i]));
}

static bool parses(const char *text, size_t size, const char *name, const char *endpoint)
{
    char            why[160] = "";
    struct address *address = NULL;
    int             err = address_parse(text, size, &address, why, sizeof why);
    assert(err == 0 || err == -EINVAL);
    if (name == NULL) {
        address_unref(address);
        return err == -EINVAL && why[0] != '\0';
    }
    bool right = err == 0 && strcmp(address_name(address), name) == 0 &&
                 strcmp(address_endpoint(address), endpoint) == 0 &&
                 address->name_size == strlen(name) && address->endpoint_size == strlen(endpoint);
    address_unref(address);
    return right;
}

/* An actor is named here, on a node, or at an endpoint. */
static void test_parse(void)
{
    assert(parses(TEXT("pong"), "pong", ""));
    assert(parses(TEXT("pong@:5001"), "pong", "tcp://127.0.0.1:5001"));
    assert(parses(TEXT("pong@tcp://10.0.0.5:5001"), "pong", "tcp://10.0.0.5:5001"));
    assert(parses(TEXT("pong@tcp://db.example.org:5001"), "pong", "tcp://db.example.org:5001"));
    assert(parses(TEXT("pong@risk"), "pong", "node:risk"));
    assert(parses(TEXT("registry@flat::5555"), "registry", "flat:tcp://127.0.0.1:5555"));
    assert(parses(TEXT("r@flat:tcp://db.example.org:1"), "r", "flat:tcp://db.example.org:1"));
    assert(parses(TEXT("r@flat:"), NULL, NULL));
    assert(parses(TEXT("r@flat:risk"), NULL, NULL));
    assert(parses(TEXT("r@flat:flat::1"), NULL, NULL));
    assert(parses(TEXT("ping/ask#17@:5002"), "ping/ask#17", "tcp://127.0.0.1:5002"));
    assert(parses(TEXT("a@b@:1"), "a@b", "tcp://127.0.0.1:1"));
    assert(parses(TEXT("\xc3\xa4@:1"), "\xc3\xa4", "tcp://127.0.0.1:1"));
    assert(parses(TEXT(""), NULL, NULL));
    assert(parses(TEXT("@risk"), NULL, NULL));
    assert(parses(TEXT("pong@"), NULL, NULL));
    assert(parses(TEXT("pong@tcp://10.0.0.5"), NULL, NULL));
    assert(parses(TEXT("pong@10.0.0.5:5001"), NULL, NULL));
    assert(parses(TEXT("pong@tcp://*:5001"), NULL, NULL));
    assert(parses(TEXT("po\nng"), NULL, NULL));
    assert(parses(TEXT("po\0ng"), NULL, NULL));
    assert(parses(TEXT("po\xffng"), NULL, NULL));
    assert(parses(TEXT("pong@ri sk"), NULL, NULL));

    char text[700];
    memset(text, 'n', sizeof text);
    text[255] = '@';
    assert(!parses(text, 255 + 1 + 274, NULL, NULL));
    assert(parses(text, 255 + 1 + 275, NULL, NULL));
    memset(text + 256, 'n', sizeof text - 256);
    memcpy(text + 256, "flat:tcp://", 11);
    memcpy(text + 256 + 11 + 253, ":65535", 6);
    for (size_t i = 256 + 11 + 50; i < 256 + 11 + 253; i += 50)
        text[i] = '.';
    struct address *longest;
    assert(address_parse(text, 256 + 11 + 253 + 6, &longest, NULL, 0) == 0);
    assert(longest->endpoint_size == 11 + 253 + 6);
    address_unref(longest);
    text[255] = 'n';
    text[256] = '@';
    assert(parses(text, 260, NULL, NULL));
}

/* Names that users give to actors are plain. */
static void test_names(void)
{
    assert(address_name_is_valid(TEXT("Pong_1.a-b")));
    assert(!address_name_is_valid(TEXT("")));
    assert(!address_name_is_valid(TEXT("a b")));
    assert(!address_name_is_valid(TEXT("a@b")));
    assert(!address_name_is_valid(TEXT("a\0")));
    assert(!address_name_is_valid(TEXT("\xc3\xa4")));
    char name[256];
    memset(name, 'a', sizeof name);
    assert(address_name_is_valid(name, 255));
    assert(!address_name_is_valid(name, 256));
}

/* An address lives until its last owner is gone. */
static void test_counting(void)
{
    size_t          before = memory_used();
    struct address *address = address_new(TEXT("pong"), TEXT(""));
    assert(address_ref(address) == address);
    address_unref(address);
    assert(strcmp(address_name(address), "pong") == 0);
    address_unref(address);
    address_unref(NULL);
    assert(memory_used() == before);
    static const char huge[UINT16_MAX + 1];
    assert(address_new(huge, sizeof huge, "", 0) == NULL);
#ifdef TROUPE_FAULTS
    fault_arm(1);
    assert(address_parse(TEXT("pong@:1"), &address, NULL, 0) == -ENOMEM);
    fault_arm(0);
#endif
}

int main(void)
{
    test_spelling();
    test_host_names();
    test_numbers();
    test_ports();
    test_schemes();
    test_binding();
    test_reasons();
    test_loopback();
    test_parse();
    test_names();
    test_counting();
    return 0;
}
