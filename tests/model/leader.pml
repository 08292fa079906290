/* Who leads: two brokers (0, 1) and a witness (2). docs/authority.md has the rules in words, bus/core/pair*.c as code; README.md
   in this folder has the runs and the mutants. Caretakers are not in it.
   Time is a number that goes up to MAXT; a vote lasts D. Any question or answer may be lost. One process may die and come back
   with what was on its disk. Switches: WITNESS, LATE (answers are late by up to one tick, half a vote), LEASES (one lease, two
   holders, so many questions), YIELD (a leader hands over, so often), HEAL (from then on nothing is lost, nobody dies, and at MAXT one
   leads); MUT_... and SLACK break one rule each. */
#ifndef MAXT
#define MAXT 8
#endif
#ifndef D
#define D 2          /* a vote lasts this long */
#endif
#define NOBODY 3
#define NEVER 100
#ifndef DEATHS
#define DEATHS 2
#endif
#ifndef SLACK
#define SLACK 0      /* a mutant counts a vote for longer */
#endif
#define PEER (1 - b)
/* Its votes are over, and it has not noticed: that comes before all else. */
#ifdef MUT_REVIVE
#define IS_OVER(b) false
#else
#define IS_OVER(b) (st[b] == LEADER && now >= until[b])
#endif
#ifdef HEAL
#define MAY_LOSE (now < HEAL)
#else
#define MAY_LOSE true
#endif
#define LEADS(x) (st[x] == LEADER && up[x] && now < until[x])

#define FOLLOWER 0
#define CANDIDATE 1
#define LEADER 2
#define CARETAKER 3

byte now = 0;
byte deaths = 0;
byte highest = 0;           /* epoch in which somebody led */

/* voters; seen, vfor, vep are on disk */
bool up[3];
byte pto[3], pun[3];        /* promise: to whom, until */
byte seen[3], vfor[3], vep[3];

/* brokers */
byte st[2], ep[2];
bool used[2];
byte until[2];              /* of the second vote, whatever it is */
byte cons[2];               /* the peer's refused port counts until */
bool noted[2];              /* the witness has answered since: it knows no higher epoch than ep */
bool ever[2];               /* linked with the peer in this life */
bool force[2];
byte blk[2];                /* grants nothing unknown before */

/* leases: a row of the leader's table or of a copy of it, and what each holder believes */
byte lh[2], lu[2], lt[2];   /* holder plus 1 or 0, until, token: epoch * 4 + counter */
byte nth[2];
byte hu[2], ht[2];          /* a holder's end and token */
byte newest;                /* token that a holder was given last */
byte asks, yields;

/* Answers on their way: index = asker * 2 + (0 the peer, 1 the witness). */
byte ans_ep[4], ans_at[4], ans_seen[4]; bool ans_on[4], ans_yes[4], ans_old[4], ans_note[4];
byte asked[2];              /* in this tick already, plus 1 */

inline next_epoch(b) {
  ep[b] = (seen[b] > ep[b] -> seen[b] : ep[b]) + 1;
  ep[b] = (ep[b] % 2 == b -> ep[b] : ep[b] + 1);
  used[b] = false; noted[b] = false;
}

/* --- a voter answers: s = asker c * 2 + (0 the peer, 1 the witness) --- */
byte lowest; bool yes;
inline answer(s, c, v) {
  lowest = (st[c] == LEADER -> vep[v] : seen[v]);
  yes = ep[c] >= lowest &&
        (now >= pun[v] || pto[v] == c || (pto[v] == NOBODY && st[c] == LEADER && v != 2));
#ifdef MUT_TWO_VOTES
  yes = ep[c] >= lowest;
#endif
  if :: v < c && st[v % 2] == CANDIDATE && st[c] != LEADER -> yes = false :: else fi;
  seen[v] = (ep[c] > seen[v] -> ep[c] : seen[v]);
  if
  :: yes ->
     pto[v] = c; pun[v] = now + D; vfor[v] = c; vep[v] = ep[c];
     if :: v != 2 -> st[v % 2] = FOLLOWER :: else fi
  :: else
  fi;
  ans_on[s] = true; ans_yes[s] = yes; ans_ep[s] = ep[c]; ans_at[s] = now; ans_old[s] = false; ans_note[s] = true;
  ans_seen[s] = seen[v];
  lowest = 0; yes = false
}

/* --- brokers --- */

/* The second vote of a candidate by its peer's death counts only when no higher epoch can be unknown to it. */
#ifdef MUT_BLIND
#define INFORMED(b) true
#else
#ifdef WITNESS
#define INFORMED(b) noted[b]
#else
#define INFORMED(b) ever[b]
#endif
#endif

inline try_lead(b) {
  if
  :: st[b] == CANDIDATE && ep[b] >= seen[b] && (now >= pun[b] || pto[b] == b) &&
     (now < until[b] || force[b] || (now < cons[b] && INFORMED(b))) ->
     assert(!LEADS(PEER));
     assert(ep[b] > highest);
     highest = ep[b];
     st[b] = LEADER; used[b] = true; nth[b] = 0;
     pto[b] = b; pun[b] = NEVER; vfor[b] = b; vep[b] = ep[b];
     if :: force[b] -> until[b] = NEVER
        :: else -> if :: now < cons[b] && cons[b] > until[b] -> until[b] = cons[b] :: else fi
     fi;
  :: else
  fi
}

inline step_down(b) {
  st[b] = FOLLOWER; pto[b] = b;
  pun[b] = (until[b] > now + D -> now + D : (until[b] > now -> until[b] : now));
  until[b] = 0; cons[b] = 0; force[b] = false
}

inline take_answer(s, b) {
  if
  :: !ans_old[s] && ans_ep[s] == ep[b] && (st[b] == CANDIDATE || st[b] == LEADER) ->
     if
     :: ans_yes[s] && ans_at[s] + D + SLACK > until[b] -> until[b] = ans_at[s] + D + SLACK
     :: else
     fi;
     if :: s % 2 == 1 && ans_seen[s] <= ep[b] && now < cons[b] && ans_note[s] -> noted[b] = true :: else fi;
     seen[b] = (ans_seen[s] > seen[b] -> ans_seen[s] : seen[b]);
     try_lead(b)
  :: else
  fi;
  ans_on[s] = false; ans_yes[s] = false; ans_ep[s] = 0; ans_at[s] = 0; ans_seen[s] = 0; ans_old[s] = false; ans_note[s] = false
}

/* --- leases --- */

/* The whole table goes to the peer, or is lost. */
inline replicate(b) {
  if
  :: up[PEER] && st[PEER] != LEADER -> lh[PEER] = lh[b]; lu[PEER] = lu[b]; lt[PEER] = lt[b]
  :: true
  fi
}

#ifdef MUT_LONG
#define LONGEST(b) (now + D)
#else
#define LONGEST(b) (until[b] < now + D -> until[b] : now + D)
#endif
/* Leases of a former leader may be out that this one does not know. */
#ifdef MUT_NO_WAIT
#define MUST_WAIT(b) false
#else
#ifdef MUT_ANEW
#define MUST_WAIT(b) (now < blk[b] && lh[b] == 0)
#else
#define MUST_WAIT(b) (now < blk[b] && !(lh[b] != 0 && lt[b] / 4 == ep[b]))
#endif
#endif

inline grant(b, h) {
  lu[b] = (LONGEST(b) > lu[b] -> LONGEST(b) : lu[b]);
  replicate(b);
  if
  :: true -> /* the answer arrives: the holder counts from when it asked, which is now */
     if
     :: LONGEST(b) > now ->
        assert(hu[1 - h] <= now);
        assert(lt[b] >= newest);
        newest = lt[b]; ht[h] = lt[b];
        hu[h] = (LONGEST(b) > hu[h] -> LONGEST(b) : hu[h])
     :: else
     fi
  :: true
  fi
}

inline request(b, h) {
  asks++;
  if
  :: (lh[b] == 0 || lh[b] == h + 1) && !MUST_WAIT(b) ->
     nth[b]++; lh[b] = h + 1; lt[b] = ep[b] * 4 + nth[b];
     grant(b, h)
  :: else
  fi
}

inline renew(b, h) {
  asks++;
  if
  :: lh[b] == h + 1 && lt[b] == ht[h] -> grant(b, h)
  :: else
  fi
}

/* The holder stops; whether the leader hears of it is open. */
inline release(b, h) {
  asks++; hu[h] = 0;
  if
  :: lh[b] == h + 1 && lt[b] == ht[h] -> lh[b] = 0; lu[b] = 0; lt[b] = 0; replicate(b)
  :: true
  fi
}

#define HOLDS(h) (now < hu[h])

inline holder_acts(b, h) {
  if
  :: LEADS(b) && !HOLDS(h) -> request(b, h)
  :: LEADS(b) && HOLDS(h) -> renew(b, h)
  :: LEADS(b) && HOLDS(h) -> release(b, h)
  fi
}

inline end_leases(b) { if :: lh[b] != 0 && now >= lu[b] -> lh[b] = 0; lu[b] = 0; lt[b] = 0 :: else fi }

/* The leader gives its own vote to its peer, whose copy is whole, and says so; that may be lost. */
#ifdef MUT_HALF_COPY
#define WHOLE(b, peer) true
#else
#define WHOLE(b, peer) (lh[peer] == lh[b] && lu[peer] == lu[b] && lt[peer] == lt[b])
#endif
inline yield(b) {
  yields++;
  st[b] = FOLLOWER; until[b] = 0; cons[b] = 0; force[b] = false;
  pto[b] = PEER; pun[b] = now + D; vfor[b] = PEER;
  if
  :: pto[PEER] != NOBODY || now >= pun[PEER] ->
     if :: pto[PEER] == b && pun[PEER] > now -> pun[PEER] = now :: else fi;
     blk[PEER] = blk[b];
     stand(PEER)
  :: true
  fi
}

inline forget(s) {
  ans_on[s] = false; ans_yes[s] = false; ans_ep[s] = 0; ans_at[s] = 0; ans_seen[s] = 0; ans_old[s] = false; ans_note[s] = false
}

/* An answer is late by one tick at most, half a vote; after that it is lost. */
inline tick() {
  now++;
#ifdef LEASES
  end_leases(0); end_leases(1);
#endif
  if :: ans_on[0] && ans_at[0] + 1 < now -> forget(0) :: else fi;
  if :: ans_on[1] && ans_at[1] + 1 < now -> forget(1) :: else fi;
  if :: ans_on[2] && ans_at[2] + 1 < now -> forget(2) :: else fi;
  if :: ans_on[3] && ans_at[3] + 1 < now -> forget(3) :: else fi
}

/* A question arrives at once or never; its answer may be late by any time, which is the worse of the two: the voter's promise
   has begun. Without LATE it comes at once. */
inline ask_all(b) {
  asked[b] = now + 1;
  if :: up[PEER] -> answer(b * 2, b, PEER) :: !up[PEER] || MAY_LOSE fi;
#ifdef WITNESS
  if :: up[2] -> answer(b * 2 + 1, b, 2) :: !up[2] || MAY_LOSE fi;
#endif
#ifndef LATE
  if :: ans_on[b * 2] -> take_answer(b * 2, b) :: else fi;
#ifdef WITNESS
  if :: ans_on[b * 2 + 1] -> take_answer(b * 2 + 1, b) :: else fi
#endif
#endif
}

inline stand(b) {
  if :: st[b] != CANDIDATE -> until[b] = 0 :: else fi;
#ifdef MUT_OLD_EPOCH /* a candidate keeps an epoch that others have passed */
  if :: used[b] || ep[b] == 0 -> next_epoch(b); until[b] = 0 :: else fi;
#else
  if :: used[b] || ep[b] == 0 || ep[b] < seen[b] -> next_epoch(b); until[b] = 0 :: else fi;
#endif
  st[b] = CANDIDATE;
  seen[b] = (ep[b] > seen[b] -> ep[b] : seen[b]);
  ask_all(b);
  try_lead(b)
}

inline die(n) {
  up[n] = false; deaths++;
  if
  :: n < 2 ->
     st[n] = FOLLOWER; until[n] = 0; cons[n] = 0; noted[n] = false; ever[n] = false; force[n] = false; blk[n] = 0;
     ep[n] = 0; used[n] = false; lh[n] = 0; lu[n] = 0; lt[n] = 0; nth[n] = 0; ans_old[n * 2] = ans_on[n * 2]; ans_old[n * 2 + 1] = ans_on[n * 2 + 1];
  :: else
  fi;
  pto[n] = NOBODY; pun[n] = 0
}

inline restart(n) {
  up[n] = true;
  pto[n] = (vep[n] > 0 && vfor[n] != n -> vfor[n] : NOBODY);
#ifdef MUT_NO_BAR
  pun[n] = now;
#else
  pun[n] = now + D;
#endif
#ifdef MUT_FORGETS
  seen[n] = 0; vep[n] = 0; vfor[n] = NOBODY; pto[n] = NOBODY; pun[n] = now;
#endif
  if :: n < 2 -> blk[n] = now + D :: else fi
}

/* The peer's host refuses the connection: it is dead now. That a promise of its own voter binds is void with it. */
inline refusal(b) {
  if :: now >= cons[b] -> noted[b] = false; ans_note[b * 2 + 1] = false :: else fi;
  cons[b] = now + D;
  if
  :: st[b] == LEADER -> if :: until[b] < cons[b] -> until[b] = cons[b] :: else fi
  :: else ->
     blk[b] = now + D;
     if :: pto[b] != b && pun[b] > now -> pun[b] = now :: else fi;
     stand(b)
  fi
}

inline link_up(b) {
  ever[b] = true;
  seen[b] = (seen[PEER] > seen[b] -> seen[PEER] : seen[b]);
  if :: st[b] != LEADER -> cons[b] = 0; force[b] = false; if :: st[b] == CARETAKER -> st[b] = FOLLOWER :: else fi :: else fi
}

#define FREE(b) (now >= pun[b] || pto[b] == b)

inline broker_acts(b) {
  if
  :: up[b] && st[b] != LEADER && st[b] != CARETAKER && FREE(b) && asked[b] != now + 1 -> stand(b)
  :: up[b] && LEADS(b) && asked[b] != now + 1 -> ask_all(b)
  :: up[b] && st[b] == LEADER && now >= until[b] -> step_down(b)
  :: up[b] && !up[PEER] && deaths > 0 && cons[b] < now + D && !IS_OVER(b) -> refusal(b)
  :: up[b] && up[PEER] && (!ever[b] || cons[b] > now) && !IS_OVER(b) -> link_up(b)
  fi
}

/* What a broker has to do before time goes on, when all is well. */
#define IS_BUSY(b) (!up[b] || (asked[b] != now + 1 && (LEADS(b) || (st[b] == FOLLOWER && FREE(b)) || st[b] == CANDIDATE)) || \
                    (st[b] == LEADER && now >= until[b]) || !ever[b] || cons[b] > now && st[b] != LEADER)
#ifdef WITNESS
#define IS_WELL (!IS_BUSY(0) && !IS_BUSY(1) && up[2])
#else
#define IS_WELL (!IS_BUSY(0) && !IS_BUSY(1))
#endif

active proctype world() {
  atomic {
    up[0] = true; up[1] = true;
#ifdef WITNESS
    up[2] = true;
#endif
    pto[0] = NOBODY; pto[1] = NOBODY; pto[2] = NOBODY; vfor[0] = NOBODY; vfor[1] = NOBODY; vfor[2] = NOBODY;
  }
  do
  :: atomic { now < MAXT && (MAY_LOSE || IS_WELL) -> tick() }
  :: atomic { now < MAXT -> broker_acts(0) }
  :: atomic { now < MAXT -> broker_acts(1) }
  :: atomic { MAY_LOSE && deaths < DEATHS && up[0] && now < MAXT -> die(0) }
  :: atomic { MAY_LOSE && deaths < DEATHS && up[1] && now < MAXT -> die(1) }
  :: atomic { !up[0] && deaths > 0 && now < MAXT -> restart(0) }
  :: atomic { !up[1] && deaths > 0 && now < MAXT -> restart(1) }
#ifdef WITNESS
  :: atomic { MAY_LOSE && deaths < DEATHS && up[2] && now < MAXT -> die(2) }
  :: atomic { !up[2] && deaths > 0 && now < MAXT -> restart(2) }
#endif
#ifdef LATE
  :: atomic { ans_on[0] && up[0] && !IS_OVER(0) -> take_answer(0, 0) }
  :: atomic { ans_on[2] && up[1] && !IS_OVER(1) -> take_answer(2, 1) }
#ifdef WITNESS
  :: atomic { ans_on[1] && up[0] && !IS_OVER(0) -> take_answer(1, 0) }
  :: atomic { ans_on[3] && up[1] && !IS_OVER(1) -> take_answer(3, 1) }
#endif
#endif
#ifdef LEASES
  :: atomic { now < MAXT && asks < LEASES && (LEADS(0)) -> if :: holder_acts(0, 0) :: holder_acts(0, 1) fi }
  :: atomic { now < MAXT && asks < LEASES && (LEADS(1)) -> if :: holder_acts(1, 0) :: holder_acts(1, 1) fi }
#endif
#ifdef YIELD
  :: atomic { now < MAXT && yields < YIELD && LEADS(0) && up[1] && st[1] == FOLLOWER && WHOLE(0, 1) -> yield(0) }
  :: atomic { now < MAXT && yields < YIELD && LEADS(1) && up[0] && st[0] == FOLLOWER && WHOLE(1, 0) -> yield(1) }
#endif
#ifdef HEAL
  :: atomic { now == MAXT -> assert(LEADS(0) != LEADS(1)); break }
#else
  :: atomic { now == MAXT -> break }
#endif
  od;
}
