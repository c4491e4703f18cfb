/* Between our types and PostgreSQL's: arguments as text (bytes as they are), results from binary,
 * errors without values. */
#include "db/pg.h"

#include "base/clock.h"
#include "base/id.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* PostgreSQL counts from 2000-01-01. */
#define EPOCH_US INT64_C(946684800000000)

/* pg_type.dat's numbers */
enum pg_oid {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_NAME = 19,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_JSON = 114,
    OID_UNKNOWN = 705,
    OID_BPCHAR = 1042,
    OID_VARCHAR = 1043,
    OID_TIMESTAMPTZ = 1184,
    OID_VOID = 2278,
    OID_UUID = 2950,
    OID_JSONB = 3802,
};

void pg_args_set(struct pg_args *out, const struct db_arg *args, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct db_arg *arg = &args[i];
        char *text = out->texts[i];

        out->values[i] = text;
        out->lengths[i] = 0;
        out->formats[i] = 0;
        switch (arg->type) {
        case DB_NULL:
            out->values[i] = NULL;
            break;
        case DB_TEXT:
        case DB_UUID:
        case DB_JSON:
            out->values[i] = arg->text.ptr;
            break;
        case DB_BYTES:
            out->values[i] = arg->text.ptr;
            out->lengths[i] = (int)arg->text.len;
            out->formats[i] = 1;
            break;
        case DB_INT:
            snprintf(text, PG_ARG_TEXT_BYTES, "%" PRId64, arg->number);
            break;
        case DB_BOOL:
            snprintf(text, PG_ARG_TEXT_BYTES, "%s", arg->number ? "true" : "false");
            break;
        case DB_TIME: {
            char at[CLOCK_TEXT_BYTES];
            struct str time = clock_format(arg->number, at);

            snprintf(text, PG_ARG_TEXT_BYTES, "%.*s", STR_ARG(time));
            break;
        }
        }
    }
}

enum bulk_kind pg_kind(Oid type)
{
    switch ((enum pg_oid)type) {
    case OID_BOOL:
        return BULK_BOOL;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
        return BULK_INT;
    case OID_TIMESTAMPTZ:
        return BULK_TIME;
    case OID_BYTEA:
        return BULK_BYTES;
    case OID_UUID:
        return BULK_UUID;
    case OID_JSON:
    case OID_JSONB:
        return BULK_JSON;
    case OID_NAME:
    case OID_TEXT:
    case OID_UNKNOWN:
    case OID_BPCHAR:
    case OID_VARCHAR:
    case OID_VOID:
        break;
    }
    return BULK_TEXT;
}

static uint64_t big_endian(const char *bytes, int len)
{
    uint64_t n = 0;

    for (int i = 0; i < len; i++)
        n = n << 8 | (unsigned char)bytes[i];
    return n;
}

static struct str uuid_text(struct arena *arena, const char *bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *text = arena_alloc(arena, ID_LEN + 1);
    char *p = text;

    if (!text)
        return STR_NONE;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = digits[(unsigned char)bytes[i] >> 4];
        *p++ = digits[(unsigned char)bytes[i] & 15];
    }
    return (struct str){text, ID_LEN};
}

/* "infinity" stays at the end of the scale. */
static int64_t time_us(const char *bytes)
{
    const int64_t us = (int64_t)big_endian(bytes, 8);

    return us > INT64_MAX - EPOCH_US ? INT64_MAX : us + EPOCH_US;
}

static struct error decode_cell(struct arena *arena, Oid type, const char *bytes, int len,
                                struct db_cell *out)
{
    const struct str raw = {bytes, (size_t)len};

    switch (type) {
    case OID_BOOL:
        out->number = bytes[0] != 0;
        return NO_ERROR;
    case OID_INT2:
        out->number = (int16_t)big_endian(bytes, 2);
        return NO_ERROR;
    case OID_INT4:
        out->number = (int32_t)big_endian(bytes, 4);
        return NO_ERROR;
    case OID_INT8:
        out->number = (int64_t)big_endian(bytes, 8);
        return NO_ERROR;
    case OID_TIMESTAMPTZ:
        out->number = time_us(bytes);
        return NO_ERROR;
    case OID_UUID:
        out->text = uuid_text(arena, bytes);
        return out->text.ptr ? NO_ERROR : ERROR(ERR_NO_MEMORY, 0, NULL);
    case OID_JSONB:
        out->text = str_skip(raw, 1); /* the first byte is the format's version */
        return NO_ERROR;
    case OID_BYTEA:
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_BPCHAR:
    case OID_NAME:
    case OID_JSON:
    case OID_UNKNOWN:
    case OID_VOID:
        out->text = raw;
        return NO_ERROR;
    default:
        return ERROR(ERR_DB, 0, "a statement answers a type that is not decoded");
    }
}

static void clear_result(void *res)
{
    PQclear(res);
}

struct error pg_decode(PGresult *res, struct arena *arena, struct db_result *out)
{
    const int n_rows = PQntuples(res), n_columns = PQnfields(res);
    struct error err = NO_ERROR;

    memset(out, 0, sizeof(*out));
    if (!arena_defer(arena, clear_result, res))
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    if (strncmp(PQcmdStatus(res), "SELECT", 6) != 0) {
        int64_t n;

        if (str_to_i64(str_from(PQcmdTuples(res)), &n))
            out->n_changed = n;
    }
    if (n_rows == 0 || n_columns == 0)
        return NO_ERROR;
    out->cells = arena_alloc(arena, (size_t)n_rows * (size_t)n_columns * sizeof(struct db_cell));
    if (!out->cells)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    for (int row = 0; row < n_rows; row++) {
        for (int column = 0; column < n_columns && !is_error(err); column++) {
            struct db_cell *cell = &out->cells[row * n_columns + column];

            cell->is_null = PQgetisnull(res, row, column);
            if (!cell->is_null)
                err = decode_cell(arena, PQftype(res, column), PQgetvalue(res, row, column),
                                  PQgetlength(res, row, column), cell);
        }
    }
    out->n_rows = (size_t)n_rows;
    out->n_columns = (size_t)n_columns;
    return err;
}

static enum status status_of(const char *sqlstate)
{
    if (strcmp(sqlstate, "53100") == 0) /* disk_full */
        return ERR_DISK_FULL;
    if (strcmp(sqlstate, "57014") == 0) /* query_canceled: a statement_timeout of the operator's */
        return ERR_DB_TIMEOUT;
    return ERR_DB;
}

bool pg_was_undone(struct error err)
{
    return err.code == db_sqlstate("40001") || err.code == db_sqlstate("40P01");
}

void pg_task_fail(struct db_task *t, const PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *constraint = PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME);
    const char *words = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    /* Class 22 quotes what it could not read. */
    if (strncmp(state, "22", 2) == 0)
        words = "a value does not fit its type";
    db_task_fail(t, status_of(state), db_sqlstate(state), "%s: %s", state,
                 constraint && constraint[0] ? constraint
                 : words                     ? words
                                             : "no message");
}
