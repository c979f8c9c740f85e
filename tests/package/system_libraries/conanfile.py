"""Stands in for the dependencies' recipes where Conan's remote cannot be reached: each wraps what the system has.

Exported once per dependency, with --name and --version; holds no files of its own."""

import os
import subprocess

from conan import ConanFile


class SystemLibraryConan(ConanFile):
    settings = "os", "arch", "compiler", "build_type"
    package_type = "shared-library"

    def package_info(self):
        self.cpp_info.includedirs = []
        self.cpp_info.libdirs = []
        self.cpp_info.bindirs = []
        if self.name == "boringssl":
            multiarch = subprocess.run(
                [os.environ.get("CXX", "c++"), "-print-multiarch"], capture_output=True, text=True, check=True
            ).stdout.strip()
            self.cpp_info.set_property("cmake_file_name", "OpenSSL")
            for name, target in (("crypto", "OpenSSL::Crypto"), ("ssl", "OpenSSL::SSL")):
                component = self.cpp_info.components[name]
                component.set_property("cmake_target_name", target)
                component.includedirs = ["/usr/include/android"]
                component.libdirs = [f"/usr/lib/{multiarch}/android"]
                component.bindirs = []
                component.libs = [name]
            self.cpp_info.components["ssl"].requires = ["crypto"]
        elif self.name == "asio":
            self.cpp_info.includedirs = [os.environ["PODPROXY_ASIO_INCLUDE_DIR"]]
        else:
            libraries = {"zlib": ["z"], "simdjson": ["simdjson"], "yaml-cpp": ["yaml-cpp"], "nlohmann_json": []}
            self.cpp_info.system_libs = libraries[self.name]
