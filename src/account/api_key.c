/* Makes and reads API keys. */
#include "account/api_key.h"

#include "base/crypto.h"
#include "digits.h"

#include <string.h>

#define KEY_BYTES 33

static const char start[] = "eck_";

static void complete(struct api_key *key)
{
    memcpy(key->prefix, key->text, API_KEY_PREFIX);
    key->prefix[API_KEY_PREFIX] = 0;
    crypto_sha256((struct str){key->text, API_KEY_LEN}, (unsigned char *)key->sum);
    digits_hex((const unsigned char *)key->sum, sizeof(key->sum), key->hash);
}

void api_key_new(struct api_key *out)
{
    unsigned char bytes[KEY_BYTES];

    crypto_random(bytes, sizeof(bytes));
    memcpy(out->text, start, sizeof(start));
    digits_base64url(bytes, sizeof(bytes), out->text + sizeof(start) - 1);
    complete(out);
}

bool api_key_read(struct str text, struct api_key *out)
{
    if (text.len != API_KEY_LEN || !str_starts_with(text, STR("eck_")) ||
        !digits_are_base64url(str_skip(text, sizeof(start) - 1)))
        return false;
    memcpy(out->text, text.ptr, text.len);
    out->text[text.len] = 0;
    complete(out);
    return true;
}

bool api_key_is_scope(struct str word)
{
    static const char *const scopes[] = {"admin:read", "chat", "documents"};

    for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
        if (str_eq(word, str_from(scopes[i])))
            return true;
    return false;
}
