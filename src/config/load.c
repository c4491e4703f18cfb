/* From the sources into the struct: who wins, what is accepted, and what the operator is told. */
#include "base/json.h"
#include "base/nearest.h"
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FILE_BYTES = 1024 * 1024, SHOWN_BYTES = 80, SECRETS_MAX = 32 };

static struct error no_memory(void)
{
    return ERROR(ERR_NO_MEMORY, 0, "out of memory");
}

/* Names may hold anything: the sentence stays one line of text. */
static void make_printable(struct buf *text)
{
    struct utf8_stream utf8 = {0};
    struct buf valid = {0};

    for (size_t i = 0; i < text->len; i++)
        if (str_has_control((struct str){text->data + i, 1}))
            text->data[i] = '?';
    utf8_stream_feed(&utf8, buf_str(text), &valid);
    utf8_stream_end(&utf8, &valid);
    buf_deinit(text);
    *text = valid;
}

struct error loader_fail(struct loader *l, const char *file, unsigned line, const char *format, ...)
{
    struct buf text = {0};
    struct str detail;
    va_list args;

    if (file && line)
        buf_printf(&text, "%s:%u: ", file, line);
    else
        buf_printf(&text, "%s: ", file ? file : "environment");
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    if (!text.failed)
        make_printable(&text);
    detail = text.failed ? STR_NONE : arena_copy(l->arena, buf_str(&text));
    buf_deinit(&text);
    return detail.ptr ? ERROR(ERR_INVALID, 0, detail.ptr) : no_memory();
}

struct error loader_read_file(struct loader *l, const char *path, bool may_be_missing,
                              struct str *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), code;
    struct buf content;
    ssize_t n = 0;

    *text = STR_NONE;
    if (fd < 0 && errno == ENOENT && may_be_missing)
        return NO_ERROR;
    if (fd < 0)
        return loader_fail(l, path, 0, "cannot be opened: %s", errno_text(errno));
    buf_init(&content, FILE_BYTES);
    do {
        if (!buf_reserve(&content, 4096))
            break;
        n = read(fd, content.data + content.len, 4096);
        if (n > 0)
            content.len += (size_t)n;
    } while (n > 0 || (n < 0 && errno == EINTR));
    code = errno;
    close(fd);
    if (!content.failed && n == 0) {
        struct str whole = buf_str(&content);

        /* Some editors begin a file with a byte order mark. */
        *text = arena_copy(l->arena,
                           str_skip(whole, str_starts_with(whole, STR("\xef\xbb\xbf")) ? 3 : 0));
    }
    buf_deinit(&content);
    if (content.failed)
        return loader_fail(l, path, 0, "is larger than %d bytes", FILE_BYTES);
    if (n < 0)
        return loader_fail(l, path, 0, "cannot be read: %s", errno_text(code));
    return text->ptr ? NO_ERROR : no_memory();
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "KEY_1" to "KEY_99" give "KEY". */
static struct str without_number(struct str name)
{
    size_t len = name.len;

    while (len > 0 && name.len - len < 2 && is_digit(name.ptr[len - 1]))
        len--;
    return len < name.len && len > 0 && name.ptr[len - 1] == '_' && name.ptr[len] != '0'
               ? (struct str){name.ptr, len - 1}
               : name;
}

static bool is_secrets(const struct config_key *key)
{
    return key->is_secret && key->type == CONFIG_LIST;
}

/* The row that a name in the environment's form means; rank as in struct holder, factor for
 * "NAME*60". */
static const struct config_key *find_key(struct str name, size_t *index, unsigned *rank,
                                         uint64_t *factor)
{
    const struct config_key *keys = config_keys(index);
    char buffer[ENV_NAME_BYTES];
    size_t n_keys = *index;
    struct str own, rest, alias;
    int64_t times;

    for (*index = 0; *index < n_keys; ++*index) {
        const struct config_key *key = &keys[*index];
        struct str asked = is_secrets(key) ? without_number(name) : name;

        *rank = 0;
        *factor = 1;
        if (key_env_name(str_from(key->name), buffer, &own) && str_eq(own, asked))
            return key;
        for (rest = str_from(key->alias); str_next(&rest, ',', &alias);) {
            size_t star = str_find(alias, '*');

            ++*rank;
            if (!str_eq((struct str){alias.ptr, star}, asked))
                continue;
            if (star < alias.len && str_to_i64(str_skip(alias, star + 1), &times))
                *factor = (uint64_t)times;
            return key;
        }
    }
    return NULL;
}

bool loader_knows(struct str name)
{
    size_t index;
    unsigned rank;
    uint64_t factor;

    return find_key(name, &index, &rank, &factor) || foreign_is_known(name);
}

bool loader_knows_section(struct str name)
{
    char buffer[ENV_NAME_BYTES];
    const struct config_key *keys;
    struct str section;
    size_t n;

    keys = config_keys(&n);
    for (size_t i = 0; i < n; i++) {
        size_t dot = str_find(str_from(keys[i].name), '.');

        if (keys[i].name[dot] &&
            key_env_name((struct str){keys[i].name, dot + 1}, buffer, &section) &&
            str_starts_with(name, section))
            return true;
    }
    return false;
}

struct error loader_unknown(struct loader *l, const struct setting *s)
{
    struct nearest nearest = {.asked = s->name};
    const struct config_key *keys;
    const char *closest = NULL;
    char buffer[ENV_NAME_BYTES];
    struct str own;
    size_t n;

    keys = config_keys(&n);
    for (size_t i = 0; i < n; i++)
        if (key_env_name(str_from(keys[i].name), buffer, &own) && nearest_offer(&nearest, own))
            closest = keys[i].name;
    if (closest && s->source == SOURCE_JSON)
        return loader_fail(l, s->file, s->line, "unknown key %.*s; did you mean %s?",
                           STR_ARG(s->shown), closest);
    if (closest && key_env_name(str_from(closest), buffer, &own))
        return loader_fail(l, s->file, s->line, "unknown key %.*s; did you mean %.*s?",
                           STR_ARG(s->shown), STR_ARG(own));
    return loader_fail(l, s->file, s->line,
                       "unknown key %.*s; docs/configuration.md and `aerie config` list the keys",
                       STR_ARG(s->shown));
}

static struct error refuse(struct loader *l, const struct setting *s, const struct config_key *key,
                           struct str value, const char *expected)
{
    struct buf shown = {0};
    struct error err;

    if (key->is_secret || !utf8_is_valid(value)) {
        buf_append_str(&shown, STR("this value"));
    } else if (key->format == &format_database_url) {
        config_print_url(&shown, value);
    } else {
        struct str part = utf8_prefix(value, SHOWN_BYTES);

        buf_append_char(&shown, '"');
        json_escape(&shown, part);
        buf_append_str(&shown, part.len < value.len ? STR("...\"") : STR("\""));
    }
    err = shown.failed ? no_memory()
                       : loader_fail(l, s->file, s->line, "%.*s: %.*s is not accepted, expected %s",
                                     STR_ARG(s->shown), STR_ARG(buf_str(&shown)), expected);
    buf_deinit(&shown);
    return err;
}

static struct error set_uint(struct loader *l, const struct setting *s,
                             const struct config_key *key, uint64_t factor, uint64_t *out)
{
    char expected[96];
    uint64_t value = 0;
    int64_t number;

    if ((s->kind == SETTING_TEXT || s->kind == SETTING_NUMBER) &&
        str_to_i64(str_trim(s->text), &number) && number >= 0 &&
        !__builtin_mul_overflow((uint64_t)number, factor, &value) && value >= key->min &&
        value <= key->max) {
        *out = value;
        return NO_ERROR;
    }
    snprintf(expected, sizeof(expected), "a whole number from %llu to %llu",
             (unsigned long long)((key->min + factor - 1) / factor),
             (unsigned long long)(key->max / factor));
    return refuse(l, s, key, s->text, expected);
}

static struct error set_bool(struct loader *l, const struct setting *s,
                             const struct config_key *key, bool *out)
{
    static const char *const words[2][4] = {{"false", "0", "no", "off"},
                                            {"true", "1", "yes", "on"}};

    for (int value = 0; value < 2; value++) {
        for (size_t i = 0; i < 4; i++) {
            if ((s->kind == SETTING_TEXT || s->kind == SETTING_BOOL) &&
                str_eq_nocase(str_trim(s->text), str_from(words[value][i]))) {
                *out = value;
                return NO_ERROR;
            }
        }
    }
    return refuse(l, s, key, s->text, "true or false");
}

/* One text, or one item of a list. */
static struct error set_text(struct loader *l, const struct setting *s,
                             const struct config_key *key, struct str value, struct str *out)
{
    struct str normal = value;

    if (str_has_control(value) || !utf8_is_valid(value))
        return refuse(l, s, key, value, "text without control characters");
    if (key->format && !key->format->accept(l->arena, value, &normal))
        return refuse(l, s, key, value, key->format->expected);
    /* A normal form that ran out of memory comes back without a pointer. */
    *out = normal.ptr ? arena_copy(l->arena, normal) : STR_NONE;
    return out->ptr || value.len == 0 ? NO_ERROR : no_memory();
}

static struct error set_list(struct loader *l, const struct setting *s,
                             const struct config_key *key, struct config_list *out)
{
    struct config_list list = {0};
    struct str rest = s->text, item;
    struct error err;
    size_t most = s->items.n;

    if (s->kind == SETTING_TEXT)
        for (most = 1; str_next(&rest, ',', &item);)
            most++;
    else if (s->kind != SETTING_LIST)
        return refuse(l, s, key, s->text, "a list of texts");
    list.items = arena_alloc(l->arena, most * sizeof(*list.items));
    if (!list.items)
        return no_memory();
    rest = s->text;
    for (size_t i = 0; s->kind == SETTING_LIST ? i < s->items.n : str_next(&rest, ',', &item);
         i++) {
        item = str_trim(s->kind == SETTING_LIST ? s->items.items[i] : item);
        if (item.len == 0)
            continue;
        err = set_text(l, s, key, item, &list.items[list.n]);
        if (is_error(err))
            return err;
        list.n++;
    }
    *out = list;
    return NO_ERROR;
}

/* All the names that one source has for a pool give one pool; a later source's replaces it. */
static struct error add_secrets(struct loader *l, const struct setting *s,
                                const struct config_key *key, struct config_list *pool)
{
    struct config_list more = {0}, all = {0};
    struct error err = set_list(l, s, key, &more);

    if (is_error(err))
        return err;
    all.items = arena_alloc(l->arena, (pool->n + more.n + 1) * sizeof(*all.items));
    if (!all.items)
        return no_memory();
    for (size_t i = 0; i < pool->n + more.n; i++) {
        struct str item = i < pool->n ? pool->items[i] : more.items[i - pool->n];
        bool is_new = true;

        for (size_t k = 0; k < all.n; k++)
            is_new = is_new && !str_eq(all.items[k], item);
        if (is_new)
            all.items[all.n++] = item;
    }
    if (all.n > SECRETS_MAX)
        return loader_fail(l, s->file, s->line, "%.*s: more than %d keys for one provider",
                           STR_ARG(s->shown), SECRETS_MAX);
    *pool = all;
    return NO_ERROR;
}

struct error loader_set(struct loader *l, const struct setting *s)
{
    /* A value that loses is checked all the same: it would surprise once the other one goes. */
    union {
        struct str text;
        uint64_t number;
        bool flag;
        struct config_list list;
    } lost;
    const struct config_key *key;
    struct config_list *pool;
    struct holder *holder;
    uint64_t factor;
    unsigned rank;
    size_t index;
    void *to = &lost;

    key = find_key(s->name, &index, &rank, &factor);
    if (!key)
        return foreign_is_known(s->name) ? foreign_take(l, s) : loader_unknown(l, s);
    holder = &l->holders[index];
    if (is_secrets(key)) {
        lost.list = (struct config_list){0};
        if (s->source < holder->source)
            return add_secrets(l, s, key, &lost.list);
        pool = (struct config_list *)((char *)l->config + key->offset);
        if (s->source > holder->source)
            *pool = (struct config_list){0};
        holder->source = s->source;
        return add_secrets(l, s, key, pool);
    }
    if (s->source > holder->source || (s->source == holder->source && rank <= holder->rank)) {
        *holder = (struct holder){s->source, rank};
        to = (char *)l->config + key->offset;
    }
    switch (key->type) {
    case CONFIG_TEXT:
        return s->kind == SETTING_TEXT ? set_text(l, s, key, s->text, to)
                                       : refuse(l, s, key, s->text, "text in quotes");
    case CONFIG_UINT:
        return set_uint(l, s, key, factor, to);
    case CONFIG_BOOL:
        return set_bool(l, s, key, to);
    case CONFIG_LIST:
        return set_list(l, s, key, to);
    }
    return loader_unknown(l, s);
}

static struct error load_defaults(struct loader *l, const struct config_key *keys, size_t n)
{
    struct error err = NO_ERROR;

    for (size_t i = 0; i < n && !is_error(err); i++) {
        struct setting s = {.file = "default",
                            .shown = str_from(keys[i].name),
                            .text = str_from(keys[i].default_value)};
        char buffer[ENV_NAME_BYTES];

        if (key_env_name(s.shown, buffer, &s.name))
            err = loader_set(l, &s);
    }
    return err;
}

struct error config_load(const struct config_sources *sources, struct config *out)
{
    struct loader l = {.config = out, .arena = &out->arena};
    const struct config_key *keys;
    struct error err;
    size_t n;

    *out = (struct config){.sources = *sources};
    keys = config_keys(&n);
    l.holders = arena_alloc(l.arena, n * sizeof(*l.holders));
    if (!l.holders)
        return no_memory();
    err = load_defaults(&l, keys, n);
    if (!is_error(err))
        err = load_json(&l, sources->json_path ? sources->json_path : "config.json",
                        !sources->json_path);
    if (!is_error(err))
        err = load_dotenv(&l, sources->env_path ? sources->env_path : ".env", !sources->env_path);
    if (!is_error(err) && sources->environ)
        err = load_environment(&l, sources->environ);
    if (!is_error(err))
        err = config_settle_email(out);
    if (!is_error(err))
        err = config_settle_networks(out);
    if (!is_error(err))
        err = config_settle_tracing(out);
    return err;
}

void config_free(struct config *c)
{
    struct arena arena = c->arena;

    *c = (struct config){0};
    arena_free(&arena);
}
