# Toolchain file of the wasm presets: the Emscripten that tools/setup.mjs found.
include(${CMAKE_CURRENT_LIST_DIR}/setup_paths.cmake)
sutra_setup_path(emscripten SUTRA_EMSCRIPTEN)
if(NOT SUTRA_EMSCRIPTEN)
  message(FATAL_ERROR "Emscripten is not set up; please run: node tools/setup.mjs wasm")
endif()
include(${SUTRA_EMSCRIPTEN}/cmake/Modules/Platform/Emscripten.cmake)
