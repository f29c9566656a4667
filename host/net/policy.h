/*
 * policy.h -- lists of hosts, as a user writes them: who may connect (--allow),
 * and where answers may go (--reply-to).
 *
 * Judged by what an endpoint says, never by asking a name server. Fixed once
 * parsed; any thread may ask.
 */
#ifndef TROUPE_NET_POLICY_H
#define TROUPE_NET_POLICY_H

#include "base/base.h"

/* What a list may have in it. */
enum policy_form {
    POLICY_ADDRESSES, /* numeric addresses and networks (10.0.0.0/8, fd00::/8) */
    POLICY_ENDPOINTS, /* also host names, all with a :PORT or without, and the words */
};

struct policy_entry;

struct policy {
    struct policy_entry *entries;
    size_t               count;
};

/* Parses a list separated by commas. The words of POLICY_ENDPOINTS: `any` is any
 * numeric address; `loopback` 127.0.0.0/8 and ::1; `private` that, 10.0.0.0/8,
 * 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, fe80::/10 and fc00::/7. 0, -ENOMEM,
 * or -EINVAL and a sentence in `why`; then *policy is empty. */
int  policy_parse(struct policy *policy, enum policy_form form, const char *text, char *why,
                  size_t room);
/* Zeros are an empty list. */
void policy_fini(struct policy *policy);

/* Whether a normalised endpoint is in the list; a host name only if it is
 * listed as such, in whatever case. */
bool policy_has(const struct policy *policy, const char *endpoint);

#endif
