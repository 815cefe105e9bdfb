# The sanitizer presets compile several files of a target as one: headers are read once for all of them, which halves
# the build. For developing it would be a loss (who changes one file compiles eight), so the presets release and debug do
# not. The scripts, which build everything once, ask for it with every preset (scripts/lib/common.sh).
#
# Files that share a unit share their unnamed namespaces. Where two of one folder use the same name for different
# things, one of them is named here; "redefinition of ..." from a sanitizer build means that a line is missing.
option(NARU_UNITY "compile several files of a target at once" OFF)
set(CMAKE_UNITY_BUILD ${NARU_UNITY})
set(CMAKE_UNITY_BUILD_BATCH_SIZE 8)

# naru_compiled_alone(SOURCE...): files of the current folder, as they are named where they are added.
function(naru_compiled_alone)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

# naru_headers_read_once(TARGET HEADER...): for a target whose files cannot share a unit. Where others do, its headers are
# compiled once for all of its files; where files are compiled singly they are not, as any change to them would then
# compile the whole target again.
function(naru_headers_read_once target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD OFF)
  if(NARU_UNITY)
    target_precompile_headers(${target} PRIVATE ${ARGN})
    target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")  # else no cache knows it again
  endif()
endfunction()
