/*
 * Whether a sanitiser is built in: SANITISED is 1 or 0. Its runtime makes system calls of its own,
 * and looks for leaks as a debugger does, so a program cannot lock itself in as far as otherwise.
 */
#ifndef POSTERN_BASE_SANITISED_H
#define POSTERN_BASE_SANITISED_H

#define SANITISED 0

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ /* gcc */
#undef SANITISED
#define SANITISED 1
#endif
#ifdef __has_feature /* clang */
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#undef SANITISED
#define SANITISED 1
#endif
#endif

#endif
