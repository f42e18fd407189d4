/* What the fake upstream and the load generator share.
 *
 * A stamp is '@', 19 digits, ';': the nanosecond of CLOCK_MONOTONIC at which the upstream built the
 * text it stands in. It survives any translation, so the load generator knows how long the text
 * travelled, and by counting stamps whether all of it arrived.
 */
#ifndef WIRE_H
#define WIRE_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STAMP_DIGITS 19
#define HEAD_MAX 16384

static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* Whether this program never sleeps. Whoever sends to a sleeping program pays for waking it, on a
 * virtual machine many microseconds: a server that sends seldom would pay more often than one that
 * sends in heaps, and on a network neither pays.
 */
static bool awake;
static uint64_t busy_ns; /* what `look` left for the caller's work */

/* Give what has happened on *epfd*, waiting up to *ms* for the first. */
static inline int look(int epfd, struct epoll_event *events, int most, int ms)
{
    static uint64_t since;
    static int found;
    busy_ns += since ? now_ns() - since : 0;
    if (awake && found <= 0)
        sched_yield(); /* load and upstream share a core */
    found = epoll_wait(epfd, events, most, awake ? 0 : ms);
    since = now_ns();
    return found;
}

static inline void die(const char *what)
{
    perror(what);
    exit(2);
}

static inline void *must(void *memory)
{
    if (!memory)
        die("memory");
    return memory;
}

/* Thousands of connections need more files than the usual 1024. */
static inline void raise_file_limit(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* The value of header *name* (with its colon) in *head*, or NULL. */
static inline const char *header(const char *head, const char *name)
{
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, name, strlen(name)))
            return line + 2 + strlen(name) + strspn(line + 2 + strlen(name), " ");
    return NULL;
}

static inline bool header_is(const char *head, const char *name, const char *value)
{
    const char *found = header(head, name);
    return found && !strncasecmp(found, value, strlen(value));
}

/* A body on its way: counted by Content-Length, or in HTTP chunks. */
struct body {
    enum { COUNTED, SIZE, SIZE_REST, DATA, DATA_END, TRAILER, WHOLE } at;
    uint64_t left;
    int line;
};

static inline void body_start(struct body *b, bool chunked, uint64_t length)
{
    b->at = chunked ? SIZE : length ? COUNTED : WHOLE;
    b->left = chunked ? 0 : length;
    b->line = 0;
}

/* Take one byte of an HTTP chunk's frame. */
static inline void body_frame(struct body *b, char c)
{
    switch (b->at) {
    case SIZE:
        if (isxdigit((unsigned char)c)) {
            b->left = b->left * 16 + (uint64_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
            break;
        }
        b->at = SIZE_REST;
        /* fall through */
    case SIZE_REST:
        if (c == '\n')
            b->at = b->left ? DATA : TRAILER;
        break;
    case DATA_END:
        if (c == '\n')
            b->at = SIZE;
        break;
    case TRAILER:
        if (c == '\n' && !b->line)
            b->at = WHOLE;
        else
            b->line = c == '\n' ? 0 : c == '\r' ? b->line : b->line + 1;
        break;
    default:
        break;
    }
}

/* Move *p over what is frame; give the length of the data that then stands at *p (0: none yet). */
static inline size_t body_next(struct body *b, const char **p, const char *end)
{
    while (*p < end && b->at != WHOLE) {
        if (b->at == COUNTED || b->at == DATA) {
            size_t n = (size_t)(end - *p);
            if (n > b->left)
                n = (size_t)b->left;
            b->left -= n;
            if (!b->left)
                b->at = b->at == COUNTED ? WHOLE : DATA_END;
            return n;
        }
        body_frame(b, *(*p)++);
    }
    return 0;
}

#endif
