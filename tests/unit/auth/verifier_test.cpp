#include <podproxy/auth/verifier.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <string>
#include <system_error>

using namespace podproxy;
using namespace std::chrono_literals;
using auth::verdict;

namespace {

/// Passwords are their own hashes here, and each look takes a while of a clock that only we move.
struct fixture {
    auth::verifier_config config()
    {
        auth::verifier_config c;
        c.now = [this] { return now; };
        c.verify = [this](std::string_view password, secret const& hash) -> result<bool> {
            ++looks;
            now += cost;
            if (broken) return std::make_error_code(std::errc::function_not_supported);
            return password == hash.reveal();
        };
        return c;
    }
    static auth::user_table users()
    {
        auth::user_table t;
        t.emplace("ann", secret("a"));
        t.emplace("bob", secret("b"));
        return t;
    }

    auth::verifier_config::clock::time_point now{1h};
    std::chrono::milliseconds cost{50};
    int looks = 0;
    bool broken = false;
    auth::verifier v{users(), config()};
};

} // namespace

TEST_CASE("verifier: users and their passwords", "[auth]")
{
    fixture f;
    CHECK(f.v.check("ann", "a") == verdict::right);
    CHECK(f.v.check("bob", "b") == verdict::right);
    CHECK(f.v.check("ann", "b") == verdict::wrong);
    CHECK(f.v.check("ann", "") == verdict::wrong);
    CHECK(f.v.slowest() == 50ms);
}

TEST_CASE("verifier: an unknown user takes a look as well, and nobody's password helps", "[auth]")
{
    fixture f;
    CHECK(f.v.check("eve", "a") == verdict::wrong);
    CHECK(f.v.check("", "a") == verdict::wrong);
    CHECK(f.looks == 2);
    // A name and a password that are the same text when they are put together.
    CHECK(f.v.check("ann", "a") == verdict::right);
    CHECK(f.v.check("anna", "") == verdict::wrong);
    CHECK(f.v.check("an", "na") == verdict::wrong);
}

TEST_CASE("verifier: answers are remembered for a while", "[auth]")
{
    fixture f;
    CHECK(f.v.check("ann", "a") == verdict::right);
    CHECK(f.v.check("ann", "x") == verdict::wrong);
    int const before = f.looks;
    for (int i = 0; i < 100; ++i) {
        CHECK(f.v.check("ann", "a") == verdict::right);
        CHECK(f.v.check("ann", "x") == verdict::wrong);
    }
    CHECK(f.looks == before);
    f.now += 31s;
    CHECK(f.v.check("ann", "x") == verdict::wrong);
    CHECK(f.v.check("ann", "a") == verdict::right);
    CHECK(f.looks == before + 1);
    f.now += 5min;
    CHECK(f.v.check("ann", "a") == verdict::right);
    CHECK(f.looks == before + 2);
}

TEST_CASE("verifier: other users end what is remembered", "[auth]")
{
    fixture f;
    CHECK(f.v.check("ann", "a") == verdict::right);
    auth::user_table fresh;
    fresh.emplace("ann", secret("new"));
    f.v.set_users(std::move(fresh));
    CHECK(f.v.users() == 1);
    CHECK(f.v.check("ann", "a") == verdict::wrong);
    CHECK(f.v.check("ann", "new") == verdict::right);
    f.v.set_users({});
    CHECK(f.v.check("ann", "new") == verdict::wrong);
}

TEST_CASE("verifier: who tries many passwords keeps nobody waiting for long", "[auth]")
{
    fixture f;
    CHECK(f.v.check("ann", "a") == verdict::right);
    auto const begun = f.now;
    int busy = 0;
    for (int i = 0; i < 2000; ++i) {
        busy += f.v.check("ann", "guess" + std::to_string(i)) == verdict::busy ? 1 : 0;
        CHECK(f.v.check("ann", "a") == verdict::right); // known people are let in meanwhile
        f.now += 5ms;
    }
    auto const all = f.now - begun;
    auto const hashing = 50ms * (f.looks - 1);
    CHECK(busy > 1500);
    CHECK(hashing <= all / 4 + 600ms);
    f.now += 2s;
    CHECK(f.v.check("bob", "b") == verdict::right);
}

TEST_CASE("verifier: cheap hashes are counted too", "[auth]")
{
    fixture f;
    f.cost = 0ms;
    for (int i = 0; i < 10'000; ++i) {
        (void)f.v.check("ann", "guess" + std::to_string(i));
        f.now += 1ms;
    }
    CHECK(f.looks <= 10 * 21 + 43);
}

TEST_CASE("verifier: what is remembered is bounded", "[auth]")
{
    fixture f;
    auto config = f.config();
    config.most_kept = 3;
    config.percent = 100;
    auth::verifier v(fixture::users(), config);
    for (int i = 0; i < 4; ++i) {
        CHECK(v.check("ann", std::to_string(i)) == verdict::wrong);
        f.now += 1s;
    }
    CHECK(f.looks == 4);
    CHECK(v.check("ann", "3") == verdict::wrong);
    CHECK(v.check("ann", "1") == verdict::wrong);
    CHECK(f.looks == 4);
    CHECK(v.check("ann", "0") == verdict::wrong); // the oldest was forgotten
    CHECK(f.looks == 5);
}

TEST_CASE("verifier: a system that can't hash lets nobody in, and says so", "[auth]")
{
    fixture f;
    f.broken = true;
    CHECK(f.v.check("ann", "a") == verdict::wrong);
    CHECK(f.v.failure() == std::errc::function_not_supported);
    f.broken = false;
    CHECK(f.v.check("ann", "a") == verdict::right); // it was not remembered as wrong
    CHECK_FALSE(f.v.failure());
}
