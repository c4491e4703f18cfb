/* The calls by which a process gets memory, bytes and descriptors, counted, and one of them made to
 * fail: the n-th of its kind that is made after a point was armed, by whatever code, ours or a
 * library's.
 *
 * Linked into a test program, these calls are its own, and the functions below arm the points.
 * Preloaded into the real server (libtorture.so), a driver arms them in the file that
 * TORTURE_CONTROL names (torture.mjs), which both map. */
#ifndef AERIE_TEST_FAULT_TORTURE_H
#define AERIE_TEST_FAULT_TORTURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum torture_kind {
    TORTURE_NOTHING,
    TORTURE_MEMORY, /* malloc and its family, strdup and strndup, mmap */
    TORTURE_RECV,   /* reading a socket */
    TORTURE_SEND,   /* writing to a socket */
    TORTURE_READ,   /* reading a file */
    TORTURE_WRITE,  /* writing to a file */
    TORTURE_SYNC,   /* fsync, fdatasync, ftruncate */
    TORTURE_OPEN,   /* a new descriptor: open, socket, accept4, connect */
    TORTURE_LOG,    /* writing to standard output and standard error */
};

/* An errno, or this: the call does a byte of what it was asked for. */
#define TORTURE_SHORT (-1)

/* The file's layout; torture.mjs knows it too. A point is armed by its kind, written last. */
struct torture_point {
    _Atomic uint32_t kind;
    _Atomic uint32_t n;      /* from 1 */
    _Atomic int32_t error;   /* errno, or TORTURE_SHORT */
    _Atomic uint32_t seen;   /* calls of this kind since it was armed */
    _Atomic uint32_t failed; /* 1: the n-th came */
    char stack[4076];        /* who made it: "object+0xoffset" a line */
};

/* Arms a point for the calls of this thread alone. n 0: nothing fails, all is counted. */
void torture_arm(enum torture_kind kind, unsigned n, int error);
void torture_disarm(void);
unsigned torture_seen(void); /* since it was armed */
bool torture_has_failed(void);

#endif
