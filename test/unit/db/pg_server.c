#include "pg_server.h"

#include <fcntl.h>
#include <glob.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_TRIES 500

/* PostgreSQL refuses to run as root; the server dies with the test. */
static pid_t spawn(const struct pg_server *s, const char *program, char *argv[])
{
    char path[320];
    const pid_t pid = fork();

    if (pid != 0)
        return pid;
    snprintf(path, sizeof(path), "%s/%s", s->bin, program);
    if (chdir(s->directory) != 0 || (getuid() == 0 && (setgid(s->gid) != 0 || setuid(s->uid) != 0)))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGINT);
    const int fd = open("log", O_CREAT | O_WRONLY | O_APPEND, 0600);
    if (fd >= 0) {
        dup2(fd, 1);
        dup2(fd, 2);
    }
    argv[0] = path; /* where they look for each other: the folder is in nobody's PATH */
    execv(path, argv);
    _exit(127);
}

static bool find_bin(struct pg_server *s)
{
    glob_t found;
    bool ok;

    if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) != 0)
        return false;
    ok = found.gl_pathc > 0;
    if (ok) {
        snprintf(s->bin, sizeof(s->bin), "%s", found.gl_pathv[found.gl_pathc - 1]);
        *strrchr(s->bin, '/') = '\0';
    }
    globfree(&found);
    return ok;
}

static bool find_user(struct pg_server *s)
{
    const struct passwd *user = getpwnam("postgres");

    s->uid = getuid();
    s->gid = getgid();
    if (s->uid != 0)
        return true;
    if (!user)
        user = getpwnam("nobody");
    if (!user)
        return false;
    s->uid = user->pw_uid;
    s->gid = user->pw_gid;
    return true;
}

static bool write_hba(const struct pg_server *s)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/data/pg_hba.conf", s->directory);
    file = fopen(path, "w");
    if (!file)
        return false;
    fputs("local all guarded scram-sha-256\nlocal all all trust\nhost all all 127.0.0.0/8 trust\n",
          file);
    return fclose(file) == 0;
}

bool pg_server_new(struct pg_server *s, const char **why)
{
    char *argv[] = {NULL,    "-D", "data", "-U",         "postgres", "-A",
                    "trust", "-E", "UTF8", "--locale=C", "-N",       NULL};
    int status;

    memset(s, 0, sizeof(*s));
    *why = "PostgreSQL's server programs are not installed (/usr/lib/postgresql/*/bin/initdb)";
    if (!find_bin(s))
        return false;
    *why = "no unprivileged user to run PostgreSQL as";
    if (!find_user(s))
        return false;
    *why = "cannot make a temporary directory";
    snprintf(s->directory, sizeof(s->directory), "/tmp/aerie-pg-XXXXXX");
    if (!mkdtemp(s->directory) || chown(s->directory, s->uid, s->gid) != 0)
        return false;
    snprintf(s->url, sizeof(s->url), "postgresql+asyncpg://postgres@/postgres?host=%s",
             s->directory);
    *why = "initdb failed";
    if (waitpid(spawn(s, "initdb", argv), &status, 0) < 0 || status != 0 || !write_hba(s) ||
        !pg_server_start(s)) {
        pg_server_free(s);
        return false;
    }
    return true;
}

bool pg_server_start(struct pg_server *s)
{
    char listen[96];
    char *argv[] = {NULL,
                    "-D",
                    "data",
                    "-k",
                    s->directory,
                    "-c",
                    listen,
                    "-c",
                    "fsync=off",
                    "-c",
                    "shared_buffers=16MB",
                    "-c",
                    "max_connections=40",
                    NULL};
    const char *url = strchr(s->url, ':');
    char plain[160];

    snprintf(listen, sizeof(listen), "listen_addresses=%s", s->listen);
    snprintf(plain, sizeof(plain), "postgresql%s", url);
    s->pid = spawn(s, "postgres", argv);
    for (int i = 0; s->pid > 0 && i < START_TRIES; i++) {
        if (PQping(plain) == PQPING_OK)
            return true;
        usleep(20000);
    }
    return false;
}

void pg_server_stop(struct pg_server *s)
{
    if (s->pid <= 0)
        return;
    kill(s->pid, SIGINT); /* a fast shutdown */
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

void pg_server_free(struct pg_server *s)
{
    char command[128];

    pg_server_stop(s);
    if (s->directory[0] == '\0')
        return;
    snprintf(command, sizeof(command), "rm -rf '%s'", s->directory);
    if (system(command) != 0)
        fprintf(stderr, "%s is left behind\n", s->directory);
    s->directory[0] = '\0';
}
