#include <podproxy/net/happy_eyeballs_fsm.hpp>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <string>
#include <vector>

using namespace podproxy;
using namespace std::chrono_literals;
using net::address_family;
using fsm = net::happy_eyeballs_fsm;
using kind = fsm::action::kind;

namespace {

std::error_code const refused = std::make_error_code(std::errc::connection_refused);
std::error_code const unreachable = std::make_error_code(std::errc::network_unreachable);
std::error_code const timed_out = std::make_error_code(std::errc::timed_out);
std::error_code const local = std::make_error_code(std::errc::address_not_available);

/// "4646" for the families, the order out.
std::string order(std::string const& families)
{
    std::vector<address_family> in;
    for (char const c : families) in.push_back(c == '4' ? address_family::v4 : address_family::v6);
    std::string out;
    for (std::size_t const i : net::interleave(in)) out += static_cast<char>('a' + i);
    return out;
}

/// A machine with its clock, and what it is expected to do.
class script {
public:
    explicit script(std::size_t addresses) : machine_(addresses, 250ms) {}

    script& starts(std::size_t address)
    {
        auto const a = machine_.resume(now_);
        CHECK(a.what == kind::start);
        CHECK(a.address == address);
        return *this;
    }
    script& waits(std::chrono::milliseconds from_start)
    {
        auto const a = machine_.resume(now_);
        CHECK(a.what == kind::wait);
        REQUIRE(a.until);
        CHECK(*a.until == fsm::time_point{} + from_start);
        return *this;
    }
    script& waits_for_the_last()
    {
        auto const a = machine_.resume(now_);
        CHECK(a.what == kind::wait);
        CHECK_FALSE(a.until);
        return *this;
    }
    script& fails(std::error_code ec)
    {
        auto const a = machine_.resume(now_);
        CHECK(a.what == kind::fail);
        CHECK(a.error == ec);
        return *this;
    }
    script& at(std::chrono::milliseconds from_start)
    {
        now_ = fsm::time_point{} + from_start;
        return *this;
    }
    script& event(std::error_code ec)
    {
        machine_.failed(ec, now_);
        return *this;
    }

private:
    fsm machine_;
    fsm::time_point now_{};
};

} // namespace

TEST_CASE("happy eyeballs: families take turns, beginning with the first")
{
    CHECK(order("") == "");
    CHECK(order("4") == "a");
    CHECK(order("666444") == "adbecf");
    CHECK(order("446") == "acb");
    CHECK(order("4444") == "abcd");
    CHECK(order("6444") == "abcd");
    CHECK(order("46464") == "abcde");
    CHECK(order("66664") == "aebcd");
}

TEST_CASE("happy eyeballs: a silent address holds up the next by the attempt delay")
{
    script(3).starts(0).waits(250ms).at(249ms).waits(250ms).at(250ms).starts(1).waits(500ms).at(600ms).starts(2).waits_for_the_last();
}

TEST_CASE("happy eyeballs: a failure makes the next attempt due at once")
{
    script(3).starts(0).waits(250ms).at(10ms).event(refused).starts(1).waits(260ms).at(20ms).event(refused).starts(2).waits_for_the_last();
}

TEST_CASE("happy eyeballs: a failure of an older attempt makes the next due too")
{
    script(4).starts(0).at(250ms).starts(1).waits(500ms).at(300ms).event(unreachable).starts(2).waits(550ms);
}

TEST_CASE("happy eyeballs: when all have failed, the most telling error is told")
{
    script(3).starts(0).event(timed_out).starts(1).event(refused).starts(2).event(unreachable).fails(refused);
    script(2).starts(0).event(timed_out).starts(1).event(unreachable).fails(unreachable);
    script(2).starts(0).event(local).starts(1).event(timed_out).fails(timed_out);
    script(1).starts(0).event(local).fails(local);
    script(2).starts(0).event(refused).starts(1).waits_for_the_last().at(1000ms).event(refused).fails(refused);
}

TEST_CASE("happy eyeballs: without addresses it fails")
{
    script(0).fails(errc::unavailable);
}
