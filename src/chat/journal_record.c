/* The records of a journal, and the sum that tells a whole one. */
#include "journal_record.h"

#include <string.h>

enum { SUM_BYTES = 4, LENGTH_AT = 4, OFFSET_AT = 8, REPLY_AT = 16, TEAM_AT = REPLY_AT + ID_LEN };

/* CRC-32C (RFC 3720 appendix B.4): processors have it built in. */
static uint32_t table[256];

__attribute__((constructor)) static void make_table(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        table[b] = b;
        for (int bit = 0; bit < 8; bit++)
            table[b] = table[b] >> 1 ^ (table[b] & 1 ? UINT32_C(0x82F63B78) : 0);
    }
}

static void skip(struct str *s, size_t n)
{
    s->ptr += n;
    s->len -= n;
}

#ifdef __x86_64__
/* Takes eight bytes at a time off s, as long as there are so many. */
__attribute__((target("sse4.2"))) static uint32_t add_words(uint32_t sum, struct str *s)
{
    uint64_t wide = sum, word;

    for (; s->len >= sizeof(word); skip(s, sizeof(word))) {
        memcpy(&word, s->ptr, sizeof(word));
        wide = __builtin_ia32_crc32di(wide, word);
    }
    return (uint32_t)wide;
}
#endif

static uint32_t sum_of(struct str s)
{
    uint32_t sum = UINT32_MAX;

#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        sum = add_words(sum, &s);
#endif
    for (; s.len > 0; skip(&s, 1))
        sum = sum >> 8 ^ table[(sum ^ (unsigned char)*s.ptr) & 0xFF];
    return ~sum;
}

static uint64_t get_number(const char *at, size_t n_bytes)
{
    uint64_t n = 0;

    while (n_bytes-- > 0)
        n = n << 8 | (unsigned char)at[n_bytes];
    return n;
}

static void put_number(char *at, uint64_t n, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        at[i] = (char)(n >> 8 * i);
}

bool journal_record_append(struct buf *out, const struct journal_record *record)
{
    char *at;

    if (!buf_reserve(out, JOURNAL_RECORD_BYTES + record->text.len))
        return false;
    at = out->data + out->len;
    put_number(at + LENGTH_AT, record->text.len, 4);
    put_number(at + OFFSET_AT, record->offset, 8);
    memcpy(at + REPLY_AT, record->reply_id.text, ID_LEN);
    memcpy(at + TEAM_AT, record->team_id.text, ID_LEN);
    if (record->text.len > 0)
        memcpy(at + JOURNAL_RECORD_BYTES, record->text.ptr, record->text.len);
    put_number(
        at,
        sum_of((struct str){at + SUM_BYTES, JOURNAL_RECORD_BYTES - SUM_BYTES + record->text.len}),
        SUM_BYTES);
    out->len += JOURNAL_RECORD_BYTES + record->text.len;
    return true;
}

bool journal_record_begin(struct str *file)
{
    if (!str_starts_with(*file, STR(JOURNAL_HEAD)))
        return false;
    skip(file, strlen(JOURNAL_HEAD));
    return true;
}

bool journal_record_next(struct str *file, struct journal_record *out)
{
    const char *at = file->ptr;
    size_t len;

    if (file->len < JOURNAL_RECORD_BYTES)
        return false;
    len = get_number(at + LENGTH_AT, 4);
    if (len > file->len - JOURNAL_RECORD_BYTES ||
        sum_of((struct str){at + SUM_BYTES, JOURNAL_RECORD_BYTES - SUM_BYTES + len}) !=
            get_number(at, SUM_BYTES))
        return false;
    out->offset = get_number(at + OFFSET_AT, 8);
    out->text = (struct str){at + JOURNAL_RECORD_BYTES, len};
    if (!id_parse((struct str){at + REPLY_AT, ID_LEN}, &out->reply_id) ||
        !id_parse((struct str){at + TEAM_AT, ID_LEN}, &out->team_id))
        return false;
    skip(file, JOURNAL_RECORD_BYTES + len);
    return true;
}
