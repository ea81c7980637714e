#include "base/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"

enum { MINUTE_S = 60, HOUR_S = 3600, DAY_S = 86400, WEEK_S = 7 * DAY_S };

static int64_t clock_read_ms(clockid_t id) {
    struct timespec now;
    INVARIANT(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_now_ms(void) { return clock_read_ms(CLOCK_REALTIME); }
int64_t clock_now_s(void) { return clock_now_ms() / 1000; }
int64_t clock_monotonic_ms(void) { return clock_read_ms(CLOCK_MONOTONIC); }

static const struct unit {
    const char *name;
    int64_t seconds;
} units[] = {
    {"s", 1},      {"sec", 1},   {"m", MINUTE_S}, {"min", MINUTE_S},
    {"h", HOUR_S}, {"d", DAY_S}, {"w", WEEK_S},
};

err_t duration_parse(span_t text, int64_t *seconds) {
    int64_t total = 0;
    size_t at = 0;
    if (text.len == 0) {
        return FAIL(ERR_MALFORMED);
    }
    while (at < text.len) {
        int64_t number = 0;
        size_t digits = at;
        while (at < text.len && isdigit(text.data[at])) {
            number = number * 10 + (text.data[at] - '0');
            if (number > LIMIT_DURATION_S) {
                return FAIL(ERR_RANGE);
            }
            at++;
        }
        size_t letters = at;
        while (at < text.len && isalpha(text.data[at])) {
            at++;
        }
        const struct unit *unit = NULL;
        for (size_t i = 0; i < COUNT_OF(units); i++) {
            if (span_equal_str(span_of(text.data + letters, at - letters), units[i].name)) {
                unit = &units[i];
            }
        }
        if (letters == digits || unit == NULL) {
            return FAIL(ERR_MALFORMED);
        }
        if (number > LIMIT_DURATION_S / unit->seconds) {
            return FAIL(ERR_RANGE);
        }
        total += number * unit->seconds;
        if (total > LIMIT_DURATION_S) {
            return FAIL(ERR_RANGE);
        }
    }
    if (total == 0) {
        return FAIL(ERR_RANGE);
    }
    *seconds = total;
    return OK;
}

void duration_print(int64_t seconds, char out[DURATION_CHARS]) {
    static const struct unit largest_first[] = {
        {"d", DAY_S}, {"h", HOUR_S}, {"min", MINUTE_S}, {"s", 1}};
    size_t len = 0;
    out[0] = '\0';
    if (seconds <= 0) {
        (void)snprintf(out, DURATION_CHARS, "0s");
        return;
    }
    for (size_t i = 0; i < COUNT_OF(largest_first); i++) {
        int64_t count = seconds / largest_first[i].seconds;
        if (count > 0) {
            int printed = snprintf(out + len, DURATION_CHARS - len, "%lld%s", (long long)count,
                                   largest_first[i].name);
            len += (size_t)printed;
            seconds -= count * largest_first[i].seconds;
        }
    }
}

void duration_print_relative(int64_t when, int64_t now, char out[DURATION_CHARS]) {
    static const struct {
        int64_t seconds;
        const char *one;
        const char *many;
    } steps[] = {{DAY_S, "a day", "days"},
                 {HOUR_S, "an hour", "hours"},
                 {MINUTE_S, "a minute", "minutes"},
                 {1, "a second", "seconds"}};
    int64_t distance = when > now ? when - now : now - when;
    char amount[24] = "now";
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        /* Rounded, so that a certificate made a moment ago for one day reads "in a day". */
        int64_t count = (distance + steps[i].seconds / 2) / steps[i].seconds;
        if (distance >= steps[i].seconds - steps[i].seconds / 24 && count > 0) {
            if (count == 1) {
                (void)snprintf(amount, sizeof amount, "%s", steps[i].one);
            } else {
                (void)snprintf(amount, sizeof amount, "%lld %s", (long long)count, steps[i].many);
            }
            break;
        }
    }
    if (distance == 0) {
        (void)snprintf(out, DURATION_CHARS, "now");
    } else if (when > now) {
        (void)snprintf(out, DURATION_CHARS, "in %s", amount);
    } else {
        (void)snprintf(out, DURATION_CHARS, "%s ago", amount);
    }
}

void time_print_utc(int64_t when, char out[TIME_CHARS]) {
    time_t seconds = (time_t)when;
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(out, TIME_CHARS, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        (void)snprintf(out, TIME_CHARS, "forever");
    }
}

void time_print_local(int64_t when, char out[TIME_CHARS]) {
    time_t seconds = (time_t)when;
    struct tm tm;
    if (localtime_r(&seconds, &tm) == NULL ||
        strftime(out, TIME_CHARS, "%Y-%m-%d %H:%M:%S", &tm) == 0) {
        (void)snprintf(out, TIME_CHARS, "forever");
        return;
    }
    size_t len = strlen(out);
    long offset = tm.tm_gmtoff < 0 ? -tm.tm_gmtoff : tm.tm_gmtoff;
    (void)snprintf(out + len, TIME_CHARS - len, " %c%02ld:%02ld", tm.tm_gmtoff < 0 ? '-' : '+',
                   offset / HOUR_S % 100, offset / MINUTE_S % 60);
}

/* Two or four digits, no sign, no space; sscanf() would take both. */
static bool take_number(const char **from, size_t digits, int *out) {
    int number = 0;
    for (size_t i = 0; i < digits; i++) {
        if (!isdigit((unsigned char)(*from)[i])) {
            return false;
        }
        number = number * 10 + ((*from)[i] - '0');
    }
    *from += digits;
    *out = number;
    return true;
}

static bool take_one_of(const char **from, const char *characters) {
    if (**from == '\0' || strchr(characters, **from) == NULL) {
        return false;
    }
    ++*from;
    return true;
}

static bool take_date_and_time(const char **from, struct tm *tm) {
    return take_number(from, 4, &tm->tm_year) && take_one_of(from, "-") &&
           take_number(from, 2, &tm->tm_mon) && take_one_of(from, "-") &&
           take_number(from, 2, &tm->tm_mday) && take_one_of(from, "Tt ") &&
           take_number(from, 2, &tm->tm_hour) && take_one_of(from, ":") &&
           take_number(from, 2, &tm->tm_min) && take_one_of(from, ":") &&
           take_number(from, 2, &tm->tm_sec);
}

/* Fractions are read over. */
static bool take_fraction(const char **from) {
    if (!take_one_of(from, ".")) {
        return true;
    }
    const char *digits = *from;
    while (isdigit((unsigned char)**from)) {
        ++*from;
    }
    return *from > digits;
}

/* "Z" or "+01:00", to the end. */
static bool take_offset(const char **from, int64_t *offset_s) {
    int sign = **from == '-' ? -1 : 1;
    int hours = 0;
    int minutes = 0;
    if (!take_one_of(from, "Zz") &&
        !(take_one_of(from, "+-") && take_number(from, 2, &hours) && take_one_of(from, ":") &&
          take_number(from, 2, &minutes) && hours <= 23 && minutes <= 59)) {
        return false;
    }
    *offset_s = sign * (hours * HOUR_S + minutes * MINUTE_S);
    return **from == '\0';
}

err_t time_parse(span_t text, int64_t *when) {
    char copy[TIME_CHARS];
    if (text.len >= sizeof copy) {
        return FAIL(ERR_MALFORMED);
    }
    memcpy(copy, text.data == NULL ? (const uint8_t *)"" : text.data, text.len);
    copy[text.len] = '\0';
    const char *from = copy;
    struct tm tm = {0};
    int64_t offset_s;
    if (strlen(copy) != text.len || !take_date_and_time(&from, &tm) || !take_fraction(&from) ||
        !take_offset(&from, &offset_s)) {
        return FAIL(ERR_MALFORMED);
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    struct tm day = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = tm.tm_mday};
    int64_t seconds =
        (int64_t)timegm(&day) + tm.tm_hour * HOUR_S + tm.tm_min * MINUTE_S + tm.tm_sec - offset_s;
    /* timegm() has made 1 March of 30 February. */
    bool is_a_day = day.tm_mon == tm.tm_mon && day.tm_mday == tm.tm_mday;
    if (!is_a_day || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60 || seconds < 0) {
        return FAIL(ERR_RANGE);
    }
    *when = seconds;
    return OK;
}
