/* Streams and cancels: one client that moves, two brokers, two instances of an idempotent stream of PIECES pieces. README.md in this folder
   has the runs and the mutants. Who executes it when nobody can vouch is open, so two executions may job at once: the
   pieces of one must never be mixed with those of the other. Links keep their order; suspicion is arbitrary.
   Claims:   no piece twice, none skipped, all of one execution and the end too; the end after all pieces; no execution whose client waits
             for it is cancelled.
   Faults:   WCRASH an instance dies and comes back with nothing.
   Mutants:  TAKE_OLD the client takes pieces of attempts that it has left behind; AGAIN a stream is begun again after a piece has passed;
             ANY_HAVE an instance is attached wherever it stands; ANY_END the client takes an end without counting; FROM_HERE an instance
             that is attached goes on from where it is; CANCEL_ANY a cancel counts whatever its attempt; ANY_EXECUTION an execution is
             attached that is as far as the client, whoever made what the client has; END_OF_ANY an end is taken for the number of its
             pieces alone. */
#ifndef PIECES
#define PIECES 2
#endif
#ifndef MAXN
#define MAXN 1
#endif

mtype = {REQ, DISP, PROBE, PASS, CANT, HAVE, PIECE, LOST, CANCEL, STALE, END};

/* A piece is number + 8 * execution, and so is where somebody is in a stream: the next piece, and whose those before it are, 0 when there
   are none. END has it too. */
chan c2b[2] = [2] of {mtype, byte, byte};       /* type, attempt, where the client is */
chan b2c[2] = [5] of {mtype, byte, byte};       /* type, attempt, piece */
chan b2w[4] = [3] of {mtype, byte, byte};       /* type, attempt, where the client is; index = broker * 2 + instance */
chan w2b[4] = [5] of {mtype, byte, byte};       /* type, attempt, piece */

byte cn = 0, ct = 0;
byte got = 0;    /* pieces that the client has */
byte whose = 0;  /* of which execution; 0 = none yet */
bool fin = false;
bool lost[4];    /* the instance of this session has died, and the broker has not noticed */
byte executions = 0;
byte deaths = 0;

inline drain(ch) { do :: ch?[_,_,_] -> ch?_,_,_ :: else -> break od }

inline take_piece(n, v) {
  if
#ifndef TAKE_OLD
  :: n < cn
#endif
  :: else ->
     if
     :: v % 8 < got /* it has that one */
     :: else ->
        assert(v % 8 == got);
        assert(whose == 0 || whose == v / 8);
        whose = v / 8; got++
     fi
  fi
}

inline take_end(n, v) {
  if
#ifdef ANY_END
  :: true -> assert(got == PIECES); fin = true
#else
#ifdef END_OF_ANY
  :: v % 8 == got ->
#else
  :: v == got + 8 * whose ->
#endif
     assert(got == PIECES); assert(whose == v / 8); fin = true
  :: else
#endif
  fi
}

inline from_broker(b) {
  if
  :: b2c[b]?PIECE,n,v -> take_piece(n, v)
  :: b2c[b]?END,n,v -> take_end(n, v)
  :: b2c[b]?LOST,n,v -> fin = (n == cn -> true : fin)
  fi;
  n = 0; v = 0
}

proctype client() {
  byte n, v;

  atomic { c2b[0]!REQ,0,0 }
  do
  :: fin -> break
  :: atomic { !fin && cn < MAXN && len(c2b[1 - ct]) < 2 -> cn++; ct = 1 - ct; c2b[ct]!REQ,cn,got + 8 * whose }
  :: atomic { !fin && len(b2c[0]) > 0 -> from_broker(0) }
  :: atomic { !fin && len(b2c[1]) > 0 -> from_broker(1) }
  od
}

#define NONE 0
#define QUEUED 1
#define PROBING 2
#define GIVEN 3
#define ENDED 4

inline tell(what, v) { if :: len(b2c[b]) < 5 -> b2c[b]!what,cur,v :: else fi }
inline to(w, what, v) { if :: len(b2w[b * 2 + w]) < 3 -> b2w[b * 2 + w]!what,cur,v :: else fi }

/* Nobody has it: it may be begun if nothing of it has passed. */
inline conclude() {
  if
#ifdef AGAIN
  :: true -> st = QUEUED
#else
  :: next % 8 == 0 -> st = QUEUED
  :: else -> st = ENDED; tell(LOST, 0)
#endif
  fi
}

inline hear(w) {
  if
  :: w2b[b * 2 + w]?PASS,n,v -> ans[w] = (n == cur -> true : ans[w])
  :: w2b[b * 2 + w]?CANT,n,v -> ans[w] = (n == cur -> true : ans[w])
  :: w2b[b * 2 + w]?HAVE,n,v -> /* v: from where on it will send */
     if
     :: n == cur && st == PROBING ->
        if
#ifdef ANY_HAVE
        :: true -> st = GIVEN; at = w
#else
#ifdef ANY_EXECUTION
        :: v % 8 == next % 8 -> st = GIVEN; at = w
#else
        :: v == next || (next == 0 && v % 8 == 0) -> st = GIVEN; at = w
#endif
        :: else -> ans[w] = true; to(w, CANCEL, 0)
#endif
        fi
     :: else
     fi
  :: w2b[b * 2 + w]?PIECE,n,v ->
     if
     :: st == GIVEN && at == w && n <= cur && v % 8 == next % 8 -> next = v + 1; tell(PIECE, v)
#ifdef ANY_HAVE
     :: st == GIVEN && at == w && n <= cur && v % 8 > next % 8 -> next = v + 1; tell(PIECE, v)
#endif
#ifdef FROM_HERE
     :: st == GIVEN && at == w && n <= cur && v % 8 > next % 8 -> next = v + 1; tell(PIECE, v)
#endif
     :: else
     fi
  :: w2b[b * 2 + w]?END,n,v ->
     if
     :: st == GIVEN && at == w && n <= cur -> st = ENDED; tell(END, v)
     :: else
     fi
  :: w2b[b * 2 + w]?STALE,n,v -> st = (st == GIVEN && at == w && n == cur -> ENDED : st)
  fi;
  n = 0; v = 0
}

proctype broker(byte b) {
  byte n, v;
  byte cur = 255, st = NONE, at = 0, next = 0;
  bool ans[2];

  do
  :: atomic { c2b[b]?REQ,n,v ->
       if
       :: cur == 255 || n > cur ->
          cur = n; next = v; ans[0] = false; ans[1] = false;
          if :: n == 0 -> st = QUEUED :: else -> st = PROBING; to(0, PROBE, next); to(1, PROBE, next) fi
       :: else
       fi; n = 0; v = 0 }
  :: atomic { st == PROBING && ans[0] && ans[1] -> conclude() }
  :: atomic { st == PROBING -> conclude() } /* patience is over: it is idempotent */
  :: atomic { st == QUEUED && len(b2w[b * 2]) < 3 -> b2w[b * 2]!DISP,cur,0; st = GIVEN; at = 0 }
  :: atomic { st == QUEUED && len(b2w[b * 2 + 1]) < 3 -> b2w[b * 2 + 1]!DISP,cur,0; st = GIVEN; at = 1 }
  :: atomic { len(w2b[b * 2]) > 0 -> hear(0) }
  :: atomic { len(w2b[b * 2 + 1]) > 0 -> hear(1) }
  /* Its client has been away for a second. */
  :: atomic { st == GIVEN && ct != b && len(b2w[b * 2 + at]) < 3 -> b2w[b * 2 + at]!CANCEL,cur,0; st = ENDED }
#ifdef WCRASH
  /* The instance has gone with what it was given. */
  :: atomic { st == GIVEN && lost[b * 2 + at] -> lost[b * 2 + at] = false; conclude() }
#endif
  od
}

/* --- an instance --- */

inline say(what, x) { if :: len(w2b[b * 2 + w]) < 5 -> w2b[b * 2 + w]!what,n,x :: else fi }

inline begin() {
  if
  :: n < maxn -> say(STALE, 0)
  :: else ->
     maxn = n;
     if
     :: job == 0 -> executions++; job = executions; made = 0; sent = 0; conn = b; mine = n; over = false
     :: else -> conn = b; mine = n; sent = 0 /* it has it already: all of it, from the first piece */
     fi
  fi
}

inline vouch() {
  if
  :: n < maxn -> say(STALE, 0)
  :: else ->
     maxn = n;
     if
     :: job > 0 ->
        conn = b; mine = n;
#ifdef FROM_HERE
        sent = made;
#else
        sent = (v % 8 < made -> v % 8 : made);
#endif
#ifdef FROM_HERE
        say(HAVE, v)
#else
        say(HAVE, sent + 8 * job)
#endif
     :: else -> if :: young -> say(CANT, 0) :: else -> say(PASS, 0) fi
     fi
  fi
}

inline cancel() {
  if
#ifndef CANCEL_ANY
  :: n < maxn /* of an attempt that was left behind */
#endif
  :: else ->
     if
     :: job > 0 && !over ->
        assert(fin || mine < cn || n >= cn);
        job = 0; over = true; made = 0; sent = 0
     :: else
     fi
  fi
}

inline take() {
  if
  :: b2w[b * 2 + w]?DISP,n,v -> begin()
  :: b2w[b * 2 + w]?PROBE,n,v -> vouch()
  :: b2w[b * 2 + w]?CANCEL,n,v -> cancel()
  fi;
  n = 0; v = 0; b = 0
}

proctype worker(byte w) {
  byte n, v, b;
  byte maxn = 0, job = 0, made = 0, sent = 0, conn = 0, mine = 0;
  bool young, over;

  do
  :: atomic { len(b2w[w]) > 0 -> b = 0; take() }
  :: atomic { len(b2w[2 + w]) > 0 -> b = 1; take() }
  :: atomic { job > 0 && sent < made && len(w2b[conn * 2 + w]) < 5 -> w2b[conn * 2 + w]!PIECE,mine,sent + 8 * job; sent++ }
  :: atomic { job > 0 && made < PIECES && sent == made -> made++ }
  :: atomic { job > 0 && made == PIECES && sent == made && !over && len(w2b[conn * 2 + w]) < 5 -> w2b[conn * 2 + w]!END,mine,PIECES + 8 * job; over = true }
#ifdef WCRASH
  :: atomic { deaths < 1 && job > 0 -> deaths++;
       maxn = 0; job = 0; made = 0; sent = 0; mine = 0; conn = 0; over = false; young = true;
       drain(b2w[w]); drain(b2w[2 + w]); drain(w2b[w]); drain(w2b[2 + w]); lost[w] = true; lost[2 + w] = true }
#endif
  od
}

init {
  atomic { run client(); run broker(0); run broker(1); run worker(0); run worker(1) }
}
