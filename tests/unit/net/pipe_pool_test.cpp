#include <podproxy/net/pipe_pool.hpp>

#include <catch2/catch_test_macros.hpp>

#include <utility>

#if defined(__linux__)
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif

using namespace podproxy;

#if defined(__linux__)
TEST_CASE("pipe pool: hands out pipes of the asked size, keeps a few, and says no past its limit")
{
    net::pipe_pool_config config;
    config.most = 3;
    config.spare = 1;
    net::pipe_pool pool(config);
    auto a = pool.take(), b = pool.take(), c = pool.take();
    REQUIRE(a);
    REQUIRE(c);
    CHECK(::fcntl(a->write_end(), F_GETPIPE_SZ) >= static_cast<int>(config.pipe_size));
    CHECK_FALSE(pool.take());
    CHECK(pool.in_use() == 3);
    int const fd = a->read_end();
    pool.give(std::move(*a));
    pool.give(std::move(*b));
    CHECK(pool.in_use() == 1);
    auto again = pool.take();
    REQUIRE(again);
    CHECK(again->read_end() == fd);
    pool.give(std::move(*again));
    pool.give(std::move(*c));
    CHECK(pool.in_use() == 0);
}

TEST_CASE("pipe pool: with no descriptors left it says no and the caller copies")
{
#if defined(UNDER_SANITIZER)
    SKIP("the sanitizer checks memory through a pipe and needs descriptors itself");
#endif
    net::pipe_pool pool;
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit few = before;
    few.rlim_cur = 3;
    ::setrlimit(RLIMIT_NOFILE, &few);
    bool const got = pool.take().has_value();
    ::setrlimit(RLIMIT_NOFILE, &before);
    CHECK_FALSE(got);
    CHECK(pool.in_use() == 0);
}

TEST_CASE("pipe pool: a pipe that was lost with data in it makes room for another")
{
    net::pipe_pool_config config;
    config.most = 1;
    net::pipe_pool pool(config);
    {
        auto const p = pool.take();
        REQUIRE(p);
        CHECK_FALSE(pool.take());
        pool.lost();
    }
    CHECK(pool.in_use() == 0);
    CHECK(pool.take());
}
#endif

TEST_CASE("pipe pool: of size zero it gives none")
{
    net::pipe_pool_config config;
    config.most = 0;
    net::pipe_pool pool(config);
    CHECK_FALSE(pool.take());
    CHECK(pool.in_use() == 0);
}
