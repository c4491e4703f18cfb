/* The price table: a JSON file, read at start and at SIGHUP. */
#include "chat/price.h"

#include "base/json.h"
#include "base/log.h"
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_BYTES   (1u << 20)
#define MOST_ENTRIES 2000
#define MOST_TOLD    100 /* models without a price that the log has named */
#define MOST_PRICE   1e5 /* of a million tokens */
#define MICROS       1e6
#define MILLION      1000000
#define MOST_TOKENS  10000000 /* of one answer: keeps a product within 64 bits */

struct entry {
    struct str provider, model; /* model: a "*" at its end stands for any rest */
    struct price price;
};

/* Replaced as a whole, under the lock. */
static struct {
    pthread_rwlock_t lock;
    struct arena arena;
    struct entry *entries;
    size_t n;
    struct arena told_arena;
    struct str told[MOST_TOLD];
    size_t n_told;
} table = {.lock = PTHREAD_RWLOCK_INITIALIZER};

static char why[512];

static __attribute__((format(printf, 1, 2))) struct error refuse(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    return ERROR(ERR_INVALID, 0, why);
}

/* ---- reading ---- */

static unsigned line_at(struct str text, size_t offset)
{
    unsigned line = 1;

    for (size_t i = 0; i < offset && i < text.len; i++)
        line += text.ptr[i] == '\n';
    return line;
}

/* Where the i-th entry begins: the objects in the one list of a file that is known to be JSON. */
static unsigned line_of_entry(struct str text, size_t entry)
{
    unsigned depth = 0;
    bool is_inside = false;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (is_inside && c == '\\') {
            i++;
        } else if (c == '"') {
            is_inside = !is_inside;
        } else if (!is_inside && (c == '{' || c == '[')) {
            if (c == '{' && depth == 2 && entry-- == 0)
                return line_at(text, i);
            depth++;
        } else if (!is_inside && (c == '}' || c == ']')) {
            depth--;
        }
    }
    return 1;
}

static bool read_price(yyjson_val *val, int64_t *out)
{
    double number = yyjson_is_num(val) ? yyjson_get_num(val) : -1;

    *out = (int64_t)llround((number >= 0 && number <= MOST_PRICE ? number : 0) * MICROS);
    return number >= 0 && number <= MOST_PRICE;
}

static bool knows_member(struct str name)
{
    return str_eq(name, STR("provider")) || str_eq(name, STR("model")) ||
           str_eq(name, STR("input")) || str_eq(name, STR("output"));
}

/* What is wrong with an entry, or NULL. */
static const char *read_entry(yyjson_val *val, struct entry *e)
{
    yyjson_val *key, *member;
    size_t i, n;

    if (!yyjson_is_obj(val))
        return "must be an object";
    yyjson_obj_foreach(val, i, n, key, member)
    {
        if (!knows_member(json_text(key)))
            return "has a member that is not provider, model, input or output";
    }
    e->provider = json_text(json_member(val, "provider"));
    e->model = json_text(json_member(val, "model"));
    if (e->provider.len == 0 || !e->model.ptr)
        return "needs a provider and a model, both text";
    if (!read_price(json_member(val, "input"), &e->price.input) ||
        !read_price(json_member(val, "output"), &e->price.output))
        return "needs input and output: what a million tokens cost, from 0 to 100000";
    return NULL;
}

static struct error read_entries(const char *path, struct str text, yyjson_val *list,
                                 struct arena *a, struct entry **entries, size_t *n_entries)
{
    yyjson_val *val;
    size_t i, n;

    if (!yyjson_is_arr(list) || yyjson_arr_size(list) > MOST_ENTRIES)
        return refuse("%s:1: \"prices\" must be a list of at most %d entries", path, MOST_ENTRIES);
    *entries = arena_alloc(a, (yyjson_arr_size(list) + 1) * sizeof(**entries));
    if (!*entries)
        return ERROR(ERR_NO_MEMORY, 0, "out of memory");
    yyjson_arr_foreach(list, i, n, val)
    {
        const char *wrong = read_entry(val, &(*entries)[i]);

        if (wrong)
            return refuse("%s:%u: price %zu %s", path, line_of_entry(text, i), i + 1, wrong);
    }
    *n_entries = n;
    return NO_ERROR;
}

static struct error read_text(const char *path, struct str text, struct arena *a,
                              struct entry **entries, size_t *n)
{
    yyjson_val *root = NULL;
    struct str currency;
    struct error err = json_read(a, text, 8, &root);

    if (is_error(err))
        return refuse("%s:%u: %s", path, line_at(text, (size_t)err.code),
                      err.detail ? err.detail : "out of memory");
    currency = json_text(json_member(root, "currency"));
    if (currency.len > 0 && !str_eq(currency, config()->budgets.currency))
        return refuse("%s:1: the prices are in %.*s, but budgets.currency is %.*s", path,
                      STR_ARG(currency), STR_ARG(config()->budgets.currency));
    return read_entries(path, text, json_member(root, "prices"), a, entries, n);
}

static struct error read_file(const char *path, struct arena *a, struct str *text)
{
    char *bytes = arena_alloc(a, FILE_BYTES + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n = 0;

    if (fd < 0 || !bytes) {
        int code = fd < 0 ? errno : ENOMEM;

        if (fd >= 0)
            close(fd);
        return refuse("%s: cannot be read: %s", path, errno_text(code));
    }
    while (len <= FILE_BYTES && (n = read(fd, bytes + len, FILE_BYTES + 1 - len)) > 0)
        len += (size_t)n;
    close(fd);
    if (n < 0)
        return refuse("%s: cannot be read: %s", path, errno_text(errno));
    if (len > FILE_BYTES)
        return refuse("%s: is longer than %u bytes", path, FILE_BYTES);
    *text = (struct str){bytes, len};
    return NO_ERROR;
}

struct error price_read(void)
{
    struct str path = config()->budgets.prices, text = STR_NONE;
    struct arena fresh = {0}, old;
    struct entry *entries = NULL;
    struct error err = NO_ERROR;
    size_t n = 0;

    if (path.len > 0) {
        struct str copy = arena_copy(&fresh, path);

        err = copy.ptr ? read_file(copy.ptr, &fresh, &text)
                       : ERROR(ERR_NO_MEMORY, 0, "out of memory");
        if (!is_error(err))
            err = read_text(copy.ptr, text, &fresh, &entries, &n);
    }
    if (is_error(err)) {
        arena_free(&fresh);
        return err;
    }
    pthread_rwlock_wrlock(&table.lock);
    old = table.arena;
    table.arena = fresh;
    table.entries = entries;
    table.n = n;
    arena_free(&table.told_arena);
    table.n_told = 0;
    pthread_rwlock_unlock(&table.lock);
    arena_free(&old);
    return NO_ERROR;
}

void price_close(void)
{
    arena_free(&table.arena);
    arena_free(&table.told_arena);
    table.n = table.n_told = 0;
}

/* ---- asking ---- */

static bool fits(struct str pattern, struct str model)
{
    if (pattern.len > 0 && pattern.ptr[pattern.len - 1] == '*')
        return str_starts_with(model, (struct str){pattern.ptr, pattern.len - 1});
    return str_eq(pattern, model);
}

static void tell_once(struct str provider, struct str model)
{
    struct str name;

    pthread_rwlock_wrlock(&table.lock);
    name = arena_printf(&table.told_arena, "%.*s %.*s", STR_ARG(provider), STR_ARG(model));
    for (size_t i = 0; i < table.n_told && name.ptr; i++)
        if (str_eq(table.told[i], name))
            name = STR_NONE;
    if (name.ptr && table.n_told < MOST_TOLD) {
        table.told[table.n_told++] = name;
        log_warn("budgets: there is no price for model \"%.*s\" of %.*s: it costs nothing",
                 STR_ARG(model), STR_ARG(provider));
    }
    pthread_rwlock_unlock(&table.lock);
}

static bool was_told(struct str provider, struct str model)
{
    for (size_t i = 0; i < table.n_told; i++) {
        struct str told = table.told[i];

        if (told.len == provider.len + 1 + model.len && str_starts_with(told, provider) &&
            str_eq(str_skip(told, provider.len + 1), model))
            return true;
    }
    return table.n_told == MOST_TOLD;
}

struct price price_find(struct str provider, struct str model)
{
    struct price price = {0};
    bool is_found = false, is_told;

    pthread_rwlock_rdlock(&table.lock);
    for (size_t i = 0; i < table.n && !is_found; i++) {
        const struct entry *e = &table.entries[i];

        is_found = str_eq(e->provider, provider) && fits(e->model, model);
        if (is_found)
            price = e->price;
    }
    is_told = is_found || was_told(provider, model);
    pthread_rwlock_unlock(&table.lock);
    if (!is_told)
        tell_once(provider, model);
    return price;
}

void price_each(void (*see)(struct str provider, struct str model, const struct price *price,
                            void *state),
                void *state)
{
    pthread_rwlock_rdlock(&table.lock);
    for (size_t i = 0; i < table.n; i++)
        see(table.entries[i].provider, table.entries[i].model, &table.entries[i].price, state);
    pthread_rwlock_unlock(&table.lock);
}

static int64_t within(int64_t tokens)
{
    return tokens < 0 ? 0 : tokens < MOST_TOKENS ? tokens : MOST_TOKENS;
}

int64_t price_cost(const struct price *p, int64_t prompt_tokens, int64_t reply_tokens)
{
    int64_t all = within(prompt_tokens) * p->input + within(reply_tokens) * p->output;

    return (all + MILLION - 1) / MILLION;
}
