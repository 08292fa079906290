/* Done once: one client, two brokers, two workers, one `once` request. README.md in this folder has the runs and the mutants.
   Links keep their order and are as slow as they like; suspicion is arbitrary: the client may move at any moment, a broker may lose
   patience at any moment. No clock in it: safety needs none. FORWARD is in forward.pml, streams and cancels are in stream.pml.
   Faults:   WCRASH a worker dies and comes back with nothing; BCRASH a broker does; CUT a connection of a worker is cut, in one
             direction or both, and each end finds out for itself; LATE worker 1 registers at first with one broker and then with
             the other; LINK the brokers' link is lost, and both live on.
   Mutants:  NO_ATTEMPT lower attempts are not refused; NO_ROSTER who is missing or younger than the request passes; NO_CONFIRM
             newcomers get work of clients that may have moved; NO_NOTE newcomers get work before the other broker knows them;
             TRUST who has lost its link believes that it knows all; NO_HISTORY so does who has just started. */
#ifndef MAXN
#define MAXN 1 /* how often the client moves */
#endif

mtype = {REQ, DISP, PROBE, PASS, HAVE, CANT, HELLO, CONF, YES, UNK, OK};

chan c2b[2] = [3] of {mtype, byte};
chan b2c[2] = [4] of {mtype, byte};
chan b2w[4] = [3] of {mtype, byte, byte}; /* type, attempt, session; index = broker * 2 + worker */
chan w2b[4] = [5] of {mtype, byte, byte};

byte exec = 0; /* how often it was executed */
byte cn = 0;   /* the client's attempt, and its broker */
byte ct = 0;
bool fin = false;
bool sent = false;
byte cs[4];     /* the worker's session with the broker: each is a number higher */
byte sess[4];   /* the broker's with the worker; 0 = none */
bool noted[4];  /* the other broker knows of this session's instance */
bool known[4];  /* the broker has heard of the instance, here or from the other */
bool young[2];  /* the worker began after the request was sent first */
bool half[4];   /* the broker has given the session up, and the worker has not noticed */
byte wcr = 0;
byte bcr = 0;
byte cut = 0;
byte link = 0; /* 0 works; 1 lost a moment ago, 2 for a while, 3 for so long that newcomers are no longer held back */

inline drain(ch) { do :: ch?[_,_,_] -> ch?_,_,_ :: else -> break od }
inline drain2(ch) { do :: ch?[_,_] -> ch?_,_ :: else -> break od }

proctype client() {
  byte n, b;

  atomic { c2b[0]!REQ,0; sent = true }
  do
  :: fin -> break
  :: atomic { !fin && cn < MAXN && len(c2b[1 - ct]) < 3 -> cn++; ct = 1 - ct; c2b[ct]!REQ,cn }
  :: atomic { b2c[0]?OK,_ -> fin = true }
  :: atomic { b2c[1]?OK,_ -> fin = true }
  :: atomic { b2c[0]?UNK,n -> fin = (n == cn -> true : fin) }
  :: atomic { b2c[1]?UNK,n -> fin = (n == cn -> true : fin) }
  :: atomic { b2c[0]?CONF,n -> if :: n % 8 == cn && ct == 0 && len(c2b[0]) < 3 -> c2b[0]!YES,n :: else fi }
  :: atomic { b2c[1]?CONF,n -> if :: n % 8 == cn && ct == 1 && len(c2b[1]) < 3 -> c2b[1]!YES,n :: else fi }
  od
}

/* --- a broker; i = b * 2 + w --- */

#define NONE 0
#define QUEUED 1
#define PROBING 2
#define GIVEN 3 /* to a worker */
#define ENDED 4

inline unknown() {
  st = ENDED;
  if :: len(b2c[b]) < 4 -> b2c[b]!UNK,cur :: else fi
}

inline ask(w) {
  if
  :: sess[b * 2 + w] > 0 && len(b2w[b * 2 + w]) < 3 -> b2w[b * 2 + w]!PROBE,cur,sess[b * 2 + w]; asked[w] = true
  :: else
  fi
}

/* Its session is gone, and with it what it was asked: until it is back, with all that it remembers, it is missing. */
inline lose(w) { sess[b * 2 + w] = 0; old[w] = false; noted[b * 2 + w] = false; ans[w] = false; asked[w] = false }

#ifdef NO_ROSTER
#define VOUCHED(w) (!asked[w] || ans[w])
#else
#define VOUCHED(w) ((ans[w] && sess[b * 2 + w] > 0) || !known[b * 2 + w])
#endif
#ifdef TRUST
#define REACHES_BACK true
#else
#define REACHES_BACK (link < 2)
#endif
#ifdef NO_CONFIRM
#define CONFIRMED(w) true
#else
#define CONFIRMED(w) old[w]
#endif
#ifdef NO_NOTE
#define NOTED(w) true
#else
#define NOTED(w) noted[b * 2 + w]
#endif

inline hear(w) {
  if
  :: w2b[b * 2 + w]?HELLO,_,x ->
     if
     :: x == cs[b * 2 + w] ->
        lose(w); sess[b * 2 + w] = x; known[b * 2 + w] = true; ver++;
        if :: st == PROBING -> ask(w) :: else fi
     :: else
     fi
  :: w2b[b * 2 + w]?PASS,n,_ -> ans[w] = (n == cur && asked[w] -> true : ans[w])
  :: w2b[b * 2 + w]?HAVE,n,_ -> st = (n == cur && st == PROBING -> GIVEN : st)
  :: w2b[b * 2 + w]?CANT,n,_ -> if :: n == cur && st == PROBING -> unknown() :: else fi
  :: w2b[b * 2 + w]?OK,_,_ -> if :: len(b2c[b]) < 4 -> b2c[b]!OK,0 :: else fi
  fi
}

inline give(w) { b2w[b * 2 + w]!DISP,cur,sess[b * 2 + w]; st = GIVEN }
#define CAN_GIVE(w) (st == QUEUED && sess[b * 2 + w] > 0 && len(b2w[b * 2 + w]) < 3 && CONFIRMED(w) && NOTED(w))
#define TO_CONFIRM(w) (sess[b * 2 + w] > 0 && NOTED(w) && !old[w])

/* The other broker hears of a newcomer, and says so; or it has been out of reach for so long that nobody waits for it. */
inline note(w) {
  if :: link == 0 -> known[(1 - b) * 2 + w] = true :: else fi;
  noted[b * 2 + w] = true; old[w] = false; ver++
}
#define CAN_NOTE(w) (sess[b * 2 + w] > 0 && !noted[b * 2 + w] && (link == 0 || link == 3))

proctype broker(byte b) {
  byte n, x;
  byte cur = 255; /* the attempt that it has of it */
  byte ver = 0;   /* of what the client has confirmed */
  byte st = NONE;
  bool ans[2], asked[2], old[2];

  old[0] = true; old[1] = true;
  do
  :: atomic { c2b[b]?REQ,n ->
       if
       :: cur == 255 || n > cur ->
          cur = n; ans[0] = false; ans[1] = false; asked[0] = false; asked[1] = false;
          if :: n == 0 -> st = QUEUED :: else -> st = PROBING; ask(0); ask(1) fi
       :: else
       fi; n = 0 }
  :: atomic { c2b[b]?YES,n ->
       if
       :: n == cur + 8 * ver && st == QUEUED ->
          old[0] = sess[b * 2] > 0 && NOTED(0); old[1] = sess[b * 2 + 1] > 0 && NOTED(1)
       :: else
       fi; n = 0 }
  :: atomic { st == PROBING && VOUCHED(0) && VOUCHED(1) && REACHES_BACK -> st = QUEUED }
  :: atomic { st == PROBING && len(b2c[b]) < 4 -> unknown() } /* patience is over */
#ifndef NO_CONFIRM
  :: atomic { st == QUEUED && (TO_CONFIRM(0) || TO_CONFIRM(1)) && len(b2c[b]) == 0 -> b2c[b]!CONF,cur + 8 * ver }
#endif
  :: atomic { CAN_GIVE(0) -> give(0) }
  :: atomic { CAN_GIVE(1) -> give(1) }
#ifndef NO_NOTE
  :: atomic { CAN_NOTE(0) -> note(0) }
  :: atomic { CAN_NOTE(1) -> note(1) }
#endif
  :: atomic { len(w2b[b * 2]) > 0 -> hear(0); n = 0; x = 0 }
  :: atomic { len(w2b[b * 2 + 1]) > 0 -> hear(1); n = 0; x = 0 }
  /* It notices that a session is gone. */
  :: atomic { sess[b * 2] > 0 && sess[b * 2] != cs[b * 2] -> lose(0) }
  :: atomic { sess[b * 2 + 1] > 0 && sess[b * 2 + 1] != cs[b * 2 + 1] -> lose(1) }
#ifdef CUT
  /* It hears a worker no more, which still hears it for a while. */
  :: atomic { cut < 1 && sess[b * 2] > 0 && sess[b * 2] == cs[b * 2] -> cut++; half[b * 2] = true; drain(w2b[b * 2]); lose(0) }
#endif
#ifdef BCRASH
  :: atomic { bcr < 1 ->
       bcr++; st = NONE; cur = 255; ver = 0; lose(0); lose(1);
#ifdef NO_HISTORY
       known[b * 2] = false; known[b * 2 + 1] = false;
#endif
       drain2(c2b[b]); drain2(b2c[b]); drain(b2w[b * 2]); drain(b2w[b * 2 + 1]); drain(w2b[b * 2]); drain(w2b[b * 2 + 1]);
       w2b[b * 2]!HELLO,0,cs[b * 2]; w2b[b * 2 + 1]!HELLO,0,cs[b * 2 + 1] }
#endif
  od
}

/* --- a worker --- */

inline begin() {
  if
  :: x != cs[b * 2 + w]
#ifndef NO_ATTEMPT
  :: x == cs[b * 2 + w] && n < maxn
#endif
  :: else ->
     maxn = (n > maxn -> n : maxn);
     if
     :: done
     :: !done ->
        done = true; exec++;
        assert(exec <= 1);
        if :: len(w2b[b * 2 + w]) < 5 -> w2b[b * 2 + w]!OK,0,x :: else fi
     fi
  fi
}

inline answer(what) { if :: len(w2b[b * 2 + w]) < 5 -> w2b[b * 2 + w]!what,n,x :: else fi }

inline vouch() {
  if
  :: x != cs[b * 2 + w] || n < maxn
  :: else ->
     maxn = n;
     if
     :: done -> answer(HAVE)
#ifndef NO_ROSTER
     :: !done && young[w] -> answer(CANT)
     :: !done && !young[w] -> answer(PASS)
#else
     :: !done -> answer(PASS)
#endif
     fi
  fi
}

inline take() {
  if :: b2w[b * 2 + w]?DISP,n,x -> begin() :: b2w[b * 2 + w]?PROBE,n,x -> vouch() fi;
  n = 0; x = 0; b = 0
}

inline register(i) { cs[i]++; drain(b2w[i]); w2b[i]!HELLO,0,cs[i] }

proctype worker(byte w) {
  byte n, x, b;
  byte maxn = 0;
  bool done = false;

  do
  :: atomic { len(b2w[w]) > 0 -> b = 0; take() }
  :: atomic { len(b2w[2 + w]) > 0 -> b = 1; take() }
#ifdef WCRASH
  :: atomic { wcr < 1 && sent ->
       wcr++; young[w] = true; done = false; maxn = 0; half[w] = false; half[2 + w] = false;
       drain(w2b[w]); drain(w2b[2 + w]); register(w); register(2 + w) }
#endif
#ifdef CUT
  :: atomic { half[w] && len(w2b[w]) < 5 -> half[w] = false; register(w) }
  :: atomic { half[2 + w] && len(w2b[2 + w]) < 5 -> half[2 + w] = false; register(2 + w) }
  /* It hears a broker no more; what it has said may still arrive. */
  :: atomic { cut < 1 && sess[w] == cs[w] -> cut++; if :: drain(w2b[w]) :: len(w2b[w]) < 5 fi; register(w) }
  :: atomic { cut < 1 && sess[2 + w] == cs[2 + w] -> cut++; if :: drain(w2b[2 + w]) :: len(w2b[2 + w]) < 5 fi; register(2 + w) }
#endif
  od
}

#ifdef LINK
proctype cable() {
  do :: atomic { link < 3 -> link++ } :: else -> break od
}
#endif

init {
  atomic {
    byte i = 0;

    do
    :: i < 4 -> cs[i] = 1; sess[i] = 1; noted[i] = true; known[i] = true; i++
    :: else -> break
    od;
    i = 0;
#ifdef LATE
    sess[1] = 0; noted[1] = false; known[1] = false; w2b[1]!HELLO,0,1;
    sess[3] = 0; noted[3] = false; known[3] = false; w2b[3]!HELLO,0,1;
#endif
#ifdef LINK
    run cable();
#endif
    run client(); run broker(0); run broker(1); run worker(0); run worker(1)
  }
}
