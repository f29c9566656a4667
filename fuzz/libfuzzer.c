/*
 * libfuzzer.c -- a target as libFuzzer calls it.
 */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_accepts((const char *)data, size);
    return 0;
}
