/* Writes the journal of one loop. See journal.h. */
#include "journal.h"

#include "base/log.h"
#include "chat/metrics.h"
#include "config/config.h"
#include "journal_folder.h"
#include "journal_record.h"
#include "room.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A write waits behind another loop's fdatasync() at worst. */
#define THREADS   2
#define MAX_LOOPS 256
/* A disk that stays full is told once in so long. */
#define QUIET_MS 60000

struct journal_segment {
    struct list link;
    char name[JOURNAL_NAME_BYTES];
    int fd; /* -1: not there yet, or full. The worker's while it has a job */
    size_t bytes;
    unsigned n_turns; /* whose text begins here */
    bool is_full;
    bool is_left; /* has text of a reply that could not be stored: stays for the next start */
};

static struct workers *workers;

bool journal_open(void)
{
    workers = workers_new("journal", WORK_WAITS, THREADS, MAX_LOOPS);
    return workers != NULL;
}

void journal_close(void)
{
    workers_free(workers);
    workers = NULL;
}

/* ---- on a worker thread ---- */

static int write_whole(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Appends all or nothing: behind a torn record nothing would be read. A segment that cannot be cut
 * back takes no more. */
static int append(struct journal_segment *s, struct str data)
{
    int code = write_whole(s->fd, data.ptr, data.len);

    if (code == 0)
        s->bytes += data.len;
    else if (ftruncate(s->fd, (off_t)s->bytes) != 0)
        s->is_full = true;
    return code;
}

static int make_file(struct journal_segment *s)
{
    s->fd = openat(journal_folder(), s->name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC,
                   0600);
    return s->fd < 0 ? errno : 0;
}

static int write_records(struct journal_segment *s, struct str records)
{
    int code = s->fd < 0 ? make_file(s) : 0;

    if (code == 0 && s->bytes == 0) {
        code = append(s, STR(JOURNAL_HEAD));
        (void)fsync(journal_folder()); /* its name */
    }
    return code == 0 ? append(s, records) : code;
}

static void close_file(struct journal_segment *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

static void remove_segment(struct journal_segment *s)
{
    close_file(s);
    if (!s->is_left)
        (void)unlinkat(journal_folder(), s->name, 0);
}

static void on_worker(struct work *w)
{
    struct journal_job *job = container_of(w, struct journal_job, work);

    job->code = job->sync_code = 0;
    if (job->full && job->full->fd >= 0) {
        (void)fdatasync(job->full->fd);
        close_file(job->full);
    }
    for (struct list *it = job->gone.next; it != &job->gone; it = it->next)
        remove_segment(container_of(it, struct journal_segment, link));
    if (job->records.len > 0)
        job->code = write_records(job->segment, job->records);
    if (job->code == 0 && job->is_to_sync && fdatasync(job->segment->fd) != 0)
        job->sync_code = errno;
}

/* ---- segments ---- */

static struct journal_segment *last_segment(struct journal *j)
{
    return list_is_empty(&j->segments)
               ? NULL
               : container_of(j->segments.prev, struct journal_segment, link);
}

static bool begin_segment(struct journal *j)
{
    struct journal_segment *s = calloc(1, sizeof(*s));

    if (!s)
        return false;
    s->fd = -1;
    journal_name(s->name, loop_current()->index, j->n_segments_made++);
    list_push(&j->segments, &s->link);
    counter_add(&chat_count()->journal_segments, 1);
    return true;
}

/* The oldest ones that no turn needs. The last one goes as well, so that an idle server leaves no
 * file. */
static void drop_segments(struct journal *j)
{
    while (!list_is_empty(&j->segments)) {
        struct journal_segment *s = container_of(j->segments.next, struct journal_segment, link);
        bool is_last = s == last_segment(j);

        if (s->n_turns > 0)
            return;
        if (is_last && s->is_left && j->records.len > 0)
            return; /* they may be of a reply that could not be stored */
        if (is_last) {
            buf_clear(&j->records);
            j->is_unsynced = false;
        }
        if (!s->is_left)
            j->bytes -= s->bytes; /* what stays counts, so that it is bounded */
        list_remove(&s->link);
        list_push(&j->job.gone, &s->link);
    }
}

static void free_segments(struct list *segments)
{
    struct list *link;

    while ((link = list_pop(segments))) {
        counter_add(&chat_count()->journal_segments, (uint64_t)-1);
        free(container_of(link, struct journal_segment, link));
    }
}

/* ---- gathering ---- */

/* Nothing is tried again before the timer: a disk that refuses is not asked in a circle. Told less
 * often than it happens: a full disk stays so for a while. */
static void fail(struct journal *j, const char *what, int code)
{
    uint64_t now_ms = loop_now_ms(loop_current());

    j->is_blocked = true;
    counter_add(&chat_count()->journal_failures, 1);
    if (now_ms < j->quiet_until_ms)
        return;
    j->quiet_until_ms = now_ms + QUIET_MS;
    log_warn("chat: the journal of replies %s%s%s; a crash now may cost more of their text", what,
             code ? ": " : "", code ? errno_text(code) : "");
}

/* For records and the head of one more segment. */
static bool is_past_bound(const struct journal *j)
{
    return j->bytes + j->records.len + sizeof(JOURNAL_HEAD) + JOURNAL_RECORD_BYTES >=
           config()->turn.journal_bytes;
}

/* For the text of one more record. Of a journal that is not past its bound. */
static size_t room_for_text(const struct journal *j)
{
    size_t most = config()->turn.journal_buffer_bytes, used = j->records.len + JOURNAL_RECORD_BYTES;
    size_t left = config()->turn.journal_bytes - j->bytes - used - sizeof(JOURNAL_HEAD);

    if (most <= used)
        return 0;
    return left < most - used ? left : most - used;
}

/* As much of the entry's text as there is room for. */
static bool gather_entry(struct journal *j, struct journal_entry *e)
{
    struct str text = buf_str(&e->log->text);
    size_t room = room_for_text(j);
    struct journal_record record = {
        .reply_id = e->log->reply_id, .team_id = e->log->team_id, .offset = e->written_bytes};

    if (room == 0)
        return false;
    record.text = (struct str){text.ptr + e->written_bytes, text.len - e->written_bytes};
    if (record.text.len > room)
        record.text.len = room;
    if (!journal_record_append(&j->records, &record))
        return false;
    if (!e->first) {
        e->first = last_segment(j);
        e->first->n_turns++;
        j->n_turns++;
    }
    e->written_bytes += record.text.len;
    return e->written_bytes == text.len;
}

static void gather_list(struct journal *j, struct list *entries)
{
    while (!list_is_empty(entries)) {
        struct journal_entry *e = container_of(entries->next, struct journal_entry, link);

        if (is_past_bound(j))
            return;
        if (!gather_entry(j, e)) {
            j->is_cut = true;
            return;
        }
        list_remove(&e->link);
        e->is_urgent = false;
    }
}

/* A segment to write to is there when this is true. */
static bool prepare_segment(struct journal *j)
{
    struct journal_segment *s = last_segment(j);

    if (s && !s->is_full && s->bytes < config()->turn.journal_file_bytes)
        return true;
    if (!begin_segment(j))
        return false;
    j->job.full = s;
    return true;
}

/* False: nothing may be written now. */
static bool gather(struct journal *j, bool is_due)
{
    bool has_text = !list_is_empty(&j->urgent) || (is_due && !list_is_empty(&j->waiting));

    if (!has_text && j->records.len == 0)
        return true;
    if (is_past_bound(j)) {
        fail(j, "has reached turn.journal_bytes", 0);
        return true; /* what was gathered before */
    }
    if (!prepare_segment(j))
        return false;
    gather_list(j, &j->urgent);
    if (is_due)
        gather_list(j, &j->waiting);
    j->records.failed = false; /* no memory: what is there is whole, the rest waits */
    return true;
}

/* ---- writing ---- */

static void on_done(struct work *w);
static void on_due(struct timer *t);

static void submit(struct journal *j, bool is_due)
{
    struct journal_job *job = &j->job;

    job->segment = last_segment(j);
    job->records = buf_str(&j->records);
    job->segment_bytes = job->segment ? job->segment->bytes : 0;
    job->is_to_sync = is_due && job->segment &&
                      (job->records.len > 0 || (j->is_unsynced && job->segment->bytes > 0));
    if (job->records.len == 0 && !job->is_to_sync && list_is_empty(&job->gone))
        return;
    if (workers_submit(workers, &job->work, on_worker, on_done)) {
        j->is_writing = true;
        return;
    }
    fail(j, "waits for a thread", 0);
}

/* Due: all that waits, and to the disk; else only what is urgent. */
static void run_pass(struct journal *j, bool is_due)
{
    if (j->is_writing) {
        j->is_due |= is_due;
        return;
    }
    j->is_due = j->is_cut = false;
    if (is_due)
        j->is_blocked = false;
    drop_segments(j);
    if (gather(j, is_due))
        submit(j, is_due);
}

static void wait_for_next(struct journal *j)
{
    bool has_work = !list_is_empty(&j->waiting) || !list_is_empty(&j->urgent) ||
                    !list_is_empty(&j->segments) || !list_is_empty(&j->job.gone);

    if (has_work && !timer_is_started(&j->timer))
        timer_start(&j->timer, config()->turn.checkpoint_ms, on_due);
}

static void note_written(struct journal *j)
{
    if (j->job.records.len > 0)
        j->is_unsynced = true;
    if (j->job.is_to_sync)
        j->is_unsynced = false;
    counter_add(&chat_count()->journal_bytes, j->job.records.len);
    buf_clear(&j->records);
    if (list_is_empty(&j->segments))
        buf_deinit(&j->records);
}

static void on_done(struct work *w)
{
    struct journal *j = container_of(w, struct journal, job.work);
    struct journal_job *job = &j->job;

    j->is_writing = false;
    job->full = NULL;
    free_segments(&job->gone);
    if (job->segment)
        j->bytes += job->segment->bytes - job->segment_bytes;
    if (job->code)
        fail(j, "cannot be written", job->code);
    else
        note_written(j);
    if (job->sync_code)
        fail(j, "cannot be brought to the disk", job->sync_code);
    if (j->is_due || (j->is_cut && !j->is_blocked))
        run_pass(j, true);
    else if (!j->is_blocked && !list_is_empty(&j->urgent))
        run_pass(j, false);
    wait_for_next(j);
    room_check_drained(room_here()); /* may free j */
}

static void on_due(struct timer *t)
{
    struct journal *j = container_of(t, struct journal, timer);

    run_pass(j, true);
    wait_for_next(j);
}

/* ---- from outside ---- */

void journal_init(struct journal *j)
{
    list_init(&j->waiting);
    list_init(&j->urgent);
    list_init(&j->segments);
    list_init(&j->job.gone);
}

void journal_stop(struct journal *j)
{
    timer_stop(&j->timer);
}

void journal_deinit(struct journal *j)
{
    assert(!j->is_writing && j->n_turns == 0);
    timer_stop(&j->timer);
    list_splice(&j->job.gone, &j->segments);
    for (struct list *it = j->job.gone.next; it != &j->job.gone; it = it->next)
        remove_segment(container_of(it, struct journal_segment, link));
    free_segments(&j->job.gone);
    buf_deinit(&j->records);
}

void journal_poke(struct journal_entry *e, struct turn_log *log)
{
    struct journal *j = &room_here()->journal;

    if (!list_is_linked(&e->link)) {
        e->log = log;
        list_push(&j->waiting, &e->link);
        wait_for_next(j);
    }
    if (e->is_urgent || log->text.len - e->written_bytes < config()->turn.checkpoint_bytes)
        return;
    e->is_urgent = true;
    list_remove(&e->link);
    list_push(&j->urgent, &e->link);
    if (!j->is_writing && !j->is_blocked)
        run_pass(j, false);
}

void journal_leave(struct journal_entry *e, bool is_stored)
{
    struct journal *j = &room_here()->journal;

    list_remove(&e->link);
    if (!e->first)
        return;
    if (!is_stored)
        for (struct list *it = &e->first->link; it != &j->segments; it = it->next)
            container_of(it, struct journal_segment, link)->is_left = true;
    e->first->n_turns--;
    j->n_turns--;
    e->first = NULL;
}
