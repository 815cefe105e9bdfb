# Which compiler may build this, and with which flags.
option(NARU_WERROR "treat warnings as errors" OFF)
set(NARU_SANITIZE "" CACHE STRING "sanitizers, as for -fsanitize=")
option(NARU_FUZZ "build the libFuzzer targets" OFF)
set(NARU_OPTIMIZE 2 CACHE STRING "how much RelWithDebInfo is optimized: 2 or 3")
option(NARU_LTO "optimize across files when linking (ThinLTO, with lld)" OFF)
option(NARU_MUTANTS "build the switches that remove safety rules, for scripts/mutants (common/model/mutant.h)" OFF)

# GCC 12 destroys braced aggregates inside co_await expressions twice, without a warning. Ask the compiler itself.
if(NOT NARU_COROUTINES_CHECKED)
  try_run(coroutines_run coroutines_compile ${CMAKE_BINARY_DIR}/coroutine_check
    ${CMAKE_SOURCE_DIR}/cmake/coroutine_check.cc CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)
  if(NOT coroutines_compile OR NOT coroutines_run EQUAL 0)
    message(FATAL_ERROR "${CMAKE_CXX_COMPILER} ${CMAKE_CXX_COMPILER_VERSION} miscompiles coroutines: the broker would "
      "corrupt memory. Use clang 16 or newer, for example: apt-get install clang-19 lld-19 && cmake --preset release")
  endif()
  set(NARU_COROUTINES_CHECKED ON CACHE INTERNAL "the compiler passed cmake/coroutine_check.cc")
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wnon-virtual-dtor -Wno-missing-field-initializers -fno-omit-frame-pointer)
if(NARU_WERROR)
  add_compile_options(-Werror)
endif()
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O${NARU_OPTIMIZE} -g1")
add_compile_options(-gz)
if(NARU_SANITIZE MATCHES address)
  set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")  # with -O0 logs, Raft and fuzz targets run two to four times longer
endif()
if(NARU_SANITIZE)
  add_compile_options(-fsanitize=${NARU_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${NARU_SANITIZE})
endif()

# naru_compile_quickly(): for what is compiled in this folder from here on. Under a sanitizer half of a build's time goes into
# optimizing, which pays only where tests compute much.
macro(naru_compile_quickly)
  if(NARU_SANITIZE)
    add_compile_options(-O0)
  endif()
endmacro()

find_program(NARU_MOLD mold)
find_program(NARU_LLD NAMES ld.lld-19 ld.lld)
if(NARU_LTO)
  if(NOT NARU_LLD)
    message(FATAL_ERROR "NARU_LTO needs lld: apt-get install lld-19")
  endif()
  add_compile_options($<$<COMPILE_LANGUAGE:C,CXX>:-flto=thin>)
  add_link_options(-flto=thin -fuse-ld=lld)  # lld looks into archives itself: they need no index, which ar could not make
elseif(NARU_MOLD)
  add_link_options(-fuse-ld=mold)
elseif(NARU_LLD)
  add_link_options(-fuse-ld=lld)
endif()
find_program(NARU_CCACHE ccache)
if(NARU_CCACHE)
  # What ccache must be told before it keeps what was compiled with precompiled headers (cmake/unity.cmake).
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${NARU_CCACHE})
endif()
