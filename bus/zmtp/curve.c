/* CURVE: who connects knows the server's public key, and each connection has two fresh key pairs of its own, so what was recorded
   can't be opened later even by who gets hold of the long-term keys.

     client                                   server
     HELLO     its fresh key            ->
                                        <-    WELCOME   its fresh key, a cookie
     INITIATE  the cookie, its key, a   ->
               vouch for the fresh one
                                        <-    READY, or ERROR

   RFC 26 lets a server forget a client between WELCOME and INITIATE, for datagrams whose sender may be forged. Here a connection stands
   behind each client already, its time is bounded, and so is the number of them: the server keeps its fresh key and
   compares the cookie. */
#include "bus/zmtp/curve-internal.h"

#include <sodium.h>
#include <stdlib.h>

enum {
  HELLO_BYTES = 200,
  HELLO_KEY_AT = 80,
  HELLO_NONCE_AT = 112,
  HELLO_BOX_AT = 120,
  SIGNATURE_BYTES = 64, /* zeros, sealed by HELLO */
  WELCOME_BYTES = 168,
  WELCOME_NONCE_AT = 8,
  WELCOME_BOX_AT = 24,
  WELCOME_PLAIN_BYTES = CURVE_KEY_BYTES + CURVE_COOKIE_BYTES,
  INITIATE_COOKIE_AT = 9,
  INITIATE_NONCE_AT = INITIATE_COOKIE_AT + CURVE_COOKIE_BYTES,
  INITIATE_BOX_AT = INITIATE_NONCE_AT + CURVE_SHORT_BYTES,
  VOUCH_PLAIN_BYTES = 2 * CURVE_KEY_BYTES,
  VOUCH_BOX_AT = CURVE_KEY_BYTES + CURVE_LONG_BYTES, /* in what INITIATE seals */
  METADATA_AT = VOUCH_BOX_AT + CURVE_MAC_BYTES + VOUCH_PLAIN_BYTES,
  METADATA_BYTES = 512, /* the longest that is taken */
  READY_NONCE_AT = 6,
  READY_BOX_AT = READY_NONCE_AT + CURVE_SHORT_BYTES,
};

_Static_assert(CURVE_KEY_BYTES == crypto_box_PUBLICKEYBYTES, "keys");
_Static_assert(CURVE_KEY_BYTES == crypto_box_BEFORENMBYTES, "shared keys");
_Static_assert(CURVE_MAC_BYTES == crypto_box_MACBYTES && CURVE_NONCE_BYTES == crypto_box_NONCEBYTES, "boxes");

void curve_random(void *bytes, size_t size_bytes) {
  if (sodium_init() < 0)
    abort();
  randombytes_buf(bytes, size_bytes);
}

void curve_keys_of(const uint8_t secret_key[CURVE_KEY_BYTES], CurveKeys *ret) {
  memcpy(ret->secret_key, secret_key, CURVE_KEY_BYTES);
  crypto_scalarmult_base(ret->public_key, ret->secret_key);
}

void curve_wipe(void *bytes, size_t size_bytes) {
  sodium_memzero(bytes, size_bytes);
}

bool curve_key_equal(const uint8_t a[CURVE_KEY_BYTES], const uint8_t b[CURVE_KEY_BYTES]) {
  return sodium_memcmp(a, b, CURVE_KEY_BYTES) == 0;
}

Curve *curve_new(const CurveKeys *own, const uint8_t *server, ZmtpType type, const uint8_t fresh[CURVE_FRESH_BYTES]) {
  Curve *curve = calloc(1, sizeof *curve);
  CurveShake *shake = calloc(1, sizeof *shake);

  if (!curve || !shake || sodium_init() < 0)
    abort();
  *curve = (Curve){.type = type, .is_server = !server, .shake = shake};
  if (server)
    memcpy(curve->peer, server, CURVE_KEY_BYTES);
  shake->own = *own;
  curve_keys_of(fresh, &shake->fresh);
  memcpy(shake->long_nonce, fresh + CURVE_KEY_BYTES, CURVE_LONG_BYTES);
  memcpy(shake->cookie, fresh + CURVE_KEY_BYTES + CURVE_LONG_BYTES, CURVE_COOKIE_BYTES);
  return curve;
}

void curve_shaken(Curve *curve) {
  if (!curve->shake)
    return;
  sodium_memzero(curve->shake, sizeof *curve->shake);
  free(TAKE(curve->shake));
}

void curve_destroy(Curve **p) {
  Curve *curve = TAKE(*p);

  if (!curve)
    return;
  curve_shaken(curve);
  sodium_memzero(curve, sizeof *curve);
  free(curve);
}

CurveState curve_state(const Curve *curve) {
  return curve->state;
}

const uint8_t *curve_peer(const Curve *curve) {
  return curve->peer;
}

/* --- nonces --- */

static void put_big(uint8_t at[CURVE_SHORT_BYTES], uint64_t value) {
  for (int i = CURVE_SHORT_BYTES - 1; i >= 0; i--, value >>= 8)
    at[i] = (uint8_t)value;
}

void curve_nonce(uint8_t ret[CURVE_NONCE_BYTES], const char *name, uint64_t counter) {
  memcpy(ret, name, CURVE_NONCE_BYTES - CURVE_SHORT_BYTES);
  put_big(ret + CURVE_NONCE_BYTES - CURVE_SHORT_BYTES, counter);
}

static void long_nonce(uint8_t ret[CURVE_NONCE_BYTES], const char *name, const uint8_t random[CURVE_LONG_BYTES]) {
  memcpy(ret, name, CURVE_NONCE_BYTES - CURVE_LONG_BYTES);
  memcpy(ret + CURVE_NONCE_BYTES - CURVE_LONG_BYTES, random, CURVE_LONG_BYTES);
}

int curve_take_counter(Curve *curve, const uint8_t at[CURVE_SHORT_BYTES]) {
  uint64_t counter = 0;

  for (int i = 0; i < CURVE_SHORT_BYTES; i++)
    counter = counter << 8 | at[i];
  if (counter <= curve->received)
    return ZMTP_E_SEALED;
  curve->received = counter;
  return 0;
}

/* --- what both sides do --- */

static bool is_command(Bytes command, const char *name) {
  size_t size = strlen(name);

  return command.size >= size && memcmp(command.data, name, size) == 0;
}

/* Appends the head of a command's frame and makes room for the command. Returns where it goes. */
static uint8_t *put_command(Buffer *ret, size_t size_bytes) {
  uint8_t head[ZMTP_HEAD_BYTES];
  uint8_t *at;

  buffer_append(ret, head, zmtp_head_encode(false, true, size_bytes, head));
  at = buffer_reserve(ret, size_bytes);
  memset(at, 0, size_bytes);
  ret->size += size_bytes;
  return at;
}

static void seal(uint8_t *box, const uint8_t *plain, size_t size, const uint8_t *nonce, const uint8_t *to,
                 const uint8_t *from) {
  /* A key of few points would make a box that everybody can open: then nothing readable is sent. */
  if (crypto_box_easy(box, plain, size, nonce, to, from) != 0)
    randombytes_buf(box, size + CURVE_MAC_BYTES);
}

static int unseal(uint8_t *plain, const uint8_t *box, size_t size, const uint8_t *nonce, const uint8_t *from,
                  const uint8_t *to) {
  return crypto_box_open_easy(plain, box, size, nonce, from, to) == 0 ? 0 : ZMTP_E_SEALED;
}

/* From now on both sides have the same key. */
static int share(Curve *curve) {
  const CurveShake *shake = curve->shake;

  return crypto_box_beforenm(curve->shared, shake->peer_fresh, shake->fresh.secret_key) == 0 ? 0 : ZMTP_E_SEALED;
}

/* Our metadata is that of READY in clear, behind its name. */
static Bytes metadata(ZmtpType type, Buffer *buffer) {
  enum { NAME_BYTES = 6 };
  ZmtpHead head = {.head_bytes = 0};

  zmtp_ready(type, buffer);
  zmtp_head_decode(buffer_bytes(buffer), ZMTP_FRAME_BYTES, &head);
  return (Bytes){buffer->data + head.head_bytes + NAME_BYTES, head.body_bytes - NAME_BYTES};
}

/* --- the client --- */

void curve_hello(Curve *curve, Buffer *ret) {
  static const uint8_t hello[] = {5, 'H', 'E', 'L', 'L', 'O', 1, 0};
  static const uint8_t zeros[SIGNATURE_BYTES];
  const CurveShake *shake = curve->shake;
  uint8_t *at = put_command(ret, HELLO_BYTES);
  uint8_t nonce[CURVE_NONCE_BYTES];

  memcpy(at, hello, sizeof hello);
  memcpy(at + HELLO_KEY_AT, shake->fresh.public_key, CURVE_KEY_BYTES);
  curve_nonce(nonce, "CurveZMQHELLO---", ++curve->sent);
  put_big(at + HELLO_NONCE_AT, curve->sent);
  seal(at + HELLO_BOX_AT, zeros, sizeof zeros, nonce, curve->peer, shake->fresh.secret_key);
}

/* INITIATE: what the server is told, and the vouch that our key has for the fresh one. */
static void put_initiate(Curve *curve, Buffer *ret) {
  const CurveShake *shake = curve->shake;
  _cleanup_(buffer_done) Buffer ready = {0};
  Bytes about = metadata(curve->type, &ready);
  uint8_t plain[METADATA_AT + METADATA_BYTES];
  uint8_t vouch[VOUCH_PLAIN_BYTES];
  uint8_t nonce[CURVE_NONCE_BYTES];
  uint8_t *at = put_command(ret, INITIATE_BOX_AT + CURVE_MAC_BYTES + METADATA_AT + about.size);

  memcpy(vouch, shake->fresh.public_key, CURVE_KEY_BYTES);
  memcpy(vouch + CURVE_KEY_BYTES, curve->peer, CURVE_KEY_BYTES);
  memcpy(plain, shake->own.public_key, CURVE_KEY_BYTES);
  memcpy(plain + CURVE_KEY_BYTES, shake->long_nonce, CURVE_LONG_BYTES);
  long_nonce(nonce, "VOUCH---", shake->long_nonce);
  seal(plain + VOUCH_BOX_AT, vouch, sizeof vouch, nonce, shake->peer_fresh, shake->own.secret_key);
  memcpy(plain + METADATA_AT, about.data, about.size);

  memcpy(at, "\x08INITIATE", INITIATE_COOKIE_AT);
  memcpy(at + INITIATE_COOKIE_AT, shake->cookie, CURVE_COOKIE_BYTES);
  curve_nonce(nonce, "CurveZMQINITIATE", ++curve->sent);
  put_big(at + INITIATE_NONCE_AT, curve->sent);
  crypto_box_easy_afternm(at + INITIATE_BOX_AT, plain, METADATA_AT + about.size, nonce, curve->shared);
}

static int take_welcome(Curve *curve, Bytes command, Buffer *ret) {
  CurveShake *shake = curve->shake;
  uint8_t plain[WELCOME_PLAIN_BYTES];
  uint8_t nonce[CURVE_NONCE_BYTES];
  int r;

  if (command.size != WELCOME_BYTES)
    return ZMTP_E_MALFORMED;
  long_nonce(nonce, "WELCOME-", command.data + WELCOME_NONCE_AT);
  r = unseal(plain, command.data + WELCOME_BOX_AT, WELCOME_BYTES - WELCOME_BOX_AT, nonce, curve->peer,
             shake->fresh.secret_key);
  if (r != 0)
    return r;
  memcpy(shake->peer_fresh, plain, CURVE_KEY_BYTES);
  memcpy(shake->cookie, plain + CURVE_KEY_BYTES, CURVE_COOKIE_BYTES);
  shake->said_hello = true;
  r = share(curve);
  if (r == 0)
    put_initiate(curve, ret);
  return r;
}

static int take_ready(Curve *curve, Bytes command) {
  uint8_t plain[METADATA_BYTES];
  uint8_t nonce[CURVE_NONCE_BYTES];
  size_t size;
  int r;

  if (command.size < READY_BOX_AT + CURVE_MAC_BYTES || command.size > READY_BOX_AT + CURVE_MAC_BYTES + sizeof plain)
    return ZMTP_E_MALFORMED;
  size = command.size - READY_BOX_AT;
  r = curve_take_counter(curve, command.data + READY_NONCE_AT);
  if (r != 0)
    return r;
  curve_nonce(nonce, "CurveZMQREADY---", curve->received);
  if (crypto_box_open_easy_afternm(plain, command.data + READY_BOX_AT, size, nonce, curve->shared) != 0)
    return ZMTP_E_SEALED;
  r = zmtp_ready_check((Bytes){plain, size - CURVE_MAC_BYTES}, curve->type);
  if (r != 0)
    return r;
  curve_shaken(curve);
  curve->state = CURVE_OPEN;
  return 0;
}

static int step_client(Curve *curve, Bytes command, Buffer *ret) {
  if (is_command(command, "\5ERROR"))
    return ZMTP_E_REFUSED;
  if (is_command(command, "\7WELCOME") && !curve->shake->said_hello)
    return take_welcome(curve, command, ret);
  if (is_command(command, "\5READY") && curve->shake->said_hello)
    return take_ready(curve, command);
  return ZMTP_E_MALFORMED;
}

/* --- the server --- */

static void put_welcome(Curve *curve, Buffer *ret) {
  const CurveShake *shake = curve->shake;
  uint8_t *at = put_command(ret, WELCOME_BYTES);
  uint8_t plain[WELCOME_PLAIN_BYTES];
  uint8_t nonce[CURVE_NONCE_BYTES];

  memcpy(plain, shake->fresh.public_key, CURVE_KEY_BYTES);
  memcpy(plain + CURVE_KEY_BYTES, shake->cookie, CURVE_COOKIE_BYTES);
  memcpy(at, "\7WELCOME", WELCOME_NONCE_AT);
  memcpy(at + WELCOME_NONCE_AT, shake->long_nonce, CURVE_LONG_BYTES);
  long_nonce(nonce, "WELCOME-", shake->long_nonce);
  seal(at + WELCOME_BOX_AT, plain, sizeof plain, nonce, shake->peer_fresh, shake->own.secret_key);
}

static int take_hello(Curve *curve, Bytes command, Buffer *ret) {
  CurveShake *shake = curve->shake;
  uint8_t plain[SIGNATURE_BYTES];
  uint8_t nonce[CURVE_NONCE_BYTES];
  int r;

  if (command.size != HELLO_BYTES || command.data[6] != 1)
    return ZMTP_E_MALFORMED;
  memcpy(shake->peer_fresh, command.data + HELLO_KEY_AT, CURVE_KEY_BYTES);
  r = curve_take_counter(curve, command.data + HELLO_NONCE_AT);
  if (r != 0)
    return r;
  curve_nonce(nonce, "CurveZMQHELLO---", curve->received);
  r = unseal(plain, command.data + HELLO_BOX_AT, HELLO_BYTES - HELLO_BOX_AT, nonce, shake->peer_fresh,
             shake->own.secret_key);
  if (r == 0)
    r = share(curve);
  if (r != 0)
    return r;
  shake->said_hello = true;
  put_welcome(curve, ret);
  return 0;
}

/* Whether the long-term key of plain has vouched for the fresh one of this connection, towards this server. */
static int check_vouch(const Curve *curve, const uint8_t *plain) {
  const CurveShake *shake = curve->shake;
  uint8_t vouch[VOUCH_PLAIN_BYTES];
  uint8_t nonce[CURVE_NONCE_BYTES];

  long_nonce(nonce, "VOUCH---", plain + CURVE_KEY_BYTES);
  if (unseal(vouch, plain + VOUCH_BOX_AT, CURVE_MAC_BYTES + sizeof vouch, nonce, plain, shake->fresh.secret_key) != 0 ||
      !curve_key_equal(vouch, shake->peer_fresh) || !curve_key_equal(vouch + CURVE_KEY_BYTES, shake->own.public_key))
    return ZMTP_E_SEALED;
  return 0;
}

static int take_initiate(Curve *curve, Bytes command) {
  uint8_t plain[METADATA_AT + METADATA_BYTES];
  uint8_t nonce[CURVE_NONCE_BYTES];
  size_t size;
  int r;

  if (command.size < INITIATE_BOX_AT + CURVE_MAC_BYTES + METADATA_AT ||
      command.size > INITIATE_BOX_AT + CURVE_MAC_BYTES + sizeof plain)
    return ZMTP_E_MALFORMED;
  size = command.size - INITIATE_BOX_AT;
  if (sodium_memcmp(command.data + INITIATE_COOKIE_AT, curve->shake->cookie, CURVE_COOKIE_BYTES) != 0)
    return ZMTP_E_SEALED;
  r = curve_take_counter(curve, command.data + INITIATE_NONCE_AT);
  if (r != 0)
    return r;
  curve_nonce(nonce, "CurveZMQINITIATE", curve->received);
  if (crypto_box_open_easy_afternm(plain, command.data + INITIATE_BOX_AT, size, nonce, curve->shared) != 0)
    return ZMTP_E_SEALED;
  r = check_vouch(curve, plain);
  if (r == 0)
    r = zmtp_ready_check((Bytes){plain + METADATA_AT, size - CURVE_MAC_BYTES - METADATA_AT}, curve->type);
  if (r != 0)
    return r;
  memcpy(curve->peer, plain, CURVE_KEY_BYTES);
  curve->state = CURVE_ASKING;
  return 0;
}

static int step_server(Curve *curve, Bytes command, Buffer *ret) {
  if (is_command(command, "\5HELLO") && !curve->shake->said_hello)
    return take_hello(curve, command, ret);
  if (is_command(command, "\x08INITIATE") && curve->shake->said_hello)
    return take_initiate(curve, command);
  return ZMTP_E_MALFORMED;
}

int curve_step(Curve *curve, Bytes command, Buffer *ret) {
  if (curve->state != CURVE_SHAKING)
    return ZMTP_E_MALFORMED;
  return curve->is_server ? step_server(curve, command, ret) : step_client(curve, command, ret);
}

void curve_admit(Curve *curve, Buffer *ret) {
  _cleanup_(buffer_done) Buffer ready = {0};
  Bytes about = metadata(curve->type, &ready);
  uint8_t *at = put_command(ret, READY_BOX_AT + CURVE_MAC_BYTES + about.size);
  uint8_t nonce[CURVE_NONCE_BYTES];

  memcpy(at, "\5READY", READY_NONCE_AT);
  curve_nonce(nonce, "CurveZMQREADY---", ++curve->sent);
  put_big(at + READY_NONCE_AT, curve->sent);
  crypto_box_easy_afternm(at + READY_BOX_AT, about.data, about.size, nonce, curve->shared);
  curve_shaken(curve);
  curve->state = CURVE_OPEN;
}

void curve_refuse(Curve *curve, Buffer *ret) {
  static const char error[] = "\5ERROR\3" /* and the status of ZAP */ "400";

  memcpy(put_command(ret, sizeof error - 1), error, sizeof error - 1);
  curve_shaken(curve);
}
