/*
 * One lock that is handed from client to client: the protocol's rules (Protocol.md) for one key.
 *
 * The server runs one command after another; each is a script and atomic. A client has a connection for commands,
 * which are executed in order, and an inbox for grants. Switches with -D select the possible faults, and the rules
 * to leave out in order to show their purpose; see `check` and README.md.
 *
 * Time is a number of ticks. A key set at a tick exists until TTL ticks later.
 */

#ifndef N
#define N 2            /* clients */
#endif
#ifndef TTL
#define TTL 2
#endif
#ifndef MAXT
#define MAXT 4         /* the end of time */
#endif
#ifndef AGAIN
#define AGAIN 2        /* how often client 1 wants the lock; the others want it once */
#endif
#define TURNS(c) (c == 1 -> AGAIN : 1)
#ifndef GAP
#define GAP 1          /* the longest pause between two polls */
#endif
#define LAPSE (GAP + 2)
#define TOKENS 2       /* of each client; a token is used for one turn and no longer */
#define OWNER(t) (((t) - 1) / TOKENS)
#define NONE 0

mtype = { ACQUIRE, NUMBER, POLL, EXTEND, RELEASE, CLEANUP, HELD, WAIT, OURS, LOST };

/* Commands of a client on its first and its second connection: kind, token, ttl, tick of sending. */
chan commands[N * 2] = [4] of { mtype, byte, byte, byte };
/* Replies: kind, token, tick of sending, number (of HELD) or counter (of WAIT), ttl left or extended by. */
chan replies[N] = [3] of { mtype, byte, byte, byte, byte };
/* Grants: token, number. */
chan inbox[N] = [2] of { byte, byte };

byte now = 0;

/* The server. */
byte holder = NONE;
byte expiry = 0;
byte queue[N * TOKENS];    /* tokens by ticket */
byte queued = 0;
byte lapse[N * TOKENS + 1];
byte fence = 0;

/* The clients, as far as other processes need to know. */
byte connection[N];        /* which of the two is in use */
bool isListening[N];       /* whether the client has an inbox */
bool isElsewhere[N];       /* the inbox is on a replica: it hears published messages, but is not counted */
bool hasCrashed[N];
bool isHeld[N];            /* it relies on a lock, until validUntil */
byte validUntil[N];
bool isWaiting[N];         /* it is in the queue, as far as it knows */
byte nextPoll[N];          /* when it polls next, while it waits and has no request under way */
bool isAsking[N];
bool isDone[N];

/* Read only by the properties. */
bool isGivenUp[N * TOKENS + 1];
byte bestNumber = 0;
byte bestTaking = 0;       /* the taking of the key to which the largest believed number belongs */
byte takings = 0;
byte takingOf[N * TOKENS + 1];
byte freeTicks = 0;

/* How many faults may still happen. */
byte breaks = 0
#ifdef BREAK
  + 1
#endif
;
byte inboxBreaks = 0
#ifdef INBOX_BREAK
  + 1
#endif
;
byte cancellations = 0
#ifdef CANCEL
  + 1
#endif
;
byte crashes = 0
#ifdef CRASH
  + 1
#endif
;
byte deletions = 0
#ifdef FOREIGN_DEL
  + 1
#endif
;

#define isFree (holder == NONE || expiry <= now)
#define isValid(c) (isHeld[c] && now < validUntil[c])

/* ---- The server's scripts ---- */

inline leave(token) {
  i = 0; j = 0;
  do
  :: i < queued ->
     if
     :: queue[i] != token -> queue[j] = queue[i]; j++
     :: else
     fi;
     i++
  :: else -> break
  od;
  do
  :: queued > j -> queued--; queue[queued] = NONE
  :: else -> break
  od
}

inline give(token) {
  holder = token;
  expiry = now + TTL;
  takings++;
  takingOf[token] = takings
}

/* Hands a free key to the first waiter that can be told. */
inline hand(caller) {
  k = 0;
  do
  :: k < queued && isFree ->
     other = queue[k];
     if
     :: lapse[other] < now -> leave(other)
     :: else ->
        if
        :: other == caller -> give(other)
#ifdef PUBLISH_FIRST
        :: other != caller && isElsewhere[OWNER(other)] && nfull(inbox[OWNER(other)]) ->
           /* The grant is revoked, since no listener was counted; the replica passes the message on. */
           fence++;
           inbox[OWNER(other)]!other, fence;
           k++
#endif
        :: other != caller && isListening[OWNER(other)] && !isElsewhere[OWNER(other)] && !hasCrashed[OWNER(other)] && nfull(inbox[OWNER(other)]) ->
           fence++;
           give(other);
           inbox[OWNER(other)]!other, fence;
           leave(other)
        :: else -> k++      /* it keeps its entry */
        fi
     fi
  :: else -> break
  od
}

/* If the client has another connection by now, or none, replies are dropped. */
inline answer(kind, token, sentAt, number, left) {
  if
  :: isCurrent -> replies[OWNER(token)]!kind, token, sentAt, number, left
  :: else
  fi
}

inline execute(c) {
  commands[c]?kind, token, ttl, sentAt;
  isCurrent = (connection[c / 2] == c % 2) && !hasCrashed[c / 2];
  if
  :: kind == ACQUIRE ->
#ifdef PIPELINE
     /* SET NX; the number is drawn by the next command of the pipeline. */
     if
     :: isFree -> give(token)
     :: else
     fi
#else
     /* The pipeline as one step, if no relevant command comes in between. */
     if
     :: isFree -> give(token); fence++; answer(HELD, token, sentAt, fence, 0)
     :: else -> answer(WAIT, token, sentAt, 0, 0)
     fi
#endif
  :: kind == NUMBER ->
     fence++;
     if
#ifdef SET_INCR_APART
     :: takingOf[token] != 0 ->
#else
     :: holder == token && !isFree ->
#endif
        answer(HELD, token, sentAt, fence, 0)
     :: else -> answer(WAIT, token, sentAt, 0, 0)
     fi
  :: kind == POLL ->
     if
     :: isFree && queued == 0 ->
        give(token); fence++;
        answer(HELD, token, sentAt, fence, 0)
     :: !isFree && holder == token ->
#ifndef OWN_POLL_NO_EXTEND
        if
        :: expiry < now + TTL -> expiry = now + TTL
        :: else
        fi;
#endif
        leave(token); fence++;
        answer(HELD, token, sentAt, fence, 0)
     :: else ->
        found = false; i = 0;
        do
        :: i < queued -> found = found || queue[i] == token; i++
        :: else -> break
        od;
        if
        :: !found -> fence++; queue[queued] = token; queued++
        :: else
        fi;
        lapse[token] = now + LAPSE;
        hand(token);
        if
        :: holder == token && !isFree ->
           leave(token); fence++;
           answer(HELD, token, sentAt, fence, 0)
        :: else ->
           answer(WAIT, token, sentAt, fence, (isFree -> 0 : expiry - now))
        fi
     fi
  :: kind == EXTEND ->
     if
     :: holder == token && !isFree ->
        if
#ifdef EXTENSION_SHORTENS
        :: true -> expiry = now + ttl
#else
        :: expiry < now + ttl -> expiry = now + ttl
#endif
        :: else
        fi;
        answer(OURS, token, sentAt, 0, ttl)
     :: else -> answer(LOST, token, sentAt, 0, 0)
     fi
  :: kind == RELEASE || kind == CLEANUP ->
     if
     :: kind == CLEANUP -> leave(token)
     :: else
     fi;
     if
#ifdef PLAIN_DEL
     :: kind == RELEASE -> holder = NONE
#endif
#ifdef KEEP_UNWANTED_GRANT
     :: kind == RELEASE && holder == token -> holder = NONE
#else
     :: holder == token -> holder = NONE
#endif
     :: else
     fi;
     if
     :: isFree -> hand(NONE)
     :: else
     fi
  fi;
  kind = 0; token = 0; ttl = 0; sentAt = 0; i = 0; j = 0; k = 0; other = 0; found = false; isCurrent = false
}

active proctype Server() {
  mtype kind; byte token, ttl, sentAt, i, j, k, other, c; bool found, isCurrent;
  do
  :: d_step {
       nempty(commands[0]) -> execute(0)
     }
  :: d_step {
       nempty(commands[1]) -> execute(1)
     }
  :: d_step {
       nempty(commands[2]) -> execute(2)
     }
  :: d_step {
       nempty(commands[3]) -> execute(3)
     }
#if N > 2
  :: d_step {
       nempty(commands[4]) -> execute(4)
     }
  :: d_step {
       nempty(commands[5]) -> execute(5)
     }
#endif
#ifdef FOREIGN_DEL
  :: atomic { deletions > 0 && holder != NONE -> deletions--; holder = NONE }
#endif
  od
}

/* ---- The clients ---- */

inline send(kind, token, ttl) { commands[c * 2 + connection[c]]!kind, token, ttl, now }

/* Relies on a lock from now on. */
inline believe(from, number, length) {
#ifdef VALID_FROM_RECEIPT
  validUntil[c] = now + length;
#else
  validUntil[c] = from + length;
#endif
  isHeld[c] = now < validUntil[c];
  if
  :: isHeld[c] ->
#ifndef FOREIGN_DEL
     assert(!(c != 0 && isValid(0)) && !(c != 1 && isValid(1)));
#if N > 2
     assert(!(c != 2 && isValid(2)));
#endif
#endif
     /* Numbers rise in the order in which the key was taken. */
     assert(!(takingOf[mine] < bestTaking && number > bestNumber));
     assert(!(takingOf[mine] > bestTaking && number <= bestNumber));
     if
     :: number > bestNumber -> bestNumber = number; bestTaking = takingOf[mine]
     :: else
     fi
  :: else
  fi
}

inline giveUp() {
  isGivenUp[mine] = true;
  isWaiting[c] = false;
  isAsking[c] = false
}

inline forget() { standing = false; sent = 0; counter = 0; pending = 0; mine = NONE }

proctype Client(byte c) {
  mtype kind;
  byte used = 0;       /* tokens so far */
  byte turns = 0;
  byte mine = NONE;    /* the token in use */
  bool standing = false;
  byte sent, counter;  /* of the last poll that was told to wait */
  byte pending = 0;    /* the number of a grant that came while a poll was under way */
  byte token, sentAt, number, left;
  bool hasExtended = false, hasExtendedLong = false;
  bool isHurried = false;    /* something may have been missed since the poll under way was sent */

  do
  /* Wants the lock. */
  :: atomic { mine == NONE && turns < TURNS(c) && used < TOKENS ->
       turns++; used++;
       mine = c * TOKENS + used;
       send(ACQUIRE, mine, TTL);
#ifdef PIPELINE
       send(NUMBER, mine, TTL);
#endif
       isAsking[c] = true;
       hasExtended = false
     }
  :: atomic { mine == NONE && !(turns < TURNS(c) && used < TOKENS) -> isDone[c] = true; break }

  /* Polls when a poll is due. */
  :: atomic { isWaiting[c] && !isAsking[c] && nextPoll[c] <= now && now < MAXT ->
       send(POLL, mine, TTL);
       isAsking[c] = true; isHurried = false
     }

  /* A reply. */
  :: atomic { replies[c]?kind, token, sentAt, number, left ->
       if
       :: token != mine -> skip
       :: token == mine && kind == HELD && isAsking[c] ->
          isAsking[c] = false; isWaiting[c] = false; pending = 0;
          believe(sentAt, number, TTL);
          if
          :: !isHeld[c] -> giveUp(); send(CLEANUP, mine, 0); forget()
          :: else
          fi
       :: token == mine && kind == WAIT && isAsking[c] ->
          isAsking[c] = false;
          if
          :: !isWaiting[c] -> isWaiting[c] = true; nextPoll[c] = now    /* the acquisition failed: queue */
          :: else ->
             standing = true; sent = sentAt; counter = number;
             nextPoll[c] = now + (isHurried -> 0 : GAP);
#ifndef NO_PTTL_POLL
             if
             :: now + left < nextPoll[c] -> nextPoll[c] = now + left
             :: else
             fi;
#endif
             /* The answer decides about a grant that came meanwhile. */
             if
             :: pending > counter -> number = pending; isWaiting[c] = false; believe(sent, number, TTL);
                if
                :: !isHeld[c] -> isWaiting[c] = true; nextPoll[c] = now
                :: else
                fi
             :: else
             fi;
             pending = 0
          fi
       :: token == mine && kind == OURS && isValid(c) ->
          if
          :: sentAt + left > validUntil[c] ->
             validUntil[c] = sentAt + left;
             assert(!(c != 0 && isValid(0)) && !(c != 1 && isValid(1)))
          :: else
          fi
       :: token == mine && kind == LOST && isHeld[c] -> isHeld[c] = false; giveUp(); send(RELEASE, mine, 0); forget()
       :: else
       fi;
       kind = 0; token = 0; sentAt = 0; number = 0; left = 0
     }

  /* A grant. */
  :: atomic { inbox[c]?token, number ->
       if
#ifdef GRANT_DURING_POLL
       :: token == mine && isWaiting[c] && standing ->
#else
       :: token == mine && isWaiting[c] && isAsking[c] -> pending = number
       :: token == mine && isWaiting[c] && !isAsking[c] && standing ->
#endif
          if
#ifdef NO_STALE_CHECK
          :: true ->
#else
          :: number > counter ->
#endif
             isWaiting[c] = false;
             believe(sent, number, TTL);
             if
             :: !isHeld[c] -> isWaiting[c] = true; nextPoll[c] = now    /* too late: ask */
             :: else
             fi
          :: else
          fi
       :: else         /* for a token that was given up, whose clean-up is under way; or for one that is held */
       fi;
       token = 0; number = 0
     }

  /* Holds, extends, and releases, in time or not. */
#ifdef EXTENSION
  :: atomic { isValid(c) && !hasExtended && !isAsking[c] && c == 0 -> hasExtended = true; send(EXTEND, mine, TTL) }
#endif
#ifdef LONG_EXTENSION
  :: atomic { isValid(c) && hasExtended && !hasExtendedLong && c == 0 && connection[c] == 1 && nfull(commands[c * 2 + 1]) && now < MAXT ->
       hasExtendedLong = true; send(EXTEND, mine, TTL + 1) }
#endif
  :: atomic { isHeld[c] && nfull(commands[c * 2 + connection[c]]) ->
       isHeld[c] = false; giveUp(); send(RELEASE, mine, 0); forget()
     }

  /* Gives up waiting. */
  :: atomic { cancellations > 0 && (isAsking[c] || isWaiting[c]) && !isHeld[c] ->
       cancellations--;
       giveUp(); send(CLEANUP, mine, 0); forget();
       turns = TURNS(c)
     }

  /* The connection breaks; what was sent may be executed later. */
  :: atomic { breaks > 0 && connection[c] == 0 && mine != NONE && c == 0 ->
       breaks--;
       if
       :: isAsking[c] && !isHeld[c] ->
          isGivenUp[mine] = true;
#ifndef CLEANUP_ELSEWHERE
          commands[c * 2]!CLEANUP, mine, 0, now;
#endif
          connection[c] = 1;
#ifdef REUSE_AFTER_UNDO
          isGivenUp[mine] = false;
          send(POLL, mine, TTL); isWaiting[c] = true
#else
          send(CLEANUP, mine, 0);
          giveUp(); forget();
          /* The turn continues with a new token. */
          turns--
#endif
       :: else -> connection[c] = 1; isAsking[c] = false
       fi;
       do
       :: replies[c]?kind, token, sentAt, number, left
       :: empty(replies[c]) -> break
       od;
       /* Commands that have not been executed arrive later, or never. */
       if
       :: true
       :: nempty(commands[c * 2]) ->
          do
          :: commands[c * 2]?kind, token, left, sentAt
          :: empty(commands[c * 2]) -> break
          od
       fi;
       kind = 0; token = 0; sentAt = 0; number = 0; left = 0
     }

  /* The inbox breaks: messages under way are lost. Later, it is back, and the client polls. */
  :: atomic { inboxBreaks > 0 && isListening[c] && c == 0 ->
       inboxBreaks--;
       isListening[c] = false;
       do
       :: inbox[c]?token, number
       :: empty(inbox[c]) -> break
       od;
       token = 0; number = 0
     }
#ifdef ELSEWHERE
  /* It comes back on a replica, and hears replicated messages until it is moved. */
  :: atomic { !isListening[c] -> isListening[c] = true; isElsewhere[c] = true }
#endif
  :: atomic { !isListening[c] || isElsewhere[c] ->
       isListening[c] = true; isElsewhere[c] = false;
#ifndef NO_INBOX_POLL
       nextPoll[c] = now;
#ifndef FORGET_HURRY
       isHurried = isAsking[c]
#endif
#endif
     }

  /* Crashes. */
  :: atomic { crashes > 0 && c == 1 ->
       crashes--;
       hasCrashed[c] = true; isHeld[c] = false; isWaiting[c] = false; isAsking[c] = false; isDone[c] = true;
       break
     }
  od
}

/* ---- Time, and the properties that must hold when it has passed ---- */

#if N > 2
#define noCommandsOfThird (empty(commands[4]) && empty(commands[5]))
#else
#define noCommandsOfThird true
#endif
#define noCommands (empty(commands[0]) && empty(commands[1]) && empty(commands[2]) && empty(commands[3]) && noCommandsOfThird)
#define noMessages (empty(replies[0]) && empty(replies[1]) && empty(inbox[0]) && empty(inbox[1]))
#define isDue(c) (isWaiting[c] && !isAsking[c] && nextPoll[c] <= now)
#define someoneWaits ((isWaiting[0] && !hasCrashed[0]) || (isWaiting[1] && !hasCrashed[1]))

#ifdef PROMPT
/* Each party acts as soon as it can; only the faults are left to chance. */
#define mayPass (noCommands && noMessages && !isDue(0) && !isDue(1) && isListening[0] && isListening[1])
#else
#define mayPass true
#endif

active proctype Time() {
  byte t;
  do
  :: atomic { now < MAXT && mayPass ->
#ifdef PROMPT
       /* No lost wake-up: a free key does not stay free while a client waits for it. */
       if
       :: isFree && someoneWaits -> freeTicks++; assert(freeTicks <= 1)
       :: else -> freeTicks = 0
       fi;
#endif
       now++
     }
  /* Once every command is executed, nothing is left of a client that gave up. */
  :: atomic { noCommands ->
#ifndef EXCLUSION_ONLY
       assert(holder == NONE || expiry <= now || !isGivenUp[holder]);
       t = 0;
       do
       :: t < queued -> assert(!isGivenUp[queue[t]]); t++
       :: else -> break
       od;
       t = 0;
#endif
       now == MAXT && isDone[0] && isDone[1]
     } -> break
  od
}

init {
  atomic {
    isListening[0] = true; isListening[1] = true;
#if N > 2
    isListening[2] = true;
#endif
    run Client(0); run Client(1);
#if N > 2
    run Client(2);
#endif
  }
}
