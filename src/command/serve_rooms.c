/* See serve_rooms.h. */
#include "serve_rooms.h"

#include "account/account.h"
#include "account/revocation.h"
#include "api/api.h"
#include "base/log.h"
#include "chat/turn.h"
#include "cluster/cluster.h"
#include "command.h"
#include "config/config.h"
#include "document/document.h"
#include "http/http.h"
#include "trace/span.h"
#include "upstream/upstream.h"
#include "webhook/webhook.h"

static struct error open_db(struct serve_rooms *r)
{
    struct error err = db_open(&r->db, DB_OPEN_SERVER);
    int n_applied = 0;

    if (!is_error(err))
        err = db_migrate_up(r->db, &n_applied);
    if (n_applied > 0)
        log_info("db: %d migrations applied", n_applied);
    return is_error(err) ? err : command_ensure_default_team(r->db);
}

static void close_db(struct serve_rooms *r)
{
    db_close(r->db);
}

static struct error open_cluster(struct serve_rooms *r)
{
    struct error err = cluster_open(r->db);

    if (!is_error(err))
        trace_open(id_str(cluster_node_id()));
    return err;
}

static void close_cluster(struct serve_rooms *r)
{
    (void)r;
    cluster_close();
}

static struct error open_upstream(struct serve_rooms *r)
{
    (void)r;
    return upstream_open();
}

static void close_upstream(struct serve_rooms *r)
{
    (void)r;
    upstream_close();
}

static struct error open_document(struct serve_rooms *r)
{
    return document_open(r->db);
}

static void close_document(struct serve_rooms *r)
{
    (void)r;
    document_close();
}

static struct error open_webhook(struct serve_rooms *r)
{
    return webhook_open(r->db);
}

static void close_webhook(struct serve_rooms *r)
{
    (void)r;
    webhook_close();
}

static struct error open_account(struct serve_rooms *r)
{
    return account_open(r->db);
}

static void close_account(struct serve_rooms *r)
{
    (void)r;
    account_close();
}

static struct error open_chat(struct serve_rooms *r)
{
    revocation_on_erased(turn_end_all_of); /* the two rooms do not know each other */
    return chat_open(r->db);
}

static void close_chat(struct serve_rooms *r)
{
    chat_close(r->db);
}

static struct error open_api(struct serve_rooms *r)
{
    (void)r;
    return api_open();
}

static void close_api(struct serve_rooms *r)
{
    (void)r;
    api_close();
}

static struct error open_http(struct serve_rooms *r)
{
    struct error err = http_open(api_hooks(), r->n_loops, &r->http);
    struct str peers = config()->nodes.listen, own = cluster_peer_socket();

    if (is_error(err))
        return err;
    if (peers.len > 0)
        err = http_listen_to_peers(r->http, peers, false, "nodes.listen");
    if (!is_error(err) && own.len > 0)
        err = http_listen_to_peers(r->http, own, true, "data_dir");
    if (is_error(err))
        http_close(r->http);
    return err;
}

static void close_http(struct serve_rooms *r)
{
    http_close(r->http);
}

/* What all loops share: opened in this order, closed from the last to the first. A room whose
 * opening failed has cleaned up behind itself, but for the database, whose close takes what it got.
 */
static const struct room {
    struct error (*open)(struct serve_rooms *r);
    void (*close)(struct serve_rooms *r);
} rooms[] = {
    {open_db, close_db},
    {open_cluster, close_cluster},
    {open_upstream, close_upstream},
    {open_document, close_document},
    {open_webhook, close_webhook},
    {open_account, close_account},
    {open_chat, close_chat},
    {open_api, close_api},
    {open_http, close_http},
};
#define N_ROOMS (sizeof(rooms) / sizeof(rooms[0]))

struct error serve_rooms_open(struct serve_rooms *r, unsigned n_loops)
{
    struct error err = NO_ERROR;

    r->n_loops = n_loops;
    while (r->n_open < N_ROOMS && !is_error(err)) {
        err = rooms[r->n_open].open(r);
        if (!is_error(err))
            r->n_open++;
    }
    if (is_error(err) && r->n_open == 0)
        close_db(r);
    return err;
}

void serve_rooms_close(struct serve_rooms *r)
{
    while (r->n_open > 0)
        rooms[--r->n_open].close(r);
}
