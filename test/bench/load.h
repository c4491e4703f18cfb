/* The load of one run: its clients, what they count, and how they are driven. One thread; one of
 * each in the program. */
#ifndef AERIE_BENCH_LOAD_H
#define AERIE_BENCH_LOAD_H

#include "answer.h"
#include "base/list.h"
#include "histogram.h"
#include "reader.h"
#include "requests.h"

#include <netinet/in.h>

struct options {
    struct sockaddr_in target;
    const char *requests, *read, *expect;
    uint32_t clients, ramp_per_second, chunks, bytes;
    uint64_t messages; /* 0: until the seconds are over */
    uint64_t rate, seconds, gap_ms, timeout_s, first_seed;
    bool is_to_end, is_controlled;
};

enum client_state {
    CLIENT_CLOSED, /* no connection; in load.idle */
    CLIENT_CONNECTING,
    CLIENT_IDLE, /* connected; in load.idle */
    CLIENT_BUSY, /* a message is under way */
};

/* One connection after the other, one message at a time. */
struct client {
    struct list link; /* in load.idle while it has no message */
    int fd;
    uint8_t state;
    bool has_message; /* to be sent once connected, or under way */
    bool has_first;   /* of the text something has come */
    uint32_t index;
    struct answer answer;
    struct reader reader;
    struct text_check check;
    uint64_t line;     /* of the requests */
    uint64_t since_ns; /* what its times are counted from */
    uint64_t heard_ns; /* the last sign of life */
    uint64_t piece_ns; /* when the last piece was whole; 0: none was */
    char *unsent;      /* what the socket did not take of the request, or NULL */
    size_t unsent_len, unsent_at;
};

/* How clients are driven. Each file of a mode has one. */
struct mode {
    const char *name;
    /* After each batch of events, and ten times a second at least. */
    void (*on_tick)(uint64_t now);
    void (*on_first)(void); /* a message's text begins */
    void (*on_end)(
        struct client *c); /* a message has ended, rightly or not; the client is idle again */
    void (*on_command)(const char *line); /* a line of stdin; "end" at its end */
};

extern const struct mode closed_mode, open_mode, held_mode;

struct load {
    struct options options;
    const struct mode *mode;
    struct reading reading;
    struct requests requests;
    struct client *clients;
    struct list idle;
    int epoll;
    int pace; /* a timer that wakes the loop, for modes with a schedule */
    uint32_t n_connecting;
    uint64_t started;       /* messages */
    uint64_t began_ns;      /* 0: the clock does not run yet */
    uint64_t ended_ns;      /* when the last message ended */
    bool is_recording_gaps; /* between pieces */
    bool is_over, is_unreachable;

    /* What came of it. messages: ended, in whatever way; wrong: those whose text was not whole and
     * right, whatever the cause; errors (the connection broke, the server said error, nothing came
     * for too long) and status_other say why. */
    uint64_t messages, wrong, errors, status_other, chunks;
    struct histogram first, total, gap;
};

extern struct load load;

/* Wakes the loop so many times a second from now on. */
void load_pace(uint64_t per_second);

/* Connects ahead of the first message. */
void client_connect(struct client *c);
/* Takes the client off the idle list and sends it a message; times are counted from since_ns. */
void client_start(struct client *c, uint64_t line, uint64_t since_ns);
void client_on_event(struct client *c, uint32_t events);
/* Ends the message under way as an error: nothing came for too long. */
void client_give_up(struct client *c);
/* Ends the message under way as it stands: right when all that came was. */
void client_leave(struct client *c);

#endif
