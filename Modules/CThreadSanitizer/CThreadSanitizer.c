#include "CThreadSanitizer.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ARL_IS_THREAD_SANITIZED 1
#endif
#endif

#ifdef ARL_IS_THREAD_SANITIZED

const bool arl_is_thread_sanitized = true;

void __tsan_mutex_pre_lock(void *mutex, unsigned flags);
void __tsan_mutex_post_lock(void *mutex, unsigned flags, int recursion);
int __tsan_mutex_pre_unlock(void *mutex, unsigned flags);
void __tsan_mutex_post_unlock(void *mutex, unsigned flags);

/* Not by __tsan_acquire and __tsan_release: the sanitizer would not see mutexes that are taken in both orders. It has to
   hear of a mutex only when that is locked, since the library does not tell of its waiting. */
void arl_note_locked(const void *mutex) {
  __tsan_mutex_pre_lock((void *)mutex, 0);
  __tsan_mutex_post_lock((void *)mutex, 0, 0);
}

void arl_note_unlocking(const void *mutex) {
  __tsan_mutex_pre_unlock((void *)mutex, 0);
  __tsan_mutex_post_unlock((void *)mutex, 0);
}

#else

const bool arl_is_thread_sanitized = false;

void arl_note_locked(const void *mutex) { (void)mutex; }
void arl_note_unlocking(const void *mutex) { (void)mutex; }

#endif
