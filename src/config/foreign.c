/* Names that the programs people come from had, and that mean nothing here, or not yet: they are
 * answered in the log instead of stopping the start. */
#include "base/log.h"
#include "internal.h"

struct foreign {
    const char *name; /* "EMAIL__*": all that begin so */
    enum log_level level;
    const char *advice;
    const char *must_be; /* NULL: any value */
};

static const struct foreign names[] = {
    {"AI_SERVICES__*", LOG_WARN,
     "is not used: AI_SERVICES__<PROVIDER>_API_KEY and ..._BASE_URL are"},
    {"ALGORITHM", LOG_DEBUG, "is always HS256", "HS256"},
    {"API__DESCRIPTION", LOG_INFO, "is not used; api.title is"},
    {"API__VERSION", LOG_INFO, "is not used; api.title is"},
    {"LOGGING__*", LOG_INFO, "is not used; log.directory, log.level and log.retention_days are"},
    {"MONGO_URI", LOG_WARN,
     "is not used: chats are kept in the database that DATABASE_URL names; remove it"},
    {"SUPABASE_*", LOG_WARN,
     "is not used: set DATABASE_URL to the project's postgresql:// connection string instead"},
};

enum { N_NAMES = sizeof(names) / sizeof(names[0]) };
_Static_assert(N_NAMES <= 64, "loader.foreign_seen has a bit for each");

/* N_NAMES when there is none. */
static size_t find(struct str name)
{
    size_t i;

    for (i = 0; i < N_NAMES; i++) {
        struct str pattern = str_from(names[i].name);

        if (str_ends_with(pattern, STR("*"))) {
            pattern.len--;
            if (str_starts_with(name, pattern))
                break;
        } else if (str_eq(name, pattern)) {
            break;
        }
    }
    return i;
}

bool foreign_is_known(struct str name)
{
    return find(name) < N_NAMES;
}

struct error foreign_take(struct loader *l, const struct setting *s)
{
    size_t i = find(s->name);
    const struct foreign *row = &names[i];

    if (row->must_be && !(s->kind == SETTING_TEXT && str_eq(s->text, str_from(row->must_be))))
        return loader_fail(l, s->file, s->line, "%.*s: expected %s, which is all that is accepted",
                           STR_ARG(s->shown), row->must_be);
    if (!(l->foreign_seen & UINT64_C(1) << i))
        log_write(row->level, "config: %.*s %s", STR_ARG(s->shown), row->advice);
    l->foreign_seen |= UINT64_C(1) << i;
    return NO_ERROR;
}
