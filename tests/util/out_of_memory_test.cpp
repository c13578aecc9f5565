#include "bertcram/util/out_of_memory.h"

#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace bertcram::util {
namespace {

bool taken_for_it(const std::string& message) { return is_out_of_memory(std::runtime_error(message)); }

TEST(OutOfMemory, IsSeenInTheWordsOfEveryLibrary) {
  EXPECT_TRUE(is_out_of_memory(std::bad_alloc()));
  EXPECT_TRUE(taken_for_it("CUDA out of memory. Tried to allocate 2.00 GiB."));
  EXPECT_TRUE(taken_for_it("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"));
  EXPECT_TRUE(taken_for_it("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"));
  EXPECT_TRUE(taken_for_it("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"));
  EXPECT_TRUE(taken_for_it("could not create a primitive"));
  EXPECT_TRUE(taken_for_it("could not execute a primitive"));
  EXPECT_TRUE(taken_for_it("<Error computing Error::what()>"));
}

TEST(OutOfMemory, IsNotReadIntoAnotherError) {
  EXPECT_FALSE(taken_for_it("could not create a primitive descriptor for the matmul primitive. Run workload with …"));
  EXPECT_FALSE(taken_for_it("mat1 and mat2 shapes cannot be multiplied"));
  EXPECT_FALSE(taken_for_it(""));
}

}  // namespace
}  // namespace bertcram::util
