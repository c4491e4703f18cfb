/* PDFs by poppler's pdftotext, HTML by this program's own command read-html. Not in this process:
 * their parsers crash and files bomb, and here both end one child. It gets the file by a pipe and
 * no shell, and is limited before the first byte. */
#include "base/log.h"
#include "config/config.h"
#include "document/html.h"
#include "document/read.h"

#include <linux/close_range.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define BUSY_SECONDS  2
#define PIECE_BYTES   16384
#define N_HANDLES     3
#define LOST          "The document was not read to its end, try again"
#define MAX_ARGS      8
#define PROGRAM_BYTES 1024
#define TOO_MANY      "Too many PDFs and HTML pages at once, try again soon"
#define TOO_DEEP      "The HTML is nested too deeply to be read"
#define TOO_LONG      "The text of this document is longer than this server takes"

/* Which program reads what, and what is said when it does not. args end with NULL. */
static const struct reader {
    const char *args[MAX_ARGS]; /* the first is the program; NULL: pdftotext, as it is configured */
    bool has_title;             /* in the first line */
    bool is_limited;            /* in memory, too */
    const char *no_program, *unreadable, *too_slow;
} readers[] = {
    [DOCUMENT_IS_HTML] = {.args = {"/proc/self/exe", "read-html"},
                          .has_title = true,
#ifndef AERIE_SANITIZED
                          /* A sanitizer reserves terabytes of addresses. */
                          .is_limited = true,
#endif
                          .no_program = "The reader of HTML cannot be started",
                          .unreadable = "The HTML cannot be read: it needs too much memory",
                          .too_slow = "The HTML takes too long to read"},
    [DOCUMENT_IS_PDF] =
        {.args = {NULL, "-q", "-enc", "UTF-8", "-nopgbrk", "-", "-"},
         .is_limited = true,
         .no_program =
             "PDFs need pdftotext on the server, which is not there: install poppler-utils",
         .unreadable = "The PDF cannot be read: it is damaged, or needs a password",
         .too_slow = "The PDF takes too long to read"},
};

/* Of all loops. */
static atomic_uint n_processes;

/* On the heap, as libuv gives its handles back later. */
struct document_reader_process {
    struct document_reader *owner;
    const struct reader *reader;
    uv_process_t process;
    uv_pipe_t in, out;
    uv_write_t write;
    struct timer deadline;
    unsigned n_handles;                 /* not given back yet */
    bool has_exited, is_killed, is_cut; /* cut: it did not get all of the file */
    struct error err;
    struct utf8_stream utf8;
    char piece[PIECE_BYTES];
};

static struct error too_long(const struct document_reader *r)
{
    return r->text.is_short_of_memory ? ERROR(ERR_NO_MEMORY, 0, NULL)
                                      : ERROR(ERR_TOO_LARGE, 0, TOO_LONG);
}

/* Last of all: nothing of the child is left. */
static void finish(struct document_reader_process *c)
{
    struct document_reader *r = c->owner;
    struct error err = c->err;

    utf8_stream_end(&c->utf8, &r->text);
    if (!is_error(err) && r->text.failed)
        err = too_long(r);
    if (!is_error(err) && c->is_cut)
        err = ERROR(ERR_UNAVAILABLE, BUSY_SECONDS, LOST);
    timer_stop(&c->deadline);
    atomic_fetch_sub(&n_processes, 1);
    r->process = NULL;
    free(c);
    op_end(&r->op, err);
}

static void on_close(uv_handle_t *handle)
{
    struct document_reader_process *c = handle->data;

    if (--c->n_handles == 0)
        finish(c);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_close);
}

/* The first reason counts. What is left closes when the child has been reaped; if it has been, a
 * child of its own may still hold the pipe. */
static void kill_child(struct document_reader_process *c, struct error why)
{
    if (!is_error(c->err))
        c->err = why;
    if (c->has_exited)
        close_handle((uv_handle_t *)&c->out);
    else if (!c->is_killed)
        uv_process_kill(&c->process, SIGKILL);
    c->is_killed = true;
}

static void on_deadline(struct timer *t)
{
    struct document_reader_process *c = container_of(t, struct document_reader_process, deadline);

    kill_child(c, ERROR(ERR_INVALID, 0, c->reader->too_slow));
}

static void on_cancel(struct op *op)
{
    kill_child(container_of(op, struct document_reader, op)->process, ERROR(ERR_CANCELED, 0, NULL));
}

static struct error why_unread(const struct document_reader_process *c, int64_t status, int signal)
{
    if (signal == SIGXCPU)
        return ERROR(ERR_INVALID, 0, c->reader->too_slow);
    if (c->reader->has_title && status == HTML_EXIT_TOO_DEEP)
        return ERROR(ERR_INVALID, 0, TOO_DEEP);
    return ERROR(ERR_INVALID, 0, c->reader->unreadable);
}

static void on_child_exit(uv_process_t *process, int64_t status, int signal)
{
    struct document_reader_process *c = process->data;

    c->has_exited = true;
    if ((status != 0 || signal != 0) && !is_error(c->err)) {
        log_info("document: a reader ended with status %lld, signal %d", (long long)status, signal);
        c->err = why_unread(c, status, signal);
    }
    close_handle((uv_handle_t *)&c->process);
    close_handle((uv_handle_t *)&c->in);
    /* A child that ended well has more in its pipe: on_read() sees the end. */
    if (is_error(c->err))
        close_handle((uv_handle_t *)&c->out);
}

static void on_piece_wanted(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct document_reader_process *c = handle->data;

    (void)suggested;
    *buf = uv_buf_init(c->piece, sizeof(c->piece));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct document_reader_process *c = stream->data;

    if (n > 0)
        utf8_stream_feed(&c->utf8, (struct str){buf->base, (size_t)n}, &c->owner->text);
    if (c->owner->text.failed)
        kill_child(c, too_long(c->owner));
    else if (n < 0 && n != UV_EOF)
        kill_child(c, ERROR(ERR_UNAVAILABLE, BUSY_SECONDS, LOST));
    if (n < 0)
        close_handle((uv_handle_t *)&c->out);
}

/* The child may end without reading it all; what it says counts if it says that it went wrong. */
static void on_written(uv_write_t *write, int status)
{
    struct document_reader_process *c = write->data;

    c->is_cut = status != 0;
    close_handle((uv_handle_t *)&c->in);
}

/* It waits for its input, which does not come before these are set. */
static bool limit_child(const struct document_reader_process *c)
{
    const struct config_documents *d = &config()->documents;
    const struct rlimit memory = {d->reader_memory_bytes, d->reader_memory_bytes};
    const struct rlimit cpu = {d->reader_seconds, d->reader_seconds + 1};
    const struct rlimit files = {0, 0}, core = {0, 0};
    const pid_t pid = c->process.pid;

    return (!c->reader->is_limited || prlimit(pid, RLIMIT_AS, &memory, NULL) == 0) &&
           prlimit(pid, RLIMIT_CPU, &cpu, NULL) == 0 &&
           prlimit(pid, RLIMIT_FSIZE, &files, NULL) == 0 &&
           prlimit(pid, RLIMIT_CORE, &core, NULL) == 0;
}

static int spawn(struct document_reader_process *c)
{
    char program[PROGRAM_BYTES], path[4096];
    char *args[MAX_ARGS];
    char *env[] = {path, "LC_ALL=C.UTF-8", NULL};
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&c->in},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&c->out},
        {.flags = UV_IGNORE}};
    uv_process_options_t options = {.exit_cb = on_child_exit,
                                    .file = program,
                                    .args = args,
                                    .env = env,
                                    .cwd = "/",
                                    .stdio_count = 3,
                                    .stdio = stdio};
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): nothing changes the environment after the start */
    const char *search = getenv("PATH");

    memcpy(args, c->reader->args, sizeof(args));
    if (args[0])
        snprintf(program, sizeof(program), "%s", args[0]);
    else
        snprintf(program, sizeof(program), "%.*s", STR_ARG(config()->documents.pdftotext));
    args[0] = program;
    snprintf(path, sizeof(path), "PATH=%s", search ? search : "/usr/local/bin:/usr/bin:/bin");
    /* Not every library marks its own: whoever takes over the child gets no socket of ours. */
    (void)!close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    return uv_spawn(&loop_current()->uv, &c->process, &options);
}

/* Also when there is no child: the handles are libuv's until it has given them back. */
static void open_handles(struct document_reader_process *c)
{
    uv_loop_t *loop = &loop_current()->uv;

    uv_pipe_init(loop, &c->in, 0);
    uv_pipe_init(loop, &c->out, 0);
    c->in.data = c->out.data = c->process.data = c->write.data = c;
    c->n_handles = N_HANDLES;
}

void document_reader_start(struct document_reader *r, struct flow *f, struct str data,
                           enum document_kind kind)
{
    struct document_reader_process *c;
    uv_buf_t input = uv_buf_init((char *)(uintptr_t)data.ptr, (unsigned)data.len);
    int rc;

    op_begin(&r->op, f, NULL);
    if (atomic_fetch_add(&n_processes, 1) >= config()->documents.reader_processes) {
        atomic_fetch_sub(&n_processes, 1);
        op_end(&r->op, ERROR(ERR_BUSY, BUSY_SECONDS, TOO_MANY));
        return;
    }
    c = calloc(1, sizeof(*c));
    if (!c) {
        atomic_fetch_sub(&n_processes, 1);
        op_end(&r->op, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    buf_init(&r->text, config()->documents.text_bytes);
    r->process = c;
    r->has_title = readers[kind].has_title;
    c->owner = r;
    c->reader = &readers[kind];
    open_handles(c);
    r->op.cancel = on_cancel;
    timer_start(&c->deadline, config()->documents.reader_seconds * 1000, on_deadline);
    rc = spawn(c);
    if (rc != 0) {
        log_warn("document: %s cannot be run: %s", kind == DOCUMENT_IS_PDF ? "pdftotext" : "aerie",
                 uv_strerror(rc));
        c->err = ERROR(ERR_UNAVAILABLE, 0, c->reader->no_program);
        c->has_exited = true;
        close_handle((uv_handle_t *)&c->process);
        close_handle((uv_handle_t *)&c->in);
        close_handle((uv_handle_t *)&c->out);
        return;
    }
    if (!limit_child(c))
        kill_child(c, ERROR(ERR_INTERNAL, 0, "a child process cannot be limited"));
    uv_read_start((uv_stream_t *)&c->out, on_piece_wanted, on_read);
    if (uv_write(&c->write, (uv_stream_t *)&c->in, &input, 1, on_written) != 0)
        kill_child(c, ERROR(ERR_NO_MEMORY, 0, NULL));
}

/* Where the title ends: behind the first line, if there is one. */
static size_t title_len(const struct document_reader *r)
{
    const char *end =
        r->has_title && r->text.len > 0 ? memchr(r->text.data, '\n', r->text.len) : NULL;

    return end ? (size_t)(end - r->text.data) : 0;
}

struct str document_reader_title(const struct document_reader *r)
{
    return (struct str){r->text.data, title_len(r)};
}

struct str document_reader_text(const struct document_reader *r)
{
    return str_skip(buf_str(&r->text), r->has_title ? title_len(r) + 1 : 0);
}

void document_reader_deinit(struct document_reader *r)
{
    buf_deinit(&r->text);
}
