/* The node: who it is, its row, and its part on each loop. */
#include "cluster/cluster.h"

#include "base/clock.h"
#include "base/endpoint.h"
#include "base/json.h"
#include "base/log.h"
#include "cluster/peer.h"
#include "config/config.h"
#include "desk.h"
#include "pulse.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/* Written by cluster_open() and cluster_close() only. */
static struct {
    struct db *db;
    struct id id;
    int64_t started_us;
    char name[HOST_NAME_MAX + 16];
    char socket[PATH_MAX + 64], address[PATH_MAX + 64];
} node;

/* The first loop's part. The others only say that they have left. */
struct first {
    struct loop *loop;
    struct pulse pulse;
    struct mail alone; /* the other loops have left */
    void (*on_detached)(struct loop *l);
};
static struct first *first;       /* NULL: the first loop is not attached */
static atomic_uint n_loops_there; /* attached */

const struct id *cluster_node_id(void)
{
    return &node.id;
}

struct str cluster_node_name(void)
{
    return str_from(node.name);
}

int64_t cluster_started_us(void)
{
    return node.started_us;
}

struct str cluster_peer_socket(void)
{
    return str_from(node.socket);
}

struct str cluster_peer_address(void)
{
    return str_from(node.address);
}

/* ---- who it is ---- */

static void make_name(void)
{
    char host[HOST_NAME_MAX + 1] = "";

    if (gethostname(host, sizeof(host) - 1) != 0)
        snprintf(host, sizeof(host), "localhost");
    snprintf(node.name, sizeof(node.name), "%s:%ld", host, (long)getpid());
}

/* The socket of a node on this data directory. False: the path is too long for one. */
static bool socket_path(const struct id *id, char *out, size_t size)
{
    struct str dir = config()->data_dir;
    char here[PATH_MAX] = "";
    int n;

    if ((dir.len == 0 || dir.ptr[0] != '/') && !getcwd(here, sizeof(here)))
        return false;
    n = snprintf(out, size, "%s%s%.*s/peer-%.8s.sock", here, here[0] ? "/" : "", STR_ARG(dir),
                 id->text);
    return n > 0 && (size_t)n < size &&
           (size_t)n < sizeof(((struct sockaddr_un *)NULL)->sun_path);
}

bool cluster_find_socket(const struct id *node_id, char *out, size_t size)
{
    char path[PATH_MAX];

    return socket_path(node_id, path, sizeof(path)) && access(path, F_OK) == 0 &&
           (size_t)snprintf(out, size, "unix:%s", path) < size;
}

/* 0.0.0.0:9000 and [::]:9000 are nowhere to dial. */
static bool is_for_all(const struct endpoint *e)
{
    static const struct ip all_v4 = {.is_v4 = true}, all_v6 = {.is_v4 = false};
    const struct ip *all = e->ip.is_v4 ? &all_v4 : &all_v6;

    return !e->is_unix && memcmp(e->ip.bytes, all->bytes, sizeof(all->bytes)) == 0;
}

static struct error check_listen(const struct config_nodes *c)
{
    struct endpoint at;

    if (c->listen.len == 0)
        return NO_ERROR;
    if (!endpoint_parse(c->listen, &at) || (!at.is_unix && at.port == 0))
        return ERROR(ERR_INVALID, 0,
                     "nodes.listen must be an address and a port like 10.0.0.11:9000, or unix:/path");
    if (c->address.len == 0 && is_for_all(&at))
        return ERROR(ERR_INVALID, 0,
                     "nodes.listen is an address of no machine: set nodes.address to where other "
                     "nodes reach this one");
    return NO_ERROR;
}

static struct error make_address(void)
{
    const struct config_nodes *c = &config()->nodes;
    struct str address = c->address.len > 0 ? c->address : c->listen;
    char path[PATH_MAX];
    struct error err = check_listen(c);

    node.socket[0] = node.address[0] = '\0';
    if (is_error(err))
        return err;
    if (socket_path(&node.id, path, sizeof(path)))
        snprintf(node.socket, sizeof(node.socket), "unix:%s", path);
    else
        log_warn("cluster: data_dir is too long a path for a socket: other nodes do not reach this "
                 "one%s",
                 c->listen.len > 0 ? " once aerie upgrade has replaced it" : "; set nodes.listen");
    snprintf(node.address, sizeof(node.address), "%.*s",
             STR_ARG(address.len > 0 ? address : str_from(node.socket)));
    return NO_ERROR;
}

/* ---- its row ---- */

/* n_changed: NULL, or how many rows. */
static struct error run(struct db *db, enum sql sql, const struct db_arg *args, size_t n,
                        int64_t *n_changed)
{
    struct arena arena = {0};
    struct db_result result = {0};
    struct error err = db_run(db, &arena, sql, args, n, &result);

    if (n_changed)
        *n_changed = result.n_changed;
    arena_free(&arena);
    return err;
}

struct error cluster_open(struct db *db)
{
    struct db_arg args[PULSE_ARGS];
    struct error err;

    if (!peer_open())
        return ERROR(ERR_NO_MEMORY, 0, "no memory for the calls between nodes");
    node.db = db;
    node.id = id_v4(); /* its beginning is in the name of a socket: not the time */
    node.started_us = clock_wall_us();
    make_name();
    err = make_address();
    if (!is_error(err)) {
        pulse_args(args, false);
        err = run(db, SQL_NODE_ADD, args, PULSE_ARGS, NULL);
    }
    if (is_error(err))
        peer_close();
    else
        log_info("cluster: this is node %s", node.id.text);
    return err;
}

void cluster_close(void)
{
    struct error err =
        run(node.db, SQL_NODE_REMOVE, DB_ARGS(db_uuid(id_str(&node.id))), NULL);

    if (is_error(err))
        log_warn("cluster: this node's row stays: %s", status_row(err.status)->name);
    node.id = (struct id){0};
    peer_close();
}

/* ---- the dead ---- */

static void write_ids(struct json *j, const struct id *ids, size_t n)
{
    json_begin_array(j);
    for (size_t i = 0; i < n; i++)
        json_str(j, id_str(&ids[i]));
    json_end_array(j);
}

static void remove_sockets(const struct cluster_roll *roll)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < roll->n_dead; i++)
        if (socket_path(&roll->dead[i], path, sizeof(path)))
            (void)unlink(path); /* most have removed it */
}

static struct error mark_unfinished(struct db *db)
{
    int64_t n_replies = 0, n_marked, n_documents = 0;
    struct error err;

    do {
        err = run(db, SQL_REPLIES_INTERRUPTED,
                  DB_ARGS(db_time(clock_wall_us()), db_int(REPLIES_PORTION)), &n_marked);
        n_replies += n_marked;
    } while (!is_error(err) && n_marked >= REPLIES_PORTION);
    if (!is_error(err))
        err = run(db, SQL_DOCUMENTS_INTERRUPTED, NULL, 0, &n_documents);
    if (n_replies > 0)
        log_warn("cluster: %lld replies were cut by an earlier end and are marked interrupted",
                 (long long)n_replies);
    if (n_documents > 0)
        log_warn("cluster: %lld documents were cut by an earlier end and have failed",
                 (long long)n_documents);
    return err;
}

static struct error count_nodes(struct db *db)
{
    struct arena arena = {0};
    struct db_result rows;
    struct error err = db_run(db, &arena, SQL_NODES_COUNT, NULL, 0, &rows);

    if (!is_error(err))
        pulse_note_nodes((unsigned)db_get_int(&rows, 0, 0));
    arena_free(&arena);
    return err;
}

struct error cluster_bury(struct db *db, const struct cluster_roll *roll)
{
    struct buf dead = {0}, living = {0};
    struct json j = {.buf = &dead};
    struct error err = ERROR(ERR_NO_MEMORY, 0, NULL);

    write_ids(&j, roll->dead, roll->n_dead);
    j = (struct json){.buf = &living};
    write_ids(&j, roll->living, roll->n_living);
    if (!dead.failed && !living.failed)
        err = run(db, SQL_NODES_BURY,
                  DB_ARGS(db_uuid(id_str(&node.id)), db_json(buf_str(&dead)),
                          db_json(buf_str(&living))),
                  NULL);
    if (!is_error(err)) {
        remove_sockets(roll);
        err = mark_unfinished(db);
    }
    if (!is_error(err))
        err = count_nodes(db);
    buf_deinit(&dead);
    buf_deinit(&living);
    return err;
}

/* ---- on each loop ---- */

static void on_pulse_stopped(struct pulse *p)
{
    struct first *own = container_of(p, struct first, pulse);
    void (*on_detached)(struct loop * l) = own->on_detached;
    struct loop *l = own->loop;

    first = NULL;
    free(own);
    on_detached(l);
}

static void on_desk_closed(void)
{
    pulse_stop(&first->pulse, on_pulse_stopped);
}

static void on_alone(struct mail *m)
{
    (void)m;
    desk_close(on_desk_closed);
}

struct error cluster_attach(struct loop *l)
{
    if (l->index == 0) {
        first = calloc(1, sizeof(*first));
        if (!first)
            return ERROR(ERR_NO_MEMORY, 0, "no memory for the first loop's part of the cluster");
        first->loop = l;
        first->alone.run = on_alone;
        pulse_start(&first->pulse, !db_is_sqlite_here());
        desk_open();
    }
    atomic_fetch_add(&n_loops_there, 1);
    return NO_ERROR;
}

/* Turns may still run on other loops, and the node must be alive for them. */
void cluster_detach(struct loop *l, void (*on_detached)(struct loop *l))
{
    struct loop *home = first->loop;

    if (l == home)
        first->on_detached = on_detached;
    if (atomic_fetch_sub(&n_loops_there, 1) == 1)
        (void)loop_post(home, &first->alone);
    if (l != home)
        on_detached(l);
}

void cluster_drain(const struct loop *l)
{
    if (first && l == first->loop)
        pulse_drain(&first->pulse);
}
