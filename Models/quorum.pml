/* A lock over three independent servers: exclusion, and the order of fencing numbers.

   Each server executes its commands in one step, or does not answer. A client asks the servers one after the other,
   each in an order of its own, and gives everything back in the end. Time is in ticks, as in the other models.

   Switches that make the model larger: EXTEND (client 0 prolongs its lock once), REPAIR (it also puts the key back
   where it is missing), RESTART (a server loses its keys once), QUARANTINE (a restarted server gets no new locks for a
   ttl: its yes does not count, whether it keeps the key or not), UNDO (a request of client 0 to server 2 is executed
   without an answer, and its undo comes at any time, unless the server is restarted before).

   Switches that break a rule: MINORITY (one server is enough), ONE_ROUND (the number is not written back), TAKE_MIN
   (the smallest number counts), NO_VALIDITY_CHECK (a lock counts that came too late), LOSE_COUNTER (the counter of
   the restarted server begins anew, below what the servers' clocks say), UNKNOWN_COUNTS (a server that does not answer
   an extension counts as if it had), REPAIR_ALONE (a key is put back without a majority), SPOILED_COUNTS (a server counts
   whose undo has not come). */
#ifndef TTL
#define TTL 2
#endif
#ifndef MAXT
#define MAXT 4
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 1
#endif
#define N 3
#ifdef MINORITY
#define Q 1
#else
#define Q 2
#endif
#ifdef NO_VALIDITY_CHECK
#define IS_VALID true
#else
#define IS_VALID (now < start + TTL)
#endif
#ifdef REPAIR_ALONE
#define MAY_REPAIR (e >= 1)
#else
#define MAY_REPAIR (e >= Q)
#endif

#if defined(UNDO) && !defined(SPOILED_COUNTS)
#define IS_SPOILED(s) (undone == token && s == 2)
#else
#define IS_SPOILED(s) false
#endif

byte now;
byte holder[N];      /* a token, or 0 */
byte expiry[N];      /* the tick at which the key is gone */
byte counter[N];
byte quarantine[N];  /* the tick until which the server gets no new locks */
byte validUntil[2];  /* for each client; 0 if it holds nothing */
byte lastFence;
byte undone;         /* the token whose undo server 2 has not executed, or 0 */
byte top;            /* the largest number drawn anywhere, which is what a server's clock would be above */

#define LIVE(s) (holder[s] != 0 && expiry[s] > now)

inline expire(s) { if :: expiry[s] <= now -> holder[s] = 0; expiry[s] = 0 :: else fi }
inline settle(s) { if :: quarantine[s] <= now -> quarantine[s] = 0 :: else fi }
inline end(c) { if :: validUntil[c] <= now -> validUntil[c] = 0 :: else fi }
inline draw(s) { counter[s]++; if :: counter[s] > top -> top = counter[s] :: else fi }

proctype Clock() {
  do
  :: now < MAXT ->
    atomic {
      now++;
      expire(0); expire(1); expire(2);
      end(0); end(1);
      settle(0); settle(1); settle(2)
    }
  :: else -> break
  od
}

#ifdef RESTART
proctype Restart() {
  byte s;
  if :: s = 0 :: s = 1 :: s = 2 fi;
  atomic {
    holder[s] = 0; expiry[s] = 0;
    if :: s == 2 -> undone = 0 :: else fi;
#ifdef LOSE_COUNTER
    counter[s] = 0;
#else
    counter[s] = top;
#endif
#ifdef QUARANTINE
    quarantine[s] = now + TTL;
#endif
  }
}
#endif

#ifdef UNDO
proctype Undo() {
  do
  :: atomic {
      undone != 0 ->
      if :: holder[2] == undone -> holder[2] = 0; expiry[2] = 0 :: else fi;
      undone = 0
    }
  :: timeout -> break
  od
}
#endif

proctype Client(byte id) {
  byte attempt, s, i, got, token, start, m, acks, e, was;
  bool mine[N];
  do
  :: attempt < ATTEMPTS && now < MAXT ->
    atomic {
      attempt++; token = id * 4 + attempt; start = now; got = 0; m = 0; acks = 0;
      mine[0] = false; mine[1] = false; mine[2] = false; i = 0; s = id
    }
    /* The first round: the keys, and a number of each server. */
    do
    :: i < N ->
      atomic {
        if
        :: quarantine[s] > now -> skip
        :: quarantine[s] > now && !LIVE(s) -> holder[s] = token; expiry[s] = now + TTL
        :: quarantine[s] <= now ->
          draw(s);
          if
          :: !LIVE(s) ->
            holder[s] = token; expiry[s] = now + TTL; mine[s] = true; got++;
#ifdef TAKE_MIN
            if :: m == 0 || counter[s] < m -> m = counter[s] :: else fi
#else
            if :: counter[s] > m -> m = counter[s] :: else fi
#endif
          :: else
          fi
        fi;
        i++; s = (s + 1) % N
      }
    :: i < N -> atomic { i++; s = (s + 1) % N } /* no answer */
#ifdef UNDO
    :: i < N && id == 0 && s == 2 ->
      atomic {
        if :: !LIVE(s) -> holder[s] = token; expiry[s] = now + TTL :: else fi;
        undone = token;
        i++; s = (s + 1) % N
      }
#endif
    :: else -> break
    od;
    /* The second round: raises the counters of those that still have the key. */
#ifdef ONE_ROUND
    acks = got;
#else
    i = 0;
    do
    :: i < N && got >= Q ->
      atomic {
        if
        :: mine[i] && LIVE(i) && holder[i] == token ->
          if :: counter[i] < m -> counter[i] = m :: else fi;
          draw(i); acks++
        :: else
        fi;
        i++
      }
    :: else -> break
    od;
#endif
    atomic {
      if
      :: got >= Q && acks >= Q && IS_VALID ->
        assert(validUntil[1 - id] <= now);
        assert(m > lastFence);
        lastFence = m;
        validUntil[id] = start + TTL
      :: else
      fi
    }
#ifdef EXTEND
    if
    :: id == 0 && validUntil[id] > now ->
      atomic { e = 0; i = 0; was = now }
      do
      :: i < N ->
        atomic {
          if
          :: LIVE(i) && holder[i] == token && !IS_SPOILED(i) -> expiry[i] = now + TTL; e++
          :: else
          fi;
          i++
        }
      :: i < N ->
        atomic { /* no answer */
#ifdef UNKNOWN_COUNTS
          e++;
#endif
          i++
        }
      :: else -> break
      od;
#ifdef REPAIR
      i = 0;
      do
      :: i < N ->
        atomic {
          if
          :: validUntil[id] > now && MAY_REPAIR && !LIVE(i) && !IS_SPOILED(i) -> holder[i] = token; expiry[i] = now + TTL
          :: else
          fi;
          i++
        }
      :: else -> break
      od;
#ifdef REPAIR_ALONE
      e = Q;
#endif
#endif
      atomic { if :: e >= Q && validUntil[id] > now -> validUntil[id] = was + TTL :: else fi }
    :: skip
    fi;
    /* Some time may pass with the lock held. */
#endif
    atomic {
      validUntil[id] = 0; i = 0;
      do
      :: i < N -> if :: holder[i] == token -> holder[i] = 0; expiry[i] = 0 :: else fi; i++
      :: else -> break
      od;
      s = 0; i = 0; got = 0; token = 0; start = 0; m = 0; acks = 0; e = 0; was = 0;
      mine[0] = false; mine[1] = false; mine[2] = false
    }
  :: else -> break
  od
}

init {
  atomic {
    counter[2] = 1; top = 1; /* one server is ahead of the others */
    run Clock(); run Client(0); run Client(1);
#ifdef RESTART
    run Restart();
#endif
#ifdef UNDO
    run Undo();
#endif
  }
}
