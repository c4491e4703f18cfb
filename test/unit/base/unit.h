/* cmocka with the headers it wants before itself, and the comparison nearly every test needs. */
#ifndef AERIE_TEST_BASE_UNIT_H
#define AERIE_TEST_BASE_UNIT_H

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define assert_str(s, expected)                                                                    \
    do {                                                                                           \
        struct str assert_got = (s), assert_want = str_from(expected);                             \
        assert_int_equal(assert_got.len, assert_want.len);                                         \
        if (assert_got.len > 0)                                                                    \
            assert_memory_equal(assert_got.ptr, assert_want.ptr, assert_want.len);                 \
    } while (0)

#endif
