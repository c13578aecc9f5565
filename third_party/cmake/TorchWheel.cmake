# LibTorch from the PyPI wheel, imported library by library: find_package(Torch) of a CUDA wheel demands a CUDA
# toolkit, turns CMAKE_CUDA_ARCHITECTURES off and injects global flags (docs/decisions.md).
# The executable links the CPU half alone; the CUDA half is loaded at run time where there is a driver.
set(BERTCRAM_TORCH_DIR "$ENV{BERTCRAM_TORCH_DIR}" CACHE PATH "site-packages/torch, or an unpacked LibTorch")
if(NOT BERTCRAM_TORCH_DIR)
  file(GLOB _candidates "${CMAKE_SOURCE_DIR}/.deps/venv/lib/python3*/site-packages/torch")
  if(_candidates)
    list(GET _candidates 0 _first)
    set_property(CACHE BERTCRAM_TORCH_DIR PROPERTY VALUE "${_first}")
  endif()
endif()
if(NOT EXISTS "${BERTCRAM_TORCH_DIR}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "LibTorch not found in '${BERTCRAM_TORCH_DIR}'. Run ./scripts/setup.sh, or name an existing one "
                      "with BERTCRAM_TORCH_DIR (python3 -c 'import torch; print(torch.__path__[0])')")
endif()
file(STRINGS "${BERTCRAM_TORCH_DIR}/include/torch/headeronly/version.h" _numbers
     REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
string(REGEX MATCHALL "[0-9]+" _numbers "${_numbers}")
string(REPLACE ";" "." BERTCRAM_TORCH_VERSION "${_numbers}")
if(NOT BERTCRAM_TORCH_VERSION MATCHES "^2\\.11\\.")
  message(FATAL_ERROR "LibTorch ${BERTCRAM_TORCH_VERSION} in '${BERTCRAM_TORCH_DIR}', expected 2.11: its C++ interface "
                      "changes between minor versions. Run ./scripts/setup.sh, or name another one")
endif()
message(STATUS "LibTorch ${BERTCRAM_TORCH_VERSION}: ${BERTCRAM_TORCH_DIR}")

foreach(_lib c10 torch_cpu)
  add_library(torchwheel::${_lib} SHARED IMPORTED GLOBAL)
  set_target_properties(torchwheel::${_lib} PROPERTIES IMPORTED_LOCATION "${BERTCRAM_TORCH_DIR}/lib/lib${_lib}.so")
endforeach()

add_library(torchwheel::torch INTERFACE IMPORTED GLOBAL)
target_include_directories(torchwheel::torch SYSTEM INTERFACE
  "${BERTCRAM_TORCH_DIR}/include" "${BERTCRAM_TORCH_DIR}/include/torch/csrc/api/include")
target_link_libraries(torchwheel::torch INTERFACE torchwheel::torch_cpu torchwheel::c10 Threads::Threads ${CMAKE_DL_LIBS})
# Per-op headers keep ATen's umbrella header out of every unit.
target_compile_definitions(torchwheel::torch INTERFACE AT_PER_OPERATOR_HEADERS)
# Kernels register in static initialisers, so the library stays needed although no symbol of it may be; its own
# dependencies (nvidia's wheels) are not looked at when linking.
target_link_options(torchwheel::torch INTERFACE
  "LINKER:--push-state,--no-as-needed,${BERTCRAM_TORCH_DIR}/lib/libtorch_cpu.so,--pop-state"
  "LINKER:--allow-shlib-undefined")
