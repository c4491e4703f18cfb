/* The journal of running replies: what a crash would lose of their text is written to files under
 * DATA_DIR/replies each turn.checkpoint_ms, at once for a turn with more than turn.checkpoint_bytes
 * that are not written. One on each loop, in its room; a worker thread writes, one write at a time.
 * The text of all turns goes into one file, a segment, until that has turn.journal_file_bytes; a
 * segment is removed when no turn that began in it or in an earlier one runs. See recover.h for the
 * reader. */
#ifndef AERIE_CHAT_JOURNAL_H
#define AERIE_CHAT_JOURNAL_H

#include "chat/turn_log.h"
#include "loop/workers.h"

struct journal_segment;

/* Inside a turn; all-zero: nothing is written. */
struct journal_entry {
    struct list link; /* text waits to be written */
    struct turn_log *log;
    struct journal_segment *first; /* held: where its text begins; NULL: none is written */
    size_t written_bytes;
    bool is_urgent; /* more than turn.checkpoint_bytes wait */
};

/* What a worker thread does at one go; its own until done. */
struct journal_job {
    struct work work;
    struct journal_segment *segment; /* to write to; NULL: none */
    struct journal_segment *full;    /* to close; NULL: none */
    struct list gone;                /* segments to remove */
    struct str records;
    size_t segment_bytes; /* before */
    bool is_to_sync;
    int code, sync_code; /* errno; 0: done */
};

struct journal {
    struct timer timer;
    struct list waiting, urgent; /* entries */
    struct list segments;        /* oldest first; the last one is written to */
    uint64_t bytes;              /* in segments */
    unsigned n_segments_made;
    unsigned n_turns;   /* that hold a segment */
    struct buf records; /* to be written: gathered, and kept until they are in a segment */
    struct journal_job job;
    uint64_t quiet_until_ms; /* a failure was told */
    bool is_writing;
    bool is_due;      /* the timer ran meanwhile */
    bool is_cut;      /* more waited than the buffer takes */
    bool is_blocked;  /* until the timer: the last try failed */
    bool is_unsynced; /* written, not yet on the disk */
};

/* The worker threads, after the folder is held. */
bool journal_open(void);
void journal_close(void);

void journal_init(struct journal *j);
/* No turn runs any more, and nothing is being written. */
void journal_deinit(struct journal *j);
void journal_stop(struct journal *j); /* the timer; text that comes starts it again */

/* The turn's log has grown. */
void journal_poke(struct journal_entry *e, struct turn_log *log);
/* The turn ends. Where its reply could not be stored, what the journal has of it stays for the next
 * start. */
void journal_leave(struct journal_entry *e, bool is_stored);

#endif
