/* What PostgreSQL's own tools need to reach the database that a connection reaches. */
#include "db/backup.h"

#include "db/bulk.h"
#include "db/bulk_driver.h"
#include "db/pg.h"

#include <stdio.h>
#include <string.h>

static struct error take_name(const struct bulk_cell *cells, size_t n, void *state)
{
    (void)n;
    snprintf(state, 64, "%.*s", STR_ARG(cells[0].text));
    return NO_ERROR;
}

struct error db_snapshot_name(struct db *db, char out[64])
{
    out[0] = '\0';
    return pg_bulk.rows(db, "SELECT pg_export_snapshot()", NULL, take_name, out);
}

struct error db_tool_environment(struct arena *a, struct str url, char ***out, const char **name)
{
    struct str rest = STR_NONE;
    PQconninfoOption *options;
    size_t n = 0;
    char **list;

    *name = NULL;
    if (db_url_parse(a, url, STR(""), &rest) != DB_URL_PG || !rest.ptr)
        return ERROR(ERR_INVALID, 0, "the address must begin with postgresql://");
    options = PQconninfoParse(rest.ptr, NULL);
    if (!options)
        return ERROR(ERR_INVALID, 0, "the address is not one of PostgreSQL");
    for (const PQconninfoOption *o = options; o->keyword; o++)
        n++;
    list = arena_alloc(a, (n + 1) * sizeof(*list));
    n = 0;
    for (const PQconninfoOption *o = options; o->keyword && list; o++) {
        if (!o->val || !o->envvar)
            continue;
        /* NOLINTNEXTLINE(performance-no-int-to-ptr): an arena's text is ours to give away */
        list[n++] = (char *)(uintptr_t)arena_printf(a, "%s=%s", o->envvar, o->val).ptr;
        if (strcmp(o->keyword, "dbname") == 0)
            *name = arena_copy(a, str_from(o->val)).ptr;
    }
    PQconninfoFree(options);
    *out = list;
    return list && !a->failed ? NO_ERROR : ERROR(ERR_NO_MEMORY, 0, NULL);
}

/* Between the user's name and the "@", and in "password=" behind the "?". */
struct str db_public_url(struct arena *a, struct str url)
{
    const char *scheme = url.len > 0 ? strstr(url.ptr, "://") : NULL, *begin, *end, *colon;
    struct buf out = {0};
    struct str shown;

    begin = scheme ? scheme + 3 : url.ptr;
    end = begin + strcspn(begin, "/?");
    while (end > begin && *end != '@')
        end--;
    colon = memchr(begin, ':', (size_t)(end - begin));
    if (*end == '@' && colon) {
        buf_append(&out, url.ptr, (size_t)(colon + 1 - url.ptr));
        buf_append_str(&out, STR("PASSWORD"));
        begin = end;
    } else {
        begin = url.ptr;
    }
    end = strstr(begin, "password=");
    if (end) {
        end += strlen("password=");
        buf_append(&out, begin, (size_t)(end - begin));
        buf_append_str(&out, STR("PASSWORD"));
        begin = end + strcspn(end, "&");
    }
    buf_append_str(&out, str_from(begin));
    shown = out.failed ? STR_NONE : arena_copy(a, buf_str(&out));
    buf_deinit(&out);
    return shown;
}
