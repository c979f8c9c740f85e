#include <podproxy/core/secret.hpp>

#include <catch2/catch_test_macros.hpp>
#include <concepts>
#include <ostream>
#include <string>
#include <type_traits>
#include <utility>

using namespace podproxy;

namespace {

template <class T>
concept streamable = requires(std::ostream& out, T const& value) { out << value; };

static_assert(!streamable<secret>);
static_assert(!std::convertible_to<secret, std::string> && !std::convertible_to<secret, std::string_view>);
static_assert(!std::convertible_to<std::string, secret>); // nobody makes one by accident
static_assert(std::is_nothrow_move_constructible_v<secret> && std::is_nothrow_move_assignable_v<secret>);

} // namespace

TEST_CASE("secret: only reveal shows the text")
{
    secret const s(std::string("hunter2"));
    CHECK(s.reveal() == "hunter2");
    CHECK(static_cast<bool>(s));
    CHECK(secret().empty());
}

TEST_CASE("secret: copies are equal and apart, moved ones are empty")
{
    for (std::string const& text : {std::string("short"), std::string(100, 'k')}) {
        secret a(text);
        secret b = a;
        CHECK((a == b));
        secret c = std::move(a);
        CHECK(c.reveal() == text);
        CHECK(a.empty()); // NOLINT: what moving leaves behind is the point
        a = c;
        CHECK(a.reveal() == text);
        a = std::move(b);
        CHECK(b.empty());
        auto& same = a;
        a = same;
        a = std::move(same);
        CHECK(a.reveal() == text);
        CHECK_FALSE((a == secret()));
    }
}

TEST_CASE("secret: a short text is overwritten in place")
{
    // A short text lives inside the object, so its remains can be looked for.
    alignas(secret) unsigned char memory[sizeof(secret)];
    auto* s = new (memory) secret(std::string("hunter2"));
    s->~secret();
    std::string const remains(reinterpret_cast<char const*>(memory), sizeof memory);
    CHECK(remains.find("hunter") == std::string::npos);
}
