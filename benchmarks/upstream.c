/* A fake Gemini that is never the limit: one thread, epoll, Linux.
 *
 *   POST .../models/NAME:generateContent          one answer of about 1 KB
 *   POST .../models/NAME:streamGenerateContent    events of about 0.5 KB, CRLF line ends
 *   GET  /stats                                   what arrived, as JSON; /stats?awake: and it never
 *                                                 sleeps until it is asked again
 *
 * NAME may end in "-cCOUNT-gGAP": COUNT events, GAP milliseconds apart (0: all at once). Prints its
 * port, then serves until it is ended. Request bodies are counted and thrown away.
 */
#include "wire.h"

#define SLOTS 4096 /* of one millisecond each; a gap is shorter than all of them */

struct conn {
    int fd, chunks_left, gap_ms;
    enum { HEAD, BODY, ANSWER } phase;
    bool stream, blocked;
    size_t head_len;
    struct body body;
    char *out;
    size_t out_len, out_off, out_cap;
    uint64_t due_ms;
    struct conn *next, **link;
    char head[HEAD_MAX];
};

static int epfd;
static struct conn *wheel[SLOTS];
static uint64_t wheel_ms;
static long waiting;
static struct { unsigned long requests, events, body_bytes, answering; } stats;

/* Gemini escapes < and >, and sends other text as UTF-8. */
#define TEXT "@0000000000000000000; The quick \\\"brown\\\" fox\\njumps over the lazy dog, " \
    "\xe4\xb8\xad\xe6\x96\x87\xe6\xb5\x81\xe5\xbc\x8f\xef\xbc\x8c \\u003cb\\u003eword by word\\u003c/b\\u003e " \
    "as a model would write it."
#define USAGE "\"usageMetadata\": {\"promptTokenCount\": 120,\"candidatesTokenCount\": 240,\"totalTokenCount\": 360," \
    "\"promptTokensDetails\": [{\"modality\": \"TEXT\",\"tokenCount\": 120}]},"
#define TAIL USAGE "\"modelVersion\": \"gemini-2.5-flash\",\"responseId\": \"hq8jacn2E7-qz7IPmc_XwQ0\"}"
#define PART "{\"candidates\": [{\"content\": {\"parts\": [{\"text\": \""
static const char EVENT[] = "data: " PART TEXT "\"}],\"role\": \"model\"},\"index\": 0}]," TAIL "\r\n\r\n";
static const char LAST[] =
    "data: " PART TEXT "\"}],\"role\": \"model\"},\"finishReason\": \"STOP\",\"index\": 0}]," TAIL "\r\n\r\n";
static const char WHOLE_ANSWER[] =
    PART TEXT " " TEXT "\"}],\"role\": \"model\"},\"finishReason\": \"STOP\",\"avgLogprobs\": -0.1542}]," TAIL "\n";
#define HEADERS "Vary: Origin\r\nVary: X-Origin\r\nVary: Referer\r\nDate: Mon, 02 Nov 2026 10:00:00 GMT\r\n" \
    "Server: scaffolding on HTTPServer2\r\nX-XSS-Protection: 0\r\nX-Frame-Options: SAMEORIGIN\r\n" \
    "X-Content-Type-Options: nosniff\r\nServer-Timing: gfet4t7; dur=573\r\nTransfer-Encoding: chunked\r\n\r\n"
static const char STREAM_HEAD[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" HEADERS;
static const char JSON_HEAD[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=UTF-8\r\n" HEADERS;

static void put(struct conn *c, const char *bytes, size_t n)
{
    if (c->out_len + n > c->out_cap) {
        c->out_cap = (c->out_len + n) * 2;
        c->out = must(realloc(c->out, c->out_cap));
    }
    memcpy(c->out + c->out_len, bytes, n);
    c->out_len += n;
}

/* Put *text* as one HTTP chunk with the time in its stamps. */
static void put_stamped(struct conn *c, const char *text, size_t n)
{
    char size[24], digits[24];
    uint64_t now = now_ns();
    put(c, size, (size_t)sprintf(size, "%zx\r\n", n));
    put(c, text, n);
    sprintf(digits, "%0*lu", STAMP_DIGITS, (unsigned long)now);
    for (char *p = c->out + c->out_len - n; (p = memchr(p, '@', (size_t)(c->out + c->out_len - p))); p++)
        memcpy(p + 1, digits, STAMP_DIGITS);
    put(c, "\r\n", 2);
}

static void timer_stop(struct conn *c)
{
    if (!c->link)
        return;
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    c->link = NULL;
    waiting--;
}

static void timer_start(struct conn *c, uint64_t due)
{
    c->due_ms = due;
    if (due <= wheel_ms)
        due = wheel_ms + 1;
    struct conn **slot = &wheel[due % SLOTS];
    c->next = *slot;
    c->link = slot;
    if (c->next)
        c->next->link = &c->next;
    *slot = c;
    waiting++;
}

static void drop(struct conn *c)
{
    timer_stop(c);
    stats.answering -= c->phase == ANSWER;
    close(c->fd);
    free(c->out);
    free(c);
}

/* Send what is there; false when the connection is gone. */
static bool flush(struct conn *c)
{
    while (c->out_off < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_off, c->out_len - c->out_off, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            drop(c);
            return false;
        }
        c->out_off += (size_t)n;
    }
    bool blocked = c->out_off < c->out_len;
    if (!blocked)
        c->out_off = c->out_len = 0;
    if (blocked != c->blocked) {
        struct epoll_event e = {.events = EPOLLIN | (blocked ? EPOLLOUT : 0), .data.ptr = c};
        epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &e);
        c->blocked = blocked;
    }
    return true;
}

/* Send the next event, or all that are left when there is no gap; false when the connection is gone. */
static bool advance(struct conn *c)
{
    do {
        bool last = --c->chunks_left <= 0;
        put_stamped(c, last ? LAST : EVENT, (last ? sizeof LAST : sizeof EVENT) - 1);
        stats.events++;
    } while (c->chunks_left > 0 && !c->gap_ms);
    if (c->chunks_left > 0) {
        timer_start(c, c->due_ms + (uint64_t)c->gap_ms);
        return flush(c);
    }
    put(c, "0\r\n\r\n", 5);
    c->phase = HEAD;
    stats.answering--;
    return flush(c);
}

static bool answer(struct conn *c)
{
    stats.requests++;
    stats.answering++;
    c->phase = ANSWER;
    if (c->stream) {
        put(c, STREAM_HEAD, sizeof STREAM_HEAD - 1);
        c->due_ms = now_ns() / 1000000;
        return advance(c);
    }
    put(c, JSON_HEAD, sizeof JSON_HEAD - 1);
    put_stamped(c, WHOLE_ANSWER, sizeof WHOLE_ANSWER - 1);
    put(c, "0\r\n\r\n", 5);
    c->phase = HEAD;
    stats.answering--;
    return flush(c);
}

static bool tell_stats(struct conn *c)
{
    char text[512], json[256];
    int n = snprintf(json, sizeof json, "{\"requests\":%lu,\"events\":%lu,\"body_bytes\":%lu,\"answering\":%lu,\"busy_ns\":%lu}\n",
                     stats.requests, stats.events, stats.body_bytes, stats.answering, (unsigned long)busy_ns);
    put(c, text, (size_t)snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, json));
    return flush(c);
}

/* Read the request's head; false when the connection is gone. */
static bool begin(struct conn *c)
{
    if (!strncmp(c->head, "GET ", 4)) {
        awake = !strncmp(c->head, "GET /stats?awake ", 17);
        return tell_stats(c);
    }
    const char *length = header(c->head, "content-length:");
    const char *count = NULL;
    char *line_end = strstr(c->head, "\r\n");
    *line_end = 0;
    c->stream = strstr(c->head, ":streamGenerateContent") != NULL;
    if (!c->stream && !strstr(c->head, ":generateContent")) {
        drop(c);
        return false;
    }
    c->chunks_left = 20;
    c->gap_ms = 0;
    if ((count = strstr(c->head, "-c")) && sscanf(count, "-c%d-g%d", &c->chunks_left, &c->gap_ms) < 1)
        c->chunks_left = 20;
    *line_end = '\r';
    if (header_is(c->head, "expect:", "100"))
        put(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    bool chunked = header_is(c->head, "transfer-encoding:", "chunked");
    body_start(&c->body, chunked, length ? strtoull(length, NULL, 10) : 0);
    c->phase = BODY;
    return c->body.at == WHOLE ? answer(c) : flush(c);
}

/* Take bytes of a request; false when the connection is gone. */
static bool take(struct conn *c, const char *p, const char *end)
{
    while (p < end) {
        if (c->phase == ANSWER) {
            drop(c);
            return false;
        }
        if (c->phase == BODY) {
            size_t n = body_next(&c->body, &p, end);
            stats.body_bytes += n;
            p += n;
            if (c->body.at == WHOLE && !answer(c))
                return false;
            continue;
        }
        if (c->head_len == HEAD_MAX - 1) {
            drop(c);
            return false;
        }
        c->head[c->head_len++] = *p++;
        if (p[-1] == '\n' && c->head_len > 3 && !memcmp(c->head + c->head_len - 4, "\r\n\r\n", 4)) {
            c->head[c->head_len - 2] = 0;
            c->head_len = 0;
            if (!begin(c))
                return false;
        }
    }
    return true;
}

static void readable(struct conn *c)
{
    static char buffer[1 << 20];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
    if (n > 0)
        take(c, buffer, buffer + n);
    else if (n == 0 || errno != EAGAIN)
        drop(c);
}

static void accept_all(int listener)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = must(calloc(1, sizeof *c));
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e);
    }
}

static void run_timers(void)
{
    for (uint64_t now = now_ns() / 1000000; wheel_ms < now;) {
        struct conn *c = wheel[++wheel_ms % SLOTS];
        while (c) {
            struct conn *next = c->next;
            timer_stop(c);
            advance(c);
            c = next;
        }
    }
}

int main(void)
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct epoll_event e = {.events = EPOLLIN}, events[512];
    raise_file_limit();
    if (bind(listener, (void *)&address, length) || listen(listener, 4096))
        die("listen");
    getsockname(listener, (void *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    epfd = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &e);
    wheel_ms = now_ns() / 1000000;
    for (;;) {
        int n = look(epfd, events, 512, waiting ? 1 : 1000);
        if (!waiting)
            wheel_ms = now_ns() / 1000000;
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (!c)
                accept_all(listener);
            else if (!(events[i].events & EPOLLOUT) || flush(c))
                if (events[i].events & ~EPOLLOUT)
                    readable(c);
        }
        run_timers();
    }
}
