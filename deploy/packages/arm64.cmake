# SPDX-License-Identifier: MIT
# For arm64, on Debian of another architecture: cmake -DCMAKE_TOOLCHAIN_FILE=deploy/packages/arm64.cmake
# HAKMEM_SYSROOT in the environment is a folder with the libraries of arm64, where they aren't
# installed; tests/packages/arm64.sh makes one. Programs are run by qemu-user.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(triplet aarch64-linux-gnu)
set(CMAKE_C_COMPILER ${triplet}-gcc)
set(CMAKE_CXX_COMPILER ${triplet}-g++)
set(CMAKE_LIBRARY_ARCHITECTURE ${triplet})
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64)

set(sysroot "$ENV{HAKMEM_SYSROOT}")
set(libraries ${sysroot}/usr/lib/${triplet})
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${sysroot}")
set(ENV{PKG_CONFIG_LIBDIR} ${libraries}/pkgconfig)
if(sysroot)
	set(CMAKE_FIND_ROOT_PATH ${sysroot} /usr/${triplet})
	set(CMAKE_C_FLAGS_INIT "-isystem ${sysroot}/usr/include/${triplet}")
	# A few of Debian 12's packages still have theirs in /lib, which is no link in a sysroot.
	set(CMAKE_EXE_LINKER_FLAGS_INIT -Wl,-rpath-link,${libraries}:${sysroot}/lib/${triplet})
	set(CMAKE_SHARED_LINKER_FLAGS_INIT ${CMAKE_EXE_LINKER_FLAGS_INIT})
endif()
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/${triplet} -E LD_LIBRARY_PATH=${libraries}:${sysroot}/lib/${triplet})
