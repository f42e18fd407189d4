/* A load generator for JSON answers and event streams: one thread, epoll, Linux.
 *
 *   load -p PORT -u PATH -f BODY_FILE [-H "Name: value"]... -c CONNECTIONS -t SECONDS
 *        [-w WARM_SECONDS] [-r RAMP_SECONDS] [-m STAMPS] [-e ENDING] [-a]
 *
 * A closed loop: each connection asks again as soon as it was answered. Prints "begin" when the
 * warm seconds are over, "end" SECONDS later, then one JSON object of what happened in between,
 * times in microseconds. An answer counts when its status is 200, it holds exactly STAMPS stamps, and
 * its last bytes before white space are ENDING; all others are errors, whenever they happen. With -a
 * it never sleeps.
 */
#include "wire.h"

#define TAIL 32

struct conn {
    int fd, status, stamps, digits;
    enum { CLOSED, CONNECTING, SENDING, AWAIT_HEAD, READING } phase;
    bool used, keep, until_close;
    size_t sent, head_len;
    uint64_t asked, stamp;
    struct body body;
    char tail[TAIL];
    size_t tail_len;
    char head[HEAD_MAX];
};

struct samples {
    uint32_t *tenths; /* of a microsecond */
    size_t n, cap;
};

static int epfd, expected = -1, idle;
static const char *ending = "";
static struct sockaddr_in server = {.sin_family = AF_INET};
static char *request;
static size_t request_len;
static uint64_t begin_at = UINT64_MAX, end_at = UINT64_MAX;
static struct samples whole, first, delay;
static struct { unsigned long ok, stamps, connect, status, missing, cut; } count;
static char example[400];

static void add(struct samples *s, uint64_t from, uint64_t to)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 1 << 16;
        s->tenths = must(realloc(s->tenths, s->cap * sizeof *s->tenths));
    }
    uint64_t tenths = to > from ? (to - from) / 100 : 0;
    s->tenths[s->n++] = tenths > UINT32_MAX ? UINT32_MAX : (uint32_t)tenths;
}

static void watch(struct conn *c, int how, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(epfd, how, c->fd, &e))
        die("epoll_ctl");
}

static void hang_up(struct conn *c)
{
    close(c->fd);
    c->phase = CLOSED;
    idle++;
}

static void send_request(struct conn *c)
{
    while (c->sent < request_len) {
        ssize_t n = send(c->fd, request + c->sent, request_len - c->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            break; /* reading tells what went wrong */
        c->sent += (size_t)n;
    }
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
    c->phase = AWAIT_HEAD;
}

static void ask(struct conn *c)
{
    c->asked = now_ns();
    c->sent = c->head_len = c->tail_len = 0;
    c->stamps = 0;
    c->digits = -1;
    if (c->phase == CLOSED) {
        int one = 1;
        idle--;
        c->used = false;
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (c->fd < 0)
            die("socket");
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        connect(c->fd, (void *)&server, sizeof server);
        watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
        c->phase = CONNECTING;
        return;
    }
    c->phase = SENDING;
    send_request(c);
    if (c->phase == SENDING)
        watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

/* Ask again after an error, but not in the same turn: a dead server must not make a busy loop. */
static void fail(struct conn *c, unsigned long *kind)
{
    ++*kind;
    if (!example[0] && c->head_len)
        snprintf(example, sizeof example, "%.*s", (int)sizeof example - 1, c->head);
    hang_up(c);
}

static bool ends_well(const struct conn *c)
{
    size_t n = c->tail_len, k = strlen(ending);
    while (n && isspace((unsigned char)c->tail[n - 1]))
        n--;
    return n >= k && !memcmp(c->tail + n - k, ending, k);
}

static void finish(struct conn *c, uint64_t now)
{
    c->used = true;
    if (c->status != 200) {
        fail(c, &count.status);
        return;
    }
    if ((expected >= 0 && c->stamps != expected) || !ends_well(c)) {
        fail(c, &count.missing);
        return;
    }
    if (now >= begin_at && now < end_at) {
        count.ok++;
        add(&whole, c->asked, now);
    }
    if (!c->keep)
        hang_up(c);
    ask(c);
}

static void stamp_seen(struct conn *c, uint64_t now)
{
    c->stamps++;
    if (now < begin_at || now >= end_at)
        return;
    count.stamps++;
    add(&delay, c->stamp, now);
    if (c->stamps == 1)
        add(&first, c->asked, now);
}

/* Look for stamps, also those cut by the end of a read, and keep the last bytes. */
static void scan(struct conn *c, const char *p, size_t n, uint64_t now)
{
    const char *end = p + n;
    size_t fresh = n < TAIL ? n : TAIL, kept = c->tail_len + fresh > TAIL ? TAIL - fresh : c->tail_len;
    memmove(c->tail, c->tail + c->tail_len - kept, kept);
    memcpy(c->tail + kept, end - fresh, fresh);
    c->tail_len = kept + fresh;
    while (p < end) {
        if (c->digits < 0) {
            p = memchr(p, '@', (size_t)(end - p));
            if (!p)
                return;
            p++;
            c->digits = 0;
            c->stamp = 0;
        } else if (c->digits == STAMP_DIGITS) {
            if (*p++ == ';')
                stamp_seen(c, now);
            c->digits = -1;
        } else if (isdigit((unsigned char)*p)) {
            c->stamp = c->stamp * 10 + (uint64_t)(*p++ - '0');
            c->digits++;
        } else
            c->digits = -1;
    }
}

/* Read the answer's head when it is whole. */
static void take_head(struct conn *c)
{
    const char *length = header(c->head, "content-length:");
    bool chunked = header_is(c->head, "transfer-encoding:", "chunked");
    c->status = atoi(c->head + 9);
    c->keep = c->head[7] == '1' && !header_is(c->head, "connection:", "close");
    c->until_close = !chunked && !length;
    body_start(&c->body, chunked, length ? strtoull(length, NULL, 10) : c->until_close ? UINT64_MAX : 0);
    c->phase = READING;
}

static void take(struct conn *c, const char *p, const char *end, uint64_t now)
{
    while (p < end && c->phase == AWAIT_HEAD) {
        if (c->head_len == HEAD_MAX - 1) {
            fail(c, &count.cut);
            return;
        }
        c->head[c->head_len++] = *p++;
        if (p[-1] == '\n' && c->head_len > 3 && !memcmp(c->head + c->head_len - 4, "\r\n\r\n", 4)) {
            c->head[c->head_len] = 0;
            take_head(c);
        }
    }
    while (p < end && c->phase == READING && c->body.at != WHOLE) {
        size_t n = body_next(&c->body, &p, end);
        scan(c, p, n, now);
        p += n;
    }
    if (c->phase == READING && c->body.at == WHOLE)
        finish(c, now);
}

static void readable(struct conn *c)
{
    static char buffer[1 << 20];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
    uint64_t now = now_ns();
    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0) {
        if (c->phase == SENDING) { /* answered before it was all asked */
            c->phase = AWAIT_HEAD;
            c->keep = false;
        }
        take(c, buffer, buffer + n, now);
    } else if (n == 0 && c->phase == READING && c->until_close) {
        c->keep = false;
        finish(c, now);
    } else if (c->used && !c->head_len && c->phase == AWAIT_HEAD) {
        hang_up(c); /* a kept connection that the server closed meanwhile: ask on a new one */
    } else
        fail(c, &count.cut);
}

static void connected(struct conn *c)
{
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) {
        fail(c, &count.connect);
        return;
    }
    c->phase = SENDING;
    send_request(c);
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void tell(const char *name, struct samples *s)
{
    if (s->n)
        qsort(s->tenths, s->n, sizeof *s->tenths, ascending);
#define AT(share) (s->n ? s->tenths[(size_t)((double)(s->n - 1) * (share))] / 10.0 : 0.0)
    printf("\"%s\":{\"n\":%zu,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f},", name, s->n, AT(0.5), AT(0.99), AT(1.0));
}

static void tell_all(double seconds)
{
    printf("{\"seconds\":%.4f,\"busy_s\":%.4f,\"ok\":%lu,\"stamps\":%lu,", seconds, (double)busy_ns / 1e9, count.ok, count.stamps);
    tell("whole", &whole);
    tell("first", &first);
    tell("delay", &delay);
    printf("\"errors\":{\"connect\":%lu,\"status\":%lu,\"incomplete\":%lu,\"cut\":%lu},\"example\":\"", count.connect,
           count.status, count.missing, count.cut);
    for (char *p = example; *p; p++)
        printf(isprint((unsigned char)*p) && *p != '"' && *p != '\\' ? "%c" : " ", *p);
    printf("\"}\n");
}

static void read_body(const char *path, const char *head)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        die(path);
    fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    rewind(f);
    request = must(malloc(n + strlen(head) + 64));
    request_len = (size_t)sprintf(request, "%sContent-Length: %zu\r\n\r\n", head, n);
    if (fread(request + request_len, 1, n, f) != n)
        die(path);
    request_len += n;
    fclose(f);
}

static void run(struct conn *conns, int n_conns, uint64_t ramp)
{
    static struct epoll_event events[512];
    uint64_t start = now_ns(), now;
    bool begun = false;
    for (int opened = 0; (now = now_ns()) < end_at;) {
        if (!begun && now >= begin_at) {
            begun = true;
            busy_ns = 0;
            puts("begin");
            fflush(stdout);
        }
        while (opened < n_conns && now - start >= ramp / (uint64_t)n_conns * (uint64_t)opened)
            ask(&conns[opened++]);
        int n = look(epfd, events, 512, opened < n_conns ? 1 : 10);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (c->phase == CONNECTING)
                connected(c);
            else if (c->phase == SENDING && events[i].events & EPOLLOUT)
                send_request(c);
            if (c->phase >= SENDING && events[i].events & ~EPOLLOUT)
                readable(c);
        }
        for (int i = 0; idle && i < opened; i++)
            if (conns[i].phase == CLOSED)
                ask(&conns[i]);
    }
}

int main(int argc, char **argv)
{
    const char *path = "/", *body = NULL;
    char extra[2048] = "", head[4096];
    int option, n_conns = 1;
    double seconds = 3, warm = 0, ramp = 0;
    while ((option = getopt(argc, argv, "p:u:f:H:c:t:w:r:m:e:a")) != -1)
        switch (option) {
        case 'p': server.sin_port = htons((uint16_t)atoi(optarg)); break;
        case 'u': path = optarg; break;
        case 'f': body = optarg; break;
        case 'H': snprintf(extra + strlen(extra), sizeof extra - strlen(extra), "%s\r\n", optarg); break;
        case 'c': n_conns = atoi(optarg); break;
        case 't': seconds = atof(optarg); break;
        case 'w': warm = atof(optarg); break;
        case 'r': ramp = atof(optarg); break;
        case 'm': expected = atoi(optarg); break;
        case 'e': ending = optarg; break;
        case 'a': awake = true; break;
        default: return 2;
        }
    if (!body || n_conns < 1)
        return 2;
    raise_file_limit();
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\nContent-Type: application/json\r\n%s", path,
             ntohs(server.sin_port), extra);
    read_body(body, head);
    epfd = epoll_create1(EPOLL_CLOEXEC);
    struct conn *conns = must(calloc((size_t)n_conns, sizeof *conns));
    begin_at = now_ns() + (uint64_t)((warm + ramp) * 1e9);
    end_at = begin_at + (uint64_t)(seconds * 1e9);
    run(conns, n_conns, (uint64_t)(ramp * 1e9));
    puts("end");
    fflush(stdout);
    tell_all(seconds);
    return 0;
}
