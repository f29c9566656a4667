/*
 * reject.h -- Rejects as they come from outside: {message_type, reason, rejected_by}.
 */
#ifndef TROUPE_MESSAGE_REJECT_H
#define TROUPE_MESSAGE_REJECT_H

#include "base/bytes.h"

/* Sees to it that a Reject's packed map has its three fields, as strings. What
 * the family's Java calls messageType and rejectedBy is copied under the names that
 * all others use; what is missing, or no string, becomes "". */
void reject_normalise(struct bytes *packed);

#endif
