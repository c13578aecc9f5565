# What scripts/bundle.sh carries to another machine: `cmake --install build --prefix DIR --component bundle --strip`.
# The folders are those of a checkout, so that scripts and tests work there as they do here.
set(bundle_programs bertcram torch_tests)  # base_tests needs Arrow
set(bundle_modules bertcram_training bertcram_dashboard)
if(BERTCRAM_WITH_CUDA)
  list(APPEND bundle_modules bertcram_cuda)
endif()
if(TARGET bertcram_cuda_graph)
  list(APPEND bundle_modules bertcram_cuda_graph)
endif()

# RPATH, not RUNPATH: only the former is also looked at for what the libraries in lib/ need themselves.
foreach(program IN LISTS bundle_programs)
  target_link_options(${program} PRIVATE LINKER:--disable-new-dtags)
endforeach()
set_target_properties(${bundle_programs} ${bundle_modules} PROPERTIES INSTALL_RPATH "$ORIGIN;$ORIGIN/../lib")

install(TARGETS ${bundle_programs} ${bundle_modules} RUNTIME_DEPENDENCY_SET bundle_libraries
  RUNTIME DESTINATION build COMPONENT bundle EXCLUDE_FROM_ALL
  LIBRARY DESTINATION build COMPONENT bundle EXCLUDE_FROM_ALL)
# All shared libraries but those of the C library, which belong to the kernel's machine, and of LibTorch.
install(RUNTIME_DEPENDENCY_SET bundle_libraries
  PRE_EXCLUDE_REGEXES "^lib(torch|c10|cud|gomp)" "^ld-linux" "^lib(c|m|dl|rt|pthread|resolv|util|anl)\\.so"
  LIBRARY DESTINATION lib COMPONENT bundle EXCLUDE_FROM_ALL)

install(PROGRAMS scripts/launch.sh DESTINATION . RENAME bertcram COMPONENT bundle EXCLUDE_FROM_ALL)
install(PROGRAMS scripts/gpu_check.py scripts/gpu_check.sh scripts/lib.sh scripts/torch_env.sh DESTINATION scripts COMPONENT bundle EXCLUDE_FROM_ALL)
install(PROGRAMS bench/compare.sh bench/step_speed.py bench/tables.py DESTINATION bench COMPONENT bundle EXCLUDE_FROM_ALL)
install(PROGRAMS bench/peers/plain_bert.py bench/peers/step_hf.py DESTINATION bench/peers COMPONENT bundle EXCLUDE_FROM_ALL)
install(FILES LICENSE DESTINATION . COMPONENT bundle EXCLUDE_FROM_ALL)
install(DIRECTORY configs DESTINATION . COMPONENT bundle EXCLUDE_FROM_ALL)
# What the tests read.
install(FILES docs/models.md DESTINATION docs COMPONENT bundle EXCLUDE_FROM_ALL)
