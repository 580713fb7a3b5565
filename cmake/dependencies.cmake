# Third-party code, never copied into the tree: tools/setup.mjs puts it on the machine.
include(${CMAKE_CURRENT_LIST_DIR}/setup_paths.cmake)
sutra_setup_path(headers SUTRA_HEADERS)

# nlohmann-json: header-only. emcc must not see all of /usr/include, so the one folder is linked into
# the build tree and included from there.
find_path(SUTRA_NLOHMANN_DIR nlohmann/json.hpp PATHS ${SUTRA_HEADERS} /usr/include /usr/local/include NO_CMAKE_FIND_ROOT_PATH REQUIRED)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/include)
file(CREATE_LINK ${SUTRA_NLOHMANN_DIR}/nlohmann ${PROJECT_BINARY_DIR}/include/nlohmann SYMBOLIC)
add_library(sutra_json INTERFACE)
target_include_directories(sutra_json SYSTEM INTERFACE ${PROJECT_BINARY_DIR}/include)

# CLI11: header-only, for the native program.
if(NOT EMSCRIPTEN)
  find_path(SUTRA_CLI11_DIR CLI/CLI.hpp PATHS ${SUTRA_HEADERS} /usr/include /usr/local/include)
  add_library(sutra_cli11 INTERFACE)
  if(SUTRA_CLI11_DIR)
    target_include_directories(sutra_cli11 SYSTEM INTERFACE ${SUTRA_CLI11_DIR})
  endif()
endif()
