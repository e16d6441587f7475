/*
 * Waiters for two keys, and other traffic on each of the keys: the protocol's rules (Protocol.md) for several keys.
 *
 * Scripts are atomic, and messages arrive at once; handoff.pml covers late and lost messages. There is no time: a
 * holder releases its key at some time, and a waiter polls repeatedly. A queue is the order of its entries, so a
 * ticket is a place in it.
 *
 * Clients 0 and 1 want both keys, once. Client 2 wants key A and client 3 wants key B, for ever.
 */

#define N 4
#define A 0
#define B 1
#define NOBODY 255

byte holder[2] = NOBODY;       /* of key A, of key B; also its reservation */
byte queue[8] = NOBODY;        /* four places for key A, four for key B; at most three are used */
bool isGranted[N];             /* holds all the keys it wants */
bool isDone[N];
bool isGivenUp[N];
bool isDeaf[N];                /* PUBLISH does not reach it for a while */
byte turns[N];                 /* turns of the traffic, for reading traces */

#define wants(c, k) ((c) < 2 || (c) == (k) + 2)
#define isMultiple(c) ((c) < 2)
#define place(k, i) queue[(k) * 4 + (i)]
#define isIn(c, k) (place(k, 0) == c || place(k, 1) == c || place(k, 2) == c)
#define isBefore(c, d, k) (place(k, 0) == c || (place(k, 1) == c && place(k, 0) != d))
#define hasAll(c) ((!wants(c, A) || holder[A] == c) && (!wants(c, B) || holder[B] == c))

/* How many faults may still happen. */
#ifdef FAULTS
byte losses = 1, silences = 1;
#else
byte losses = 0, silences = 0;
#endif
#ifdef CANCEL
byte cancellations = 1;
#else
byte cancellations = 0;
#endif

inline leave(c, k) {
  if
  :: place(k, 0) == c -> place(k, 0) = place(k, 1); place(k, 1) = place(k, 2); place(k, 2) = NOBODY
  :: place(k, 1) == c -> place(k, 1) = place(k, 2); place(k, 2) = NOBODY
  :: place(k, 2) == c -> place(k, 2) = NOBODY
  :: else
  fi
}

inline append(c, k) {
  if
  :: place(k, 0) == NOBODY -> place(k, 0) = c
  :: place(k, 0) != NOBODY && place(k, 1) == NOBODY -> place(k, 1) = c
  :: else -> place(k, 2) = c
  fi
}

inline grant(c) {
  isGranted[c] = true;
  leave(c, A);
  leave(c, B);
  /* Holds everything it wants, or nothing. */
  assert(hasAll(c))
}

/* Hands a free key to the first waiter that can be told. */
inline hand(k, caller) {
  i = 0;
  do
  :: i < 3 && place(k, i) != NOBODY && holder[k] == NOBODY ->
     c = place(k, i);
     if
     :: c != caller && isDeaf[c] -> i++      /* it keeps its entry */
     :: c == caller -> holder[k] = c
     :: c != caller && !isDeaf[c] && !isMultiple(c) -> holder[k] = c; grant(c)
     :: c != caller && !isDeaf[c] && isMultiple(c) ->
        holder[k] = c;
        if
        :: holder[1 - k] == NOBODY && place(1 - k, 0) == c -> holder[1 - k] = c
        :: else
        fi;
        if
#ifdef PARTIAL_GRANT
        :: true -> grant(c)
#else
        :: hasAll(c) -> grant(c)
#endif
        :: !hasAll(c) ->
#ifdef NO_RESERVATION
           holder[k] = NOBODY; i++
#else
           skip                              /* reserved */
#endif
        fi
     fi
  :: else -> break
  od;
  i = 0; c = 0
}

inline poll(me) {
  if
  :: hasAll(me) -> grant(me)
  :: else ->
     if
     :: (wants(me, A) && !isIn(me, A)) || (wants(me, B) && !isIn(me, B)) ->
#ifdef ONE_QUEUE_ENTRY_LOST
        /* Entered anew only in a queue that lacks it. */
        if
        :: wants(me, A) && !isIn(me, A) -> append(me, A)
        :: else
        fi;
        if
        :: wants(me, B) && !isIn(me, B) -> append(me, B)
        :: else
        fi
#else
        leave(me, A); leave(me, B);
        if
        :: wants(me, A) -> append(me, A)
        :: else
        fi;
        if
        :: wants(me, B) -> append(me, B)
        :: else
        fi
#endif
     :: else
     fi;
     if
     :: wants(me, A) -> look(me, A)
     :: else
     fi;
     if
     :: wants(me, B) -> look(me, B)
     :: else
     fi;
     if
     :: hasAll(me) -> grant(me)
     :: else
     fi
  fi
}

/* The effect of a poll on one key. */
inline look(me, k) {
#ifndef NO_TAKE_BACK
  if
  :: holder[k] != NOBODY && holder[k] != me && isIn(holder[k], k) && isBefore(me, holder[k], k) ->
     holder[k] = NOBODY
  :: else
  fi;
#endif
  if
  :: holder[k] == NOBODY -> hand(k, me)
  :: else
  fi
}

inline release(me) {
  if
  :: holder[A] == me -> holder[A] = NOBODY
  :: else
  fi;
  if
  :: holder[B] == me -> holder[B] = NOBODY
  :: else
  fi;
#ifndef NO_SERVING
  if
  :: wants(me, A) && holder[A] == NOBODY -> hand(A, NOBODY)
  :: else
  fi;
  if
  :: wants(me, B) && holder[B] == NOBODY -> hand(B, NOBODY)
  :: else
  fi
#else
  skip
#endif
}

proctype Client(byte me) {
  byte i, c;
#ifdef NO_SERVING
  bool hasPolled = false;
#endif
  do
#ifdef NO_SERVING
  /* A client that relies on being told polls once. */
  :: d_step { !isGranted[me] && !hasPolled -> hasPolled = true; poll(me) }
#else
  :: d_step { !isGranted[me] -> poll(me) }
#endif
  :: d_step { isGranted[me] -> isGranted[me] = false; release(me) } ->
     if
     :: isMultiple(me) -> break
     :: else -> turns[me] = 1 - turns[me]
     fi
  :: d_step { cancellations > 0 && me == 0 && !isGranted[me] && (isIn(0, A) || isIn(0, B)) ->
       cancellations--;
       isGivenUp[me] = true;
       leave(me, A); leave(me, B);
#ifndef CANCEL_KEEPS_RESERVATION
       release(me)
#endif
     } -> break
  od;
  isDone[me] = true
}

active proctype Faults() {
end:
  do
  :: d_step { losses > 0 && isIn(0, B) -> losses--; leave(0, B) }
  :: d_step { silences > 0 && !isDeaf[0] -> silences--; isDeaf[0] = true }
  :: isDeaf[0] -> isDeaf[0] = false
  od
}

init {
  atomic {
    run Client(0);
    run Client(1);
    run Client(2);
    run Client(3)
  }
}

/* Each client that wants both keys gets them, and nothing is left of one that gave up. */
ltl served { <> (isDone[0] && isDone[1]) }
ltl clean { [] (isGivenUp[0] -> (holder[A] != 0 && holder[B] != 0 && !isIn(0, A) && !isIn(0, B))) }
