#ifndef PODPROXY_AUTH_DETAIL_CRYPT_LIBRARY_HPP
#define PODPROXY_AUTH_DETAIL_CRYPT_LIBRARY_HPP

#include <initializer_list>

#include <dlfcn.h>

namespace podproxy::auth::detail {

/// What we use of libcrypt (crypt(3)), found when it is needed: nobody who has no users has to have it.
struct crypt_library {
    /// The hash of `password` with the kind, cost and salt of `setting`; null, or a text that is no hash, when that can't be done. `*data` is
    /// memory of `*size` bytes from malloc, made and enlarged as needed.
    char* (*crypt_ra)(char const* password, char const* setting, void** data, int* size) = nullptr;

    /// The library of this process; null where there is none. Never unloaded.
    static crypt_library const* get() noexcept
    {
        static crypt_library const loaded;
        return loaded.crypt_ra ? &loaded : nullptr;
    }

private:
    crypt_library() noexcept
    {
        for (char const* const name : {"libcrypt.so.1", "libcrypt.so.2"}) {
            void* const from = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
            if (!from) continue;
            crypt_ra = reinterpret_cast<decltype(crypt_ra)>(::dlsym(from, "crypt_ra"));
            if (crypt_ra) return;
        }
    }
};

} // namespace podproxy::auth::detail

#endif
