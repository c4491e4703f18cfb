/* Puts the pieces of each reply in a journal together again, and stores them. All of one loop's
 * files are read before anything is stored, since a reply goes on from file to file. */
#include "recover.h"

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "checkpoint.h"
#include "journal_folder.h"
#include "journal_record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A statement's worth. */
#define BATCH_REPLIES 500
#define BATCH_BYTES   (1u << 20)
#define LOOP_DIGITS   3 /* that a file's name begins with */

struct partial {
    struct map_node node;
    struct list link;
    struct id reply_id, team_id;
    struct buf text;
};

struct recovery {
    struct db *db;
    struct map by_reply;
    struct list replies; /* in the order of their first record */
    int64_t n_stored;
};

static void forget_replies(struct recovery *r)
{
    struct list *link;

    while ((link = list_pop(&r->replies))) {
        struct partial *p = container_of(link, struct partial, link);

        map_remove(&r->by_reply, &p->node);
        buf_deinit(&p->text);
        free(p);
    }
}

static struct partial *partial_of(struct recovery *r, const struct journal_record *record)
{
    struct map_node *there = map_find(&r->by_reply, id_str(&record->reply_id));
    struct partial *p;

    if (there)
        return container_of(there, struct partial, node);
    p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->reply_id = record->reply_id;
    p->team_id = record->team_id;
    map_insert(&r->by_reply, &p->node, id_str(&p->reply_id));
    list_push(&r->replies, &p->link);
    return p;
}

static struct error no_memory(void)
{
    return ERROR(ERR_NO_MEMORY, 0, "no memory for the replies to recover");
}

/* Only what follows on what is there: a text has no holes. */
static struct error take_record(struct recovery *r, const struct journal_record *record)
{
    struct partial *p = partial_of(r, record);

    if (!p)
        return no_memory();
    if (record->offset == p->text.len)
        buf_append_str(&p->text, record->text);
    return p->text.failed ? no_memory() : NO_ERROR;
}

static struct error take_records(struct recovery *r, struct str file)
{
    struct error err = NO_ERROR;
    struct journal_record record;

    if (!journal_record_begin(&file))
        return NO_ERROR;
    while (!is_error(err) && journal_record_next(&file, &record))
        err = take_record(r, &record);
    return err;
}

static bool read_whole(int fd, struct buf *out)
{
    struct stat st;
    ssize_t n = 0;

    if (fstat(fd, &st) != 0 || !buf_reserve(out, (size_t)st.st_size + 1))
        return false;
    while (out->len < out->cap) {
        n = read(fd, out->data + out->len, out->cap - out->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        out->len += (size_t)n;
    }
    return n >= 0;
}

static struct error read_file(struct recovery *r, int folder_fd, const char *name)
{
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct error err;
    struct buf bytes = {0};

    if (fd < 0 || !read_whole(fd, &bytes))
        err = ERROR(ERR_INVALID, errno, "a file under data_dir/replies cannot be read");
    else
        err = take_records(r, buf_str(&bytes));
    buf_deinit(&bytes);
    if (fd >= 0)
        close(fd);
    return err;
}

/* ---- storing ---- */

/* A file may end in the middle of a character. */
static struct str whole_characters(struct str text)
{
    for (unsigned i = 0; i < 3 && text.len > 0 && !utf8_is_valid(text); i++)
        text.len--;
    return utf8_is_valid(text) ? text : STR("");
}

static struct error store_batch(struct recovery *r, struct buf *rows)
{
    struct arena arena = {0};
    struct db_result result = {0};
    struct error err;

    buf_append_char(rows, ']');
    if (rows->failed)
        return no_memory();
    err = db_run(r->db, &arena, SQL_REPLIES_CHECKPOINT, DB_ARGS(db_json(buf_str(rows))), &result);
    r->n_stored += result.n_changed;
    arena_free(&arena);
    buf_clear(rows);
    return err;
}

static struct error store_replies(struct recovery *r)
{
    struct error err = NO_ERROR;
    struct buf rows = {0};
    struct json j = {.buf = &rows};
    unsigned n = 0;

    for (struct list *it = r->replies.next; it != &r->replies && !is_error(err); it = it->next) {
        struct partial *p = container_of(it, struct partial, link);

        if (n++ == 0) {
            j = (struct json){.buf = &rows};
            buf_append_char(&rows, '[');
        }
        checkpoint_row(&j, &p->team_id, &p->reply_id, whole_characters(buf_str(&p->text)));
        if (n == BATCH_REPLIES || rows.len >= BATCH_BYTES || it->next == &r->replies) {
            err = store_batch(r, &rows);
            n = 0;
        }
    }
    buf_deinit(&rows);
    return err;
}

/* ---- a folder ---- */

static int is_journal(const struct dirent *entry)
{
    return str_ends_with(str_from(entry->d_name), STR(".journal"));
}

static struct error read_folder(struct recovery *r, int folder_fd, struct dirent **files, int n)
{
    struct error err = NO_ERROR;

    for (int i = 0; i < n && !is_error(err); i++) {
        err = read_file(r, folder_fd, files[i]->d_name);
        if (!is_error(err) &&
            (i + 1 == n || strncmp(files[i]->d_name, files[i + 1]->d_name, LOOP_DIGITS) != 0)) {
            err = store_replies(r);
            forget_replies(r);
        }
    }
    return err;
}

static struct error recover_folder(int folder_fd, void *state)
{
    struct recovery *r = state;
    struct dirent **files = NULL;
    int n = scandirat(folder_fd, ".", &files, is_journal, alphasort);
    struct error err;

    if (n < 0)
        return ERROR(ERR_INVALID, errno, "a folder under data_dir/replies cannot be read");
    err = read_folder(r, folder_fd, files, n);
    for (int i = 0; i < n; i++) {
        if (!is_error(err) && unlinkat(folder_fd, files[i]->d_name, 0) != 0)
            err = ERROR(ERR_INVALID, errno, "a file under data_dir/replies cannot be removed");
        free(files[i]);
    }
    free(files);
    return err;
}

struct error recover_replies(struct db *db)
{
    struct recovery r = {.db = db};
    struct cluster_roll *roll = calloc(1, sizeof(*roll));
    struct error err;

    list_init(&r.replies);
    if (!roll || !map_init(&r.by_reply, 1024)) {
        free(roll);
        return no_memory();
    }
    err = journal_folder_open(recover_folder, &r, roll);
    forget_replies(&r);
    map_deinit(&r.by_reply);
    if (r.n_stored > 0)
        log_info("chat: the text of %lld replies was read from journals", (long long)r.n_stored);
    if (!is_error(err))
        err = cluster_bury(db, roll);
    if (is_error(err))
        journal_folder_close();
    free(roll);
    return err;
}
