/* Aerie's own database room as fast as it goes: N message rows, so many in flight, each in its own
 * operation as a turn's would be. The other side of raw_rows.
 *
 *   aerie_rows --database URL --team ID --chats FILE [--rows N] [--in-flight N]
 *
 * FILE: ids of chats of that team, one a line; the k-th in flight writes to the k-th. The last line
 * is {"rows", "wrong", "seconds", "cpu_us"}: CPU of this process alone. Exit 1 when it cannot
 * begin. */
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "db/db.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAX_IN_FLIGHT 1024
#define ID_SIZE       37
#define CONTENT_BYTES 100

struct row {
    struct flow flow;
    struct db_query query;
    struct arena arena;
    char chat[ID_SIZE], id[ID_SIZE];
};

static struct {
    const char *url, *team, *chats;
    unsigned long rows, in_flight;
} wanted = {.rows = 10000, .in_flight = 16};

static struct row rows[MAX_IN_FLIGHT];
static struct config settings;
static struct db *db;
static struct loop loop;
static char content[CONTENT_BYTES];
static unsigned long n_begun, n_right, n_wrong, n_in_flight;

static void write_row(struct flow *f)
{
    struct row *r = f->state;
    const struct db_arg args[] = {db_uuid(str_from(wanted.team)),
                                  db_uuid(str_from(r->chat)),
                                  db_uuid(str_from(r->id)),
                                  db_text(STR("user")),
                                  db_text((struct str){content, sizeof(content)}),
                                  db_time(clock_wall_us())};

    db_query(&r->query, f, &r->arena, SQL_MESSAGE_ADD, args, sizeof(args) / sizeof(args[0]));
}

static const struct step steps[] = {STEP(write_row), STEP_END};

static void on_detached(struct loop *l)
{
    loop_close(l);
}

static void on_end(struct flow *f);

static void begin(struct row *r)
{
    snprintf(r->id, sizeof(r->id), "%08x-%04x-4000-8000-%012lx", (unsigned)clock_wall_us(),
             (unsigned)getpid() & 0xffff, n_begun);
    n_begun++;
    n_in_flight++;
    memset(&r->query, 0, sizeof(r->query));
    memset(&r->flow, 0, sizeof(r->flow));
    flow_start(&r->flow, steps, r, on_end);
}

static void on_end(struct flow *f)
{
    struct row *r = f->state;

    n_in_flight--;
    if (is_error(f->err) || r->query.result->n_changed != 1) {
        n_wrong++;
        n_begun = wanted.rows; /* one is enough to know */
    } else {
        n_right++;
    }
    arena_free(&r->arena);
    if (n_begun < wanted.rows)
        begin(r);
    else if (n_in_flight == 0)
        db_detach(&loop, on_detached);
}

static bool read_chats(void)
{
    FILE *file = fopen(wanted.chats, "r");
    unsigned long n = 0;

    if (!file)
        return false;
    while (n < wanted.in_flight && fscanf(file, "%36s", rows[n].chat) == 1)
        n++;
    fclose(file);
    return n == wanted.in_flight;
}

static bool read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"database", required_argument, NULL, 'd'},  {"team", required_argument, NULL, 't'},
        {"chats", required_argument, NULL, 'c'},     {"rows", required_argument, NULL, 'r'},
        {"in-flight", required_argument, NULL, 'i'}, {0}};

    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
        switch (option) {
        case 'd':
            wanted.url = optarg;
            break;
        case 't':
            wanted.team = optarg;
            break;
        case 'c':
            wanted.chats = optarg;
            break;
        case 'r':
            wanted.rows = strtoul(optarg, NULL, 10);
            break;
        case 'i':
            wanted.in_flight = strtoul(optarg, NULL, 10);
            break;
        default:
            return false;
        }
    }
    return wanted.url && wanted.team && wanted.chats && wanted.in_flight > 0 &&
           wanted.in_flight <= MAX_IN_FLIGHT && wanted.rows >= wanted.in_flight;
}

static int64_t cpu_us(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return (int64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
           used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

int main(int argc, char **argv)
{
    struct error err;
    int64_t began_us, began_cpu_us;

    if (!read_options(argc, argv)) {
        fputs("usage: aerie_rows --database URL --team ID --chats FILE [--rows N] "
              "[--in-flight N]\n",
              stderr);
        return 2;
    }
    if (!read_chats()) {
        fprintf(stderr, "aerie_rows: %s does not name %lu chats\n", wanted.chats, wanted.in_flight);
        return 1;
    }
    memset(content, 'x', sizeof(content));
    log_init(LOG_ERROR, STDERR_FILENO);
    settings.database = (struct config_database){
        .url = str_from(wanted.url),
        .wait_ms = 2000,
        .statement_ms = 5000,
        .queue = 4096,
        .prepared_statements = true,
        .sqlite_readers = 2,
        .sqlite_synchronous = STR("FULL"),
    };
    config_set(&settings);
    err = db_open(&db, DB_OPEN_SERVER);
    if (!is_error(err))
        err = loop_init(&loop, 0);
    if (!is_error(err))
        err = db_attach(db, &loop);
    if (is_error(err)) {
        fprintf(stderr, "aerie_rows: %s\n", err.detail ? err.detail : "the database does not open");
        return 1;
    }
    began_us = clock_wall_us();
    began_cpu_us = cpu_us();
    for (unsigned long i = 0; i < wanted.in_flight; i++)
        begin(&rows[i]);
    loop_run(&loop);
    printf("{\"rows\":%lu,\"wrong\":%lu,\"seconds\":%.6f,\"cpu_us\":%lld}\n", n_right, n_wrong,
           (double)(clock_wall_us() - began_us) / 1e6, (long long)(cpu_us() - began_cpu_us));
    loop_deinit(&loop);
    db_close(db);
    return 0;
}
