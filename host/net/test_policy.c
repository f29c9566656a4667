/* test_policy.c -- the promises of policy.h. */
#include "net/policy.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool has(const char *list, const char *endpoint)
{
    struct policy policy;
    char          why[200] = "";
    int           err = policy_parse(&policy, POLICY_ENDPOINTS, list, why, sizeof why);
    if (err != 0)
        fprintf(stderr, "%s: %s\n", list, why);
    assert(err == 0 && why[0] == '\0');
    bool found = policy_has(&policy, endpoint);
    policy_fini(&policy);
    return found;
}

static bool refuses(enum policy_form form, const char *list, const char *reason)
{
    struct policy policy;
    char          why[200] = "";
    int           err = policy_parse(&policy, form, list, why, sizeof why);
    if (err == -EINVAL && strstr(why, reason) == NULL)
        fprintf(stderr, "%s: %s\n", list, why);
    bool refused = err == -EINVAL && strstr(why, reason) != NULL && policy.count == 0;
    policy_fini(&policy);
    return refused;
}

/* `any` is any numeric address, and no name. */
static void test_any(void)
{
    assert(has("any", "tcp://8.8.8.8:1"));
    assert(has("ANY", "tcp://127.0.0.1:5001"));
    assert(has("any", "tcp://[2001:db8::1]:5001"));
    assert(!has("any", "tcp://risk.example.org:5001"));
}

static void test_loopback(void)
{
    assert(has("loopback", "tcp://127.0.0.1:5001"));
    assert(has("loopback", "tcp://127.9.9.9:5001"));
    assert(has("loopback", "tcp://[::1]:5001"));
    assert(!has("loopback", "tcp://128.0.0.1:5001"));
    assert(!has("loopback", "tcp://10.0.0.1:5001"));
    assert(!has("loopback", "tcp://[::2]:5001"));
    assert(!has("loopback", "tcp://[::7f00:1]:5001"));
}

/* Each network of `private` to its edges, and nothing beside it. */
static void test_private(void)
{
    static const char *const in[] = {
        "127.0.0.1", "[::1]", "10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255",
        "192.168.0.0", "192.168.255.255", "169.254.0.0", "169.254.255.255", "[fe80::1]",
        "[febf:ffff::]", "[fc00::1]", "[fdff::1]",
    };
    static const char *const out[] = {
        "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255",
        "192.169.0.0", "169.253.0.1", "169.255.0.1", "126.255.255.255", "128.0.0.0", "8.8.8.8",
        "[fec0::1]", "[fbff::1]", "[fe00::1]", "[2001:db8::1]", "[::2]", "nas",
    };
    char endpoint[80];
    for (size_t i = 0; i < ARRAY_LENGTH(in); i++) {
        snprintf(endpoint, sizeof endpoint, "tcp://%s:5001", in[i]);
        assert(has("private", endpoint));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(out); i++) {
        snprintf(endpoint, sizeof endpoint, "tcp://%s:5001", out[i]);
        assert(!has("private", endpoint));
    }
}

static void test_addresses(void)
{
    assert(has("10.0.0.7", "tcp://10.0.0.7:5001"));
    assert(!has("10.0.0.7", "tcp://10.0.0.8:5001"));
    assert(has("10.0.0.7:5001", "tcp://10.0.0.7:5001"));
    assert(!has("10.0.0.7:5001", "tcp://10.0.0.7:5002"));
    assert(has("localhost", "tcp://127.0.0.1:9"));
    assert(has("[fd00::1]:5001", "tcp://[fd00::1]:5001"));
    assert(!has("[fd00::1]:5001", "tcp://[fd00::1]:5002"));
    assert(has("fd00::1", "tcp://[fd00::1]:5002"));
    assert(has("::ffff:10.0.0.7", "tcp://10.0.0.7:5001"));
    assert(has(" 10.0.0.7 , 10.0.0.8 ", "tcp://10.0.0.8:5001"));
}

static void test_networks(void)
{
    assert(has("10.0.0.0/8", "tcp://10.200.0.7:5001"));
    assert(!has("10.0.0.0/8", "tcp://11.0.0.7:5001"));
    assert(has("10.0.0.4/30", "tcp://10.0.0.7:5001"));
    assert(!has("10.0.0.4/30", "tcp://10.0.0.8:5001"));
    assert(has("0.0.0.0/0", "tcp://8.8.8.8:5001"));
    assert(!has("0.0.0.0/0", "tcp://[2001:db8::1]:5001")); /* IPv4 is all that it names */
    assert(has("fd00::/9", "tcp://[fd7f::1]:5001"));
    assert(!has("fd00::/9", "tcp://[fd80::1]:5001"));
    assert(has("[fd00::]/8", "tcp://[fdff::1]:5001"));
    assert(has("10.0.0.7/32", "tcp://10.0.0.7:5001"));
}

/* A name is matched as it is written, in any case; nothing is looked up. */
static void test_names(void)
{
    assert(has("risk.example.org", "tcp://RISK.example.org:5001"));
    assert(!has("risk.example.org", "tcp://risk.example.org.evil.net:5001"));
    assert(!has("example.org", "tcp://risk.example.org:5001"));
    assert(has("risk:5002", "tcp://risk:5002"));
    assert(!has("risk:5002", "tcp://risk:5003"));
    assert(has("private,risk", "tcp://risk:1"));
    assert(has("privat:5001", "tcp://privat:5001")); /* no word of ours misspelt: a host */
    assert(!has("risk", "tcp://10.0.0.7:5001"));
}

static void test_refusals(void)
{
    assert(refuses(POLICY_ENDPOINTS, "", "empty"));
    assert(refuses(POLICY_ENDPOINTS, "10.0.0.7,,10.0.0.8", "empty"));
    assert(refuses(POLICY_ENDPOINTS, "10.0.0.7,", "empty"));
    assert(refuses(POLICY_ENDPOINTS, "10.0.0.0/33", "no network"));
    assert(refuses(POLICY_ENDPOINTS, "10.0.0.0/", "no network"));
    assert(refuses(POLICY_ENDPOINTS, "10.0.0.0/-1", "no network"));
    assert(refuses(POLICY_ENDPOINTS, "10.0.0.0/8/8", "no network"));
    assert(refuses(POLICY_ENDPOINTS, "risk/8", "no network"));
    assert(refuses(POLICY_ENDPOINTS, "fd00::/129", "no network"));
    assert(refuses(POLICY_ENDPOINTS, "10.0.0.7/8", "behind its first 8 bits"));
    assert(refuses(POLICY_ENDPOINTS, "256.1.1.1", "neither"));
    assert(refuses(POLICY_ENDPOINTS, "*", "no address"));
    assert(refuses(POLICY_ENDPOINTS, "10.0.0.7:70000", "port"));
    assert(refuses(POLICY_ENDPOINTS, "[fd00::1", "IPv6"));
    assert(refuses(POLICY_ENDPOINTS, "loopbak", "did you mean 'loopback'?"));
    assert(refuses(POLICY_ENDPOINTS, "10.0.0.7,privat", "privat:PORT"));
    assert(refuses(POLICY_ADDRESSES, "risk", "is a name"));
    assert(refuses(POLICY_ADDRESSES, "private", "is a name"));
    assert(refuses(POLICY_ADDRESSES, "10.0.0.7:5001", "has a port"));
    char longer[600];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert(refuses(POLICY_ENDPOINTS, longer, "too long"));
}

int main(void)
{
    test_any();
    test_loopback();
    test_private();
    test_addresses();
    test_networks();
    test_names();
    test_refusals();
    return 0;
}
