"""Conan's test package: the same consumer as for find_package, with every target coming from Conan."""

import os

from conan import ConanFile
from conan.tools.build import can_run
from conan.tools.cmake import CMake, cmake_layout


class PodproxyTestConan(ConanFile):
    settings = "os", "arch", "compiler", "build_type"
    generators = "CMakeDeps", "CMakeToolchain"

    def requirements(self):
        self.requires(self.tested_reference_str)

    def layout(self):
        cmake_layout(self)

    def build(self):
        cmake = CMake(self)
        cmake.configure(build_script_folder="consumer")
        cmake.build()

    def test(self):
        if can_run(self):
            for name in ("core", "codecs", "podproxy"):
                self.run(os.path.join(self.cpp.build.bindir, f"use_{name}"), env="conanrun")
