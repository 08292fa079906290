/* Done once across a FORWARD: an idempotent front forwards to two targets, each a `once` method of another service, of which the broker
   takes the second when the first is busy. One client that moves, two brokers, a front and its two workers. README.md has the runs and the
   mutants. All instances are known to both brokers; what is not, is in once.pml.
   Fault:    FCRASH the front dies and comes back with nothing.
   Mutants:  NO_PROBE what was forwarded is handed on without asking again; FIRST_ALONE the first target alone is asked; NO_ATTEMPT lower
             attempts are not refused; FORGET a front that returns has not moved: what it forwards is taken for new. */
#ifndef MAXN
#define MAXN 1
#endif

mtype = {REQ, DISP, PROBE, PASS, HAVE, FWD, CANT, BUSY, UNK, OK};

/* Processes that execute: 0 the front, 1 and 2 the targets. Index of a link: broker * 3 + process. */
chan c2b[2] = [2] of {mtype, byte};
chan b2c[2] = [4] of {mtype, byte};
chan b2w[6] = [3] of {mtype, byte, byte}; /* type, attempt, life */
chan w2b[6] = [4] of {mtype, byte, byte};

byte exec = 0;
byte cn = 0;
byte ct = 0;
bool fin = false;
bool sent = false;
byte life[3];
bool young[3];
byte deaths = 0;

inline drain(ch) { do :: ch?[_,_,_] -> ch?_,_,_ :: else -> break od }

proctype client() {
  byte n;

  atomic { c2b[0]!REQ,0; sent = true }
  do
  :: fin -> break
  :: atomic { !fin && cn < MAXN && len(c2b[1 - ct]) < 2 -> cn++; ct = 1 - ct; c2b[ct]!REQ,cn }
  :: atomic { b2c[0]?OK,_ -> fin = true }
  :: atomic { b2c[1]?OK,_ -> fin = true }
  :: atomic { b2c[0]?UNK,n -> fin = (n == cn -> true : fin) }
  :: atomic { b2c[1]?UNK,n -> fin = (n == cn -> true : fin) }
  od
}

#define NONE 0
#define QUEUED 1
#define PROBING 2
#define GIVEN 3
#define ENDED 4

inline unknown() { st = ENDED; if :: len(b2c[b]) < 4 -> b2c[b]!UNK,cur :: else fi }

inline ask(p) {
  asked[p] = true; ans[p] = false;
  if :: len(b2w[b * 3 + p]) < 3 -> b2w[b * 3 + p]!PROBE,cur,life[p] :: else fi
}

/* At hop 0 the front is asked, at hop 1 all targets. */
inline probe() {
  st = PROBING;
  asked[0] = false; asked[1] = false; asked[2] = false; unsure = false;
  if
  :: hop == 0 -> ask(0)
  :: else ->
     ask(1);
#ifndef FIRST_ALONE
     ask(2)
#endif
  fi
}

inline go_on() {
  if
  :: moved -> probe()
  :: else -> st = QUEUED
  fi
}

/* What the front has decided: the targets, from the first one on. */
inline forwarded() {
  hop = 1; target = 1;
#if defined(NO_PROBE)
  st = QUEUED
#elif defined(FORGET)
  if :: st == GIVEN -> st = QUEUED :: else -> go_on() fi
#else
  go_on()
#endif
}

inline hear(p) {
  if
  :: w2b[b * 3 + p]?PASS,n,x ->
     ans[p] = (n == cur && x == life[p] && asked[p] -> true : ans[p])
  :: w2b[b * 3 + p]?CANT,n,x ->
     if
     :: n == cur && st == PROBING && asked[p] -> ans[p] = true; unsure = true
     :: else
     fi
  :: w2b[b * 3 + p]?HAVE,n,_ ->
     st = (n == cur && st == PROBING && asked[p] -> GIVEN : st)
  :: w2b[b * 3 + p]?FWD,n,_ -> /* of one that was given it, or was asked and has it */
     if
     :: n == cur && hop == 0 && (st == GIVEN || st == PROBING) -> forwarded()
     :: else
     fi
  :: w2b[b * 3 + p]?BUSY,n,_ ->
     if
     :: n == cur && st == GIVEN && hop == 1 && p == target -> target = 3 - target; st = QUEUED
     :: else
     fi
  :: w2b[b * 3 + p]?OK,n,_ -> if :: len(b2c[b]) < 4 -> b2c[b]!OK,0 :: else fi
  fi;
  n = 0; x = 0
}

#define DONE_ASKING ((!asked[0] || ans[0]) && (!asked[1] || ans[1]) && (!asked[2] || ans[2]))

proctype broker(byte b) {
  byte n, x;
  byte cur = 255, st = NONE, hop = 0, target = 1;
  bool moved, unsure;
  bool ans[3], asked[3];

  do
  :: atomic { c2b[b]?REQ,n ->
       if
       :: cur == 255 || n > cur -> cur = n; hop = 0; target = 1; moved = n > 0; go_on()
       :: else
       fi; n = 0 }
  /* The front is idempotent: it is asked again when nobody can say. `once` work is not. */
  :: atomic { st == PROBING && DONE_ASKING && (hop == 0 || !unsure) -> st = QUEUED }
  :: atomic { st == PROBING && hop == 1 && unsure && len(b2c[b]) < 4 -> unknown() }
  :: atomic { st == PROBING && len(b2c[b]) < 4 -> if :: hop == 0 -> st = QUEUED :: else -> unknown() fi } /* patience is over */
  :: atomic { st == QUEUED && hop == 0 && len(b2w[b * 3]) < 3 -> b2w[b * 3]!DISP,cur,life[0]; st = GIVEN }
  :: atomic { st == QUEUED && hop == 1 && len(b2w[b * 3 + target]) < 3 -> b2w[b * 3 + target]!DISP,cur,life[target]; st = GIVEN }
#ifdef FCRASH
  :: atomic { st == GIVEN && hop == 0 && young[0] -> st = QUEUED } /* lost with it, and done again */
#endif
  :: atomic { len(w2b[b * 3]) > 0 -> hear(0) }
  :: atomic { len(w2b[b * 3 + 1]) > 0 -> hear(1) }
  :: atomic { len(w2b[b * 3 + 2]) > 0 -> hear(2) }
  od
}

inline say(what) { if :: len(w2b[b * 3 + p]) < 4 -> w2b[b * 3 + p]!what,n,x :: else fi }

#ifdef NO_ATTEMPT
#define STALE false
#else
#define STALE (n < maxn)
#endif

/* A front that has it says what it has decided, as often as it is asked. */
inline take() {
  if
  :: b2w[b * 3 + p]?DISP,n,x ->
     if
     :: x != life[p] || STALE
     :: else ->
        maxn = (n > maxn -> n : maxn);
        if
        :: p == 0 -> done = true; say(FWD)
        :: p > 0 && done -> say(HAVE)
        :: p > 0 && !done -> done = true; exec++; assert(exec <= 1); say(OK)
        :: p > 0 && !done && busy < 1 -> busy++; say(BUSY)
        fi
     fi
  :: b2w[b * 3 + p]?PROBE,n,x ->
     if
     :: x != life[p] || n < maxn
     :: else ->
        maxn = n;
        if
        :: done && p == 0 -> say(FWD)
        :: done && p > 0 -> say(HAVE)
        :: !done && young[p] -> say(CANT)
        :: !done && !young[p] -> say(PASS)
        fi
     fi
  fi;
  n = 0; x = 0; b = 0
}

proctype worker(byte p) {
  byte n, x, b;
  byte maxn = 0, busy = 0;
  bool done = false;

  do
  :: atomic { len(b2w[p]) > 0 -> b = 0; take() }
  :: atomic { len(b2w[3 + p]) > 0 -> b = 1; take() }
#ifdef FCRASH
  :: atomic { p == 0 && deaths < 1 && sent -> deaths++; life[p]++; young[p] = true; done = false; maxn = 0; busy = 0;
       drain(b2w[p]); drain(b2w[3 + p]); drain(w2b[p]); drain(w2b[3 + p]) }
#endif
  od
}

init {
  atomic {
    life[0] = 1; life[1] = 1; life[2] = 1;
    run client(); run broker(0); run broker(1); run worker(0); run worker(1); run worker(2)
  }
}
