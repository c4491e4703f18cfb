/* PDFs by poppler's pdftotext. Not in this process: PDF parsers crash and PDFs bomb, and here both
 * end one child. It gets the file by a pipe and no shell, and is limited before the first byte. */
#include "base/log.h"
#include "config/config.h"
#include "document/read.h"

#include <linux/close_range.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define BUSY_SECONDS  2
#define PIECE_BYTES   16384
#define N_HANDLES     3
#define NO_PROGRAM    "PDFs need pdftotext on the server, which is not there: install poppler-utils"
#define UNREADABLE    "The PDF cannot be read: it is damaged, or needs a password"
#define TOO_LONG_TIME "The PDF takes too long to read"
#define TOO_LONG      "The text of this document is longer than this server takes"

/* Of all loops. */
static atomic_uint n_processes;

/* On the heap, as libuv gives its handles back later. */
struct document_pdf_process {
    struct document_pdf *pdf;
    uv_process_t process;
    uv_pipe_t in, out;
    uv_write_t write;
    struct timer deadline;
    unsigned n_handles; /* not given back yet */
    bool has_exited, is_killed;
    struct error err;
    struct utf8_stream utf8;
    char piece[PIECE_BYTES];
};

/* Last of all: nothing of the child is left. */
static void finish(struct document_pdf_process *c)
{
    struct document_pdf *p = c->pdf;
    struct error err = c->err;

    utf8_stream_end(&c->utf8, &p->text);
    if (!is_error(err) && p->text.failed)
        err = ERROR(ERR_TOO_LARGE, 0, TOO_LONG);
    timer_stop(&c->deadline);
    atomic_fetch_sub(&n_processes, 1);
    p->process = NULL;
    free(c);
    op_end(&p->op, err);
}

static void on_close(uv_handle_t *handle)
{
    struct document_pdf_process *c = handle->data;

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
static void kill_child(struct document_pdf_process *c, struct error why)
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
    kill_child(container_of(t, struct document_pdf_process, deadline),
               ERROR(ERR_INVALID, 0, TOO_LONG_TIME));
}

static void on_cancel(struct op *op)
{
    kill_child(container_of(op, struct document_pdf, op)->process, ERROR(ERR_CANCELED, 0, NULL));
}

static void on_child_exit(uv_process_t *process, int64_t status, int signal)
{
    struct document_pdf_process *c = process->data;

    c->has_exited = true;
    if ((status != 0 || signal != 0) && !is_error(c->err)) {
        log_info("document: pdftotext ended with status %lld, signal %d", (long long)status,
                 signal);
        c->err = signal == SIGXCPU ? ERROR(ERR_INVALID, 0, TOO_LONG_TIME)
                                   : ERROR(ERR_INVALID, 0, UNREADABLE);
    }
    close_handle((uv_handle_t *)&c->process);
    close_handle((uv_handle_t *)&c->in);
    /* A child that ended well has more in its pipe: on_read() sees the end. */
    if (is_error(c->err))
        close_handle((uv_handle_t *)&c->out);
}

static void on_piece_wanted(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct document_pdf_process *c = handle->data;

    (void)suggested;
    *buf = uv_buf_init(c->piece, sizeof(c->piece));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct document_pdf_process *c = stream->data;

    if (n > 0)
        utf8_stream_feed(&c->utf8, (struct str){buf->base, (size_t)n}, &c->pdf->text);
    if (c->pdf->text.failed)
        kill_child(c, ERROR(ERR_TOO_LARGE, 0, TOO_LONG));
    if (n < 0)
        close_handle((uv_handle_t *)&c->out);
}

/* The child may end without reading it all. */
static void on_written(uv_write_t *write, int status)
{
    struct document_pdf_process *c = write->data;

    (void)status;
    close_handle((uv_handle_t *)&c->in);
}

/* It waits for its input, which does not come before these are set. */
static bool limit_child(pid_t pid)
{
    const struct config_documents *d = &config()->documents;
    const struct rlimit memory = {d->pdf_memory_bytes, d->pdf_memory_bytes};
    const struct rlimit cpu = {d->pdf_seconds, d->pdf_seconds + 1};
    const struct rlimit files = {0, 0}, core = {0, 0};

    return prlimit(pid, RLIMIT_AS, &memory, NULL) == 0 &&
           prlimit(pid, RLIMIT_CPU, &cpu, NULL) == 0 &&
           prlimit(pid, RLIMIT_FSIZE, &files, NULL) == 0 &&
           prlimit(pid, RLIMIT_CORE, &core, NULL) == 0;
}

static int spawn(struct document_pdf_process *c)
{
    char program[1024], path[4096];
    char *args[] = {program, "-q", "-enc", "UTF-8", "-nopgbrk", "-", "-", NULL};
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

    snprintf(program, sizeof(program), "%.*s", STR_ARG(config()->documents.pdftotext));
    snprintf(path, sizeof(path), "PATH=%s", search ? search : "/usr/local/bin:/usr/bin:/bin");
    /* Not every library marks its own: whoever takes over the child gets no socket of ours. */
    (void)!close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    return uv_spawn(&loop_current()->uv, &c->process, &options);
}

/* Also when there is no child: the handles are libuv's until it has given them back. */
static void open_handles(struct document_pdf_process *c)
{
    uv_loop_t *loop = &loop_current()->uv;

    uv_pipe_init(loop, &c->in, 0);
    uv_pipe_init(loop, &c->out, 0);
    c->in.data = c->out.data = c->process.data = c->write.data = c;
    c->n_handles = N_HANDLES;
}

void document_pdf_start(struct document_pdf *p, struct flow *f, struct str data)
{
    struct document_pdf_process *c;
    uv_buf_t input = uv_buf_init((char *)(uintptr_t)data.ptr, (unsigned)data.len);
    int rc;

    op_begin(&p->op, f, NULL);
    if (atomic_fetch_add(&n_processes, 1) >= config()->documents.pdf_processes) {
        atomic_fetch_sub(&n_processes, 1);
        op_end(&p->op, ERROR(ERR_BUSY, BUSY_SECONDS, "Too many PDFs at once, try again soon"));
        return;
    }
    c = calloc(1, sizeof(*c));
    if (!c) {
        atomic_fetch_sub(&n_processes, 1);
        op_end(&p->op, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    buf_init(&p->text, config()->documents.text_bytes);
    p->process = c;
    c->pdf = p;
    open_handles(c);
    p->op.cancel = on_cancel;
    timer_start(&c->deadline, config()->documents.pdf_seconds * 1000, on_deadline);
    rc = spawn(c);
    if (rc != 0) {
        log_warn("document: pdftotext cannot be run: %s", uv_strerror(rc));
        c->err = ERROR(ERR_UNAVAILABLE, 0, NO_PROGRAM);
        c->has_exited = true;
        close_handle((uv_handle_t *)&c->process);
        close_handle((uv_handle_t *)&c->in);
        close_handle((uv_handle_t *)&c->out);
        return;
    }
    if (!limit_child(c->process.pid))
        kill_child(c, ERROR(ERR_INTERNAL, 0, "a child process cannot be limited"));
    uv_read_start((uv_stream_t *)&c->out, on_piece_wanted, on_read);
    if (uv_write(&c->write, (uv_stream_t *)&c->in, &input, 1, on_written) != 0)
        kill_child(c, ERROR(ERR_NO_MEMORY, 0, NULL));
}

void document_pdf_deinit(struct document_pdf *p)
{
    buf_deinit(&p->text);
}
