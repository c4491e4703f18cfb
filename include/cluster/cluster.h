/* What nodes that share one database know of each other. A node is one serving process. It has a row in the table nodes from
 * its start to its clean end; with a row it is alive, without one it is not. On PostgreSQL the first loop writes seen_at each
 * second, by the database's clock, and any other node removes the row of one that was not seen for nodes.dead_seconds and marks
 * its running replies interrupted. On SQLite nobody writes regularly: there the lock of a node's folder of journals tells its
 * life (chat/journal_folder.h), and the next start removes the rows of the dead. A node that lives and finds its row gone puts
 * it back. */
#ifndef AERIE_CLUSTER_CLUSTER_H
#define AERIE_CLUSTER_CLUSTER_H

#include "base/id.h"
#include "db/db.h"
#include "loop/loop.h"

/* Main thread, after db_open() and the migrations, before anything that runs turns: makes the id and writes the row. The
 * detail lives until the thread's next call. */
struct error cluster_open(struct db *db) MUST_CHECK;
/* Main thread, after all loops have left, before db_close(): removes the row. */
void cluster_close(void);
/* Loop's thread, after db_attach(). */
struct error cluster_attach(struct loop *l) MUST_CHECK;
/* Loop's thread, before db_detach(). The first loop's part stays, and the node alive, until every loop has come here: on_detached
 * runs when nothing of the room runs on this loop any more, perhaps before this returns. */
void cluster_detach(struct loop *l, void (*on_detached)(struct loop *l));
/* Loop's thread, any loop: the row says so from now on. */
void cluster_drain(const struct loop *l);

/* This node's, random, made by cluster_open(); "" before it. Any thread. */
const struct id *cluster_node_id(void);
/* As the row says: the host's name and the process. Any thread. */
struct str cluster_node_name(void);
int64_t cluster_started_us(void); /* by our clock. Any thread */

/* ---- where other nodes reach this one ---- */
/* The socket in data_dir that is this process's alone, "unix:/abs/path"; "": its path would be too long. nodes.listen is the
 * place of a server, which each of its processes leaves to the next. Any thread. */
struct str cluster_peer_socket(void);
/* What the row says, for others to dial; "": nowhere. Any thread. */
struct str cluster_peer_address(void);
/* That of another node on this data directory, such as the process before us or the one after. False: it has none here. Any
 * thread. */
bool cluster_find_socket(const struct id *node_id, char *out, size_t size) MUST_CHECK;

/* What the last beat saw. One that has just begun is seen after a second. Any thread. */
struct cluster_sight {
    unsigned n_nodes; /* this one included; 0: before cluster_bury() */
    uint64_t seen_ms; /* when it was written, clock_mono_ms(); 0: not yet, or SQLite */
};
struct cluster_sight cluster_sight(void);
/* No other node is there, as far as this one knows. */
static inline bool cluster_is_alone(void)
{
    return cluster_sight().n_nodes == 1;
}
/* Others serve the same database, and what each may give of a limit is shared out there. Not on SQLite, where a second process
 * is a successor, or the one before. */
static inline bool cluster_shares_limits(void)
{
    struct cluster_sight sight = cluster_sight();

    return sight.n_nodes > 1 && sight.seen_ms > 0;
}

/* ---- the dead of this data directory ---- */
#define CLUSTER_ROLL_MAX 256
/* The nodes whose folders were looked into: those nobody holds, and those that another process holds. */
struct cluster_roll {
    struct id dead[CLUSTER_ROLL_MAX], living[CLUSTER_ROLL_MAX];
    size_t n_dead, n_living;
};
/* Main thread, after cluster_open(), before the loops run: removes the rows of the dead, on SQLite all but those of the living
 * and our own, and the sockets that the dead left; then marks what no living node writes or reads any more, and counts who is there. */
struct error cluster_bury(struct db *db, const struct cluster_roll *roll) MUST_CHECK;

#endif
