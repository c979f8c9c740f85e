// The load of the benchmark: an origin and its clients, each one thread on epoll. They cost as little as they can, so that what
// is between them is the bottleneck: bulk is sent with sendfile(2) from memory and received with MSG_TRUNC, without a copy.
//
//   bench_load origin [--addresses N]
//     Listens on 127.0.0.1 to 127.0.0.N; prints the ports as JSON and serves until its standard input ends:
//     echo (with half-close), source (sends for ever), sink (drops), once (answers 64 bytes with 64 bytes and closes).
//
//   bench_load bulk   TARGET [--streams N] [--up] [--seconds S]
//   bench_load new    TARGET [--clients N] [--seconds S | --count N]
//   bench_load ping   TARGET [--seconds S | --count N]
//     One run; prints its result as JSON. `new` opens a tunnel, gets 64 bytes echoed and closes, N at a time; `ping` sends 64
//     bytes there and back through one tunnel.
//
//   bench_load transfer TARGET --bytes N [--up]
//     A known size through one tunnel, where the origin is a pod: down, a line with the size is sent and so many bytes are
//     awaited; up, an HTTP POST to /sink, until its answer comes.
//
//   bench_load hold   TARGET
//     Keeps tunnels open and takes commands, a line each, answered with a line of JSON:
//     open N SECONDS (until all are ready, or nothing has happened for so long), probe N SECONDS (64 bytes through every k-th
//     one, together; 0: all), close N (the oldest), wait 0 SECONDS (for those that are not ready yet).
//
//   TARGET: --via direct|socks5|connect --proxy PORT --port PORT (of the origin) [--host HOST] [--addresses N] [--sources N]
//     --host: of the origin, else 127.0.0.1; a name only for socks5. --addresses: spread over so many addresses of the origin; --sources: bind clients to so many addresses of 127.0.1.0.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { batch = 256, small = 64, memory_size = 1 << 20, most_received = 4 << 20 };

static int poller, memory;
static uint64_t received, sent;

_Noreturn static void fail(char const* what)
{
    perror(what);
    exit(1);
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void watch(int operation, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event e = {.events = events, .data.u64 = data};
    if (epoll_ctl(poller, operation, fd, &e)) fail("epoll_ctl");
}

static bool would_block(void) { return errno == EAGAIN || errno == EINTR; }

static void make_memory(void)
{
    memory = memfd_create("bulk", MFD_CLOEXEC);
    if (memory < 0 || ftruncate(memory, memory_size)) fail("memfd_create");
    void* const p = mmap(NULL, memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (p == MAP_FAILED) fail("mmap");
    for (size_t i = 0; i < memory_size; ++i) ((uint8_t*)p)[i] = (uint8_t)(i * 2654435761u >> 24);
    munmap(p, memory_size);
}

// As much as the socket takes at once. False: it has ended.
static bool send_bulk(int fd)
{
    off_t from = 0;
    ssize_t const n = sendfile(fd, memory, &from, memory_size);
    if (n > 0) sent += (uint64_t)n;
    return n > 0 || (n < 0 && would_block());
}

static bool drop_bulk(int fd)
{
    ssize_t const n = recv(fd, NULL, most_received, MSG_TRUNC);
    if (n > 0) received += (uint64_t)n;
    return n > 0 || (n < 0 && would_block());
}

// --- origin ---

enum kind { echo, source, sink, once, kinds };
static char const* const kind_names[] = {"echo", "source", "sink", "once"};

struct guest {
    int fd;
    uint8_t kind;
    bool ended;
    uint32_t from, to; // what an echo has not taken back yet
    uint8_t* kept;
};

static void end_guest(struct guest* g)
{
    close(g->fd);
    free(g->kept);
    free(g);
}

static void echo_back(struct guest* g, uint32_t events)
{
    enum { room = 64 * 1024 };
    static uint8_t buffer[room];
    if (events & (EPOLLHUP | EPOLLERR)) {
        end_guest(g);
        return;
    }
    // Edge-triggered: a short read has drained the socket, unless its end has been announced or news came while we could not read.
    bool const to_the_end = g->kept || events & EPOLLRDHUP;
    for (;;) {
        while (g->kept) {
            ssize_t const w = write(g->fd, g->kept + g->from, g->to - g->from);
            if (w < 0) {
                if (would_block()) return;
                end_guest(g);
                return;
            }
            g->from += (uint32_t)w;
            if (g->from == g->to) free(g->kept), g->kept = NULL;
        }
        if (g->ended) {
            end_guest(g);
            return;
        }
        ssize_t const n = read(g->fd, buffer, room);
        if (n < 0 && would_block()) return;
        if (n < 0) {
            end_guest(g);
            return;
        }
        g->ended = n == 0;
        ssize_t w = n ? write(g->fd, buffer, (size_t)n) : 0;
        if (w < 0 && !would_block()) {
            end_guest(g);
            return;
        }
        if (w < 0) w = 0;
        if (w < n) {
            g->kept = malloc((size_t)(n - w));
            if (!g->kept) fail("malloc");
            memcpy(g->kept, buffer + w, (size_t)(n - w));
            g->from = 0, g->to = (uint32_t)(n - w);
            watch(EPOLL_CTL_MOD, g->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, (uint64_t)(uintptr_t)g);
        } else if (g->kind == once && n > 0) {
            end_guest(g);
            return;
        } else if (n > 0 && n < room && !to_the_end) {
            return;
        }
    }
}

static void serve(unsigned addresses)
{
    static int listeners[kinds][256];
    printf("{");
    for (unsigned k = 0; k < kinds; ++k) {
        struct sockaddr_in at = {.sin_family = AF_INET};
        for (unsigned tries = 0, a = 0; a < addresses; ++a) {
            int const fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            int const one = 1;
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            at.sin_addr.s_addr = htonl(INADDR_LOOPBACK + a);
            listeners[k][a] = fd;
            if (bind(fd, (struct sockaddr*)&at, sizeof at) || listen(fd, 4096)) {
                // Somebody has that port on another of the addresses: begin again with another port.
                if (errno != EADDRINUSE || ++tries > 100) fail("listen");
                for (unsigned i = 0; i <= a; ++i) close(listeners[k][i]);
                at.sin_port = 0;
                a = (unsigned)-1;
                continue;
            }
            socklen_t size = sizeof at;
            getsockname(fd, (struct sockaddr*)&at, &size);
        }
        for (unsigned a = 0; a < addresses; ++a) watch(EPOLL_CTL_ADD, listeners[k][a], EPOLLIN, (uint64_t)listeners[k][a] << 8 | k << 1 | 1);
        printf("%s\"%s\": %u", k ? ", " : "", kind_names[k], ntohs(at.sin_port));
    }
    printf("}\n");
    fflush(stdout);
    watch(EPOLL_CTL_ADD, STDIN_FILENO, EPOLLIN, 0);
    for (;;) {
        struct epoll_event events[batch];
        int const n = epoll_wait(poller, events, batch, -1);
        if (n < 0 && errno != EINTR) fail("epoll_wait");
        for (int i = 0; i < n; ++i) {
            uint64_t const who = events[i].data.u64;
            if (who == 0) {
                char line[64];
                if (read(STDIN_FILENO, line, sizeof line) <= 0) return;
            } else if (who & 1) {
                for (int turn = 0; turn < batch; ++turn) {
                    int const fd = accept4((int)(who >> 8), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                    if (fd < 0) {
                        if (!would_block() && errno != ECONNABORTED) fail("origin: accept");
                        break;
                    }
                    struct guest* const g = calloc(1, sizeof *g);
                    if (!g) fail("calloc");
                    g->fd = fd;
                    g->kind = (uint8_t)(who >> 1 & 0x7f);
                    uint32_t const wants[kinds] = {EPOLLIN | EPOLLRDHUP | EPOLLET, EPOLLOUT, EPOLLIN, EPOLLIN | EPOLLRDHUP | EPOLLET};
                    watch(EPOLL_CTL_ADD, fd, wants[g->kind], (uint64_t)(uintptr_t)g);
                }
            } else {
                struct guest* const g = (struct guest*)(uintptr_t)who;
                if (g->kind == source) {
                    if (events[i].events & (EPOLLHUP | EPOLLERR) || !send_bulk(g->fd)) end_guest(g);
                } else if (g->kind == sink) {
                    if (!drop_bulk(g->fd)) end_guest(g);
                } else {
                    echo_back(g, events[i].events);
                }
            }
        }
    }
}

// --- tunnels ---

enum via { direct, socks5, connect_method };
enum state { closed, greeting, method, reply, ready };

struct tunnel {
    int fd;
    uint8_t state;
    bool waits_for_room; // for the first message, while the connect is under way
    uint8_t head_end;    // how much of CR LF CR LF has come
    uint16_t got;        // bytes of this answer
    uint16_t echoed;
    uint32_t index;
    uint64_t began, opened, first;
    uint8_t answer[24];
};

static struct {
    uint8_t via;
    bool up;
    uint16_t proxy, port;
    uint32_t addresses, sources, streams, clients, count;
    double seconds;
    uint64_t bytes;
    char const* name;
    struct in_addr host;
} options = {.addresses = 1, .streams = 1, .clients = 1};

static uint64_t attempts, failures;
static char failure[96];

static void failed(struct tunnel* t, char const* what)
{
    ++failures;
    if (!failure[0]) snprintf(failure, sizeof failure, "%s%s%s", what, errno ? ": " : "", errno ? strerror(errno) : "");
    if (t->fd >= 0) close(t->fd);
    t->fd = -1;
    t->state = closed;
}

static uint32_t origin_address(struct tunnel const* t) { return htonl(ntohl(options.host.s_addr) + t->index % options.addresses); }

static bool put(struct tunnel* t, void const* bytes, size_t n, char const* what)
{
    if (send(t->fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n) return true;
    failed(t, what);
    return false;
}

static void send_request(struct tunnel* t)
{
    uint8_t request[4 + 1 + 255 + 2] = {5, 1, 0, 1};
    size_t n = 4;
    if (options.name) {
        size_t const length = strlen(options.name);
        request[3] = 3;
        request[n++] = (uint8_t)length;
        memcpy(request + n, options.name, length);
        n += length;
    } else {
        uint32_t const address = origin_address(t);
        memcpy(request + n, &address, 4);
        n += 4;
    }
    uint16_t const port = htons(options.port);
    memcpy(request + n, &port, 2);
    put(t, request, n + 2, "SOCKS5 request");
}

static void opened(struct tunnel* t)
{
    t->state = ready;
    t->opened = now();
}

// The first message: what a client says as soon as it is connected. Again when there is room, if it is not connected yet.
static void begin(struct tunnel* t)
{
    static uint8_t const hello[] = {5, 1, 0};
    char text[160];
    void const* bytes = hello;
    size_t n = sizeof hello;
    if (options.via == connect_method) {
        struct in_addr const a = {origin_address(t)};
        char const* const name = inet_ntoa(a);
        bytes = text;
        n = (size_t)snprintf(text, sizeof text, "CONNECT %s:%u HTTP/1.1\r\nHost: %s:%u\r\n\r\n", name, options.port, name, options.port);
    } else if (options.via == direct) {
        int error = 0;
        socklen_t size = sizeof error;
        struct sockaddr_in peer;
        socklen_t peer_size = sizeof peer;
        if (getpeername(t->fd, (struct sockaddr*)&peer, &peer_size) == 0) {
            opened(t);
        } else if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &size) || error) {
            errno = error;
            failed(t, "connect");
        } else {
            t->waits_for_room = true;
        }
        return;
    }
    ssize_t const w = send(t->fd, bytes, n, MSG_NOSIGNAL);
    if (w == (ssize_t)n) {
        t->waits_for_room = false;
        t->state = options.via == socks5 ? method : reply;
    } else if (w < 0 && would_block()) {
        t->waits_for_room = true;
    } else {
        failed(t, "first message");
    }
}

static bool open_tunnel(struct tunnel* t)
{
    uint32_t const index = (uint32_t)attempts++;
    *t = (struct tunnel){.fd = -1, .index = index, .began = now()};
    t->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (t->fd < 0) {
        failed(t, "socket");
        return false;
    }
    int const one = 1;
    setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (options.sources) {
        struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000100u + 1 + index % options.sources)};
        setsockopt(t->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(t->fd, (struct sockaddr*)&from, sizeof from)) {
            failed(t, "bind");
            return false;
        }
    }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(options.proxy)};
    if (options.via == direct) {
        to.sin_addr.s_addr = origin_address(t);
        to.sin_port = htons(options.port);
    }
    t->state = greeting;
    errno = 0;
    if (connect(t->fd, (struct sockaddr*)&to, sizeof to) && errno != EINPROGRESS) {
        failed(t, "connect");
        return false;
    }
    errno = 0;
    // Only who has something to say finds out without an event that the connection is there already.
    if (options.via == direct)
        t->waits_for_room = true;
    else
        begin(t);
    if (t->state == closed) return false;
    watch(EPOLL_CTL_ADD, t->fd, EPOLLIN | EPOLLRDHUP | EPOLLET | (t->waits_for_room ? EPOLLOUT : 0u), (uint64_t)(uintptr_t)t);
    return true;
}

static void close_tunnel(struct tunnel* t)
{
    close(t->fd);
    t->fd = -1;
    t->state = closed;
}

// Takes the answers of the handshake, and not a byte of what follows them.
static void advance(struct tunnel* t, uint32_t events)
{
    errno = 0;
    if (t->waits_for_room) {
        if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) return;
        t->waits_for_room = false;
        begin(t);
    }
    while (t->state == method || t->state == reply) {
        size_t want;
        if (t->state == method) {
            want = 2;
        } else if (options.via == socks5) {
            // VER REP RSV ATYP, then an address of 4 or 16 bytes, then a port
            want = t->got < 4 ? 10 : t->answer[3] == 4 ? 22 : 10;
        } else {
            want = 0;
        }
        ssize_t n;
        if (want) {
            n = recv(t->fd, t->answer + t->got, want - t->got, 0);
        } else {
            // What a CONNECT answers ends with an empty line. Nothing follows it before we have spoken, unless the origin
            // speaks first: so look first, then take.
            char text[1024];
            n = recv(t->fd, text, sizeof text, MSG_PEEK);
            for (ssize_t i = 0; i < n; ++i) {
                if (t->got < 12) t->answer[t->got++] = (uint8_t)text[i];
                t->head_end = text[i] == "\r\n\r\n"[t->head_end] ? (uint8_t)(t->head_end + 1) : text[i] == '\r';
                if (t->head_end == 4) n = i + 1;
            }
            if (n > 0 && recv(t->fd, text, (size_t)n, 0) != n) n = -1;
        }
        if (n < 0 && would_block()) return;
        if (n <= 0) {
            failed(t, n ? "handshake" : "handshake: closed by the proxy");
            return;
        }
        if (!want) {
            if (t->head_end < 4) continue;
            if (memcmp(t->answer + 8, " 200", 4) != 0) {
                errno = 0;
                failed(t, "CONNECT refused");
                return;
            }
            opened(t);
            return;
        }
        t->got = (uint16_t)(t->got + n);
        if (t->state == method && t->got == 2) {
            if (t->answer[1] != 0) {
                failed(t, "SOCKS5 method refused");
                return;
            }
            t->state = reply;
            t->got = 0;
            send_request(t);
        } else if (t->state == reply && t->got >= 10) {
            if (t->answer[1] != 0) {
                failed(t, "SOCKS5 request refused");
                return;
            }
            if (t->answer[3] == 4 && t->got < 22) continue;
            opened(t);
        }
    }
}

static int wait_events(struct epoll_event* events, int milliseconds)
{
    int const n = epoll_wait(poller, events, batch, milliseconds);
    if (n < 0 && errno != EINTR) fail("epoll_wait");
    return n < 0 ? 0 : n;
}

// --- results ---

struct samples {
    uint32_t* at; // nanoseconds
    size_t n, room;
};

static void add(struct samples* s, uint64_t ns)
{
    if (s->n == s->room) {
        s->room = s->room ? 2 * s->room : 1 << 16;
        s->at = realloc(s->at, s->room * sizeof *s->at);
        if (!s->at) fail("realloc");
    }
    s->at[s->n++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static int by_size(void const* a, void const* b)
{
    uint32_t const x = *(uint32_t const*)a, y = *(uint32_t const*)b;
    return (x > y) - (x < y);
}

static void print_samples(char const* name, struct samples* s)
{
    if (s->n == 0) return;
    qsort(s->at, s->n, sizeof *s->at, by_size);
    printf(", \"%s_us\": {\"p50\": %.2f, \"p90\": %.2f, \"p99\": %.2f, \"max\": %.2f}", name, s->at[s->n / 2] / 1e3,
        s->at[s->n * 9 / 10] / 1e3, s->at[s->n * 99 / 100] / 1e3, s->at[s->n - 1] / 1e3);
}

// Closes the object that the caller has opened with its own members.
static void print_end(void)
{
    for (char* c = failure; *c; ++c)
        if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ') *c = ' ';
    printf(", \"failed\": %llu, \"failure\": \"%s\"}\n", (unsigned long long)failures, failure);
    fflush(stdout);
}

// --- runs ---

static void run_bulk(void)
{
    struct tunnel* const all = calloc(options.streams, sizeof *all);
    if (!all) fail("calloc");
    uint64_t const began = now();
    for (uint32_t i = 0; i < options.streams; ++i) open_tunnel(&all[i]);
    uint32_t moving = 0;
    uint64_t start = 0, end = began + 20000000000u, before = 0;
    while (now() < end && failures < options.streams) {
        // Measured is the time in which all move.
        if (!start && moving + failures >= options.streams) {
            start = now();
            end = start + (uint64_t)(options.seconds * 1e9);
            before = received + sent;
        }
        struct epoll_event events[batch];
        int const n = wait_events(events, 100);
        for (int i = 0; i < n; ++i) {
            struct tunnel* const t = (struct tunnel*)(uintptr_t)events[i].data.u64;
            if (t->state == closed) continue;
            if (t->state != ready) {
                advance(t, events[i].events);
                if (t->state != ready) continue;
                watch(EPOLL_CTL_MOD, t->fd, options.up ? EPOLLOUT : EPOLLIN, (uint64_t)(uintptr_t)t);
                ++moving;
            } else if (options.up ? !send_bulk(t->fd) : !drop_bulk(t->fd)) {
                failed(t, "bulk: ended by the proxy");
            }
        }
    }
    if (!start) {
        errno = 0;
        if (!failure[0]) snprintf(failure, sizeof failure, "not all streams came to move within 20 s");
        failures += options.streams - moving;
        start = began;
    }
    double const took = (double)(now() - start) / 1e9;
    uint64_t const total = received + sent;
    printf("{\"streams\": %u, \"bytes\": %llu, \"seconds\": %.6f, \"total\": %llu", moving, (unsigned long long)(total - before), took,
        (unsigned long long)total);
    print_end();
    free(all);
}

static uint8_t message[small];

static void run_new(void)
{
    struct tunnel* const all = calloc(options.clients, sizeof *all);
    if (!all) fail("calloc");
    static struct samples to_ready, to_first;
    uint64_t const start = now(), end = options.count ? UINT64_MAX : start + (uint64_t)(options.seconds * 1e9);
    uint64_t const most = options.count ? options.count : UINT64_MAX;
    uint64_t done = 0, last = start;
    uint32_t open = 0;
    for (uint32_t i = 0; i < options.clients && attempts < most; ++i) open += open_tunnel(&all[i]);
    while (open) {
        struct epoll_event events[batch];
        int const n = wait_events(events, 5000);
        if (n == 0) {
            errno = 0;
            snprintf(failure, sizeof failure, "%u connections without any answer for 5 s", open);
            failures += open;
            break;
        }
        for (int i = 0; i < n; ++i) {
            struct tunnel* const t = (struct tunnel*)(uintptr_t)events[i].data.u64;
            if (t->state == closed) continue;
            if (t->state != ready) {
                advance(t, events[i].events);
                if (t->state == ready) put(t, message, small, "message");
            }
            if (t->state == ready) {
                uint8_t back[small];
                ssize_t const got = recv(t->fd, back, (size_t)(small - t->echoed), 0);
                if (got > 0) {
                    if (t->echoed == 0) t->first = now();
                    t->echoed = (uint16_t)(t->echoed + got);
                    if (t->echoed == small) {
                        add(&to_ready, t->opened - t->began);
                        add(&to_first, t->first - t->began);
                        close_tunnel(t);
                        ++done;
                    }
                } else if (got == 0 || !would_block()) {
                    failed(t, "echo: ended by the proxy");
                }
            }
            if (t->state != closed) continue;
            --open;
            last = now();
            if (attempts < most && last < end && failures < 1000) open += open_tunnel(t);
        }
    }
    double const took = (double)(last - start) / 1e9;
    printf("{\"connections\": %llu, \"seconds\": %.6f", (unsigned long long)done, took);
    print_samples("ready", &to_ready);
    print_samples("first", &to_first);
    print_end();
    free(all);
}

static void run_ping(void)
{
    static struct tunnel t;
    static struct samples trips;
    open_tunnel(&t);
    uint64_t start = 0, end = 0, asked = 0;
    struct epoll_event events[batch];
    while (t.state != closed) {
        int const n = wait_events(events, 5000);
        if (n == 0) {
            errno = 0;
            failed(&t, "no answer for 5 s");
        }
        for (int i = 0; i < n && t.state != closed; ++i) {
            if (t.state != ready) {
                advance(&t, events[i].events);
                if (t.state != ready) continue;
                start = asked = now();
                end = start + (uint64_t)(options.seconds * 1e9);
                put(&t, message, small, "message");
                continue;
            }
            uint8_t back[small];
            ssize_t const got = recv(t.fd, back, (size_t)(small - t.echoed), 0);
            if (got <= 0) {
                if (got == 0 || !would_block()) failed(&t, "echo: ended by the proxy");
                continue;
            }
            t.echoed = (uint16_t)(t.echoed + got);
            if (t.echoed < small) continue;
            uint64_t const at = now();
            add(&trips, at - asked);
            t.echoed = 0;
            if (options.count ? trips.n >= options.count : at >= end) {
                close_tunnel(&t);
            } else {
                asked = now();
                put(&t, message, small, "message");
            }
        }
    }
    printf("{\"trips\": %zu", trips.n);
    print_samples("trip", &trips);
    print_end();
}

static void run_transfer(void)
{
    static struct tunnel t;
    open_tunnel(&t);
    uint64_t const began = now();
    uint64_t start = 0, end = 0;
    char head[128];
    struct epoll_event events[batch];
    while (t.state != closed) {
        int const n = wait_events(events, 20000);
        if (n == 0) {
            errno = 0;
            failed(&t, "nothing has moved for 20 s");
        }
        for (int i = 0; i < n && t.state != closed; ++i) {
            if (t.state != ready) {
                advance(&t, events[i].events);
                if (t.state != ready) continue;
                start = now();
                int const length = options.up
                    ? snprintf(head, sizeof head, "POST /sink HTTP/1.1\r\nHost: pod\r\nContent-Length: %llu\r\n\r\n", (unsigned long long)options.bytes)
                    : snprintf(head, sizeof head, "%llu\n", (unsigned long long)options.bytes);
                if (!put(&t, head, (size_t)length, "request")) break;
                watch(EPOLL_CTL_MOD, t.fd, options.up ? EPOLLIN | EPOLLOUT : EPOLLIN, (uint64_t)(uintptr_t)&t);
                continue;
            }
            if (options.up && sent < options.bytes && events[i].events & EPOLLOUT) {
                uint64_t const left = options.bytes - sent;
                off_t from = 0;
                ssize_t const w = sendfile(t.fd, memory, &from, left < memory_size ? (size_t)left : memory_size);
                if (w > 0) sent += (uint64_t)w;
                if (w <= 0 && !would_block()) failed(&t, "upload");
                if (sent == options.bytes) watch(EPOLL_CTL_MOD, t.fd, EPOLLIN, (uint64_t)(uintptr_t)&t);
            }
            if (t.state == ready && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
                ssize_t const got = options.up ? recv(t.fd, head, sizeof head, 0) : recv(t.fd, NULL, most_received, MSG_TRUNC);
                if (got > 0) received += (uint64_t)got;
                if (got == 0 || (got < 0 && !would_block())) {
                    failed(&t, "ended before all had come");
                } else if (options.up ? received > 0 : received >= options.bytes) {
                    end = now();
                    errno = 0;
                    if (options.up && (sent < options.bytes || memcmp(head, "HTTP/1.1 200", 12) != 0))
                        failed(&t, "the upload was refused");
                    else
                        close_tunnel(&t);
                }
            }
        }
    }
    printf("{\"seconds\": %.6f, \"bytes\": %llu", (double)((end ? end : now()) - (start ? start : began)) / 1e9,
        (unsigned long long)(options.up ? sent : received));
    print_end();
}

// --- hold ---

static struct {
    struct tunnel** at; // in the order of opening; closed ones stay until they are told of
    uint32_t n, room;
} held;

static uint32_t count(uint8_t state)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < held.n; ++i) n += held.at[i]->state == state;
    return n;
}

// Handles events until `quiet` seconds pass in which no tunnel came further, or `enough` is true.
static void run_until(bool (*enough)(void), double quiet)
{
    uint64_t last = now();
    while (!enough()) {
        double const left = quiet - (double)(now() - last) / 1e9;
        if (left <= 0) return;
        struct epoll_event events[batch];
        int const n = wait_events(events, (int)(left * 1e3) + 1);
        for (int i = 0; i < n; ++i) {
            struct tunnel* const t = (struct tunnel*)(uintptr_t)events[i].data.u64;
            if (t->state == closed) continue;
            if (t->state != ready) {
                uint8_t const before = t->state;
                advance(t, events[i].events);
                if (t->state != before) last = now();
                continue;
            }
            uint8_t back[small];
            ssize_t got;
            while ((got = recv(t->fd, back, sizeof back, 0)) > 0) {
                t->echoed = (uint16_t)(t->echoed + got);
                last = now();
            }
            if (got == 0 || !would_block()) failed(t, "ended by the proxy");
        }
    }
}

static uint32_t wanted, under_way;
static bool all_ready(void) { return count(ready) + count(closed) == held.n; }
static bool enough_under_way(void)
{
    uint32_t n = 0;
    for (uint32_t i = held.n > 2048 ? held.n - 2048 : 0; i < held.n; ++i) n += held.at[i]->state != ready && held.at[i]->state != closed;
    return n < under_way;
}
static bool all_echoed(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < held.n; ++i) n += held.at[i]->state == ready && held.at[i]->echoed >= small;
    return n >= wanted;
}

static void print_held(double took)
{
    uint32_t const live = count(ready), gone = count(closed);
    printf("{\"ready\": %u, \"waiting\": %u, \"seconds\": %.6f", live, held.n - live - gone, took);
}

static void hold(void)
{
    char line[128];
    while (fgets(line, sizeof line, stdin)) {
        char verb[16];
        unsigned n = 0;
        double seconds = 2;
        int const words = sscanf(line, "%15s %u %lf", verb, &n, &seconds);
        uint64_t const start = now();
        if (words >= 2 && !strcmp(verb, "open")) {
            under_way = 64;
            for (unsigned i = 0; i < n; ++i) {
                if (held.n == held.room) {
                    held.room = held.room ? 2 * held.room : 4096;
                    held.at = realloc(held.at, held.room * sizeof *held.at);
                    if (!held.at) fail("realloc");
                }
                struct tunnel* const t = calloc(1, sizeof *t);
                if (!t) fail("calloc");
                held.at[held.n++] = t;
                open_tunnel(t);
                // 64 at a time while they come through; those that do not are left waiting.
                run_until(enough_under_way, seconds / 4);
                if (!enough_under_way()) under_way += 64;
            }
            run_until(all_ready, seconds);
            print_held((double)(now() - start) / 1e9);
        } else if (words >= 2 && !strcmp(verb, "probe")) {
            uint32_t const live = count(ready);
            n = n == 0 || n > live ? live : n;
            wanted = 0;
            uint64_t seen = 0;
            for (uint32_t i = 0; i < held.n; ++i) {
                struct tunnel* const t = held.at[i];
                if (t->state != ready) continue;
                t->echoed = 0;
                bool const chosen = (seen + 1) * n / live > seen * n / live; // n of them, evenly
                ++seen;
                if (chosen && put(t, message, small, "probe")) ++wanted;
            }
            uint32_t const asked = wanted;
            run_until(all_echoed, seconds);
            uint32_t answered = 0;
            for (uint32_t i = 0; i < held.n; ++i) answered += held.at[i]->state == ready && held.at[i]->echoed >= small;
            print_held((double)(now() - start) / 1e9);
            printf(", \"asked\": %u, \"answered\": %u", asked, answered);
        } else if (words >= 2 && !strcmp(verb, "close")) {
            for (uint32_t i = 0; i < held.n && n; ++i)
                if (held.at[i]->state == ready) close_tunnel(held.at[i]), --n;
            print_held(0);
        } else if (words >= 2 && !strcmp(verb, "wait")) {
            run_until(all_ready, seconds);
            print_held((double)(now() - start) / 1e9);
        } else {
            printf("{\"error\": \"unknown command\"");
        }
        print_end();
    }
}

int main(int argc, char** argv)
{
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poller = epoll_create1(EPOLL_CLOEXEC);
    memset(message, 'x', sizeof message);
    options.host.s_addr = htonl(INADDR_LOOPBACK);
    char const* const verb = argc > 1 ? argv[1] : "";
    for (int i = 2; i < argc; ++i) {
        char const* const name = argv[i];
        if (!strcmp(name, "--up")) {
            options.up = true;
            continue;
        }
        char const* const value = i + 1 < argc ? argv[++i] : "";
        uint32_t const n = (uint32_t)strtoul(value, NULL, 10);
        if (!strcmp(name, "--via"))
            options.via = !strcmp(value, "socks5") ? socks5 : !strcmp(value, "connect") ? connect_method : direct;
        else if (!strcmp(name, "--proxy"))
            options.proxy = (uint16_t)n;
        else if (!strcmp(name, "--port"))
            options.port = (uint16_t)n;
        else if (!strcmp(name, "--addresses"))
            options.addresses = n ? n : 1;
        else if (!strcmp(name, "--sources"))
            options.sources = n;
        else if (!strcmp(name, "--streams"))
            options.streams = n;
        else if (!strcmp(name, "--clients"))
            options.clients = n;
        else if (!strcmp(name, "--count"))
            options.count = n;
        else if (!strcmp(name, "--bytes"))
            options.bytes = strtoull(value, NULL, 10);
        else if (!strcmp(name, "--host")) {
            if (inet_pton(AF_INET, value, &options.host) != 1) options.name = value;
            if (strlen(value) > 255) fail("--host");
        } else if (!strcmp(name, "--seconds"))
            options.seconds = strtod(value, NULL);
        else {
            fprintf(stderr, "bench_load: unknown option %s; see the head of tests/bench/load.c\n", name);
            return 2;
        }
    }
    if (!strcmp(verb, "origin")) {
        make_memory();
        serve(options.addresses < 256 ? options.addresses : 255);
    } else if (!strcmp(verb, "bulk")) {
        make_memory();
        run_bulk();
    } else if (!strcmp(verb, "new")) {
        run_new();
    } else if (!strcmp(verb, "ping")) {
        run_ping();
    } else if (!strcmp(verb, "transfer")) {
        make_memory();
        run_transfer();
    } else if (!strcmp(verb, "hold")) {
        hold();
    } else {
        fprintf(stderr, "usage: bench_load origin|bulk|new|ping|transfer|hold ...; see the head of tests/bench/load.c\n");
        return 2;
    }
    return 0;
}
