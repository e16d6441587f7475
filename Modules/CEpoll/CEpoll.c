#include "CEpoll.h"

#ifdef __linux__

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

int arl_epoll_watching(int socket, enum arl_epoll_readiness readiness) {
  int watch = epoll_create1(EPOLL_CLOEXEC);
  if (watch < 0) return -1;
  struct epoll_event event = {
      .events = readiness == ARL_EPOLL_READABLE ? EPOLLIN | EPOLLRDHUP : EPOLLOUT};
  if (epoll_ctl(watch, EPOLL_CTL_ADD, socket, &event) == 0) return watch;
  int reason = errno;
  close(watch);
  errno = reason;
  return -1;
}

#endif
