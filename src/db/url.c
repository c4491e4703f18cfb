/* Which database an address means. */
#include "db/internal.h"

#include <string.h>

/* "sqlite:///chat.db" is relative, "sqlite:////var/chat.db" absolute, as in SQLAlchemy. */
static struct str sqlite_path(struct arena *a, struct str after_scheme)
{
    struct str path = after_scheme;

    if (str_starts_with(path, STR("///")))
        path = str_skip(path, 3);
    else if (str_starts_with(path, STR("//")))
        path = str_skip(path, 2);
    path.len = str_find(path, '?');
    return arena_copy(a, path);
}

enum db_url_kind db_url_parse(struct arena *a, struct str url, struct str data_dir,
                              struct str *rest)
{
    const size_t colon = str_find(url, ':');
    struct str scheme = {url.ptr, colon};

    if (url.len == 0) {
        *rest = arena_printf(a, "%.*s/aerie.db", STR_ARG(data_dir));
        return DB_URL_SQLITE;
    }
    /* "+asyncpg" and the like name a Python driver. */
    scheme.len = str_find(scheme, '+');
    if (colon == url.len)
        return DB_URL_OTHER;
    if (str_eq_nocase(scheme, STR("sqlite"))) {
        *rest = sqlite_path(a, str_skip(url, colon + 1));
        return DB_URL_SQLITE;
    }
    if (str_eq_nocase(scheme, STR("postgresql")) || str_eq_nocase(scheme, STR("postgres"))) {
        struct str tail = str_skip(url, colon);

        *rest = arena_printf(a, "postgresql%.*s", STR_ARG(tail));
        return DB_URL_PG;
    }
    return DB_URL_OTHER;
}
