/* See chat/budget_gate.h. */
#include "chat/budget_gate.h"

#include "chat/metrics.h"
#include "config/config.h"

void budget_gate_deinit(struct budget_gate *g)
{
    buf_deinit(&g->held_back);
}

size_t budget_gate_room(const struct budget_gate *g)
{
    size_t covers = budget_covers(g->budget);

    return budget_is_asking(g->budget) || covers <= g->chars ? 0 : covers - g->chars;
}

/* The longest beginning of text that has n characters. */
static struct str first_chars(struct str text, size_t n)
{
    size_t len = 0;

    for (; len < text.len; len++) {
        bool is_first = ((unsigned char)text.ptr[len] & 0xc0) != 0x80;

        if (is_first && n == 0)
            break;
        n -= is_first;
    }
    return (struct str){text.ptr, len};
}

/* May free g. More text may come before the agent's call has ended. */
static void cut(struct budget_gate *g, struct error why)
{
    if (why.status == ERR_BUDGET_SPENT && !g->was_cut)
        counter_add(&chat_count()->budget_cut, 1);
    g->was_cut = true;
    g->cut(g->state, why);
}

static void on_answer(void *state);

/* What waits, as far as it is covered: no character passes the budget. */
static void release(struct budget_gate *g)
{
    bool goes_on = true;

    while (goes_on && g->held_back.len > 0) {
        struct str part = first_chars(buf_str(&g->held_back), budget_gate_room(g));

        if (part.len > 0) {
            g->chars += utf8_length(part);
            if (!g->take(g->state, part))
                return; /* g may be gone */
            buf_consume(&g->held_back, part.len);
        }
        if (g->held_back.len > 0)
            goes_on = budget_grow(g->budget, g->chars + utf8_length(buf_str(&g->held_back)),
                                  on_answer, g);
    }
    if (!goes_on && !budget_is_asking(g->budget))
        cut(g, budget_refusal(g->budget)); /* last */
}

static void on_answer(void *state)
{
    struct budget_gate *g = state;
    struct error why = budget_refusal(g->budget);

    if (!is_error(why))
        release(g);
    else if (g->held_back.len > 0 || !g->is_ended(g->state))
        cut(g, why); /* last */
}

void budget_gate_text(struct budget_gate *g, struct str text)
{
    size_t n = utf8_length(text);

    if (g->was_cut)
        return;
    if (n <= budget_gate_room(g)) {
        g->chars += n;
        (void)g->take(g->state, text);
        return;
    }
    if (g->held_back.cap == 0)
        buf_init(&g->held_back, config()->upstream.reply_bytes + 1);
    buf_append_str(&g->held_back, text);
    if (g->held_back.failed)
        cut(g, ERROR(ERR_NO_MEMORY, 0, NULL)); /* last */
    else if (!budget_is_asking(g->budget))
        release(g); /* last */
}
