/* Where PostgreSQL is. libpq resolves names blocking, so they are resolved here, once, before the
 * loops run. */
#include "db/pg.h"

#include "base/buf.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESSES_MAX 16

/* Parallel comma-separated lists, as libpq takes them: one place for each address of each host. */
struct hosts {
    struct buf names, addresses, ports;
    size_t n;
};

static void hosts_add(struct hosts *h, struct str name, const char *address, struct str port)
{
    if (h->n >= ADDRESSES_MAX)
        return;
    buf_printf(&h->names, "%s%.*s", h->n ? "," : "", STR_ARG(name));
    buf_printf(&h->addresses, "%s%s", h->n ? "," : "", address);
    buf_printf(&h->ports, "%s%.*s", h->n ? "," : "", STR_ARG(port));
    h->n++;
}

static struct error resolve(struct arena *a, struct hosts *h, struct str name, struct str port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    struct str name_z = arena_copy(a, name);
    struct addrinfo *found = NULL;
    int rc;

    if (!name_z.ptr)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    if (name.len == 0 || name.ptr[0] == '/' || name.ptr[0] == '@') {
        hosts_add(h, name, "", port);
        return NO_ERROR;
    }
    rc = getaddrinfo(name_z.ptr, NULL, &hints, &found);
    if (rc != 0)
        return db_say(ERR_DB, rc, "cannot resolve the database's host %s: %s", name_z.ptr,
                      gai_strerror(rc));
    for (struct addrinfo *it = found; it; it = it->ai_next) {
        char address[NI_MAXHOST];

        if (getnameinfo(it->ai_addr, it->ai_addrlen, address, sizeof(address), NULL, 0,
                        NI_NUMERICHOST) == 0)
            hosts_add(h, name, address, port);
    }
    freeaddrinfo(found);
    return NO_ERROR;
}

/* One port serves all hosts; otherwise each has its own. */
static struct error resolve_all(struct arena *a, struct hosts *h, struct str names,
                                struct str ports)
{
    const bool has_one_port = str_find(ports, ',') == ports.len;
    struct str name, port = ports;
    struct error err = NO_ERROR;

    while (!is_error(err) && str_next(&names, ',', &name)) {
        if (!has_one_port && !str_next(&ports, ',', &port))
            return ERROR(ERR_INVALID, 0, "database.url has fewer ports than hosts");
        err = resolve(a, h, name, port);
    }
    return err;
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
    struct hosts h = {0};
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
        err = resolve_all(&p->arena, &h, str_from(host), str_from(port));
        set(p, "host", buf_str(&h.names));
        set(p, "hostaddr", buf_str(&h.addresses));
        set(p, "port", buf_str(&h.ports));
    }
    if (!has(p, "application_name"))
        set(p, "application_name", STR("aerie"));
    /* Kerberos asks its servers blocking. */
    if (!has(p, "gssencmode"))
        set(p, "gssencmode", STR("disable"));
    set(p, "client_encoding", STR("UTF8"));
    set(p, "connect_timeout", STR("5"));
    for (size_t i = 0; i < p->n; i++) {
        if (!is_error(err) && (!p->keywords[i] || !p->values[i]))
            err = ERROR(ERR_NO_MEMORY, 0, NULL);
    }
    if (!is_error(err) && (h.names.failed || h.addresses.failed || h.ports.failed))
        err = ERROR(ERR_NO_MEMORY, 0, NULL);
    buf_deinit(&h.names);
    buf_deinit(&h.addresses);
    buf_deinit(&h.ports);
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

struct error pg_open_error(PGconn *pg)
{
    const char *message = pg ? PQerrorMessage(pg) : "out of memory";
    struct str words = str_trim(str_from(message));

    return db_say(ERR_DB, 0, "cannot use the PostgreSQL database: %.*s", STR_ARG(words));
}
