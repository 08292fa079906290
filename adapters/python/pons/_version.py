"""The version of the package, which is that of the programs (CMakeLists.txt)."""

VERSION = "0.1.0"
