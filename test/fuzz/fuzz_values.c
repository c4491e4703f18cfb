/* The small values that clients send: numbers, ids, times, base64url, seals. What is read is
 * written back the same; what is not written by us does not open. */
#include "base/clock.h"
#include "base/crypto.h"
#include "base/id.h"
#include "base/rfc3339.h"
#include "fuzz.h"

#include <errno.h>
#include <time.h>

static void check_number(struct arena *a, struct str text)
{
    struct str copy = arena_copy(a, text);
    int64_t number;
    long long theirs;

    if (!str_to_i64(text, &number))
        return;
    errno = 0;
    theirs = strtoll(copy.ptr, NULL, 10);
    MUST(errno == 0 && theirs == number);
}

static void check_id(struct arena *a, struct str text)
{
    struct id id;

    if (id_parse(text, &id))
        MUST(str_eq(id_str(&id), arena_lower(a, text)) && text.len == ID_LEN);
}

static void check_time(struct str text)
{
    char shown[CLOCK_TEXT_BYTES];
    int64_t us, again;
    struct str written;

    if (!rfc3339_parse(text, &us))
        return;
    written = clock_format(us, shown);
    /* An offset may lead out of the four digits of a year. */
    if (us >= INT64_C(-62167219200000000) && us < INT64_C(253402300800000000))
        MUST(rfc3339_parse(written, &again) && again == us);
    MUST(text.len >= 20 && written.len < sizeof(shown));
}

static void check_base64url(struct arena *a, struct str text)
{
    struct str bytes = crypto_base64url_decode(a, text), encoded = crypto_base64url(a, text), back;

    if (bytes.ptr)
        MUST(str_eq(crypto_base64url(a, bytes), text));
    back = crypto_base64url_decode(a, encoded);
    MUST(back.ptr && str_eq(back, text));
}

static void check_seal(struct arena *a, struct str text)
{
    static const unsigned char key[32] = {1}, other[32] = {2};
    struct str sealed, opened, row = STR("row");

    MUST(!crypto_open(a, key, row, text).ptr);
    sealed = crypto_seal(a, key, row, text);
    opened = crypto_open(a, key, row, sealed);
    MUST(opened.ptr && str_eq(opened, text));
    MUST(!crypto_open(a, other, row, sealed).ptr);
    MUST(!crypto_open(a, key, STR("other row"), sealed).ptr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct arena arena = {0};

    check_number(&arena, text);
    check_id(&arena, text);
    check_time(text);
    check_base64url(&arena, text);
    check_seal(&arena, text);
    arena_free(&arena);
    return 0;
}
