/* Done once: attempts, probes, those that can not vouch. Runs and mutants: README.md in this folder.
   spin -a -DATTEMPT -DROSTER -DCONFIRM -DWCRASH once.pml && gcc -O2 -DSAFETY -DVECTORSZ=2048 -DCOLLAPSE -w -o pan pan.c && ./pan -m4000000 -E
   No clock in it: safety needs none. FORWARD, streams and one-way cuts are not in it yet. */
#ifdef CONFIRM
#define OLD(i) old[i]
#else
#define OLD(i) true
#endif
/* one client, 2 brokers, 2 workers, one `once` request; asynchronous, FIFO links; suspicion is arbitrary.
   flags (cpp): ATTEMPT tombstone by attempt number (else: tombstone = refuse the other broker, cleared for the prober)
                ROSTER  probe set = all names known, a missing one or one younger than the request cannot vouch
                CONFIRM dispatch to a session younger than the request's arrival needs client's yes
                WCRASH BCRASH LATEREG  faults */
#ifndef MAXN
#define MAXN 2
#endif
mtype = {REQ, DISP, PROBE, PASS, HAVE, CANT, HELLO, CONF, YES, UNK, OK};
chan c2b[2] = [3] of {mtype, byte};
chan b2c[2] = [4] of {mtype, byte};
chan b2w[4] = [3] of {mtype, byte, byte};   /* type, n, inc ; index b*2+w */
chan w2b[4] = [5] of {mtype, byte, byte};   /* type, n, inc */
byte exec = 0; byte cn = 0; byte ct = 0; bool fin = false; bool sent = false;
byte winc[2]; byte sess[4]; bool young[2];   /* young: incarnation began after first send */
bool bup[2];
byte wcr = 0; byte bcr = 0;
byte binc[2];
inline drain(ch) { do :: ch?[_,_,_] -> ch?_,_,_ :: else -> break od }
inline drain2(ch) { do :: ch?[_,_] -> ch?_,_ :: else -> break od }

proctype client() {
  byte n;
  atomic { c2b[0]!REQ,0; sent = true }
  do
  :: fin -> break
  :: atomic { !fin && cn < MAXN && (len(c2b[1-ct])<3) -> cn++; ct = 1-ct; c2b[ct]!REQ,cn }
  :: atomic { b2c[0]?OK,_ -> fin = true }
  :: atomic { b2c[1]?OK,_ -> fin = true }
  :: atomic { b2c[0]?UNK,n -> if :: n==cn -> fin = true :: else fi }
  :: atomic { b2c[1]?UNK,n -> if :: n==cn -> fin = true :: else fi }
  :: atomic { b2c[0]?CONF,n -> if :: (n%8)==cn && ct==0 && (len(c2b[0])<3) -> c2b[0]!YES,n :: else fi }
  :: atomic { b2c[1]?CONF,n -> if :: (n%8)==cn && ct==1 && (len(c2b[1])<3) -> c2b[1]!YES,n :: else fi }
  od
}
proctype broker(byte b) {
  byte n, i, inc; byte cur = 255; byte ver = 0; byte st = 0; /* 0 none 1 queued 2 probing 3 dispatched/attached 4 dead */
  bool ans[2]; bool asked[2]; bool old[2]; old[0]=true; old[1]=true; bool ok;
  do
  :: atomic { c2b[b]?REQ,n ->
      if :: (cur == 255 || n > cur) ->
           cur = n; ans[0]=false; ans[1]=false; asked[0]=false; asked[1]=false;
           if :: n == 0 -> st = 1
              :: else ->
#ifdef ROSTER
                if :: (sess[b*2]==0 || sess[b*2+1]==0) -> st = 4; b2c[b]!UNK,cur
                   :: else -> st = 2; b2w[b*2]!PROBE,n,sess[b*2]; asked[0]=true; b2w[b*2+1]!PROBE,n,sess[b*2+1]; asked[1]=true
                fi
#else
                st = 2;
                if :: sess[b*2]>0 -> b2w[b*2]!PROBE,n,sess[b*2]; asked[0]=true :: else fi;
                if :: sess[b*2+1]>0 -> b2w[b*2+1]!PROBE,n,sess[b*2+1]; asked[1]=true :: else fi;
#endif
           fi
         :: else
      fi }
  :: atomic { c2b[b]?YES,n -> if :: n==cur+8*ver && st==1 -> old[0]=(sess[b*2]>0); old[1]=(sess[b*2+1]>0) :: else fi }
  :: atomic { st==2 && (!asked[0]||ans[0]) && (!asked[1]||ans[1]) -> st = 1 }
  :: atomic { st==2 && (len(b2c[b])<4) -> st = 4; b2c[b]!UNK,cur }   /* patience over */
#ifdef CONFIRM
  :: atomic { st==1 && ((sess[b*2]>0 && !old[0]) || (sess[b*2+1]>0 && !old[1])) && (len(b2c[b])==0) -> b2c[b]!CONF,cur+8*ver }
#endif
  :: atomic { st==1 && sess[b*2]>0 && (len(b2w[b*2])<3) && OLD(0) -> b2w[b*2]!DISP,cur,sess[b*2]; st = 3 }
  :: atomic { st==1 && sess[b*2+1]>0 && (len(b2w[b*2+1])<3) && OLD(1) -> b2w[b*2+1]!DISP,cur,sess[b*2+1]; st = 3 }
  :: atomic { w2b[b*2]?HELLO,_,inc -> if :: inc==winc[0] -> sess[b*2]=inc; old[0]=false; ver++ :: else fi }
  :: atomic { w2b[b*2+1]?HELLO,_,inc -> if :: inc==winc[1] -> sess[b*2+1]=inc; old[1]=false; ver++ :: else fi }
  :: atomic { w2b[b*2]?PASS,n,_ -> if :: n==cur -> ans[0]=true :: else fi }
  :: atomic { w2b[b*2+1]?PASS,n,_ -> if :: n==cur -> ans[1]=true :: else fi }
  :: atomic { w2b[b*2]?HAVE,n,_ -> if :: n==cur && st==2 -> st=3 :: else fi }
  :: atomic { w2b[b*2+1]?HAVE,n,_ -> if :: n==cur && st==2 -> st=3 :: else fi }
  :: atomic { w2b[b*2]?CANT,n,_ -> if :: n==cur && st==2 && (len(b2c[b])<4) -> st=4; b2c[b]!UNK,cur :: else fi }
  :: atomic { w2b[b*2+1]?CANT,n,_ -> if :: n==cur && st==2 && (len(b2c[b])<4) -> st=4; b2c[b]!UNK,cur :: else fi }
  :: atomic { w2b[b*2]?OK,_,_ -> if :: (len(b2c[b])<4) -> b2c[b]!OK,0 :: else fi }
  :: atomic { w2b[b*2+1]?OK,_,_ -> if :: (len(b2c[b])<4) -> b2c[b]!OK,0 :: else fi }
  /* notices a lost session (true death, or, with LATEREG, a cut of this one link) */
  :: atomic { sess[b*2]>0 && sess[b*2]!=winc[0] -> sess[b*2]=0; old[0]=false; if :: st==2 && asked[0] && !ans[0] ->
#ifdef ROSTER
       st=4; if :: (len(b2c[b])<4) -> b2c[b]!UNK,cur :: else fi
#else
       asked[0]=false
#endif
       :: else fi }
  :: atomic { sess[b*2+1]>0 && sess[b*2+1]!=winc[1] -> sess[b*2+1]=0; old[1]=false; if :: st==2 && asked[1] && !ans[1] ->
#ifdef ROSTER
       st=4; if :: (len(b2c[b])<4) -> b2c[b]!UNK,cur :: else fi
#else
       asked[1]=false
#endif
       :: else fi }
#ifdef BCRASH
  :: atomic { bcr < 1 -> bcr++; st=0; cur=255; ver=0; sess[b*2]=0; sess[b*2+1]=0; ans[0]=false;ans[1]=false;asked[0]=false;asked[1]=false;old[0]=false;old[1]=false;
       drain2(c2b[b]); drain2(b2c[b]); drain(b2w[b*2]); drain(b2w[b*2+1]); drain(w2b[b*2]); drain(w2b[b*2+1]);
       if :: (len(w2b[b*2])<5) -> w2b[b*2]!HELLO,0,winc[0] fi; if :: (len(w2b[b*2+1])<5) -> w2b[b*2+1]!HELLO,0,winc[1] fi }
#endif
  od
}
proctype worker(byte w) {
  byte n, inc; bool done=false; byte maxn=0; byte b; bool tomb[2];
  do
  :: atomic { b2w[w]?DISP,n,inc -> b=0; goto disp }
  :: atomic { b2w[2+w]?DISP,n,inc -> b=1; goto disp }
  :: atomic { b2w[w]?PROBE,n,inc -> b=0; goto probe }
  :: atomic { b2w[2+w]?PROBE,n,inc -> b=1; goto probe }
#ifdef WCRASH
  :: atomic { wcr < 1 && sent -> wcr++; winc[w]++; young[w]=true; done=false; maxn=0; tomb[0]=false; tomb[1]=false;
       drain(b2w[w]); drain(b2w[2+w]); drain(w2b[w]); drain(w2b[2+w]);
       w2b[w]!HELLO,0,winc[w]; w2b[2+w]!HELLO,0,winc[w] }
#endif
  od;
disp:
  atomic {
    if :: inc != winc[w] -> skip
    :: inc == winc[w] ->
#ifdef ATTEMPT
      if :: n < maxn -> skip
         :: n >= maxn && done -> maxn=n
         :: n >= maxn && !done -> maxn=n; done=true; exec++; assert(exec<=1); if :: (len(w2b[b*2+w])<5) -> w2b[b*2+w]!OK,0,winc[w] :: else fi
      fi
#else
      if :: tomb[b] -> skip
         :: !tomb[b] && done -> skip
         :: !tomb[b] && !done -> done=true; exec++; assert(exec<=1); if :: (len(w2b[b*2+w])<5) -> w2b[b*2+w]!OK,0,winc[w] :: else fi
      fi
#endif
    fi; n=0; inc=0; b=0; goto top }
probe:
  atomic {
    if :: inc != winc[w] -> skip
    :: inc == winc[w] && done -> maxn = (n>maxn -> n : maxn); w2b[b*2+w]!HAVE,n,winc[w]
    :: inc == winc[w] && !done ->
#ifdef ATTEMPT
      if :: n < maxn -> skip
         :: else -> maxn = n;
#ifdef ROSTER
           if :: young[w] -> w2b[b*2+w]!CANT,n,winc[w] :: else -> w2b[b*2+w]!PASS,n,winc[w] fi
#else
           w2b[b*2+w]!PASS,n,winc[w]
#endif
      fi
#else
      tomb[1-b]=true; tomb[b]=false; w2b[b*2+w]!PASS,n,winc[w]
#endif
    fi; n=0; inc=0; b=0; goto top }
top:
  do
  :: atomic { b2w[w]?DISP,n,inc -> b=0; goto disp }
  :: atomic { b2w[2+w]?DISP,n,inc -> b=1; goto disp }
  :: atomic { b2w[w]?PROBE,n,inc -> b=0; goto probe }
  :: atomic { b2w[2+w]?PROBE,n,inc -> b=1; goto probe }
#ifdef WCRASH
  :: atomic { wcr < 1 && sent -> wcr++; winc[w]++; young[w]=true; done=false; maxn=0; tomb[0]=false; tomb[1]=false;
       drain(b2w[w]); drain(b2w[2+w]); drain(w2b[w]); drain(w2b[2+w]);
       w2b[w]!HELLO,0,winc[w]; w2b[2+w]!HELLO,0,winc[w] }
#endif
  od
}
init { atomic { winc[0]=1; winc[1]=1;
#ifdef LATEREG
  sess[0]=1; sess[1]=1; sess[2]=1; sess[3]=0; w2b[3]!HELLO,0,1;   /* worker 1 not yet registered at broker B */
#else
  sess[0]=1; sess[1]=1; sess[2]=1; sess[3]=1;
#endif
  run client(); run broker(0); run broker(1); run worker(0); run worker(1) } }
