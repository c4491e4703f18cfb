/* The configuration in force, and the table of keys, for people and programs. */
#include "base/json.h"
#include "internal.h"

#include <string.h>

static const struct str mask = {"********", 8};

/* user:password@ keeps its user, and password=… in the query goes too. */
void config_print_url(struct buf *out, struct str url)
{
    struct str rest = url, query, part;
    size_t at, begin, end, i;

    for (at = 0; at + 3 <= url.len && !str_starts_with(str_skip(url, at), STR("://")); at++)
        continue;
    if (at + 3 > url.len) {
        /* Not a URL; it may be anything, a password too. */
        buf_append_str(out, url.len ? mask : url);
        return;
    }
    begin = at + 3;
    for (end = 0, i = begin; i < url.len; i++)
        if (url.ptr[i] == '@')
            end = i; /* the last one: an @ in a password is often not escaped */
    while (begin < end && url.ptr[begin] != ':')
        begin++;
    if (end > begin) {
        buf_append(out, url.ptr, begin + 1);
        buf_append_str(out, mask);
        rest = str_skip(url, end);
    }
    at = str_find(rest, '?');
    buf_append(out, rest.ptr, at);
    query = at < rest.len ? str_skip(rest, at + 1) : STR_NONE;
    for (char separator = '?'; str_next(&query, '&', &part); separator = '&') {
        buf_append_char(out, separator);
        if (str_starts_with_nocase(part, STR("password=")) ||
            str_starts_with_nocase(part, STR("sslpassword="))) {
            buf_append(out, part.ptr, str_find(part, '=') + 1);
            buf_append_str(out, mask);
        } else {
            buf_append_str(out, part);
        }
    }
}

/* A text or an item as it may be shown. */
static struct str shown(const struct config_key *key, struct str value, struct buf *scratch)
{
    if (key->is_secret)
        return value.len > 0 ? mask : STR("");
    if (key->format != &format_database_url)
        return value;
    buf_clear(scratch);
    config_print_url(scratch, value);
    return buf_str(scratch);
}

void print_value(const struct config_key *key, const void *member, struct buf *out)
{
    const struct config_list *list = member;
    struct buf scratch = {0};

    switch (key->type) {
    case CONFIG_TEXT:
        buf_append_str(out, shown(key, *(const struct str *)member, &scratch));
        break;
    case CONFIG_UINT:
        buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)member);
        break;
    case CONFIG_BOOL:
        buf_append_str(out, *(const bool *)member ? STR("true") : STR("false"));
        break;
    case CONFIG_LIST:
        for (size_t i = 0; i < list->n; i++)
            buf_printf(out, "%s%.*s", i ? "," : "", STR_ARG(shown(key, list->items[i], &scratch)));
        break;
    }
    out->failed |= scratch.failed;
    buf_deinit(&scratch);
}

static void print_json_value(const struct config_key *key, const void *member, struct buf *scratch,
                             struct json *j)
{
    const struct config_list *list = member;

    switch (key->type) {
    case CONFIG_TEXT:
        json_str(j, shown(key, *(const struct str *)member, scratch));
        break;
    case CONFIG_UINT:
        json_int(j, (int64_t) * (const uint64_t *)member);
        break;
    case CONFIG_BOOL:
        json_bool(j, *(const bool *)member);
        break;
    case CONFIG_LIST:
        json_begin_array(j);
        for (size_t i = 0; i < list->n; i++)
            json_str(j, shown(key, list->items[i], scratch));
        json_end_array(j);
        break;
    }
}

/* "server." of "server.port", or "". */
static struct str section_of(const struct config_key *key)
{
    struct str name = str_from(key->name);
    size_t dot = str_find(name, '.');

    return dot < name.len ? (struct str){name.ptr, dot + 1} : STR("");
}

/* The table is in alphabetical order, so that a section's keys stand together. */
static void print_json(const struct config *c, struct buf *scratch, struct buf *out)
{
    struct json j = {.buf = out};
    struct str open = STR("");
    const struct config_key *keys;
    size_t n;

    keys = config_keys(&n);
    json_begin_object(&j);
    for (size_t i = 0; i < n; i++) {
        struct str section = section_of(&keys[i]);

        if (!str_eq(section, open)) {
            char name[ENV_NAME_BYTES];

            if (open.len > 0)
                json_end_object(&j);
            if (section.len > 0 && section.len < sizeof(name)) {
                memcpy(name, section.ptr, section.len - 1);
                name[section.len - 1] = '\0';
                json_key(&j, name);
                json_begin_object(&j);
            }
            open = section;
        }
        json_key(&j, keys[i].name + section.len);
        print_json_value(&keys[i], (const char *)c + keys[i].offset, scratch, &j);
    }
    if (open.len > 0)
        json_end_object(&j);
    json_end_object(&j);
    buf_append_char(out, '\n');
}

void config_print(const struct config *c, bool as_json, struct buf *out)
{
    const struct config_key *keys;
    struct buf scratch = {0};
    size_t n;

    keys = config_keys(&n);
    if (as_json) {
        print_json(c, &scratch, out);
    } else {
        for (size_t i = 0; i < n; i++) {
            buf_printf(out, "%s = ", keys[i].name);
            print_value(&keys[i], (const char *)c + keys[i].offset, out);
            buf_append_char(out, '\n');
        }
    }
    out->failed |= scratch.failed;
    buf_deinit(&scratch);
}

static void print_markdown_names(const struct config_key *key, struct buf *out)
{
    char buffer[ENV_NAME_BYTES];
    struct str name, rest = str_from(key->alias), alias;

    if (key_env_name(str_from(key->name), buffer, &name))
        buf_printf(out, "`%.*s`", STR_ARG(name));
    while (str_next(&rest, ',', &alias)) {
        size_t star = str_find(alias, '*');

        buf_printf(out, "<br>`%.*s`%s", (int)star, alias.ptr, star < alias.len ? " (minutes)" : "");
    }
}

void config_print_markdown(struct buf *out)
{
    const struct config_key *keys;
    size_t n;

    keys = config_keys(&n);
    buf_append_str(out,
                   STR("| key | environment | default | unit | a change counts | what it does |\n"
                       "|---|---|---|---|---|---|\n"));
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "| `%s` | ", keys[i].name);
        print_markdown_names(&keys[i], out);
        if (keys[i].default_value[0])
            buf_printf(out, " | `%s` | ", keys[i].default_value);
        else
            buf_append_str(out, STR(" | | "));
        buf_printf(out, "%s | %s | %s |\n", keys[i].unit,
                   keys[i].effect == CONFIG_LIVE ? "at SIGHUP" : "at a restart", keys[i].help);
    }
}
