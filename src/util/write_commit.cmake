# Writes OUTPUT, a header that says which commit the files in SOURCE are of; leaves it alone when it says so already, so that
# nothing is compiled again. Runs with every build:
#   cmake -DSOURCE=DIR -DOUTPUT=FILE -P write_commit.cmake
cmake_minimum_required(VERSION 3.22)
set(commit "unknown")
if(EXISTS "${SOURCE}/.git")  # or an unpacked archive would name the commit of whatever repository it lies in
  execute_process(COMMAND git -C "${SOURCE}" describe --always --abbrev=12 --match= --dirty
    OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed)
    set(commit "${described}")
  endif()
endif()
set(content "#define BERTCRAM_COMMIT \"${commit}\"\n")
set(before "")
if(EXISTS "${OUTPUT}")
  file(READ "${OUTPUT}" before)
endif()
if(NOT content STREQUAL before)
  file(WRITE "${OUTPUT}" "${content}")
endif()
