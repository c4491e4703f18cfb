/* The journal of running replies: what is in its files at any moment is a beginning of each reply's text, whatever was cut,
 * damaged or refused; and a file goes when nobody needs it. */
#include "../cmocka_all.h"
#include "../sweep.h"
#include "../allocs.h"
#include "../../../src/chat/journal_folder.h"
#include "../../../src/chat/journal_record.h"
#include "../../../src/chat/room.h"
#include "base/log.h"
#include "config/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct loop loop;
static struct chat_room room;
static struct config test_config;
static char directory[] = "/tmp/aerie-journal-XXXXXX";
static struct id team;

static bool is_queue_full;
bool __real_workers_submit(struct workers *ws, struct work *w, void (*run)(struct work *w), void (*done)(struct work *w));
bool __wrap_workers_submit(struct workers *ws, struct work *w, void (*run)(struct work *w), void (*done)(struct work *w));
bool __wrap_workers_submit(struct workers *ws, struct work *w, void (*run)(struct work *w), void (*done)(struct work *w))
{
    return !is_queue_full && __real_workers_submit(ws, w, run, done);
}

/* ---- the format ---- */

static const char *const pieces[] = {"", "a", "eight888", "caf\xC3\xA9 and more than eight bytes", "the end"};
#define N_PIECES (sizeof(pieces) / sizeof(pieces[0]))

static void make_file(struct buf *out, const struct id *reply)
{
    struct journal_record record = {.reply_id = *reply, .team_id = team};

    buf_append_str(out, STR(JOURNAL_HEAD));
    for (size_t i = 0; i < N_PIECES; i++) {
        record.text = str_from(pieces[i]);
        assert_true(journal_record_append(out, &record));
        record.offset += record.text.len;
    }
}

/* Reads what is there, which must be a beginning of what was written. Returns how many records. */
static size_t read_records(struct str file, const struct id *reply)
{
    struct journal_record record;
    uint64_t offset = 0;
    size_t n = 0;

    if (!journal_record_begin(&file))
        return 0;
    while (journal_record_next(&file, &record)) {
        assert_true(n < N_PIECES);
        assert_true(str_eq(record.text, str_from(pieces[n])));
        assert_true(str_eq(id_str(&record.reply_id), id_str(reply)));
        assert_true(str_eq(id_str(&record.team_id), id_str(&team)));
        assert_int_equal(record.offset, offset);
        offset += record.text.len;
        n++;
    }
    return n;
}

static void records_come_back_as_they_were(void **state)
{
    struct id reply = id_v7();
    struct buf file = {0};

    (void)state;
    make_file(&file, &reply);
    assert_int_equal(read_records(buf_str(&file), &reply), N_PIECES);
    buf_deinit(&file);
}

/* Bit by bit: whatever this processor has for it, files can be read on another. */
static void the_sum_is_crc_32c(void **state)
{
    struct id reply = id_v7();
    struct journal_record record = {.reply_id = reply, .team_id = team, .text = STR("some text")};
    struct buf file = {0};
    uint32_t sum = UINT32_MAX, told = 0;

    (void)state;
    assert_true(journal_record_append(&file, &record));
    for (size_t i = 4; i < file.len; i++) {
        sum ^= (unsigned char)file.data[i];
        for (int bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (sum & 1 ? 0x82F63B78u : 0);
    }
    for (int i = 3; i >= 0; i--)
        told = told << 8 | (unsigned char)file.data[i];
    assert_int_equal(told, ~sum);
    buf_deinit(&file);
}

static void a_file_cut_at_any_byte_has_the_records_before(void **state)
{
    struct id reply = id_v7();
    struct buf file = {0};
    size_t last = 0;

    (void)state;
    make_file(&file, &reply);
    for (size_t len = 0; len <= file.len; len++) {
        char *copy = malloc(len + 1); /* of its own, so that reading past it is seen */
        size_t n;

        memcpy(copy, file.data, len);
        copy = realloc(copy, len ? len : 1);
        n = read_records((struct str){copy, len}, &reply);
        assert_true(n == last || n == last + 1);
        last = n;
        free(copy);
    }
    assert_int_equal(last, N_PIECES);
    buf_deinit(&file);
}

static void damage_of_any_byte_costs_text_and_changes_none(void **state)
{
    struct id reply = id_v7();
    struct buf file = {0};

    (void)state;
    make_file(&file, &reply);
    for (size_t at = 0; at < file.len; at++) {
        for (int bit = 0; bit < 8; bit++) {
            file.data[at] ^= (char)(1 << bit);
            assert_true(read_records(buf_str(&file), &reply) < N_PIECES);
            file.data[at] ^= (char)(1 << bit);
        }
    }
    buf_deinit(&file);
}

/* ---- the writer ---- */

struct reply {
    struct turn_log *log;
    struct journal_entry entry;
};

static void begin(struct reply *r)
{
    struct id chat = id_v7();

    *r = (struct reply){.log = turn_log_new(&team, &chat, &chat, STR(""), STR(""))};
    assert_non_null(r->log);
    turn_log_open(r->log);
}

static void add(struct reply *r, struct str text)
{
    assert_true(turn_log_append(r->log, text));
    journal_poke(&r->entry, r->log);
}

static void add_bytes(struct reply *r, size_t n)
{
    char text[65536];

    assert_true(n <= sizeof(text));
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('a' + (r->log->text.len + i) % 26);
    add(r, (struct str){text, n});
}

static void end(struct reply *r, bool is_stored)
{
    journal_leave(&r->entry, is_stored);
    turn_log_unref(r->log);
}

static int is_journal(const struct dirent *entry)
{
    return str_ends_with(str_from(entry->d_name), STR(".journal"));
}

/* How much of the reply's text the files have; what they have must be a beginning of it. */
static size_t journaled(const struct reply *r, int *n_files)
{
    struct dirent **files;
    int n = scandirat(journal_folder(), ".", &files, is_journal, alphasort), n_there = n;
    size_t len = 0;

    assert_true(n >= 0);
    for (int i = 0; i < n; i++) {
        static char bytes[1 << 20];
        int fd = openat(journal_folder(), files[i]->d_name, O_RDONLY);
        struct str file = {bytes, 0};
        struct journal_record record;

        if (fd >= 0) {
            ssize_t n_read = read(fd, bytes, sizeof(bytes));

            assert_true(n_read >= 0);
            close(fd);
            file.len = (size_t)n_read;
        } else {
            assert_int_equal(errno, ENOENT); /* the worker removed it after it was listed */
            n_there--;
        }
        if (journal_record_begin(&file))
            while (r && journal_record_next(&file, &record))
                if (str_eq(id_str(&record.reply_id), id_str(&r->log->reply_id)) && record.offset == len) {
                    assert_true(len + record.text.len <= r->log->text.len);
                    assert_memory_equal(record.text.ptr, r->log->text.data + len, record.text.len);
                    len += record.text.len;
                }
        free(files[i]);
    }
    free(files);
    if (n_files)
        *n_files = n_there;
    return len;
}

static int count_files(void)
{
    int n;

    journaled(NULL, &n);
    return n;
}

static void run_for(unsigned ms)
{
    for (unsigned i = 0; i < ms; i++) {
        sweep_turn(&loop);
        usleep(1000);
    }
}

static void until_journaled(const struct reply *r, size_t len)
{
    for (unsigned i = 0; journaled(r, NULL) != len; i++) {
        assert_true(i < 5000);
        run_for(1);
    }
}

static void until_files(int n)
{
    for (unsigned i = 0; count_files() != n; i++) {
        assert_true(i < 5000);
        run_for(1);
    }
}

/* Nothing to do, and nothing runs. */
static void until_idle(void)
{
    for (unsigned i = 0; count_files() > 0 || room.journal.is_writing || timer_is_started(&room.journal.timer); i++) {
        assert_true(i < 5000);
        run_for(1);
    }
    assert_int_equal(room.journal.bytes, 0);
}

static void what_came_is_written_in_time_and_goes_with_the_last_reply(void **state)
{
    struct reply a, b;

    (void)state;
    begin(&a);
    begin(&b);
    add(&a, STR("Hello"));
    add(&b, STR("Bonjour"));
    assert_int_equal(count_files(), 0);
    until_journaled(&a, 5);
    assert_int_equal(journaled(&b, NULL), 7);
    add(&a, STR(", world"));
    until_journaled(&a, 12);
    end(&a, true);
    run_for(60);
    assert_int_equal(count_files(), 1); /* b is in it */
    end(&b, true);
    until_idle();
}

static void much_text_is_written_at_once(void **state)
{
    struct reply a;

    (void)state;
    test_config.turn.checkpoint_ms = 100000;
    begin(&a);
    add_bytes(&a, 100);
    run_for(20);
    assert_int_equal(journaled(&a, NULL), 0);
    add_bytes(&a, 4000);
    until_journaled(&a, 4100);
    end(&a, true);
    test_config.turn.checkpoint_ms = 20;
    timer_stop(&room.journal.timer); /* it would come late */
    begin(&a);
    add(&a, STR("x"));
    until_journaled(&a, 1);
    end(&a, true);
    until_idle();
}

static void more_than_the_buffer_takes_is_written_bit_by_bit(void **state)
{
    struct reply a;

    (void)state;
    test_config.turn.journal_buffer_bytes = 4096;
    begin(&a);
    add_bytes(&a, 60000);
    until_journaled(&a, 60000);
    assert_true(room.journal.records.cap <= 4096 + JOURNAL_RECORD_BYTES);
    end(&a, true);
    until_idle();
    test_config.turn.journal_buffer_bytes = 1 << 20;
}

static void a_file_goes_when_no_reply_that_began_in_it_or_before_runs(void **state)
{
    struct reply a, b;

    (void)state;
    test_config.turn.journal_file_bytes = 2000;
    begin(&a);
    add_bytes(&a, 3000);
    until_journaled(&a, 3000);
    add_bytes(&a, 3000);
    until_journaled(&a, 6000);
    begin(&b);
    add_bytes(&b, 100);
    until_journaled(&b, 100);
    assert_int_equal(count_files(), 3);
    add_bytes(&a, 100);
    until_journaled(&a, 6100);
    end(&a, true);
    until_files(1);
    assert_int_equal(journaled(&b, NULL), 100);
    end(&b, true);
    until_idle();
    test_config.turn.journal_file_bytes = 1 << 24;
}

static void past_its_bound_a_journal_pauses_and_goes_on_when_there_is_room(void **state)
{
    struct reply a, b;

    (void)state;
    test_config.turn.journal_bytes = 8000;
    begin(&a);
    begin(&b);
    for (unsigned i = 0; i < 20; i++) {
        add_bytes(&a, 1000);
        run_for(i % 4);
    }
    for (unsigned i = 0; !room.journal.is_blocked || room.journal.is_writing; i++) {
        assert_true(i < 5000);
        run_for(1);
    }
    assert_in_range(journaled(&a, NULL), 5000, 8000);
    assert_in_range(room.journal.bytes, 7800, 8000);
    add_bytes(&b, 1000);
    run_for(60);
    assert_int_equal(journaled(&b, NULL), 0);
    end(&a, true);
    until_journaled(&b, 1000);
    end(&b, true);
    until_idle();
    test_config.turn.journal_bytes = 1 << 30;
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The kernel takes a part of a write and refuses the rest: no record is torn, nothing is lost, and it goes on by itself. */
static void a_full_disk_costs_nothing_once_there_is_room(void **state)
{
    (void)state;
    for (rlim_t room_bytes = 0; room_bytes < 500; room_bytes += 29) {
        struct reply a;

        begin(&a);
        limit_files(room_bytes);
        for (unsigned i = 0; i < 4; i++) {
            add_bytes(&a, 60);
            run_for(25);
        }
        journaled(&a, NULL);
        limit_files(RLIM_INFINITY);
        until_journaled(&a, 240);
        end(&a, true);
        until_idle();
    }
}

static void without_a_thread_the_text_waits(void **state)
{
    struct reply a;

    (void)state;
    begin(&a);
    is_queue_full = true;
    add_bytes(&a, 5000);
    run_for(60);
    assert_int_equal(journaled(&a, NULL), 0);
    is_queue_full = false;
    until_journaled(&a, 5000);
    is_queue_full = true;
    end(&a, true);
    run_for(60);
    assert_int_equal(count_files(), 1);
    is_queue_full = false;
    until_idle();
}

static void a_reply_that_ends_at_any_moment_leaves_no_file(void **state)
{
    (void)state;
    for (unsigned ms = 0; ms < 50; ms += 5) {
        struct reply a;

        begin(&a);
        add_bytes(&a, ms % 2 ? 5000 : 10);
        run_for(ms);
        end(&a, true);
        until_idle();
    }
}

static void without_memory_the_text_waits(void **state)
{
    bool has_failed = true;

    (void)state;
    test_config.turn.journal_file_bytes = 500;
    for (unsigned long n = 1; has_failed; n++) {
        struct reply a;

        begin(&a);
        allocs_reset(n);
        for (unsigned i = 0; i < 3; i++) {
            add_bytes(&a, 700);
            allocs_watch(true);
            run_for(25);
            allocs_watch(false);
        }
        has_failed = allocs_failed();
        allocs_reset(0);
        until_journaled(&a, 2100);
        end(&a, true);
        until_idle();
        assert_true(n < 100);
    }
    test_config.turn.journal_file_bytes = 1 << 24;
}

/* What the next start will read. Last: the files stay. */
static void a_reply_that_could_not_be_stored_stays(void **state)
{
    struct reply a, b;

    (void)state;
    begin(&a);
    add_bytes(&a, 100);
    until_journaled(&a, 100);
    turn_log_ref(a.log);
    end(&a, false);
    begin(&b);
    run_for(60);
    add_bytes(&b, 50);
    until_journaled(&b, 50);
    assert_int_equal(count_files(), 2);
    end(&b, true);
    until_files(1);
    assert_int_equal(journaled(&a, NULL), 100);
    assert_true(room.journal.bytes > 100); /* counts on */
    turn_log_unref(a.log);
}

static struct error recover_nothing(int folder_fd, void *state)
{
    (void)folder_fd;
    (void)state;
    return NO_ERROR;
}

static int open_journal(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    team = id_v4();
    assert_non_null(mkdtemp(directory));
    test_config.data_dir = str_from(directory);
    assert_false(is_error(journal_folder_open(recover_nothing, NULL, &(struct cluster_roll){.n_dead = 0})));
    assert_true(journal_open());
    assert_false(is_error(loop_init(&loop, 0)));
    loop.rooms[ROOM_CHAT] = &room;
    list_init(&room.turns);
    list_init(&room.kept);
    journal_init(&room.journal);
    return 0;
}

static int close_journal(void **state)
{
    char command[128];

    (void)state;
    while (room.journal.is_writing)
        run_for(1);
    journal_deinit(&room.journal);
    loop.rooms[ROOM_CHAT] = NULL;
    sweep_close_loop(&loop);
    journal_close();
    journal_folder_close();
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    return system(command) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back_as_they_were),
        cmocka_unit_test(the_sum_is_crc_32c),
        cmocka_unit_test(a_file_cut_at_any_byte_has_the_records_before),
        cmocka_unit_test(damage_of_any_byte_costs_text_and_changes_none),
        cmocka_unit_test(what_came_is_written_in_time_and_goes_with_the_last_reply),
        cmocka_unit_test(much_text_is_written_at_once),
        cmocka_unit_test(more_than_the_buffer_takes_is_written_bit_by_bit),
        cmocka_unit_test(a_file_goes_when_no_reply_that_began_in_it_or_before_runs),
        cmocka_unit_test(past_its_bound_a_journal_pauses_and_goes_on_when_there_is_room),
        cmocka_unit_test(a_full_disk_costs_nothing_once_there_is_room),
        cmocka_unit_test(without_a_thread_the_text_waits),
        cmocka_unit_test(a_reply_that_ends_at_any_moment_leaves_no_file),
        cmocka_unit_test(without_memory_the_text_waits),
        cmocka_unit_test(a_reply_that_could_not_be_stored_stays),
    };
    int failed;

    log_init(LOG_ERROR, STDERR_FILENO);
    if (is_error(config_load(&(struct config_sources){0}, &test_config)))
        return 1;
    test_config.turn.checkpoint_ms = 20;
    config_set(&test_config);
    failed = cmocka_run_group_tests(tests, open_journal, close_journal);
    test_config.data_dir = STR("");
    config_free(&test_config);
    return failed;
}
