/* Local days and times of day. */
#include "log_time.h"

#include "base/rfc3339.h"

#include <stdio.h>
#include <time.h>

#define US_PER_S 1000000
#define QUARTER  900 /* clocks are changed at full quarters of an hour */
#define DAY_S    86400
#define DATE_LEN 10
#define TIME_LEN 19

/* Asking costs a lock and a search, so it is asked once a quarter. */
static int64_t offset_at(int64_t wall_s)
{
    static _Thread_local int64_t from_s = INT64_MIN, offset_s;
    time_t t = (time_t)wall_s;
    struct tm tm;

    if (wall_s >= from_s && wall_s < from_s + QUARTER)
        return offset_s;
    offset_s = localtime_r(&t, &tm) ? tm.tm_gmtoff : 0;
    from_s = wall_s - (wall_s % QUARTER + QUARTER) % QUARTER;
    return offset_s;
}

static int64_t local_s(int64_t wall_us)
{
    int64_t wall_s = wall_us / US_PER_S;

    return wall_s + offset_at(wall_s);
}

struct str log_local_time(int64_t wall_us, char out[CLOCK_TEXT_BYTES])
{
    struct str text = clock_format(local_s(wall_us) * US_PER_S, out);

    return (struct str){text.ptr, text.len < TIME_LEN ? text.len : TIME_LEN};
}

static int digits(const char *text, int n)
{
    int value = 0;

    for (int i = 0; i < n; i++)
        value = value * 10 + (text[i] - '0');
    return value;
}

int log_local_day(int64_t wall_us)
{
    char text[CLOCK_TEXT_BYTES];
    struct str at = log_local_time(wall_us, text);

    return at.len < DATE_LEN
               ? 0
               : digits(at.ptr, 4) * 10000 + digits(at.ptr + 5, 2) * 100 + digits(at.ptr + 8, 2);
}

unsigned log_seconds_to_midnight(int64_t wall_us)
{
    int64_t of_day = local_s(wall_us) % DAY_S;

    return (unsigned)(DAY_S - (of_day < 0 ? of_day + DAY_S : of_day));
}

static bool midnight_of(int day, int64_t *wall_us)
{
    char text[CLOCK_TEXT_BYTES];
    int len = snprintf(text, sizeof(text), "%04d-%02d-%02dT00:00:00Z", day / 10000 % 10000,
                       day / 100 % 100, day % 100);

    return rfc3339_parse((struct str){text, (size_t)len}, wall_us);
}

bool log_day_age(int day, int today, int *age)
{
    int64_t from_us, to_us;

    if (!midnight_of(day, &from_us) || !midnight_of(today, &to_us))
        return false;
    *age = (int)((to_us - from_us) / US_PER_S / DAY_S);
    return true;
}
