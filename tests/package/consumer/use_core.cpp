// podproxy::core: the standard library is enough.
#include <podproxy/core/bytes.hpp>
#include <podproxy/core/result.hpp>

int main()
{
    podproxy::result<int> const value = 42;
    return value && *value == 42 && podproxy::as_bytes("ab").size() == 2 ? 0 : 1;
}
