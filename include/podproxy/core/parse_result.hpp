#ifndef PODPROXY_CORE_PARSE_RESULT_HPP
#define PODPROXY_CORE_PARSE_RESULT_HPP

#include <podproxy/core/error.hpp>
#include <cassert>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <variant>

namespace podproxy {

/// The input ends inside the message; call again with at least this many bytes in all (counted from the message's start).
struct need_more {
    std::size_t at_least;
};

/** What a parser of one short message answers: the message and how many bytes it took, `need_more`, or an error.

        parse_result<greeting> r = parse_greeting(in);
        if (r.done()) { use(r.value()); buf.consume(r.consumed()); }
        else if (r.needs_more()) read_at_least(r.at_least() - in.size());
        else fail(r.error()); */
template <class T>
class [[nodiscard]] parse_result {
public:
    parse_result(T value, std::size_t consumed) : state_(std::in_place_index<0>, std::move(value)), size_(consumed) {}
    parse_result(need_more more) : state_(std::in_place_index<1>, more), size_(more.at_least) {}
    parse_result(std::error_code ec) : state_(std::in_place_index<2>, ec) { assert(ec); }
    template <class E>
        requires std::is_error_code_enum_v<E>
    parse_result(E e) : parse_result(std::error_code(make_error_code(e)))
    {
    }

    bool done() const noexcept { return state_.index() == 0; }
    bool needs_more() const noexcept { return state_.index() == 1; }
    bool failed() const noexcept { return state_.index() == 2; }

    T& value()
    {
        assert(done());
        return std::get<0>(state_);
    }
    T const& value() const
    {
        assert(done());
        return std::get<0>(state_);
    }
    /// Bytes of the input that the message took. Only when `done()`.
    std::size_t consumed() const noexcept
    {
        assert(done());
        return size_;
    }
    /// Bytes needed in all before another try makes sense. Only when `needs_more()`.
    std::size_t at_least() const noexcept
    {
        assert(needs_more());
        return size_;
    }
    std::error_code error() const noexcept { return failed() ? *std::get_if<2>(&state_) : std::error_code{}; }

private:
    std::variant<T, need_more, std::error_code> state_;
    std::size_t size_ = 0;
};

} // namespace podproxy

#endif
