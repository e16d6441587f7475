#include "CThreadSanitizer.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ARL_IS_THREAD_SANITIZED 1
#endif
#endif

#ifdef ARL_IS_THREAD_SANITIZED

const bool arl_is_thread_sanitized = true;

void __tsan_acquire(void *address);
void __tsan_release(void *address);

void arl_note_locked(const void *mutex) { __tsan_acquire((void *)mutex); }
void arl_note_unlocking(const void *mutex) { __tsan_release((void *)mutex); }

#else

const bool arl_is_thread_sanitized = false;

void arl_note_locked(const void *mutex) { (void)mutex; }
void arl_note_unlocking(const void *mutex) { (void)mutex; }

#endif
