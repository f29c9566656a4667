/*
 * test_tsan.h -- UNDER_TSAN: 1 in tests that are built for the thread sanitizer, which
 * is slow and holds signals back, else 0.
 */
#ifndef TROUPE_BASE_TEST_TSAN_H
#define TROUPE_BASE_TEST_TSAN_H

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

#endif
