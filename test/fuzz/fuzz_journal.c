/* A journal's file after a crash: any bytes, and one made of the input, cut and damaged anywhere.
 * What was written whole before the damage is read back; what is damaged is not. The first byte
 * says where it is damaged, the second how. */
#include "chat/journal_record.h"
#include "fuzz.h"

static unsigned count_records(struct str file)
{
    struct str rest = file;
    struct journal_record record;
    unsigned n = 0;

    if (!journal_record_begin(&rest))
        return 0;
    while (journal_record_next(&rest, &record)) {
        struct buf again = {0};
        struct id id;

        n++;
        MUST(is_within(record.text, file) && is_within(rest, file));
        MUST(id_parse(id_str(&record.reply_id), &id) && id_parse(id_str(&record.team_id), &id));
        MUST(journal_record_append(&again, &record));
        MUST(again.len == JOURNAL_RECORD_BYTES + record.text.len);
        buf_deinit(&again);
    }
    return n;
}

/* Of each line one record; *ends[i] is where record i ends. */
static unsigned write_file(struct buf *file, struct str text, size_t ends[16])
{
    struct journal_record record = {.reply_id = id_v7_named(1, (const unsigned char *)"0123456789"),
                                    .team_id = id_v7_named(2, (const unsigned char *)"abcdefghij")};
    unsigned n = 0;

    buf_append_str(file, STR(JOURNAL_HEAD));
    while (n < 16 && str_next(&text, '\n', &record.text)) {
        MUST(journal_record_append(file, &record));
        record.offset += record.text.len;
        ends[n++] = file->len;
    }
    return n;
}

static unsigned count_ending_before(const size_t *ends, unsigned n, size_t at)
{
    unsigned whole = 0;

    while (whole < n && ends[whole] <= at)
        whole++;
    return whole;
}

static void check_own(struct str text, unsigned where, unsigned how)
{
    struct buf file = {0};
    size_t ends[16], at;
    unsigned n = write_file(&file, text, ends);
    char *exact = malloc(file.len);

    MUST(exact && count_records(buf_str(&file)) == n);
    at = strlen(JOURNAL_HEAD) + where * (file.len - strlen(JOURNAL_HEAD)) / 256;
    memcpy(exact, file.data, file.len);
    exact = realloc(exact, at); /* so that reading past the cut is seen */
    MUST(exact != NULL);
    MUST(count_records((struct str){exact, at}) == count_ending_before(ends, n, at));
    free(exact);
    file.data[at] = (char)(file.data[at] ^ (how ? how : 1)); /* CRC-32C sees any error of 8 bits */
    MUST(count_records(buf_str(&file)) == count_ending_before(ends, n, at));
    buf_deinit(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size};
    unsigned where, how;

    count_records(bytes);
    where = take_byte(&bytes);
    how = take_byte(&bytes);
    check_own(bytes, where, how);
    return 0;
}
