#include <podproxy/auth/password_hash.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <iterator>
#include <string>

using namespace podproxy;
using auth::hash_form;

namespace {

// "open sesame", by crypt(3) of Debian 12.
constexpr char const* hashes[] = {
    "$2y$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy",
    "$5$saltsalt$yrhPKxCqiWcCE9h0g86j6Ugz7SDFdFm.BjU.d8RaQnC",
    "$6$saltsalt$e/5XKibXPLqVcfjpD.ouauaJrAOL5V0uo80Lt7n7EbRdRiCx3HbQ90yjOHr.G0T.mx79PEMRy8nmtr0qSYhQp1",
    "$6$rounds=1000$saltsalt$/IiX/CoEcxCZ9SksEXnbjfCT1LGvD4z5OpJkaFYl/T37OAwuKZ8I8BixDhruhPLkw6lS7dw/6wQWgQnGo7lLg/",
    "$y$j75$saltsalt$4r23Ja.bWt2eh8ftPtYPeuGW9RLxoj8WxeDLVNbfhH4",
};

} // namespace

TEST_CASE("password hash: each kind that is taken knows its password", "[auth]")
{
    std::string const hash = GENERATE(from_range(std::begin(hashes), std::end(hashes)));
    CAPTURE(hash);
    CHECK(auth::look_at_hash(hash) == hash_form::usable);
    auto const right = auth::verify_password("open sesame", secret(hash));
    if (!right && right.error() == std::errc::function_not_supported) SKIP("this system's libcrypt does not know this kind");
    CHECK(right.value());
    CHECK_FALSE(auth::verify_password("open sesam", secret(hash)).value());
    CHECK_FALSE(auth::verify_password("", secret(hash)).value());
    // What a C string would cut off.
    CHECK_FALSE(auth::verify_password(std::string("open sesame") + '\0' + "x", secret(hash)).value());
    CHECK_FALSE(auth::verify_password(std::string(auth::max_password_bytes + 1, 'x'), secret(hash)).value());
}

TEST_CASE("password hash: a hash that is cut or damaged is seen", "[auth]")
{
    std::string const hash = GENERATE(from_range(std::begin(hashes), std::end(hashes)));
    for (std::size_t n = 0; n < hash.size(); ++n) {
        CAPTURE(n);
        auto const form = auth::look_at_hash(std::string_view(hash).substr(0, n));
        CHECK((form == hash_form::broken || form == hash_form::unknown));
    }
    CHECK(auth::look_at_hash(hash + "x") == hash_form::broken);
    CHECK(auth::look_at_hash(hash.substr(0, hash.size() - 1) + "!") == hash_form::broken);
    CHECK(auth::look_at_hash(hash.substr(0, hash.size() - 1) + "\n") == hash_form::broken);
}

TEST_CASE("password hash: a plain password, weak kinds and costly ones are told apart", "[auth]")
{
    for (char const* const plain : {"", "secret", "$", "$2", "$2x$10$abc", "abJnggxhB/yWI", "$7$abc"}) CHECK(auth::look_at_hash(plain) == hash_form::unknown);
    for (char const* const weak : {"$apr1$abcdefgh$xxxxxxxxxxxxxxxxxxxxxx", "$1$abc$xxxxxxxxxxxxxxxxxxxxxx", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="})
        CHECK(auth::look_at_hash(weak) == hash_form::weak);
    std::string const tail = "$" + std::string(53, 'a');
    CHECK(auth::look_at_hash("$2y$12" + tail) == hash_form::usable);
    CHECK(auth::look_at_hash("$2y$13" + tail) == hash_form::too_costly);
    CHECK(auth::look_at_hash("$2y$03" + tail) == hash_form::broken);
    CHECK(auth::look_at_hash("$2y$32" + tail) == hash_form::broken);
    CHECK(auth::look_at_hash("$2y$1a" + tail) == hash_form::broken);
    std::string const sha = "$salt$" + std::string(86, 'a');
    CHECK(auth::look_at_hash("$6$rounds=500000" + sha) == hash_form::usable);
    CHECK(auth::look_at_hash("$6$rounds=500001" + sha) == hash_form::too_costly);
    CHECK(auth::look_at_hash("$6$rounds=99999999999" + sha) == hash_form::too_costly);
    CHECK(auth::look_at_hash("$6$rounds=x" + sha) == hash_form::broken);
    CHECK(auth::look_at_hash("$6$rounds=5000") == hash_form::broken);
    CHECK(auth::look_at_hash("$y$jFT$salt$" + std::string(43, 'a')) == hash_form::too_costly);
}
