/* cmocka with the headers it wants before itself, and a directory of its own for a test's files. */
#ifndef AERIE_TEST_CONFIG_UNIT_H
#define AERIE_TEST_CONFIG_UNIT_H

#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define assert_str(s, expected)                                                                    \
    do {                                                                                           \
        struct str assert_got = (s), assert_want = str_from(expected);                             \
        if (!str_eq(assert_got, assert_want))                                                      \
            fail_msg("got \"%.*s\", expected \"%s\"", STR_ARG(assert_got), expected);              \
    } while (0)

static char directory[64];

/* The test runs inside an empty directory. */
static inline int enter_directory(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/aerie-config-XXXXXX");
    return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static inline int leave_directory(void **state)
{
    char command[96];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static inline void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

#endif
