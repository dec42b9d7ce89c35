# SPDX-License-Identifier: Apache-2.0
#
# Compiles several source files of one target as one, which takes a tenth of the time of compiling
# them alone: most of it goes into the headers. For builds that are made from nothing (tools/check);
# when single files change, it is slower.

# Sets `out` to what a source file declares in its unnamed namespace, as NAME=WHAT: of a line that is
# not indented, NAME is the word after class, struct or enum, or else the word before the first
# bracket. WHAT is the file, or the type that NAME stands for: two files may declare the same alias.
# One too many costs a group; one missed shows as a redefinition, and needs another name.
function(ebbfs_names_of file out)
  file(STRINGS ${file} lines
    REGEX "^(}  // namespace|int main|(\\[\\[nodiscard]] )?[A-Za-z][^#]*[({=;])")
  set(names)
  set(ours FALSE)
  foreach(line IN LISTS lines)
    if(line STREQUAL "namespace {")
      set(ours TRUE)
    elseif(line STREQUAL "}  // namespace")
      set(ours FALSE)
    elseif(line MATCHES "^int main\\(")
      list(APPEND names main=${file})
    elseif(ours AND line MATCHES "^using ([A-Za-z_0-9]+) = ([^;]*)")
      list(APPEND names ${CMAKE_MATCH_1}=${CMAKE_MATCH_2})
    elseif(ours AND line MATCHES "^(enum class|enum|class|struct|union) ([A-Za-z_0-9]+)[^(]*$")
      list(APPEND names ${CMAKE_MATCH_2}=${file})
    elseif(ours AND NOT line MATCHES "^(namespace|template|[^ ]+ *[({=;])")
      string(REGEX REPLACE "^\\[\\[nodiscard]] |[({=;[].*" "" head "${line}")
      string(REGEX MATCH "[:A-Za-z_0-9]+ *$" name "${head}")
      string(STRIP "${name}" name)
      # Members have their class's name before theirs; some functions are overloaded everywhere.
      if(NOT name MATCHES "^$|::|^(PrintTo|view_of)$")
        list(APPEND names ${name}=${file})
      endif()
    endif()
  endforeach()
  set(${out} ${names} PARENT_SCOPE)
endfunction()

# Puts each of the target's files into the first group that has room and none of its names, as two
# files may use a name in their unnamed namespaces. Does nothing where EBBFS_UNITY is 0.
function(ebbfs_unity target)
  if(NOT EBBFS_UNITY GREATER 0)
    return()
  endif()
  get_target_property(files ${target} SOURCES)
  foreach(file IN LISTS files)
    ebbfs_names_of(${file} names)
    set(group 0)
    while(TRUE)
      set(clash FALSE)
      foreach(item IN LISTS names)
        string(REGEX MATCH "^([^=]+)=(.*)" item ${item})
        set(taken "${${group}_${CMAKE_MATCH_1}}")
        if(NOT taken STREQUAL "" AND NOT taken STREQUAL CMAKE_MATCH_2)
          set(clash TRUE)
          break()
        endif()
      endforeach()
      list(LENGTH files_${group} count)
      if(NOT clash AND count LESS EBBFS_UNITY)
        break()
      endif()
      math(EXPR group "${group} + 1")
    endwhile()
    foreach(item IN LISTS names)
      string(REGEX MATCH "^([^=]+)=(.*)" item ${item})
      set(${group}_${CMAKE_MATCH_1} "${CMAKE_MATCH_2}")
    endforeach()
    list(APPEND files_${group} ${file})
    set_source_files_properties(${file} PROPERTIES UNITY_GROUP ${group})
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()
