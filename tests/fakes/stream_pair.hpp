#ifndef PODPROXY_TESTS_FAKES_STREAM_PAIR_HPP
#define PODPROXY_TESTS_FAKES_STREAM_PAIR_HPP

#include <fakes/fake_stream.hpp>
#include <cstddef>
#include <memory>
#include <utility>

namespace podproxy::test {

/// How a `stream_pair` carries bytes.
struct pair_config {
    std::size_t window = fake_stream::unlimited;    ///< Unread bytes at which the other side's writes block.
    std::size_t read_max = fake_stream::unlimited;  ///< At most this many bytes per read.
    std::size_t write_max = fake_stream::unlimited; ///< At most this many bytes per write.
};

/** Two `fake_stream`s connected with each other: what one writes the other reads.

    The pointers are handed over to whatever shall own the streams; `a_raw` and `b_raw` keep looking at them. */
struct stream_pair {
    explicit stream_pair(net::executor ex, pair_config const& config = {})
        : a(std::make_unique<fake_stream>(ex)), b(std::make_unique<fake_stream>(ex)), a_raw(a.get()), b_raw(b.get())
    {
        fake_stream::connect(*a, *b);
        for (fake_stream* s : {a_raw, b_raw}) {
            s->capacity(config.window);
            s->read_max(config.read_max);
            s->write_max(config.write_max);
        }
    }

    std::unique_ptr<fake_stream> a;
    std::unique_ptr<fake_stream> b;
    fake_stream* a_raw;
    fake_stream* b_raw;
};

} // namespace podproxy::test

#endif
