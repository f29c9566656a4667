/*
 * pretty.h -- a value as a prompt shows it: all of it, within bounds, over several
 * lines where one is too short.
 *
 * As report_value.h: raw, no Lua code runs, nothing allocates Lua memory or raises.
 */
#ifndef TROUPE_SCRIPT_PRETTY_H
#define TROUPE_SCRIPT_PRETTY_H

#include "base/bytes.h"
#include "message/json.h"

#include <lua.h>

/* Appends the value at `index`: strings quoted, keys sorted, refs as the addresses
 * that `actor_text` gives, a table inside itself as `<cycle>`, valid UTF-8. False:
 * it was cut, because it is deeper or longer than what is shown, or `out` has `room`
 * bytes. */
bool pretty_print(lua_State *L, int index, size_t room, json_actor_text *actor_text,
                  void *context, struct bytes *out);

#endif
