/* The server's numbers in the text format of Prometheus, for the addresses in metrics.allow and for
 * who has metrics.token. To everyone else there is no such page. Each room writes its own; the
 * process's are here. */
#include "metrics.h"

#include "base/arena.h"
#include "base/cidr.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/metrics.h"
#include "chat/metrics.h"
#include "cluster/metrics.h"
#include "config/config.h"
#include "db/db.h"
#include "doc.h"
#include "loop/workers.h"
#include "trace/span.h"
#include "upstream/upstream.h"
#include "webhook/webhook.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define METRICS_MAX_BYTES (1024 * 1024)

/* ---- who may read them ---- */

/* A proxy's own address says nothing of who asks: a request that a proxy passed on, one that
 * trusted_proxies does not name, comes from anywhere. */
static bool is_passed_on(const struct request *req)
{
    static const char *const headers[] = {"Forwarded", "Via", "X-Forwarded-For", "X-Real-IP"};

    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        if (request_header(req, headers[i]).ptr)
            return !req->is_from_proxy;
    return false;
}

static bool is_address_allowed(const struct request *req)
{
    const struct config_list *allow = &config()->metrics.allow;
    struct cidr cidr;
    struct ip ip;

    if (is_passed_on(req) || !ip_parse(req->address, &ip))
        return false;
    for (size_t i = 0; i < allow->n; i++)
        if (cidr_parse(allow->items[i], &cidr) && cidr_match_ip(&cidr, &ip))
            return true;
    return false;
}

/* A token that is sent decides alone: so a wrong one is found out from everywhere. */
static bool may_read(const struct request *req)
{
    struct str token = config()->metrics.token, header = request_header(req, "authorization");

    if (token.len > 0 && str_starts_with_nocase(header, STR("Bearer ")))
        return crypto_equal(str_trim(str_skip(header, 7)), token);
    return is_address_allowed(req);
}

static void check_reader(struct flow *f)
{
    if (!may_read(request_of(f)))
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, NULL));
}

/* ---- the process: the names that Prometheus's own libraries use ---- */

static uint64_t resident_bytes(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (!file)
        return 0;
    if (fscanf(file, "%*u %llu", &pages) != 1) /* NOLINT(cert-err34-c): the kernel wrote it */
        pages = 0;
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Since Linux 6.2 the folder's size is their number; before, they are to be counted. */
static uint64_t open_descriptors(void)
{
    struct stat status;
    uint64_t n = 0;
    DIR *folder;

    if (stat("/proc/self/fd", &status) == 0 && status.st_size > 0)
        return (uint64_t)status.st_size;
    folder = opendir("/proc/self/fd");
    if (!folder)
        return 0;
    while (readdir(folder)) /* NOLINT(concurrency-mt-unsafe): the stream is ours alone */
        n++;
    closedir(folder);
    return n > 3 ? n - 3 : 0; /* ".", "..", and the folder's own */
}

static uint64_t time_us(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

static int64_t started_us;

void metrics_note_start(void)
{
    started_us = clock_wall_us();
}

static void process_metrics(struct buf *out)
{
    struct rusage used;
    struct rlimit files;

    metrics_gauge(out, "process_resident_memory_bytes", "Memory that the process occupies.",
                  resident_bytes());
    metrics_gauge(out, "process_open_fds", "Open file descriptors.", open_descriptors());
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        metrics_gauge(out, "process_max_fds", "Most file descriptors that may be open.",
                      (uint64_t)files.rlim_cur);
    metrics_begin(out, "process_start_time_seconds", METRIC_GAUGE,
                  "When the process started, in seconds since 1970.");
    metrics_sample(out, "process_start_time_seconds", NULL, METRIC_MICROSECONDS,
                   (uint64_t)started_us);
    if (getrusage(RUSAGE_SELF, &used) == 0) {
        metrics_begin(out, "process_cpu_seconds_total", METRIC_COUNTER,
                      "Processor time of the process, the system's work for it included.");
        metrics_sample(out, "process_cpu_seconds_total", NULL, METRIC_MICROSECONDS,
                       time_us(used.ru_utime) + time_us(used.ru_stime));
    }
    metrics_begin(out, "aerie_log_dropped_total", METRIC_COUNTER,
                  "Records of the log that could not be written at once.");
    metrics_sample(out, "aerie_log_dropped_total", NULL, METRIC_COUNT, log_dropped());
    metrics_begin(out, "aerie_build_info", METRIC_GAUGE, "Always 1; the labels tell the version.");
    metrics_sample(out, "aerie_build_info", "version=\"" AERIE_VERSION "\"", METRIC_COUNT, 1);
}

static void answer(struct flow *f)
{
    struct request *req = request_of(f);
    struct buf out = {.max_bytes = METRICS_MAX_BYTES};

    http_metrics(&out, http_server_of(req));
    chat_metrics(&out);
    cluster_metrics(&out);
    upstream_metrics(&out);
    webhook_metrics(&out);
    db_metrics(&out);
    workers_metrics(&out);
    loop_metrics(&out);
    trace_metrics(&out);
    arena_metrics(&out);
    process_metrics(&out);
    if (out.failed) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    } else {
        response_set_header(req, "Cache-Control", STR("no-store"));
        response_send(req, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&out));
    }
    buf_deinit(&out);
}

const struct step metrics_steps[] = {
    STEP(check_reader), /* 404 */
    STEP(answer),
    STEP_END,
};

const struct route_doc metrics_doc = {
    TAG_RUNNING,
    ANSWERS({200, .type = "text/plain"}),
    DOC_ERRORS(404),
    .about = "For the addresses in metrics.allow, and for who sends metrics.token as bearer token; "
             "where metrics.listen listens, if that is set. docs/operations.md has the list.",
};
