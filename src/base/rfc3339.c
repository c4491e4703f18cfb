/* Reads times. */
#include "base/rfc3339.h"

#include <time.h>

#define US_PER_SECOND 1000000

/* Takes exactly n digits off the front. */
static bool take_digits(struct str *text, size_t n, int *out)
{
    *out = 0;
    if (text->len < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = text->ptr[i];

        if (c < '0' || c > '9')
            return false;
        *out = *out * 10 + (c - '0');
    }
    *text = str_skip(*text, n);
    return true;
}

static bool take_char(struct str *text, char c)
{
    if (text->len == 0 || (text->ptr[0] | 0x20) != (c | 0x20))
        return false;
    *text = str_skip(*text, 1);
    return true;
}

/* Microseconds; further digits are dropped. */
static bool take_fraction(struct str *text, int64_t *us)
{
    int64_t unit = US_PER_SECOND / 10;
    size_t n = 0;

    *us = 0;
    if (!take_char(text, '.'))
        return true;
    while (n < text->len && text->ptr[n] >= '0' && text->ptr[n] <= '9') {
        *us += (text->ptr[n] - '0') * unit;
        unit /= 10;
        n++;
    }
    *text = str_skip(*text, n);
    return n > 0;
}

static bool take_offset(struct str *text, int *minutes)
{
    int sign, hour, minute;

    *minutes = 0;
    if (take_char(text, 'Z'))
        return true;
    if (text->len == 0 || (text->ptr[0] != '+' && text->ptr[0] != '-'))
        return false;
    sign = text->ptr[0] == '-' ? -1 : 1;
    *text = str_skip(*text, 1);
    if (!take_digits(text, 2, &hour) || !take_char(text, ':') || !take_digits(text, 2, &minute) ||
        hour > 23 || minute > 59)
        return false;
    *minutes = sign * (hour * 60 + minute);
    return true;
}

bool rfc3339_parse(struct str text, int64_t *wall_us)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct tm tm = {0};
    int year, month, offset;
    int64_t us;

    if (!take_digits(&text, 4, &year) || !take_char(&text, '-') || !take_digits(&text, 2, &month) ||
        !take_char(&text, '-') || !take_digits(&text, 2, &tm.tm_mday) || !take_char(&text, 'T') ||
        !take_digits(&text, 2, &tm.tm_hour) || !take_char(&text, ':') ||
        !take_digits(&text, 2, &tm.tm_min) || !take_char(&text, ':') ||
        !take_digits(&text, 2, &tm.tm_sec) || !take_fraction(&text, &us) ||
        !take_offset(&text, &offset) || text.len > 0)
        return false;
    if (month < 1 || month > 12 || tm.tm_mday < 1 || tm.tm_hour > 23 || tm.tm_min > 59 ||
        tm.tm_sec > 60)
        return false;
    if (tm.tm_mday >
        days[month - 1] + (month == 2 && (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))))
        return false;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    *wall_us = ((int64_t)timegm(&tm) - (int64_t)offset * 60) * US_PER_SECOND + us;
    return true;
}
