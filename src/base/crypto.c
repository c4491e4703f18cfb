/* Digests, message authentication and sealing, with OpenSSL's primitives. */

/* A digest must not fail for want of memory, and EVP allocates for each one; the interface below
 * it, which OpenSSL 3.0 calls deprecated, does not. Ciphers, which can fail, go through EVP. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { NONCE_BYTES = 12, TAG_BYTES = 16, BLOCK_BYTES = 64 };

static const struct str seal_mark = {"v1:", 3};

void crypto_random(void *out, size_t len)
{
    unsigned char *at = out;

    if (len <= INT32_MAX && RAND_bytes(at, (int)len) == 1)
        return;
    /* OpenSSL's generator needs memory for a thread's first call; the kernel's does not. */
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);

        if (n <= 0)
            abort();
        at += n;
        len -= (size_t)n;
    }
}

/* SHA-256 of two parts, one after the other. */
static void digest(struct str a, struct str b, unsigned char out[SHA256_BYTES])
{
    SHA256_CTX ctx;

    SHA256_Init(&ctx);
    SHA256_Update(&ctx, a.ptr, a.len);
    SHA256_Update(&ctx, b.ptr, b.len);
    SHA256_Final(out, &ctx);
    OPENSSL_cleanse(&ctx, sizeof(ctx));
}

static struct str bytes(const unsigned char *ptr, size_t len)
{
    return (struct str){(const char *)ptr, len};
}

void crypto_sha1(struct str in, unsigned char out[SHA1_BYTES])
{
    SHA_CTX ctx;

    SHA1_Init(&ctx);
    SHA1_Update(&ctx, in.ptr, in.len);
    SHA1_Final(out, &ctx);
}

void crypto_sha256(struct str in, unsigned char out[SHA256_BYTES])
{
    digest(in, STR_NONE, out);
}

_Static_assert(sizeof(SHA256_CTX) <= sizeof(((struct crypto_sum *)0)->state),
               "OpenSSL's state has room");

void crypto_sum_add(struct crypto_sum *s, struct str piece)
{
    if (!s->is_begun)
        SHA256_Init((SHA256_CTX *)s->state);
    s->is_begun = true;
    SHA256_Update((SHA256_CTX *)s->state, piece.ptr, piece.len);
}

void crypto_sum_end(struct crypto_sum *s, unsigned char out[SHA256_BYTES])
{
    crypto_sum_add(s, STR(""));
    SHA256_Final(out, (SHA256_CTX *)s->state);
}

/* RFC 2104 over the digest above. EVP_MAC would allocate for each key. */
void crypto_hmac_sha256(struct str key, struct str in, unsigned char out[SHA256_BYTES])
{
    unsigned char block[BLOCK_BYTES] = {0}, pad[BLOCK_BYTES], inner[SHA256_BYTES];

    if (key.len > sizeof(block))
        crypto_sha256(key, block);
    else if (key.len > 0)
        memcpy(block, key.ptr, key.len);
    for (size_t i = 0; i < sizeof(block); i++)
        pad[i] = block[i] ^ 0x36;
    digest(bytes(pad, sizeof(pad)), in, inner);
    for (size_t i = 0; i < sizeof(block); i++)
        pad[i] = block[i] ^ 0x5c;
    digest(bytes(pad, sizeof(pad)), bytes(inner, sizeof(inner)), out);
    OPENSSL_cleanse(block, sizeof(block));
    OPENSSL_cleanse(pad, sizeof(pad));
    OPENSSL_cleanse(inner, sizeof(inner));
}

bool crypto_equal(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* RFC 5869 without salt; one block of output, so info is followed by the byte 1 only. */
void crypto_derive(struct str secret, const char *purpose, unsigned char out[32])
{
    static const unsigned char no_salt[SHA256_BYTES];
    unsigned char key[SHA256_BYTES], info[128];
    size_t len = strlen(purpose);

    if (len >= sizeof(info))
        abort(); /* purposes are literals */
    memcpy(info, purpose, len);
    info[len] = 1;
    crypto_hmac_sha256(bytes(no_salt, sizeof(no_salt)), secret, key);
    crypto_hmac_sha256(bytes(key, sizeof(key)), bytes(info, len + 1), out);
    OPENSSL_cleanse(key, sizeof(key));
}

bool crypto_stretch(struct str passphrase, struct str salt, unsigned char out[32])
{
    return EVP_PBE_scrypt(passphrase.ptr, passphrase.len, (const unsigned char *)salt.ptr, salt.len,
                          32768, 8, 1, UINT64_C(64) << 20, out, 32) == 1;
}

static bool gcm_encrypt(EVP_CIPHER_CTX *ctx, const unsigned char key[32], struct str aad,
                        struct str text, unsigned char *nonce, unsigned char *out,
                        unsigned char *tag)
{
    int n, last;

    return EVP_EncryptInit_ex2(ctx, EVP_aes_256_gcm(), key, nonce, NULL) == 1 &&
           EVP_EncryptUpdate(ctx, NULL, &n, (const unsigned char *)aad.ptr, (int)aad.len) == 1 &&
           EVP_EncryptUpdate(ctx, out, &n, (const unsigned char *)text.ptr, (int)text.len) == 1 &&
           EVP_EncryptFinal_ex(ctx, out + n, &last) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) == 1;
}

struct str crypto_seal(struct arena *a, const unsigned char key[32], struct str aad,
                       struct str text)
{
    size_t len = NONCE_BYTES + text.len + TAG_BYTES;
    struct str sealed = STR_NONE;
    EVP_CIPHER_CTX *ctx;
    unsigned char *raw;

    if (text.len > INT32_MAX / 2 || aad.len > INT32_MAX / 2)
        return STR_NONE;
    ctx = EVP_CIPHER_CTX_new();
    raw = arena_alloc(a, len);
    if (ctx && raw) {
        crypto_random(raw, NONCE_BYTES);
        if (gcm_encrypt(ctx, key, aad, text, raw, raw + NONCE_BYTES, raw + NONCE_BYTES + text.len))
            sealed = crypto_base64url(a, bytes(raw, len));
    }
    EVP_CIPHER_CTX_free(ctx);
    return sealed.ptr ? arena_printf(a, "%s%s", seal_mark.ptr, sealed.ptr) : STR_NONE;
}

static bool decrypt(EVP_CIPHER_CTX *ctx, const unsigned char key[32], struct str aad, struct str in,
                    const unsigned char *nonce, unsigned char *tag, unsigned char *out)
{
    int n, last;

    return EVP_DecryptInit_ex2(ctx, EVP_aes_256_gcm(), key, nonce, NULL) == 1 &&
           EVP_DecryptUpdate(ctx, NULL, &n, (const unsigned char *)aad.ptr, (int)aad.len) == 1 &&
           EVP_DecryptUpdate(ctx, out, &n, (const unsigned char *)in.ptr, (int)in.len) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1 &&
           EVP_DecryptFinal_ex(ctx, out + n, &last) == 1;
}

struct str crypto_open(struct arena *a, const unsigned char key[32], struct str aad,
                       struct str sealed)
{
    unsigned char tag[TAG_BYTES], *out;
    EVP_CIPHER_CTX *ctx;
    struct str raw, in;
    bool is_open;

    if (!str_starts_with(sealed, seal_mark) || aad.len > INT32_MAX / 2)
        return STR_NONE;
    raw = crypto_base64url_decode(a, str_skip(sealed, seal_mark.len));
    if (!raw.ptr || raw.len < NONCE_BYTES + TAG_BYTES || raw.len > INT32_MAX / 2)
        return STR_NONE;
    in = (struct str){raw.ptr + NONCE_BYTES, raw.len - NONCE_BYTES - TAG_BYTES};
    memcpy(tag, in.ptr + in.len, sizeof(tag));
    ctx = EVP_CIPHER_CTX_new();
    out = arena_alloc(a, in.len + 1);
    is_open = ctx && out && decrypt(ctx, key, aad, in, (const unsigned char *)raw.ptr, tag, out);
    if (out && !is_open)
        OPENSSL_cleanse(out, in.len);
    EVP_CIPHER_CTX_free(ctx);
    return is_open ? bytes(out, in.len) : STR_NONE;
}
