/* The machine: configuration, disk, limits, memory, clock, names and certificates. */
#include "doctor.h"

#include "base/clock.h"
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MIB              ((uint64_t)1024 * 1024)
#define DISK_LOW_MIB     1024
#define DISK_GONE_MIB    64
#define INODES_LOW       10000
#define FSYNC_SLOW_MS    100
#define MEMORY_LOW_MIB   128
#define FILES_A_CLIENT   2 /* the client's, and the agent's */
#define FILES_OTHERS     200
#define OLDEST_SANE_TIME INT64_C(1704067200000000) /* 2024 */

/* ---- configuration ---- */

static void judge_secret(struct doctor *d)
{
    static const char remedy[] =
        "Set SECRET_KEY to what `openssl rand -hex 32` prints, and keep it with the database: it signs "
        "the tokens and seals what is stored. The old one goes to SECURITY__PREVIOUS_SECRET for a while.";
    struct str secret = config()->security.secret;
    const char *why = secret.len > 0 ? config_secret_weakness(secret) : NULL;
    enum mark mark = config_is_production() ? MARK_PROBLEM : MARK_WARNING;
    char path[4096];
    struct stat st;

    if (why) {
        doctor_say(d, mark, "secret", remedy, "SECRET_KEY %s%s", why,
                   mark == MARK_PROBLEM ? ": the server will not start" : "");
    } else if (secret.len > 0) {
        doctor_say(d, MARK_OK, "secret", NULL, "SECRET_KEY is long enough, and no known example");
    } else if (mark == MARK_PROBLEM) {
        doctor_say(d, mark, "secret", remedy, "SECRET_KEY is missing: the server will not start");
    } else {
        snprintf(path, sizeof(path), "%.*s/secret", STR_ARG(config()->data_dir));
        if (stat(path, &st) != 0)
            doctor_say(d, MARK_OK, "secret", NULL, "will be made in %s by the first start", path);
        else if ((st.st_mode & 077) != 0)
            doctor_say(d, MARK_WARNING, "secret", "chmod 600 it.", "%s can be read by others", path);
        else
            doctor_say(d, MARK_OK, "secret", NULL, "is in %s, for the server's user only", path);
    }
}

static void judge_environment(struct doctor *d)
{
    const char *scheme = d->url ? d->url : config()->server.public_url.ptr;

    if (!config_is_production() && scheme && strncmp(scheme, "https://", 8) == 0)
        doctor_say(d, MARK_WARNING, "environment",
                   "Set ENVIRONMENT=production: weak secrets stop the start, and cookies are for https "
                   "only.",
                   "it is %.*s, on a public address", STR_ARG(config()->environment));
}

void doctor_check_config(struct doctor *d, struct config *settings)
{
    const struct config_sources sources = {.json_path = command_config_path, .environ = environ};
    struct error err = config_load(&sources, settings);

    if (is_error(err)) {
        doctor_say(d, MARK_PROBLEM, "configuration",
                   "Put it right; docs/configuration.md says what each key takes. What needs the "
                   "configuration was not looked at.",
                   "%s", err.detail ? err.detail : "cannot be read");
        return;
    }
    config_set(settings);
    d->settings = settings;
    d->has_config = true;
    doctor_say(d, MARK_OK, "configuration", NULL, "is understood (%.*s)",
               STR_ARG(settings->environment));
    judge_secret(d);
    judge_environment(d);
}

/* ---- disk ---- */

static void judge_space(struct doctor *d, const char *dir)
{
    struct statvfs fs;
    uint64_t free_mib;

    if (statvfs(dir, &fs) != 0) {
        doctor_say(d, MARK_PROBLEM, "disk", "Is it mounted?", "%s cannot be looked at: %s", dir,
                   errno_text(errno));
        return;
    }
    free_mib = (uint64_t)fs.f_bavail * fs.f_frsize / MIB;
    if (free_mib < DISK_LOW_MIB)
        doctor_say(d, free_mib < DISK_GONE_MIB ? MARK_PROBLEM : MARK_WARNING, "disk",
                   "Make room, or move DATA_DIR. On a full disk messages are refused with 507.",
                   "%" PRIu64 " MiB are free under %s", free_mib, dir);
    else
        doctor_say(d, MARK_OK, "disk", NULL, "%" PRIu64 " MiB are free under %s", free_mib, dir);
    if (fs.f_files > 0 && fs.f_favail < INODES_LOW)
        doctor_say(d, fs.f_favail == 0 ? MARK_PROBLEM : MARK_WARNING, "disk",
                   "Many small files fill it: find them with `du --inodes`.",
                   "%" PRIu64 " more files fit under %s", (uint64_t)fs.f_favail, dir);
}

/* A page that must be there after a loss of power: how long does the disk take to promise it? */
static int write_durably(const char *path, uint64_t *took_us)
{
    static const char page[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), code = 0;
    uint64_t begun_us = clock_mono_us();

    if (fd < 0)
        return errno;
    if (write(fd, page, sizeof(page)) != (ssize_t)sizeof(page) || fsync(fd) != 0)
        code = errno ? errno : ENOSPC;
    *took_us = clock_mono_us() - begun_us;
    close(fd);
    unlink(path);
    return code;
}

static void judge_writing(struct doctor *d, const char *dir)
{
    char path[4200];
    uint64_t took_us = 0;
    int code;

    snprintf(path, sizeof(path), "%s/doctor-%ld", dir, (long)getpid());
    code = write_durably(path, &took_us);
    if (code == ENOSPC || code == EDQUOT)
        doctor_say(d, MARK_PROBLEM, "disk", "Make room, or move DATA_DIR.",
                   "is full: nothing can be written in %s", dir);
    else if (code == EROFS)
        doctor_say(d, MARK_PROBLEM, "disk",
                   "Mount it for writing; after an error the system may have made it read-only: see "
                   "`dmesg`.",
                   "%s is on a read-only disk", dir);
    else if (code)
        doctor_say(d, MARK_PROBLEM, "disk",
                   "Run this as the user that the server runs as; that user must own DATA_DIR.",
                   "nothing can be written in %s: %s", dir, errno_text(code));
    else
        doctor_say(d, took_us > FSYNC_SLOW_MS * 1000 ? MARK_WARNING : MARK_OK, "disk",
                   took_us > FSYNC_SLOW_MS * 1000
                       ? "Each message waits for this with SQLite. Use a disk of this machine, not a "
                         "network's, or PostgreSQL."
                       : NULL,
                   "what is written is durable after %.1f ms", (double)took_us / 1000);
}

/* DATA_DIR, or what is there of its way. */
static bool nearest_dir(char *path)
{
    struct stat st;
    char *slash;

    while (stat(path, &st) != 0 && errno == ENOENT) {
        slash = strrchr(path, '/');
        if (!slash) {
            strcpy(path, ".");
            return false;
        }
        *(slash == path ? slash + 1 : slash) = 0;
    }
    return true;
}

void doctor_check_disk(struct doctor *d)
{
    char wanted[4096], path[4096];
    struct stat st;

    snprintf(wanted, sizeof(wanted), "%.*s", STR_ARG(config()->data_dir));
    memcpy(path, wanted, sizeof(path));
    (void)nearest_dir(path);
    if (strcmp(path, wanted) != 0)
        doctor_say(d, MARK_OK, "disk", NULL, "DATA_DIR %s will be made by the first start", wanted);
    else if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
        doctor_say(d, MARK_PROBLEM, "disk", "Set DATA_DIR to a directory.",
                   "DATA_DIR %s is no directory", path);
        return;
    }
    judge_space(d, path);
    judge_writing(d, path);
}

/* ---- limits ---- */

static void judge_descriptors(struct doctor *d)
{
    uint64_t wanted = config()->limits.connections * FILES_A_CLIENT + FILES_OTHERS;
    struct rlimit files = {.rlim_max = RLIM_INFINITY};

    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_max == RLIM_INFINITY || files.rlim_max >= wanted) {
        doctor_say(d, MARK_OK, "open files", NULL,
                   "the system allows enough for limits.connections (%" PRIu64 ")",
                   config()->limits.connections);
        return;
    }
    doctor_say(d, files.rlim_max < 2 * FILES_OTHERS ? MARK_PROBLEM : MARK_WARNING, "open files",
               "Raise it (`LimitNOFILE=` in a systemd unit, `ulimit -Hn` in a shell), or lower "
               "limits.connections. This is the limit of who runs the doctor: a service has its own.",
               "%" PRIu64 " are allowed; %" PRIu64 " clients that stream (limits.connections) need "
               "%" PRIu64,
               (uint64_t)files.rlim_max, config()->limits.connections, wanted);
}

/* A line of /proc/meminfo, in MiB; 0: not known. */
static uint64_t meminfo_mib(const char *name)
{
    FILE *in = fopen("/proc/meminfo", "re");
    char line[128];
    uint64_t kib = 0;

    while (in && fgets(line, sizeof(line), in))
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtoull(line + strlen(name), NULL, 10);
    if (in)
        fclose(in);
    return kib / 1024;
}

static void judge_memory(struct doctor *d)
{
    uint64_t free_mib = meminfo_mib("MemAvailable:");

    if (free_mib == 0)
        doctor_say(d, MARK_OK, "memory", NULL, "the system does not tell");
    else
        doctor_say(d, free_mib < MEMORY_LOW_MIB ? MARK_WARNING : MARK_OK, "memory",
                   free_mib < MEMORY_LOW_MIB ? "End what else runs here, or give the machine more." : NULL,
                   "%" PRIu64 " MiB are free", free_mib);
}

void doctor_check_limits(struct doctor *d)
{
    judge_descriptors(d);
    judge_memory(d);
}

/* ---- clock ---- */

void doctor_check_clock(struct doctor *d)
{
    uint64_t before_us = clock_mono_us();
    int64_t now_us = clock_wall_us();

    if (now_us < OLDEST_SANE_TIME)
        doctor_say(d, MARK_PROBLEM, "clock", "Set it, and keep it by NTP: `timedatectl set-ntp true`.",
                   "this machine believes that it is before 2024");
    if (clock_mono_us() < before_us)
        doctor_say(d, MARK_PROBLEM, "clock", "Every timeout depends on it: ask who runs this machine.",
                   "the monotonic clock goes backwards");
}

/* ---- names and certificates ---- */

void doctor_check_roots(struct doctor *d)
{
    struct str own = config()->upstream.ca_file;
    struct addrinfo *found = NULL;
    char path[1024] = "";
    const char *file = NULL;
    CURL *easy = curl_easy_init();

    if (own.len > 0)
        snprintf(path, sizeof(path), "%.*s", STR_ARG(own));
    else if (easy && curl_easy_getinfo(easy, CURLINFO_CAINFO, &file) == CURLE_OK && file)
        snprintf(path, sizeof(path), "%s", file);
    curl_easy_cleanup(easy);
    if (path[0] && access(path, R_OK) != 0)
        doctor_say(d, MARK_PROBLEM, "certificates",
                   own.len > 0 ? "upstream.ca_file must name a file of certificates."
                               : "Install the system's list: `apt install ca-certificates`.",
                   "%s cannot be read: no provider with https can be asked", path);
    else
        doctor_say(d, MARK_OK, "certificates", NULL, "are checked against %s",
                   path[0] ? path : "the system's list");
    if (getaddrinfo("localhost", NULL, NULL, &found) != 0)
        doctor_say(d, MARK_WARNING, "names", "See /etc/hosts, /etc/resolv.conf and /etc/nsswitch.conf.",
                   "the address of localhost is not found");
    else
        freeaddrinfo(found);
}
