#include <podproxy/crypto/constant_time.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace podproxy;

TEST_CASE("constant time compare: equal is equal, and every other thing is not")
{
    CHECK(crypto::constant_time_equal("", ""));
    CHECK(crypto::constant_time_equal("secret", "secret"));
    CHECK_FALSE(crypto::constant_time_equal("secret", "secreT"));
    CHECK_FALSE(crypto::constant_time_equal("secret", "Secret"));
    CHECK_FALSE(crypto::constant_time_equal("secret", "secrets"));
    CHECK_FALSE(crypto::constant_time_equal("", "secret"));
    CHECK_FALSE(crypto::constant_time_equal("secret", ""));
}
