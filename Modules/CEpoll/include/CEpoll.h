#pragma once

/* A function of Linux that Swift cannot call; empty elsewhere. */
#ifdef __linux__

enum arl_epoll_readiness { ARL_EPOLL_READABLE, ARL_EPOLL_WRITABLE };

/* Returns a descriptor that is readable when the socket is ready in this way, ended or failed; -1 with errno if not. */
int arl_epoll_watching(int socket, enum arl_epoll_readiness readiness);

#endif
