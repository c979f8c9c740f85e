import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, load
from conan.tools.layout import basic_layout

required_conan_version = ">=2.0"


class PodproxyConan(ConanFile):
    name = "podproxy"
    description = "C++20 coroutine toolkit for proxies into clusters"
    license = "Apache-2.0"
    topics = ("proxy", "socks5", "kubernetes", "coroutines", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    no_copy_source = True
    exports = "CMakeLists.txt"
    exports_sources = "include/*", "LICENSE"

    def set_version(self):
        if not self.version:
            text = load(self, os.path.join(self.recipe_folder, "CMakeLists.txt"))
            self.version = re.search(r"project\(podproxy\s+VERSION ([0-9.]+)", text).group(1)

    def requirements(self):
        self.requires("zlib/[>=1.2.11 <2]")
        self.requires("simdjson/[>=3.0 <5]")
        self.requires("nlohmann_json/[>=3.11 <4]")
        self.requires("yaml-cpp/[>=0.7 <1]")
        self.requires("boringssl/[>=0.20250101]")
        self.requires("asio/[>=1.31 <2]")

    def validate(self):
        check_min_cppstd(self, 20)

    def layout(self):
        basic_layout(self)

    def package_id(self):
        self.info.clear()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        include = os.path.join(self.source_folder, "include")
        for pattern in ("*.hpp", "*.ipp"):
            copy(self, pattern, include, os.path.join(self.package_folder, "include"))

    def package_info(self):
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []

        # One component for each target that CMakeLists.txt exports.
        core = self.cpp_info.components["core"]
        codecs = self.cpp_info.components["codecs"]
        everything = self.cpp_info.components["podproxy"]
        for name, component in (("core", core), ("codecs", codecs), ("podproxy", everything)):
            component.set_property("cmake_target_name", f"podproxy::{name}")
            component.bindirs = []
            component.libdirs = []

        codecs.requires = [
            "core",
            "zlib::zlib",
            "simdjson::simdjson",
            "nlohmann_json::nlohmann_json",
            "yaml-cpp::yaml-cpp",
            "boringssl::crypto",
        ]
        everything.requires = ["codecs", "asio::asio", "boringssl::ssl"]
        everything.defines = ["ASIO_STANDALONE", "ASIO_NO_DEPRECATED"]
        if self.settings.os in ("Linux", "FreeBSD"):
            everything.system_libs = ["pthread"]
