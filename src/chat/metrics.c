/* The chat room's numbers and their names. */
#include "chat/metrics.h"

#include "chat/slots.h"
#include "chat/streams.h"
#include "config/config.h"

struct chat_numbers chat_numbers[METRICS_THREADS];

#define NUMBER(member) offsetof(struct chat_numbers, member)
#define MESSAGES(outcome, name)                                                                    \
    {                                                                                              \
        "aerie_messages_total", "outcome=\"" name "\"", METRIC_COUNTER, METRIC_COUNT,              \
            NUMBER(messages[outcome]),                                                             \
            "Messages by what became of the reply; refused: nothing was stored."                   \
    }

static const struct metric metrics[] = {
    MESSAGES(MESSAGE_COMPLETE, "complete"),
    MESSAGES(MESSAGE_ERROR, "error"),
    MESSAGES(MESSAGE_INTERRUPTED, "interrupted"),
    MESSAGES(MESSAGE_REFUSED, "refused"),
    MESSAGES(MESSAGE_STOPPED, "stopped"),
    {"aerie_budget_spent_total", "outcome=\"cut\"", METRIC_COUNTER, METRIC_COUNT,
     NUMBER(budget_cut),
     "Messages that found a budget spent: refused, or their reply cut in the middle."},
    {"aerie_budget_spent_total", "outcome=\"refused\"", METRIC_COUNTER, METRIC_COUNT,
     NUMBER(budget_refused), NULL},
    {"aerie_relayed_chunks_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(chunks),
     "Pieces of text that agents sent, as far as they came in one turn of the loop one."},
    {"aerie_relayed_bytes_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(chunk_bytes),
     "Bytes of these pieces."},
    {"aerie_log_text_bytes", NULL, METRIC_GAUGE, METRIC_COUNT, NUMBER(log_bytes),
     "Text of replies in memory: those that stream, and those kept for late readers."},
    {"aerie_journal_bytes_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(journal_bytes),
     "Bytes written to the journals of running replies."},
    {"aerie_journal_failures_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(journal_failures),
     "Writes of a journal that failed or had to wait: the disk, or turn.journal_bytes."},
    {"aerie_journal_segments", NULL, METRIC_GAUGE, METRIC_COUNT, NUMBER(journal_segments),
     "Files that the journals have."},
    {"aerie_readers", NULL, METRIC_GAUGE, METRIC_COUNT, NUMBER(readers),
     "Requests and sockets that follow a reply."},
    {"aerie_mirrors", NULL, METRIC_GAUGE, METRIC_COUNT, NUMBER(mirrors),
     "Turns of other nodes that are followed here, each by one connection."},
    {"aerie_message_to_call_seconds", NULL, METRIC_HISTOGRAM, METRIC_MICROSECONDS,
     NUMBER(until_call), "Time from a message to the call of its agent: loading, a slot, storing."},
    {"aerie_first_token_seconds", NULL, METRIC_HISTOGRAM, METRIC_MICROSECONDS, NUMBER(first_text),
     "Time from a message to the first text of its reply, the agent's time included."},
    {"aerie_first_event_seconds", NULL, METRIC_HISTOGRAM, METRIC_MICROSECONDS, NUMBER(first_event),
     "Time from the first byte of an agent's answer until its first text was written to the "
     "readers of its loop."},
    {"aerie_slot_wait_seconds", NULL, METRIC_HISTOGRAM, METRIC_MICROSECONDS, NUMBER(slot_wait),
     "Time that calls waited for one of upstream.slots, of those that had to."},
    {"aerie_slots_refused_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(slots_refused),
     "Messages answered 429 because of a full queue or too long a wait for a slot."},
    {"aerie_swept_chats_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(swept_chats),
     "Chats that were deleted because their team's time for them, or that of sessions, was over."},
    {"aerie_swept_messages_total", NULL, METRIC_COUNTER, METRIC_COUNT, NUMBER(swept_messages),
     "Messages of those chats."},
};

void chat_metrics(struct buf *out)
{
    struct slots_stats slots = slots_stats();

    metrics_write(out, metrics, sizeof(metrics) / sizeof(metrics[0]), chat_numbers,
                  sizeof(chat_numbers[0]), metrics_threads(), NULL);
    metrics_gauge(out, "aerie_streams", "Replies that are being made, those that wait included.",
                  streams_count());
    metrics_gauge(out, "aerie_slots", "Most calls at once, as configured; 0: no limit.",
                  config()->upstream.slots);
    metrics_gauge(out, "aerie_slots_taken", "Slots in use.", slots.n_taken);
    metrics_gauge(out, "aerie_slots_waiting", "Messages that wait for a slot.", slots.n_waiting);
    metrics_gauge(out, "aerie_slots_waiting_teams", "Teams with messages that wait for a slot.",
                  slots.n_teams_waiting);
}
