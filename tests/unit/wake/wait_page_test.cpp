#include <podproxy/wake/wait_page.hpp>

#include <podproxy/core/base64.hpp>
#include <podproxy/crypto/digest.hpp>
#include <podproxy/http/parser.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <string>
#include <string_view>

using namespace podproxy;

namespace {

/// An answer read back by our own parser, with what follows the head.
struct answer {
    http::response_head head;
    std::string content;
    explicit answer(std::string const& wire)
    {
        http::response_decoder d;
        auto const step = d.next(as_bytes(wire));
        REQUIRE(step.status == http::head_status::done);
        head = d.take_head();
        content = wire.substr(step.consumed);
    }
    std::string_view field(std::string_view name) const { return head.fields.get(name); }
};

} // namespace

TEST_CASE("wait page: reloads itself, has no script and is kept nowhere")
{
    answer const a(wake::wait_page("shop", wake::group_state::starting));
    CHECK(a.head.status == 503);
    CHECK(a.field("Content-Type") == "text/html; charset=utf-8");
    CHECK(a.field("Content-Length") == std::to_string(a.content.size()));
    CHECK(a.field("Retry-After") == "2");
    CHECK(a.field("Cache-Control") == "no-store");
    CHECK(a.field("Connection") == "close");
    CHECK(a.content.find("<meta http-equiv=\"refresh\" content=\"2\">") != std::string::npos);
    CHECK(a.content.find("<script") == std::string::npos);
    CHECK(a.content.find("shop") != std::string::npos);
    CHECK(a.content.find("It is being started.") != std::string::npos);

    // The policy names the one style that there is.
    std::size_t const from = a.content.find("<style>") + 7;
    std::string const style = a.content.substr(from, a.content.find("</style>") - from);
    auto const hash = crypto::sha256(as_bytes(style));
    CHECK(a.field("Content-Security-Policy").find("style-src 'sha256-" + encode_base64(hash) + "'") != std::string_view::npos);
}

TEST_CASE("wait page: a name that is not plain stays a name")
{
    answer const a(wake::wait_page("<b>\"x\"&'y'\r\n", wake::group_state::failed));
    CHECK(a.content.find("<b>") == std::string::npos);
    CHECK(a.content.find("&lt;b&gt;&quot;x&quot;&amp;&#39;y&#39;??") != std::string::npos);
    CHECK(a.content.find("The last start has failed") != std::string::npos);
}

TEST_CASE("wait page: every refusal has a sentence, a time to try again, and an answer without content for HEAD")
{
    for (std::size_t i = 0; i < wake::refusals; ++i) {
        auto const r = static_cast<wake::refusal>(i);
        INFO(to_string(r));
        answer const whole(wake::refusal_answer(r, wake::answer_form::whole));
        CHECK(whole.head.status == 503);
        CHECK(whole.content == std::string(wake::refusal_sentence(r)) + "\n");
        CHECK(whole.field("Retry-After") == std::to_string(wake::retry_after(r).count()));
        answer const head(wake::refusal_answer(r, wake::answer_form::head_only));
        CHECK(head.content.empty());
        CHECK(head.field("Content-Length") == std::to_string(whole.content.size()));
    }
}
