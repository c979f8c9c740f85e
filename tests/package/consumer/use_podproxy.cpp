// podproxy::podproxy: a coroutine runs, Asio being header-only.
#include <podproxy/net/stream.hpp>
#include <openssl/ssl.h>
#include <exception>

namespace net = podproxy::net;

net::awaitable<int> answer() { co_return 42; }

int main()
{
    asio::io_context context;
    int got = 0;
    asio::co_spawn(context.get_executor(), answer(), [&got](std::exception_ptr, int value) { got = value; });
    context.run();

    SSL_CTX* const tls = SSL_CTX_new(TLS_method());
    bool const tls_is_there = tls != nullptr;
    SSL_CTX_free(tls);
    return got == 42 && tls_is_there ? 0 : 1;
}
