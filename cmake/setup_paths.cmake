# What tools/setup.mjs found on this machine (build/setup/paths.json).

# Sets `out` to one entry, or to the empty string.
function(sutra_setup_path name out)
  set(file ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../build/setup/paths.json)
  set(value "")
  if(EXISTS ${file})
    file(READ ${file} json)
    string(JSON value ERROR_VARIABLE missing GET "${json}" ${name})
    if(missing)
      set(value "")
    endif()
  endif()
  set(${out} "${value}" PARENT_SCOPE)
endfunction()
