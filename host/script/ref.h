/*
 * ref.h -- references to actors as Lua values.
 *
 * An actor of this host is a light userdata that holds its actor_id: no
 * memory, equal by ==, usable as a table key. An actor elsewhere, or a name
 * that nobody has yet, is a full userdata around a counted `struct address`,
 * made once per state and text (a weak table keeps them), so that == holds.
 * Whether it is reliable is therefore a matter of the state and not of one ref:
 * what is equal does the same.
 * json.null is the light userdata NULL; actor_id 0 is never a ref.
 */
#ifndef TROUPE_SCRIPT_REF_H
#define TROUPE_SCRIPT_REF_H

#include "message/message.h"

#include <lua.h>

/* Room for the text of any address, with its NUL. */
#define REF_TEXT_ROOM ADDRESS_TEXT_ROOM

/* Light refs of this host: */
static inline void ref_push_actor(lua_State *L, actor_id id)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)id);
}

/* Pushes the address ref for `address` (a reference is taken); may raise on no memory. */
void ref_push_address(lua_State *L, struct address *address);

/* The same for a text that ref_address_text() wrote, which is how an address
 * lies in a packed value. The cheaper of the two when the state knows it. */
void ref_push_text(lua_State *L, const char *text, size_t size);

/* Makes the address ref on top of the stack, and so every other to the same
 * actor in this state, now and later, reliable; or plain again. May raise. */
void ref_set_reliable(lua_State *L, bool reliable);

/* Writes `name`, `name@tcp://host:port` or `name@node` and a NUL into `text`
 * (REF_TEXT_ROOM bytes); returns the length, 0 if the address is too long. */
size_t ref_address_text(const struct address *address, char *text, size_t room);

/* What the value at `index` refers to: true and *id (*address is NULL), or
 * *address (borrowed while the value lives; *id is 0); false if it is no ref.
 * Allocates nothing and never raises. */
bool ref_get(lua_State *L, int index, actor_id *id, struct address **address);

/* Gives the state's light userdata (and address refs) their metatable with
 * the methods in `methods` (a table on top of the stack, popped) and
 * __tostring, __name, __concat by `to_text`, which writes a ref's address
 * (the ref is its argument 1; it is not asked about json.null).
 * *needs_close becomes true with the first address ref: from then on the
 * state must be closed by lua_close(), or those addresses are never given
 * back. It must outlive the state. */
void ref_install(lua_State *L, lua_CFunction to_text, bool *needs_close);

#endif
