/* .env, and the environment itself. */
#include "internal.h"

static bool is_name_char(char c, bool is_first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           (!is_first && c >= '0' && c <= '9');
}

static struct str take_name(struct str *rest)
{
    struct str name = {rest->ptr, 0};

    while (name.len < rest->len && is_name_char(rest->ptr[name.len], name.len == 0))
        name.len++;
    *rest = str_skip(*rest, name.len);
    return name;
}

/* The text of a value in quotes, in place in the arena; what follows it stays in *rest. NULL: fine.
 */
static const char *take_quoted(struct arena *a, struct str *rest, struct str *value)
{
    char quote = rest->ptr[0], *out = arena_alloc(a, rest->len);
    size_t at, len = 0;

    if (!out)
        return "out of memory";
    for (at = 1; at < rest->len && rest->ptr[at] != quote; at++) {
        char c = rest->ptr[at];

        if (c == '\\' && quote == '"' && at + 1 < rest->len) {
            c = rest->ptr[++at];
            c = c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
        }
        out[len++] = c;
    }
    if (at >= rest->len)
        return "the quote is not closed";
    *value = (struct str){out, len};
    *rest = str_trim(str_skip(*rest, at + 1));
    return NULL;
}

/* Up to a " #", which begins a comment. */
static struct str take_plain(struct str rest)
{
    for (size_t i = 0; i < rest.len; i++)
        if (rest.ptr[i] == '#' && (i == 0 || rest.ptr[i - 1] == ' ' || rest.ptr[i - 1] == '\t'))
            return str_trim((struct str){rest.ptr, i});
    return str_trim(rest);
}

/* One line that is not empty. NULL: fine. */
static const char *parse_line(struct arena *a, struct str line, struct setting *s)
{
    struct str rest = line;
    const char *why;

    s->name = take_name(&rest);
    if (str_eq(s->name, STR("export")) && rest.len > 0 &&
        (rest.ptr[0] == ' ' || rest.ptr[0] == '\t')) {
        rest = str_trim(rest);
        s->name = take_name(&rest);
    }
    s->shown = s->name;
    rest = str_trim(rest);
    if (s->name.len == 0 || !str_starts_with(rest, STR("=")))
        return "expected NAME=value";
    rest = str_trim(str_skip(rest, 1));
    if (rest.len > 0 && (rest.ptr[0] == '"' || rest.ptr[0] == '\'')) {
        why = take_quoted(a, &rest, &s->text);
        if (!why && rest.len > 0 && rest.ptr[0] != '#')
            why = "expected nothing after the closing quote";
        return why;
    }
    s->text = take_plain(rest);
    return NULL;
}

/* "SECRET_KEY_FILE" gives "SECRET_KEY", unless the whole is a name itself, as LOG__FILE is. */
static struct str named_by_file(struct str name)
{
    const struct str suffix = STR("_FILE");
    struct str key = {name.ptr, name.len > suffix.len ? name.len - suffix.len : 0};

    return key.len > 0 && str_ends_with(name, suffix) && !loader_knows(name) && loader_knows(key)
               ? key
               : STR_NONE;
}

/* NAME_FILE=path: the value is in the file, so that a secret stands neither here nor in the
 * environment. An empty path is none. */
static struct error take(struct loader *l, struct setting *s)
{
    struct str key = named_by_file(s->name), path;
    struct error err;

    if (key.len == 0)
        return loader_set(l, s);
    if (s->text.len == 0)
        return NO_ERROR;
    path = arena_copy(l->arena, s->text);
    if (!path.ptr)
        return ERROR(ERR_NO_MEMORY, 0, "out of memory");
    err = loader_read_file(l, path.ptr, false, &s->text);
    if (is_error(err))
        return err;
    s->name = key;
    s->text = str_trim(s->text);
    return loader_set(l, s);
}

struct error load_dotenv(struct loader *l, const char *path, bool may_be_missing)
{
    struct str rest, line;
    struct error err;
    unsigned n = 0;

    err = loader_read_file(l, path, may_be_missing, &rest);
    while (!is_error(err) && str_next(&rest, '\n', &line)) {
        struct setting s = {.source = SOURCE_DOTENV, .file = path, .line = ++n};
        const char *why;

        line = str_trim(line);
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        why = parse_line(l->arena, line, &s);
        err = why ? loader_fail(l, path, n, "%s", why) : take(l, &s);
    }
    return err;
}

/* The environment is full of other programs' names: only what bears one of ours, or begins like a
 * section of ours, is looked at. */
struct error load_environment(struct loader *l, char **env)
{
    struct error err = NO_ERROR;

    for (; *env && !is_error(err); env++) {
        struct str rest = str_from(*env);
        struct setting s = {.source = SOURCE_ENVIRONMENT};

        if (!str_next(&rest, '=', &s.name) || !rest.ptr)
            continue;
        s.shown = s.name;
        s.text = rest;
        if (loader_knows(s.name) || named_by_file(s.name).len > 0)
            err = take(l, &s);
        else if (loader_knows_section(s.name))
            err = loader_unknown(l, &s);
    }
    return err;
}
