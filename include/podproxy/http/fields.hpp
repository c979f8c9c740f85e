#ifndef PODPROXY_HTTP_FIELDS_HPP
#define PODPROXY_HTTP_FIELDS_HPP

#include <podproxy/http/detail/chars.hpp>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace podproxy::http {

/// Compare field names, tokens and host names: ASCII letters without regard to case.
constexpr bool iequals(std::string_view a, std::string_view b) noexcept
{
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (detail::lower(a[i]) != detail::lower(b[i])) return false;
    return true;
}

/// One header field, borrowed from a `fields`.
struct field {
    std::string_view name;  ///< As written by the sender; compare with `iequals`.
    std::string_view value; ///< Without white space at either end.
    friend bool operator==(field const&, field const&) = default;
};

/** The elements of a comma-separated list, RFC 9110 section 5.6.1: without white space around them, empty ones left out.

    A comma inside a quoted string does not separate. A view over somebody else's text:
    `for (std::string_view coding : list_elements("gzip, chunked"))`. */
class list_elements {
public:
    explicit list_elements(std::string_view text) noexcept : text_(text) {}

    class iterator {
    public:
        using value_type = std::string_view;
        using difference_type = std::ptrdiff_t;
        using iterator_category = std::input_iterator_tag;

        iterator() = default;
        explicit iterator(std::string_view rest) noexcept : rest_(rest), at_end_(false) { advance(); }
        std::string_view operator*() const noexcept { return element_; }
        iterator& operator++() noexcept
        {
            advance();
            return *this;
        }
        void operator++(int) noexcept { advance(); }
        friend bool operator==(iterator const& a, std::default_sentinel_t) noexcept { return a.at_end_; }

    private:
        void advance() noexcept
        {
            while (!rest_.empty()) {
                bool quoted = false;
                std::size_t i = 0;
                for (; i < rest_.size() && (quoted || rest_[i] != ','); ++i) {
                    if (rest_[i] == '"') quoted = !quoted;
                    else if (quoted && rest_[i] == '\\') ++i;
                }
                if (i > rest_.size()) i = rest_.size();
                element_ = detail::trim(rest_.substr(0, i));
                rest_.remove_prefix(i < rest_.size() ? i + 1 : i);
                if (!element_.empty()) return;
            }
            at_end_ = true;
        }

        std::string_view rest_;
        std::string_view element_;
        bool at_end_ = true;
    };

    iterator begin() const noexcept { return iterator(text_); }
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    std::string_view text_;
};

/** The header fields (or trailers) of one message, in the order in which they were sent, repeated ones kept.

    All text lives in one string and the fields are offsets into it, so that reading a head costs two allocations, whatever the
    number of fields. Names are looked up without regard to case, by linear search: heads are short and bounded by `head_limits`.
    Nothing is checked when fields are added; `encode_request_head` and its kin refuse what must not be sent.

    @par Lifetime  Views given out are valid until the next call that is not const; moving the object invalidates them too. */
class fields {
public:
    fields() = default;
    fields(std::initializer_list<field> list)
    {
        for (field const& f : list) add(f.name, f.value);
    }

    std::size_t size() const noexcept { return spans_.size(); }
    bool empty() const noexcept { return spans_.empty(); }
    field operator[](std::size_t i) const noexcept
    {
        assert(i < size());
        detail::field_span const& s = spans_[i];
        std::string_view const all(text_);
        return {all.substr(s.name, s.name_size), all.substr(s.value, s.value_size)};
    }

    class iterator {
    public:
        using value_type = field;
        using difference_type = std::ptrdiff_t;
        using iterator_category = std::input_iterator_tag;

        iterator() = default;
        iterator(fields const* owner, std::size_t at) noexcept : owner_(owner), at_(at) {}
        field operator*() const noexcept { return (*owner_)[at_]; }
        iterator& operator++() noexcept
        {
            ++at_;
            return *this;
        }
        iterator operator++(int) noexcept { return {owner_, at_++}; }
        friend bool operator==(iterator const&, iterator const&) = default;

    private:
        fields const* owner_ = nullptr;
        std::size_t at_ = 0;
    };
    iterator begin() const noexcept { return {this, 0}; }
    iterator end() const noexcept { return {this, size()}; }

    /// The value of the first field with that name.
    std::optional<std::string_view> find(std::string_view name) const noexcept
    {
        for (field const f : *this)
            if (iequals(f.name, name)) return f.value;
        return std::nullopt;
    }
    /// The value of the first field with that name, or `fallback`.
    std::string_view get(std::string_view name, std::string_view fallback = {}) const noexcept { return find(name).value_or(fallback); }
    bool contains(std::string_view name) const noexcept { return find(name).has_value(); }
    std::size_t count(std::string_view name) const noexcept
    {
        std::size_t n = 0;
        for (field const f : *this) n += iequals(f.name, name);
        return n;
    }

    /// Call `f(element)` for every element of the lists in all fields with that name: `Connection: a, b` and `Connection: c` give a, b, c.
    template <class F>
    void for_each_element(std::string_view name, F&& f) const
    {
        for (field const x : *this)
            if (iequals(x.name, name))
                for (std::string_view const element : list_elements(x.value)) f(element);
    }
    /// Whether the lists in all fields with that name contain the token, without regard to case.
    bool has_token(std::string_view name, std::string_view token) const noexcept
    {
        bool found = false;
        for_each_element(name, [&](std::string_view element) { found = found || iequals(element, token); });
        return found;
    }

    /// Add a field at the end. The arguments may be views into this object.
    void add(std::string_view name, std::string_view value)
    {
        detail::field_span s;
        std::string both; // `name` and `value` may live in the text that is about to grow
        both.reserve(name.size() + value.size());
        both.append(name).append(value);
        s.name = static_cast<std::uint32_t>(text_.size());
        s.name_size = static_cast<std::uint32_t>(name.size());
        s.value = s.name + s.name_size;
        s.value_size = static_cast<std::uint32_t>(value.size());
        text_ += both;
        spans_.push_back(s);
    }

    /// Put the value in the place of the first field with that name and drop the others; add it if there is none.
    void set(std::string_view name, std::string_view value)
    {
        std::string const wanted(name);
        bool placed = false;
        std::string const text(value);
        std::size_t kept = 0;
        for (std::size_t i = 0; i < spans_.size(); ++i) {
            detail::field_span s = spans_[i];
            if (iequals((*this)[i].name, wanted)) {
                if (placed) continue;
                placed = true;
                s.value = static_cast<std::uint32_t>(text_.size());
                s.value_size = static_cast<std::uint32_t>(text.size());
                text_ += text;
            }
            spans_[kept++] = s;
        }
        spans_.resize(kept);
        if (!placed) add(wanted, text);
    }

    /// Drop every field with that name. @return how many there were.
    std::size_t remove(std::string_view name)
    {
        std::string const wanted(name);
        return remove_if([&](field const& f) { return iequals(f.name, wanted); });
    }

    /// Drop every field for which `f(field)` is true. @return how many there were.
    template <class F>
    std::size_t remove_if(F&& f)
    {
        std::size_t kept = 0;
        for (std::size_t i = 0; i < spans_.size(); ++i)
            if (!f((*this)[i])) spans_[kept++] = spans_[i];
        std::size_t const gone = spans_.size() - kept;
        spans_.resize(kept);
        return gone;
    }

    void clear() noexcept
    {
        text_.clear();
        spans_.clear();
    }

    /// Equal when the same names (by case too) and values stand in the same order.
    friend bool operator==(fields const& a, fields const& b) noexcept
    {
        if (a.size() != b.size()) return false;
        for (std::size_t i = 0; i < a.size(); ++i)
            if (!(a[i] == b[i])) return false;
        return true;
    }

    /// For decoders: take over a text and the places of the fields in it.
    static fields adopt(std::string text, std::vector<detail::field_span> spans) noexcept
    {
        fields out;
        out.text_ = std::move(text);
        out.spans_ = std::move(spans);
        return out;
    }

private:
    std::string text_;
    std::vector<detail::field_span> spans_;
};

} // namespace podproxy::http

#endif
