/* The two clocks, and the text form of a time. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static const struct clock_source *test_source;

void clock_set_source(const struct clock_source *source)
{
    test_source = source;
}

uint64_t clock_mono_ms(void)
{
    struct timespec now;

    if (test_source)
        return test_source->mono_ms;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t clock_mono_us(void)
{
    struct timespec now;

    if (test_source)
        return test_source->mono_ms * 1000;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int64_t clock_wall_us(void)
{
    struct timespec now;

    if (test_source)
        return test_source->wall_us;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct date {
    int64_t year;
    int month, day;
};

/* The Gregorian date of a day counted from 1970-01-01. Years begin in March here, so that the leap
 * day is a year's last and the lengths of the months form one line. Not gmtime_r(), which takes a
 * lock. */
static struct date date_of(int64_t day)
{
    const int64_t days_in_400_years = 146097;
    int64_t shifted = day + 719468; /* days since 0000-03-01 */
    int64_t era = (shifted >= 0 ? shifted : shifted - (days_in_400_years - 1)) / days_in_400_years;
    int64_t of_era = shifted - era * days_in_400_years;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int month = (int)((5 * of_year + 2) / 153); /* 0 is March */

    return (struct date){.year = era * 400 + year + (month >= 10),
                         .month = month < 10 ? month + 3 : month - 9,
                         .day = (int)(of_year - (153 * month + 2) / 5 + 1)};
}

static char *put_digits(char *at, int n_digits, int64_t number)
{
    for (int i = n_digits - 1; i >= 0; i--, number /= 10)
        at[i] = (char)('0' + number % 10);
    return at + n_digits;
}

static char *put_char(char *at, char c)
{
    *at = c;
    return at + 1;
}

/* By hand: a prompt has a time for each of its messages, and snprintf() takes 4,000 instructions
 * for one. */
struct str clock_format(int64_t wall_us, char out[CLOCK_TEXT_BYTES])
{
    const int64_t us_a_day = INT64_C(86400000000);
    int64_t day = wall_us / us_a_day, rest = wall_us % us_a_day;
    struct date date;
    int seconds, us;
    char *at = out;

    if (rest < 0) {
        rest += us_a_day;
        day--;
    }
    date = date_of(day);
    if (date.year < 0 || date.year > 9999) {
        int len = snprintf(out, CLOCK_TEXT_BYTES, "%04lld", (long long)date.year);

        at += len;
    } else {
        at = put_digits(at, 4, date.year);
    }
    seconds = (int)(rest / 1000000);
    us = (int)(rest % 1000000);
    at = put_digits(put_char(at, '-'), 2, date.month);
    at = put_digits(put_char(at, '-'), 2, date.day);
    at = put_digits(put_char(at, 'T'), 2, seconds / 3600);
    at = put_digits(put_char(at, ':'), 2, seconds / 60 % 60);
    at = put_digits(put_char(at, ':'), 2, seconds % 60);
    if (us)
        at = put_digits(put_char(at, '.'), 6, us);
    at = put_char(at, 'Z');
    *at = '\0';
    return (struct str){out, (size_t)(at - out)};
}
