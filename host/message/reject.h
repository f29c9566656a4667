/*
 * reject.h -- one form for the Rejects that the family's peers send.
 *
 * Most write message_type, reason and rejected_by; Java's writes messageType
 * and rejectedBy. A script's on_reject is to know the first form only.
 */
#ifndef TROUPE_MESSAGE_REJECT_H
#define TROUPE_MESSAGE_REJECT_H

#include "base/bytes.h"

/* Makes of the packed fields of a Reject that came from elsewhere a map of these
 * three strings ("" for one that is not there), unless it has them already.
 * -ENOMEM: as before. */
int reject_in_one_form(struct bytes *message);

#endif
