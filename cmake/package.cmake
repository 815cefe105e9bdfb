# The Debian package: binary, unit, configuration, completion for three shells and the manual page. The last two are
# printed by the binary itself, so they know exactly its commands. deploy/deb/build is the way to use it.
#
# The statically linked binary is taken where it can be made: such a package installs without a network, and on other
# releases than the one it was built on. What else it depends on is read from the binary (dpkg-shlibdeps).
if(NARU_CAN_LINK_STATICALLY)
  set(packaged naru_static)
else()
  set(packaged naru)
endif()
set(printed ${CMAKE_BINARY_DIR}/package)
function(naru_printed file)  # FILE COMMAND...: what `naru COMMAND...` prints
  add_custom_command(OUTPUT ${printed}/${file}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${printed}
    COMMAND ${packaged} ${ARGN} > ${printed}/${file}
    DEPENDS ${packaged} VERBATIM)
endfunction()
naru_printed(naru.bash completion bash)
naru_printed(naru.zsh completion zsh)
naru_printed(naru.fish completion fish)
naru_printed(naru.1 man)
add_custom_command(OUTPUT ${printed}/naru.1.gz
  COMMAND gzip -9nc ${printed}/naru.1 > ${printed}/naru.1.gz DEPENDS ${printed}/naru.1 VERBATIM)
add_custom_command(OUTPUT ${printed}/naru
  COMMAND ${CMAKE_STRIP} -o ${printed}/naru $<TARGET_FILE:${packaged}> DEPENDS ${packaged} VERBATIM)
string(TIMESTAMP today "%a, %d %b %Y 00:00:00 +0000" UTC)
file(WRITE ${printed}/changelog
  "naru (${PROJECT_VERSION}) stable; urgency=medium\n\n  * docs/ and the history of the sources say what changed.\n\n -- Naru <naru@localhost>  ${today}\n")
add_custom_command(OUTPUT ${printed}/changelog.gz
  COMMAND gzip -9nc ${printed}/changelog > ${printed}/changelog.gz DEPENDS ${printed}/changelog VERBATIM)
add_custom_target(package_files DEPENDS ${printed}/naru ${printed}/naru.bash ${printed}/naru.zsh ${printed}/naru.fish
  ${printed}/naru.1.gz ${printed}/changelog.gz)

set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)  # a package needs no tests to be built
set(as_data PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ COMPONENT naru)
install(PROGRAMS ${printed}/naru DESTINATION usr/bin COMPONENT naru)
install(FILES ${CMAKE_SOURCE_DIR}/deploy/systemd/naru.service DESTINATION lib/systemd/system ${as_data})
install(FILES ${CMAKE_SOURCE_DIR}/deploy/deb/server.properties DESTINATION etc/naru ${as_data})
install(FILES ${CMAKE_SOURCE_DIR}/deploy/deb/lintian-overrides DESTINATION usr/share/lintian/overrides RENAME naru ${as_data})
install(FILES ${printed}/naru.bash DESTINATION usr/share/bash-completion/completions RENAME naru ${as_data})
install(FILES ${printed}/naru.zsh DESTINATION usr/share/zsh/vendor-completions RENAME _naru ${as_data})
install(FILES ${printed}/naru.fish DESTINATION usr/share/fish/vendor_completions.d ${as_data})
install(FILES ${printed}/naru.1.gz DESTINATION usr/share/man/man1 ${as_data})
install(FILES ${printed}/changelog.gz ${CMAKE_SOURCE_DIR}/deploy/deb/copyright DESTINATION usr/share/doc/naru ${as_data})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME naru)
set(CPACK_PACKAGE_VENDOR Naru)
set(CPACK_PACKAGE_CONTACT "Naru <naru@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "replicated log that every Kafka client can use")
set(CPACK_PACKAGE_DESCRIPTION "One binary for each broker, with the Raft controller inside it. It speaks
Kafka's wire protocol, replicates by gRPC, and needs neither ZooKeeper nor a
Java runtime. /etc/naru/server.properties takes Kafka's property names.")
set(CPACK_PACKAGING_INSTALL_PREFIX "/")
set(CPACK_INSTALL_CMAKE_PROJECTS "${CMAKE_BINARY_DIR};naru;naru;/")
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE gzip)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(control ${CMAKE_SOURCE_DIR}/deploy/deb)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${control}/conffiles ${control}/postinst ${control}/prerm ${control}/postrm)
include(CPack)
