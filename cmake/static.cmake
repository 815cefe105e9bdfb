# naru_static: the same objects as naru, linked into one file that needs no shared library, for an image made of nothing
# else (deploy/docker). Names resolve without NSS modules: since 2.34 glibc has "files" and "dns" built in.
#
# The archives are named for the linker instead of through the imported targets, which on Debian stand for shared
# libraries. fmt, spdlog, ISA-L and SASL have none: common/static_link stands in.
if(NARU_SANITIZE)
  return()
endif()
find_library(NARU_GRPC_UNSECURE_ARCHIVE libgrpc++_unsecure.a)
if(NOT NARU_GRPC_UNSECURE_ARCHIVE)
  message(STATUS "no naru_static: there is no libgrpc++_unsecure.a")
  return()
endif()
set(NARU_CAN_LINK_STATICALLY ON)
# Every imported library that naru links has to be named here (and snappy below, which has no pkg-config file). gRPC is the one
# without TLS, xDS and cloud credentials, megabytes that nobody calls here: brokers speak plain text to each other. What it
# needs itself its pkg-config file leaves out.
pkg_check_modules(archives REQUIRED QUIET rdkafka++ grpc++_unsecure protobuf libnghttp2 liblz4 libzstd libxxhash libdeflate libssl zlib)
list(FILTER archives_STATIC_LDFLAGS EXCLUDE REGEX "^-lsasl2$")
list(APPEND archives_STATIC_LDFLAGS -laddress_sorting -lupb -lcares)

# naru_static_executable(TARGET SOURCE): SOURCE is the executable whose objects and libraries are taken.
function(naru_static_executable target source)
  get_property(libraries GLOBAL PROPERTY NARU_LIBRARIES)
  list(APPEND libraries proto_cluster)
  set(files ${libraries})
  list(TRANSFORM files REPLACE "(.+)" "$<TARGET_FILE:\\1>")
  add_executable(${target} EXCLUDE_FROM_ALL $<TARGET_OBJECTS:${source}> $<TARGET_OBJECTS:static_link>)
  add_dependencies(${target} ${libraries})
  # librdkafka's archive has an xxHash of its own, of the same interface, beside the library that we use.
  target_link_options(${target} PRIVATE -static -Wl,--gc-sections -Wl,--allow-multiple-definition)
  if(NARU_MOLD OR NARU_LLD)
    target_link_options(${target} PRIVATE -Wl,--icf=safe)  # functions of the same code once, unless their address is taken
  endif()
  target_link_libraries(${target} PRIVATE -Wl,--start-group ${files} ${archives_STATIC_LDFLAGS} -lsnappy -Wl,--end-group)
  set_property(TARGET ${target} PROPERTY LINK_DEPENDS ${files})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME naru-static RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
endfunction()
