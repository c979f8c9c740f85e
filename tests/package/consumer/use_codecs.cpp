// podproxy::codecs: the libraries that codecs need are there, and Asio need not be.
#include <podproxy/core/parse_result.hpp>
#include <nlohmann/json.hpp>
#include <openssl/sha.h>
#include <simdjson.h>
#include <yaml-cpp/yaml.h>
#include <zlib.h>
#include <cstdint>

#ifdef ASIO_VERSION
#error "a codec brought Asio along"
#endif

int main()
{
    std::uint8_t digest[SHA256_DIGEST_LENGTH];
    std::uint8_t const nothing = 0;
    SHA256(&nothing, 0, digest);
    simdjson::ondemand::parser parser;
    bool const ok = digest[0] == 0xe3 && YAML::Load("a: 1")["a"].as<int>() == 1 && zlibVersion()[0] == '1'
        && nlohmann::json(1).dump() == "1" && parser.allocate(1024) == simdjson::SUCCESS;
    return ok ? 0 : 1;
}
