# libllama is opened while the program runs, so only its headers are wanted here: of exactly the version that deploy/llm
# fetches. Where they are not, TinyLlamaServiceEnhanced is built without it and says so.
set(PONS_LLAMA_DIR ${CMAKE_SOURCE_DIR}/build/llama CACHE PATH "where deploy/llm put libllama: include/ and lib/")
add_library(pons_libllama INTERFACE)
target_link_libraries(pons_libllama INTERFACE m)
file(GLOB llama_header CONFIGURE_DEPENDS ${PONS_LLAMA_DIR}/include/llama.h)
if(llama_header)
  target_include_directories(pons_libllama SYSTEM INTERFACE ${PONS_LLAMA_DIR}/include)
  target_compile_definitions(pons_libllama INTERFACE PONS_LIBLLAMA)
else()
  message(STATUS "libllama is not in ${PONS_LLAMA_DIR}: the local model will be unavailable (deploy/llm fetches it)")
endif()
if(PONS_SANITIZE)
  # A sanitizer looks for the C++ runtime when the program starts; libllama would bring it too late for its exceptions.
  target_link_options(pons_libllama INTERFACE LINKER:--push-state,--no-as-needed,-l:libstdc++.so.6,--pop-state)
endif()

# The models that libllama is tried with: written by a program of ours, the same bytes everywhere.
add_executable(pons-selftest-model deploy/selftest/main.c deploy/selftest/gguf.c deploy/selftest/words.c)
set_target_properties(pons-selftest-model PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/selftest)
target_link_libraries(pons-selftest-model PRIVATE m)
set(share ${CMAKE_BINARY_DIR}/share)
add_custom_command(OUTPUT ${share}/pons-selftest.gguf ${share}/pons-selftest-random.gguf
  COMMAND ${CMAKE_COMMAND} -E make_directory ${share}
  COMMAND pons-selftest-model chain ${share}/pons-selftest.gguf
  COMMAND pons-selftest-model random ${share}/pons-selftest-random.gguf
  DEPENDS pons-selftest-model COMMENT "Writing the self-test models" VERBATIM)
add_custom_target(selftest-models ALL DEPENDS ${share}/pons-selftest.gguf ${share}/pons-selftest-random.gguf)
