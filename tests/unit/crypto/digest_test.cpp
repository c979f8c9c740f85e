#include <podproxy/crypto/digest.hpp>

#include <catch2/catch_test_macros.hpp>
#include <podproxy/core/bytes.hpp>
#include <podproxy/core/hex.hpp>
#include <string>

using namespace podproxy;

TEST_CASE("digests: the examples of FIPS 180 are met")
{
    CHECK(encode_hex(crypto::sha1({})) == "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    CHECK(encode_hex(crypto::sha1(as_bytes("abc"))) == "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK(encode_hex(crypto::sha256({})) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(encode_hex(crypto::sha256(as_bytes("abc"))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(encode_hex(crypto::sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))) ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST_CASE("digests: pieces give the same as the whole, and a hasher can be used again")
{
    std::string const text(1000, 'a');
    crypto::sha256_hasher hasher;
    for (std::size_t cut = 0; cut <= text.size(); cut += 37) {
        CAPTURE(cut);
        auto const whole = as_bytes(text);
        hasher.update(whole.first(cut)).update({}).update(whole.subspan(cut));
        CHECK(hasher.finish() == crypto::sha256(whole));
    }
    CHECK(hasher.finish() == crypto::sha256({}));
}
