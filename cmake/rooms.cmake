# A room is a folder of src/: its .cc files make one library, its _test.cc files one test
# binary. Adding a file to a folder needs no line here.

function(tapeline_room name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc)
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz|bench)\\.cc$")
  list(FILTER sources EXCLUDE REGEX "/app/main\\.cc$")
  add_library(tapeline_${name} STATIC ${sources} ${CMAKE_SOURCE_DIR}/cmake/empty.cc)
  target_link_libraries(tapeline_${name} PUBLIC tapeline_options)
  foreach(room ${ARGN})
    target_link_libraries(tapeline_${name} PUBLIC tapeline_${room})
  endforeach()
  set_property(GLOBAL APPEND PROPERTY TAPELINE_ROOMS ${name})
endfunction()

function(tapeline_uses name)
  target_link_libraries(tapeline_${name} PRIVATE ${ARGN})
endfunction()

# tests_<room> for each room that has tests; tests/ itself, what spans rooms, is tests_all.
function(tapeline_room_tests)
  get_property(rooms GLOBAL PROPERTY TAPELINE_ROOMS)
  foreach(name ${rooms})
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*_test.cc)
    if(sources)
      add_executable(tests_${name} ${sources})
      target_link_libraries(tests_${name} PRIVATE tapeline_${name} GTest::gtest_main)
      target_compile_definitions(tests_${name} PRIVATE
                                 TAPELINE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
      add_test(NAME ${name} COMMAND tests_${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
      set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 600)
    endif()
  endforeach()
endfunction()

function(tapeline_benchmarks)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/*.cc)
  foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    add_executable(bench_${name} ${source})
    target_link_libraries(bench_${name} PRIVATE tapeline_app benchmark::benchmark)
  endforeach()
endfunction()
