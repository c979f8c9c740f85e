#ifndef PODPROXY_CORE_RESULT_HPP
#define PODPROXY_CORE_RESULT_HPP

#include <podproxy/core/error.hpp>
#include <cassert>
#include <type_traits>
#include <utility>
#include <variant>

namespace podproxy {

/** A value, or the error code that says why there is none.

    Anything that the network, a peer or a file can cause travels in a `result`; exceptions are for broken preconditions.
    Converts from a `T`, from a `std::error_code` and from every error enum:

        result<std::uint16_t> parse_port(std::string_view text);   // return 80;  or  return errc::bad_port;
        if (auto port = parse_port("80")) use(*port); else report(port.error()); */
template <class T>
class [[nodiscard]] result {
public:
    using value_type = T;

    /// No value yet: `errc::unavailable`. Asio needs it, to have something to hand over beside an exception.
    result() noexcept : result(errc::unavailable) {}

    template <class U = T>
        requires(std::is_constructible_v<T, U &&> && !std::is_same_v<std::remove_cvref_t<U>, result> &&
                 !std::is_same_v<std::remove_cvref_t<U>, std::error_code> &&
                 !(std::is_error_code_enum_v<std::remove_cvref_t<U>> && !std::is_same_v<std::remove_cvref_t<U>, T>))
    result(U&& value) : state_(std::in_place_index<0>, std::forward<U>(value))
    {
    }

    result(std::error_code ec) : state_(std::in_place_index<1>, ec) { assert(ec && "a result without a value needs an error"); }

    template <class E>
        requires(std::is_error_code_enum_v<E> && !std::is_same_v<E, T>)
    result(E e) : result(std::error_code(make_error_code(e)))
    {
    }

    bool has_value() const noexcept { return state_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }

    T& value() &
    {
        assert(has_value());
        return std::get<0>(state_);
    }
    T const& value() const&
    {
        assert(has_value());
        return std::get<0>(state_);
    }
    T&& value() &&
    {
        assert(has_value());
        return std::get<0>(std::move(state_));
    }
    T& operator*() & { return value(); }
    T const& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    T const* operator->() const { return &value(); }

    /// The error, or an empty code where there is a value.
    std::error_code error() const noexcept { return has_value() ? std::error_code{} : *std::get_if<1>(&state_); }

private:
    std::variant<T, std::error_code> state_;
};

/// Success, or the error code that says what went wrong.
template <>
class [[nodiscard]] result<void> {
public:
    using value_type = void;

    result() = default;
    result(std::error_code ec) noexcept : ec_(ec) {}
    template <class E>
        requires std::is_error_code_enum_v<E>
    result(E e) : ec_(make_error_code(e))
    {
    }

    bool has_value() const noexcept { return !ec_; }
    explicit operator bool() const noexcept { return has_value(); }
    std::error_code error() const noexcept { return ec_; }

private:
    std::error_code ec_;
};

} // namespace podproxy

#endif
