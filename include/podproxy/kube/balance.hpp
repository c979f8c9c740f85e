#ifndef PODPROXY_KUBE_BALANCE_HPP
#define PODPROXY_KUBE_BALANCE_HPP

#include <cstddef>
#include <cstdint>

namespace podproxy::kube {

/** Which of `count` candidates gets a connection: of the first and one that was drawn from the others, the one with less to do; the first
    where both have the same.

    Choosing the better of two keeps the busiest one within a few connections of the average, and unlike choosing the best of all it does
    not send a crowd to one that has just come. Who rotates the candidates gets turns while loads are equal.
    @param count At least one.
    @param draw  A random number.
    @param load  Called with an index: how much that candidate has to do. */
template <class Load>
std::size_t better_of_two(std::size_t count, std::uint32_t draw, Load load)
{
    if (count < 2) return 0;
    std::size_t const other = 1 + draw % (count - 1);
    return load(other) < load(std::size_t{0}) ? other : 0;
}

} // namespace podproxy::kube

#endif
