/*
 * place.h -- where our own Lua files lie.
 */
#ifndef TROUPE_PLACE_H
#define TROUPE_PLACE_H

/* The folder that holds lua/ and actors/: the source tree for a program in its
 * build folder, else share/troupe beside the bin/ it is in, else where it was
 * meant to be installed. Found once; any thread; valid for ever. */
const char *place_share(void);

#endif
