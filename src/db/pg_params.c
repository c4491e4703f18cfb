/* Where PostgreSQL is. libpq resolves names blocking, so they are resolved here: before the loops
 * run, and on a thread of its own when no host takes a connection any more (pg_names.c). */
#include "db/pg.h"

#include "base/buf.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

static void add_host(struct pg_params *p, struct str name, const char *address, struct str port)
{
    if (p->n_hosts < PG_HOSTS_MAX)
        p->hosts[p->n_hosts++] =
            (struct pg_host){.name = arena_copy(&p->arena, name),
                             .address = arena_copy(&p->arena, str_from(address)),
                             .port = arena_copy(&p->arena, port)};
}

/* A name that leads nowhere now may do so later: err tells of it, for when no host is left. */
static void resolve(struct pg_params *p, struct str name, struct str port, struct error *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    struct str name_z = arena_copy(&p->arena, name);
    const bool had_names = p->has_names;
    struct addrinfo *found = NULL;
    int rc;

    if (name.len == 0 || name.ptr[0] == '/' || name.ptr[0] == '@') {
        add_host(p, name, "", port);
        return;
    }
    p->has_names = true;
    rc = name_z.ptr ? getaddrinfo(name_z.ptr, NULL, &hints, &found) : EAI_MEMORY;
    if (rc != 0) {
        *err = db_say(ERR_DB, rc, "cannot resolve the database's host %.*s: %s", STR_ARG(name),
                      gai_strerror(rc));
        return;
    }
    for (struct addrinfo *it = found; it; it = it->ai_next) {
        char address[NI_MAXHOST];

        if (getnameinfo(it->ai_addr, it->ai_addrlen, address, sizeof(address), NULL, 0,
                        NI_NUMERICHOST) != 0)
            continue;
        if (str_eq(name, str_from(address))) /* it was no name */
            p->has_names = had_names;
        add_host(p, name, address, port);
    }
    freeaddrinfo(found);
}

/* One port serves all hosts; otherwise each has its own. */
static struct error resolve_all(struct pg_params *p, struct str names, struct str ports)
{
    const bool has_one_port = str_find(ports, ',') == ports.len;
    struct str name, port = ports;
    struct error err = NO_ERROR;

    while (str_next(&names, ',', &name)) {
        if (!has_one_port && !str_next(&ports, ',', &port))
            return ERROR(ERR_INVALID, 0, "database.url has fewer ports than hosts");
        resolve(p, name, port, &err);
    }
    return p->n_hosts > 0 ? NO_ERROR : err;
}

/* Parallel comma-separated lists, as libpq takes them, from each of the hosts on. */
static struct error write_lists(struct pg_params *p)
{
    struct buf names = {0}, addresses = {0}, ports = {0};
    bool ok = true;

    for (size_t first = 0; first < p->n_hosts && ok; first++) {
        struct pg_host *list = &p->hosts[first];

        names.len = addresses.len = ports.len = 0;
        for (size_t i = 0; i < p->n_hosts; i++) {
            const struct pg_host *h = &p->hosts[(first + i) % p->n_hosts];
            const char *comma = i > 0 ? "," : "";

            buf_printf(&names, "%s%.*s", comma, STR_ARG(h->name));
            buf_printf(&addresses, "%s%.*s", comma, STR_ARG(h->address));
            buf_printf(&ports, "%s%.*s", comma, STR_ARG(h->port));
        }
        list->names = arena_copy(&p->arena, buf_str(&names)).ptr;
        list->addresses = arena_copy(&p->arena, buf_str(&addresses)).ptr;
        list->ports = arena_copy(&p->arena, buf_str(&ports)).ptr;
        ok = !p->arena.failed && !names.failed && !addresses.failed && !ports.failed;
    }
    buf_deinit(&names);
    buf_deinit(&addresses);
    buf_deinit(&ports);
    return ok ? NO_ERROR : ERROR(ERR_NO_MEMORY, 0, NULL);
}

static void set(struct pg_params *p, const char *keyword, struct str value)
{
    struct str copy = arena_copy(&p->arena, value);

    for (size_t i = 0; i < p->n; i++) {
        if (strcmp(p->keywords[i], keyword) == 0) {
            p->values[i] = copy.ptr;
            return;
        }
    }
    if (p->n == PG_PARAMS_MAX)
        return;
    p->keywords[p->n] = arena_copy(&p->arena, str_from(keyword)).ptr;
    p->values[p->n++] = copy.ptr;
}

static bool has(const struct pg_params *p, const char *keyword)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->keywords[i] && strcmp(p->keywords[i], keyword) == 0)
            return true;
    }
    return false;
}

struct error pg_params_init(struct pg_params *p, struct str url)
{
    struct error err = NO_ERROR;
    const char *host = NULL, *hostaddr = NULL, *port = "";
    PQconninfoOption *options;
    char *complaint = NULL;

    memset(p, 0, sizeof(*p));
    options = PQconninfoParse(url.ptr, &complaint);
    if (!options) {
        /* libpq quotes parts of the address in its complaint, which may be the password. */
        err = complaint && strstr(complaint, "URI query parameter")
                  ? db_say(ERR_INVALID, 0, "database.url: %s", complaint)
                  : ERROR(ERR_INVALID, 0, "database.url is not a PostgreSQL address");
        PQfreemem(complaint);
        return err;
    }
    for (const PQconninfoOption *o = options; o->keyword; o++) {
        if (!o->val)
            continue;
        if (strcmp(o->keyword, "host") == 0)
            host = o->val;
        if (strcmp(o->keyword, "hostaddr") == 0)
            hostaddr = o->val;
        if (strcmp(o->keyword, "port") == 0)
            port = o->val;
        set(p, o->keyword, str_from(o->val));
    }
    if (host && !hostaddr) {
        err = resolve_all(p, str_from(host), str_from(port));
        if (!is_error(err))
            err = write_lists(p);
        if (!is_error(err)) {
            set(p, "host", str_from(p->hosts[0].names));
            set(p, "hostaddr", str_from(p->hosts[0].addresses));
            set(p, "port", str_from(p->hosts[0].ports));
        }
    }
    if (!has(p, "application_name"))
        set(p, "application_name", STR("aerie"));
    /* Kerberos asks its servers blocking. */
    if (!has(p, "gssencmode"))
        set(p, "gssencmode", STR("disable"));
    set(p, "client_encoding", STR("UTF8"));
    if (!has(p, "connect_timeout"))
        set(p, "connect_timeout", STR("5"));
    for (size_t i = 0; i < p->n; i++) {
        if (!is_error(err) && (!p->keywords[i] || !p->values[i]))
            err = ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    PQconninfoFree(options);
    if (is_error(err))
        pg_params_deinit(p);
    return err;
}

void pg_params_deinit(struct pg_params *p)
{
    arena_free(&p->arena);
    memset(p, 0, sizeof(*p));
}

PGconn *pg_params_dial(const struct pg_params *p, size_t first)
{
    const char *values[PG_PARAMS_MAX + 1];
    const struct pg_host *list = p->n_hosts > 0 ? &p->hosts[first % p->n_hosts] : NULL;

    for (size_t i = 0; i <= p->n; i++) {
        const char *keyword = p->keywords[i];

        values[i] = p->values[i];
        if (!list || !keyword)
            continue;
        if (strcmp(keyword, "host") == 0)
            values[i] = list->names;
        else if (strcmp(keyword, "hostaddr") == 0)
            values[i] = list->addresses;
        else if (strcmp(keyword, "port") == 0)
            values[i] = list->ports;
    }
    return PQconnectStartParams(p->keywords, values, 0);
}

static bool is_at(const struct pg_host *h, const PGconn *pg)
{
    return str_eq(h->name, str_from(PQhost(pg))) && str_eq(h->address, str_from(PQhostaddr(pg))) &&
           (h->port.len == 0 || str_eq(h->port, str_from(PQport(pg))));
}

size_t pg_params_behind(const struct pg_params *p, const PGconn *pg)
{
    size_t i = 0;

    while (i < p->n_hosts && !is_at(&p->hosts[i], pg))
        i++;
    return i + 1 < p->n_hosts ? i + 1 : 0;
}

struct error pg_open_error(PGconn *pg)
{
    const char *message = pg ? PQerrorMessage(pg) : "out of memory";
    struct str words = str_trim(str_from(message));

    return db_say(ERR_DB, 0, "cannot use the PostgreSQL database: %.*s", STR_ARG(words));
}
