// The yardstick: how much of a relay this machine allows. A SOCKS5 and HTTP CONNECT proxy on one port with the least work that
// is still correct: one thread, epoll (edge-triggered), small messages copied through one shared buffer, bulk spliced through
// pipes that are held only while data is in them. It has no names, no IPv6, no authentication, no log and no timeouts.
//
//   bench_yardstick [--port N] [--copy] [--pipe BYTES] [--pipes N]
//   bench_yardstick (--port N --forward HOST:PORT)... [...]
//
// With --forward it says and asks nothing: every connection to the port before it goes to that address (IPv4).
//
// Prints "listening on 127.0.0.1:PORT" and serves until it is killed.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    copy_size = 64 * 1024,      // of the shared buffer; a read that fills it makes a direction half suspected of being bulk
    turn = 1024 * 1024,         // bytes that one direction may move before others get their turn
    quiet_size = 8 * 1024,      // splices below this size, several in a row, make a direction an ordinary one again
    max_head = 8 * 1024,        // of a handshake
    spare_pipes = 16,           // empty ones that are kept open
    reserved_descriptors = 64,  // beside those of connections: ours, and a few pipes
    batch = 256,                // events and accepts at a time
    ports_most = 8
};

// A handshake's progress, then what a pair of sockets is doing.
enum phase { first_byte, socks_request, http_head, connecting, relaying, refusing, dead };

struct pipe_ends {
    int out, in;
};

// One direction, from `ends[i]` to `ends[1 - i]`.
struct flow {
    uint8_t* held;            // what the target did not take: malloc'ed, only while there is something
    uint32_t held_from, held_to;
    struct pipe_ends pipe;    // out < 0: none
    uint32_t in_pipe;
    uint8_t full;             // full reads in a row
    uint8_t small;            // small splices in a row
    bool bulk, ended, finished; // ended: the source's end of stream was read; finished: and passed on
};

struct end {
    int fd;
    bool readable, writable;
    bool hung_up;      // behind what can be read is an end of stream or an error
    bool watched, watches_room;
};

struct pair {
    struct end ends[2]; // client, server
    struct flow flows[2];
    struct pair* next;  // in the list of the ready, of the dead, or of the free
    uint8_t phase;
    bool http, queued;
};

struct port {
    int listener;
    struct sockaddr_in at, forward_to; // forward_to: port 0 where the client says where to
};

static int poller;
static struct port ports[ports_most];
static unsigned port_count;
static uint8_t shared[copy_size];
static struct pair *free_pairs, *dead_pairs, *ready_first, **ready_last = &ready_first;
static struct pipe_ends spares[spare_pipes];
static int spare_count, pipes_open, pipes_most = 224;
static size_t pipe_size = 256 * 1024;
static bool copy_only, accept_paused, forwards;
static uint32_t pairs_open, pairs_most;

static void fail(char const* what)
{
    perror(what);
    exit(1);
}

// --- pipes ---

static bool take_pipe(struct flow* f)
{
    if (f->pipe.out >= 0) return true;
    if (spare_count) {
        f->pipe = spares[--spare_count];
        return true;
    }
    if (copy_only || pipes_open >= pipes_most) return false;
    int fds[2];
    if (pipe2(fds, O_NONBLOCK | O_CLOEXEC)) return false;
    // Beyond what a user may own the kernel hands out pipes of two pages and refuses to enlarge them: copying is cheaper then.
    if (fcntl(fds[1], F_SETPIPE_SZ, (int)pipe_size) < 0) {
        close(fds[0]), close(fds[1]);
        pipes_most = pipes_open;
        return false;
    }
    f->pipe = (struct pipe_ends){fds[0], fds[1]};
    ++pipes_open;
    return true;
}

static void give_pipe(struct flow* f)
{
    if (f->pipe.out < 0) return;
    if (f->in_pipe == 0 && spare_count < spare_pipes) {
        spares[spare_count++] = f->pipe;
    } else {
        close(f->pipe.out), close(f->pipe.in);
        --pipes_open;
    }
    f->pipe.out = -1;
    f->in_pipe = 0;
}

// --- pairs ---

static struct pair* new_pair(int client)
{
    if (!free_pairs) {
        enum { slab = 256 };
        struct pair* more = calloc(slab, sizeof *more);
        if (!more) fail("calloc");
        for (int i = 0; i < slab; ++i) more[i].next = i + 1 < slab ? &more[i + 1] : NULL;
        free_pairs = more;
    }
    struct pair* p = free_pairs;
    free_pairs = p->next;
    memset(p, 0, sizeof *p);
    p->ends[0].fd = client;
    p->ends[1].fd = -1;
    p->flows[0].pipe.out = p->flows[1].pipe.out = -1;
    ++pairs_open;
    return p;
}

// Room to write is watched for only after it has been missing once: most connections never miss it.
static void watch(struct pair* p, int i, bool room)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.u64 = (uint64_t)(uintptr_t)p | (unsigned)i};
    if (room) e.events |= EPOLLOUT;
    if (epoll_ctl(poller, p->ends[i].watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, p->ends[i].fd, &e)) fail("epoll_ctl");
    p->ends[i].watched = true;
    p->ends[i].watches_room = room;
}

static void no_room(struct pair* p, int i)
{
    p->ends[i].writable = false;
    if (!p->ends[i].watches_room) watch(p, i, true);
}

// Events of ports are told from those of pairs: no pair has so small an address.
static void watch_listeners(bool on)
{
    for (unsigned i = 0; i < port_count; ++i) {
        struct epoll_event e = {.events = EPOLLIN, .data.u64 = i};
        if (epoll_ctl(poller, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, ports[i].listener, &e)) fail("epoll_ctl");
    }
    accept_paused = !on;
}

// Events of the same batch may still name it, so its memory is free only after the batch.
static void end_pair(struct pair* p, bool reset)
{
    if (p->phase == dead) return;
    for (int i = 0; i < 2; ++i) {
        give_pipe(&p->flows[i]);
        free(p->flows[i].held);
        p->flows[i].held = NULL;
        if (p->ends[i].fd < 0) continue;
        if (reset) {
            struct linger l = {1, 0};
            setsockopt(p->ends[i].fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
        }
        close(p->ends[i].fd);
    }
    p->phase = dead;
    if (!p->queued) p->next = dead_pairs, dead_pairs = p; // else the queue hands it over
    --pairs_open;
}

static void queue(struct pair* p)
{
    if (p->queued) return;
    p->queued = true;
    p->next = NULL;
    *ready_last = p;
    ready_last = &p->next;
}

static bool hold(struct flow* f, uint8_t const* bytes, size_t n)
{
    if (n == 0) return true;
    f->held = malloc(n);
    if (!f->held) return false;
    memcpy(f->held, bytes, n);
    f->held_from = 0;
    f->held_to = (uint32_t)n;
    return true;
}

// --- relay ---

static bool would_block(void) { return errno == EAGAIN || errno == EINTR; }

// Moves what direction `i` can move now. False: the pair has ended.
static bool pump(struct pair* p, int i)
{
    struct end *from = &p->ends[i], *to = &p->ends[1 - i];
    struct flow* f = &p->flows[i];
    for (size_t moved = 0;;) {
        while (f->in_pipe) {
            if (!to->writable) return true;
            ssize_t n = splice(f->pipe.out, NULL, to->fd, NULL, f->in_pipe, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
            if (n > 0) {
                f->in_pipe -= (uint32_t)n;
            } else if (n < 0 && would_block()) {
                no_room(p, 1 - i);
            } else {
                end_pair(p, true);
                return false;
            }
        }
        while (f->held) {
            if (!to->writable) return true;
            ssize_t n = write(to->fd, f->held + f->held_from, f->held_to - f->held_from);
            if (n > 0) {
                f->held_from += (uint32_t)n;
                if (f->held_from == f->held_to) free(f->held), f->held = NULL;
            } else if (n < 0 && would_block()) {
                no_room(p, 1 - i);
            } else {
                end_pair(p, true);
                return false;
            }
        }
        if (f->ended) {
            if (f->finished) return true;
            f->finished = true;
            give_pipe(f);
            if (p->flows[1 - i].finished) {
                end_pair(p, false);
                return false;
            }
            shutdown(to->fd, SHUT_WR);
            return true;
        }
        if (!from->readable) {
            give_pipe(f);
            return true;
        }
        if (moved >= turn) {
            queue(p);
            return true;
        }
        ssize_t n;
        if (f->bulk && take_pipe(f)) {
            n = splice(from->fd, NULL, f->pipe.in, NULL, pipe_size, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
            if (n > 0) {
                f->in_pipe = (uint32_t)n;
                f->small = n < quiet_size ? (uint8_t)(f->small + 1) : 0;
                if (f->small == 8) f->bulk = false, f->small = 0, f->full = 0;
            }
        } else {
            n = read(from->fd, shared, sizeof shared);
            if (n > 0) {
                if ((size_t)n == sizeof shared) {
                    if (f->full < 2 && ++f->full == 2) f->bulk = !copy_only;
                } else {
                    f->full = 0;
                    // Edge-triggered: a short read has drained the socket, unless its end has been announced.
                    if (!from->hung_up) from->readable = false;
                }
                ssize_t w = write(to->fd, shared, (size_t)n);
                if (w < 0) {
                    if (!would_block()) {
                        end_pair(p, true);
                        return false;
                    }
                    no_room(p, 1 - i);
                    w = 0;
                }
                if (w < n && !hold(f, shared + w, (size_t)(n - w))) {
                    end_pair(p, true);
                    return false;
                }
            }
        }
        if (n == 0) {
            f->ended = true;
        } else if (n > 0) {
            moved += (size_t)n;
        } else if (would_block()) {
            from->readable = false;
        } else {
            end_pair(p, true);
            return false;
        }
    }
}

// --- handshake ---

// Failure while nobody is connected yet: say so, then close. What the peer sent meanwhile must not turn that into a reset.
static void refuse(struct pair* p, uint8_t socks_code, char const* http_status)
{
    char text[128];
    size_t n = 0;
    if (forwards) {
        end_pair(p, true);
        return;
    }
    if (p->http) {
        n = (size_t)snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", http_status);
    } else if (socks_code) {
        memcpy(text, (uint8_t[]){5, socks_code, 0, 1, 0, 0, 0, 0, 0, 0}, n = 10);
    }
    ssize_t sent = n ? write(p->ends[0].fd, text, n) : 0;
    (void)sent;
    shutdown(p->ends[0].fd, SHUT_WR);
    while (read(p->ends[0].fd, shared, sizeof shared) > 0) {}
    end_pair(p, false);
}

static void connected(struct pair* p)
{
    static uint8_t const socks_ok[] = {5, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    static char const http_ok[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    size_t const n = p->http ? sizeof http_ok - 1 : sizeof socks_ok;
    // Room for so few bytes is certain in an empty send buffer.
    if (!forwards && write(p->ends[0].fd, p->http ? (void const*)http_ok : socks_ok, n) != (ssize_t)n) {
        end_pair(p, true);
        return;
    }
    p->phase = relaying;
    p->ends[0].writable = p->ends[1].writable = true;
    if (pump(p, 0)) pump(p, 1);
}

// `early` are bytes that came behind the request.
static void dial(struct pair* p, struct sockaddr_in const* to, uint8_t const* early, size_t n)
{
    int const fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        refuse(p, 1, "503 Service Unavailable");
        return;
    }
    p->ends[1].fd = fd;
    int const one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (!hold(&p->flows[0], early, n)) {
        end_pair(p, true);
        return;
    }
    p->phase = connecting;
    bool done = connect(fd, (struct sockaddr const*)to, sizeof *to) == 0;
    if (!done && errno == EINPROGRESS) {
        // A neighbour has often answered by now: asking again costs less than a turn through the event loop.
        done = connect(fd, (struct sockaddr const*)to, sizeof *to) == 0;
        if (!done && (errno == EALREADY || errno == EINPROGRESS)) {
            watch(p, 1, true);
            return;
        }
    }
    if (!done) {
        refuse(p, errno == ECONNREFUSED ? 5 : errno == ENETUNREACH ? 3 : 4, "502 Bad Gateway");
        return;
    }
    watch(p, 1, false);
    connected(p);
}

static void dial_done(struct pair* p)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(p->ends[1].fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        refuse(p, error == ECONNREFUSED ? 5 : error == ENETUNREACH ? 3 : 4, "502 Bad Gateway");
    else
        connected(p);
}

// "CONNECT 127.0.0.1:80 HTTP/1.1" and headers that are not looked at. Zero: not such a request.
static bool parse_connect(char* head, struct sockaddr_in* to)
{
    char address[16];
    unsigned port;
    char version;
    to->sin_family = AF_INET;
    if (sscanf(head, "CONNECT %15[0-9.]:%5u HTTP/1.%c\r", address, &port, &version) != 3 || port == 0 || port > 65535) return false;
    to->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, address, &to->sin_addr) == 1;
}

// Takes messages of the handshake from `in`; keeps what is left in flow 0 until more comes.
static void handshake(struct pair* p, uint8_t* in, size_t n)
{
    for (;;) {
        size_t used = 0;
        if (p->phase == first_byte) {
            if (n == 0) return;
            if (in[0] == 5) {
                if (n >= 2 && n >= 2u + in[1]) {
                    bool const open = memchr(in + 2, 0, in[1]) != NULL;
                    uint8_t const answer[] = {5, open ? 0 : 0xff};
                    if (write(p->ends[0].fd, answer, 2) != 2 || !open) {
                        refuse(p, 0, "");
                        return;
                    }
                    p->phase = socks_request;
                    used = 2u + in[1];
                }
            } else if (in[0] >= 'A' && in[0] <= 'Z') {
                p->http = true;
                p->phase = http_head;
                continue;
            } else {
                end_pair(p, false);
                return;
            }
        } else if (p->phase == socks_request) {
            if (n >= 10) {
                if (in[0] != 5 || in[1] != 1 || in[3] != 1) {
                    refuse(p, in[1] != 1 ? 7 : 8, "");
                    return;
                }
                struct sockaddr_in to = {.sin_family = AF_INET};
                memcpy(&to.sin_addr, in + 4, 4);
                memcpy(&to.sin_port, in + 8, 2);
                dial(p, &to, in + 10, n - 10);
                return;
            }
        } else {
            uint8_t* const end = memmem(in, n, "\r\n\r\n", 4);
            if (end) {
                *end = 0;
                struct sockaddr_in to = {0};
                if (parse_connect((char*)in, &to)) {
                    uint8_t const* const rest = end + 4;
                    dial(p, &to, rest, n - (size_t)(rest - in));
                } else {
                    refuse(p, 0, "400 Bad Request");
                }
                return;
            }
        }
        if (used == 0) {
            if (n >= max_head || !hold(&p->flows[0], in, n)) refuse(p, 1, "431 Request Header Fields Too Large");
            return;
        }
        in += used;
        n -= used;
        if (n == 0) return;
    }
}

static void shake(struct pair* p)
{
    struct flow* f = &p->flows[0];
    while (p->phase <= http_head && p->ends[0].readable) {
        size_t held = 0;
        if (f->held) {
            held = f->held_to;
            memcpy(shared, f->held, held);
            free(f->held);
            f->held = NULL;
        }
        ssize_t const n = read(p->ends[0].fd, shared + held, max_head - held);
        if (n > 0) {
            if ((size_t)n < max_head - held && !p->ends[0].hung_up) p->ends[0].readable = false;
            handshake(p, shared, held + (size_t)n);
        } else if (n < 0 && would_block()) {
            p->ends[0].readable = false;
            if (!hold(f, shared, held)) end_pair(p, true);
        } else {
            end_pair(p, false);
        }
    }
}

// --- loop ---

static void on_event(struct pair* p, int i, uint32_t events)
{
    if (p->phase == dead) return;
    struct end* const e = &p->ends[i];
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) e->readable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) e->hung_up = true;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) e->writable = true;
    if (p->phase == relaying) {
        if (e->readable && !pump(p, i)) return;
        struct flow const* const back = &p->flows[1 - i];
        if (e->writable && (back->held || back->in_pipe)) pump(p, 1 - i);
    } else if (p->phase == connecting) {
        if (i == 1)
            dial_done(p);
        else if (events & (EPOLLHUP | EPOLLERR))
            end_pair(p, true);
    } else {
        shake(p);
    }
}

static void accept_some(struct port const* port)
{
    for (int i = 0; i < batch; ++i) {
        if (pairs_open >= pairs_most) {
            watch_listeners(false);
            return;
        }
        int const fd = accept4(port->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                if (pairs_open) watch_listeners(false); // until a pair has ended
                return;
            }
            if (errno == ECONNABORTED || errno == EINTR) continue;
            return;
        }
        struct pair* const p = new_pair(fd);
        watch(p, 0, false);
        if (forwards) dial(p, &port->forward_to, NULL, 0);
    }
}

static uint32_t number(char const* text)
{
    char* end;
    unsigned long const n = text ? strtoul(text, &end, 10) : 0;
    if (!text || *end || !*text || n > UINT32_MAX) {
        fprintf(stderr, "usage: bench_yardstick [--port N [--forward HOST:PORT]]... [--copy] [--pipe BYTES] [--pipes N]\n");
        exit(2);
    }
    return (uint32_t)n;
}

static void parse_forward(struct sockaddr_in* to, char const* text)
{
    char address[16];
    unsigned port = 0;
    if (!text || sscanf(text, "%15[0-9.]:%5u", address, &port) != 2 || port == 0 || port > 65535 ||
        inet_pton(AF_INET, address, &to->sin_addr) != 1)
        number(NULL);
    to->sin_family = AF_INET;
    to->sin_port = htons((uint16_t)port);
    forwards = true;
}

static void listen_on(struct port* p)
{
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int const one = 1;
    setsockopt(p->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(p->listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); // accepted sockets inherit it
    p->at.sin_family = AF_INET;
    p->at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof p->at;
    if (bind(p->listener, (struct sockaddr*)&p->at, size) || listen(p->listener, 4096)) fail("listen");
    getsockname(p->listener, (struct sockaddr*)&p->at, &size);
    printf("listening on 127.0.0.1:%u\n", ntohs(p->at.sin_port));
}

int main(int argc, char** argv)
{
    for (int i = 1; i < argc; ++i) {
        if (!strcmp(argv[i], "--copy")) {
            copy_only = true;
            continue;
        }
        if (!strcmp(argv[i], "--forward")) {
            parse_forward(&ports[port_count ? port_count - 1 : 0].forward_to, argv[i + 1] ? argv[++i] : NULL);
            continue;
        }
        char const* const name = argv[i];
        uint32_t const n = number(argv[i + 1] ? argv[++i] : NULL);
        if (!strcmp(name, "--port") && port_count < ports_most)
            ports[port_count++].at.sin_port = htons((uint16_t)n);
        else if (!strcmp(name, "--pipe"))
            pipe_size = n;
        else if (!strcmp(name, "--pipes"))
            pipes_most = (int)n;
        else
            number(NULL);
    }
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    pairs_most = files.rlim_max > (1u << 24) ? 1u << 23 : (uint32_t)(files.rlim_max > 4 * reserved_descriptors
        ? (files.rlim_max - reserved_descriptors) / 2 : files.rlim_max / 4);

    poller = epoll_create1(EPOLL_CLOEXEC);
    if (!port_count) port_count = 1;
    for (unsigned i = 0; i < port_count; ++i) {
        if (forwards && !ports[i].forward_to.sin_port) number(NULL);
        listen_on(&ports[i]);
    }
    watch_listeners(true);
    fflush(stdout);

    for (;;) {
        static struct epoll_event events[batch];
        int const n = epoll_wait(poller, events, batch, ready_first ? 0 : -1);
        if (n < 0 && errno != EINTR) fail("epoll_wait");
        unsigned newcomers = 0; // a bit for each port
        for (int i = 0; i < n; ++i) {
            uint64_t const who = events[i].data.u64;
            if (who < ports_most)
                newcomers |= 1u << who;
            else
                on_event((struct pair*)(uintptr_t)(who & ~(uint64_t)1), (int)(who & 1), events[i].events);
        }
        // Those whose turn was over.
        struct pair* p = ready_first;
        ready_first = NULL;
        ready_last = &ready_first;
        while (p) {
            struct pair* const next = p->next;
            p->queued = false;
            if (p->phase == dead)
                p->next = dead_pairs, dead_pairs = p;
            else if (pump(p, 0))
                pump(p, 1);
            p = next;
        }
        bool const somebody_left = dead_pairs != NULL;
        while (dead_pairs) {
            p = dead_pairs;
            dead_pairs = p->next;
            p->next = free_pairs;
            free_pairs = p;
        }
        if (accept_paused && somebody_left) {
            watch_listeners(true);
            newcomers = (1u << port_count) - 1;
        }
        for (unsigned i = 0; newcomers >> i; ++i)
            if (newcomers >> i & 1) accept_some(&ports[i]);
    }
}
