#include <podproxy/core/error.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

using namespace podproxy;

namespace sample {

/// A domain as every folder declares one.
enum class errc { closed = 1, denied };
inline std::string_view errc_domain(errc) noexcept { return "podproxy.sample"; }
inline std::string_view describe(errc e) noexcept { return e == errc::closed ? "the door is closed" : "the guard said no"; }
inline cond condition(errc e) noexcept { return e == errc::closed ? cond::unavailable : cond::unauthorized; }
inline std::error_code make_error_code(errc e) noexcept { return make_domain_error(e); }

} // namespace sample

template <>
struct std::is_error_code_enum<sample::errc> : std::true_type {};

namespace {

/// A category that is called like one of Asio's, which this header must know without including Asio.
class named_category final : public std::error_category {
public:
    explicit named_category(char const* name) : name_(name) {}
    char const* name() const noexcept override { return name_; }
    std::string message(int) const override { return name_; }

private:
    char const* name_;
};

std::vector<cond> const all_conditions{cond::timed_out, cond::cancelled, cond::end_of_stream, cond::malformed,  cond::too_large,
                                       cond::refused,   cond::unauthorized, cond::not_found,  cond::unavailable};

/// Exactly these conditions hold for the code.
void check_conditions(std::error_code ec, std::vector<cond> const& expected)
{
    for (cond const c : all_conditions) {
        bool wanted = false;
        for (cond const e : expected) wanted = wanted || e == c;
        INFO(ec.message() << " is " << make_error_condition(c).message());
        CHECK((ec == c) == wanted);
    }
}

} // namespace

TEST_CASE("error: a domain's codes have its name, its phrases and its conditions")
{
    std::error_code const ec = sample::errc::closed;
    CHECK(std::string_view(ec.category().name()) == "podproxy.sample");
    CHECK(ec.message() == "the door is closed");
    check_conditions(ec, {cond::unavailable});
    check_conditions(sample::errc::denied, {cond::unauthorized});
    CHECK(ec == sample::errc::closed);
    CHECK(ec != sample::errc::denied);
    CHECK(&category_of<sample::errc>() == &ec.category());
    CHECK(&category_of<sample::errc>() != &category_of<errc>());
}

TEST_CASE("error: the generic codes")
{
    struct line {
        errc code;
        cond condition;
    };
    auto const [code, condition] = GENERATE(line{errc::would_block, cond::unavailable}, line{errc::end_of_stream, cond::end_of_stream},
                                            line{errc::truncated, cond::malformed}, line{errc::buffer_full, cond::too_large},
                                            line{errc::timed_out, cond::timed_out}, line{errc::cancelled, cond::cancelled},
                                            line{errc::unavailable, cond::unavailable}, line{errc::malformed, cond::malformed});
    std::error_code const ec = code;
    CHECK(std::string_view(ec.category().name()) == "podproxy");
    CHECK(ec.message().size() > 5);
    CHECK(ec.message() != "unknown error");
    check_conditions(ec, {condition});
}

TEST_CASE("error: codes of the system have conditions too")
{
    using enum std::errc;
    auto const check = [](std::errc e, std::vector<cond> const& expected) {
        check_conditions(std::error_code(static_cast<int>(e), std::system_category()), expected);
        check_conditions(std::make_error_code(e), expected);
    };
    check(timed_out, {cond::timed_out, cond::unavailable});
    check(operation_canceled, {cond::cancelled});
    check(connection_refused, {cond::refused});
    check(permission_denied, {cond::unauthorized});
    check(no_such_file_or_directory, {cond::not_found});
    check(file_too_large, {cond::too_large});
    check(host_unreachable, {cond::unavailable});
    check(connection_reset, {cond::unavailable});
    check(broken_pipe, {cond::unavailable});
    check(too_many_files_open, {cond::unavailable});
    check(invalid_argument, {});
}

TEST_CASE("error: codes of other libraries are known by the name of their category")
{
    named_category const netdb("asio.netdb"), addrinfo("asio.addrinfo"), misc("asio.misc"), other("other");
    check_conditions({1, netdb}, {cond::not_found});
    check_conditions({2, netdb}, {cond::unavailable});
    check_conditions({8, addrinfo}, {cond::unavailable});
    check_conditions({2, misc}, {cond::end_of_stream});
    check_conditions({1, misc}, {});
    check_conditions({1, other}, {});
}

TEST_CASE("error: success has no condition")
{
    check_conditions({}, {});
}

TEST_CASE("error: every condition has a phrase")
{
    for (cond const c : all_conditions) CHECK(make_error_condition(c).message() != "unknown condition");
    CHECK(std::string_view(cond_category().name()) == "podproxy.cond");
}
