// What a GPU does and when: a library that CUDA loads into any program (CUPTI's activity interface) and that writes the start and the
// length of every kernel, copy and fill to the file that TRACE_OUT names, and their names to TRACE_OUT.names. bench/cuda_trace.py adds
// them up. It is no part of the build; on the machine with the GPU or any other with CUPTI's headers:
//
//   g++ -O2 -std=c++17 -shared -fPIC -I$CUDA/include bench/cuda_trace.cpp -o cuda_trace.so -L$CUDA/lib -l:libcupti.so.13
//   CUDA_INJECTION64_PATH=$PWD/cuda_trace.so TRACE_OUT=trace bertcram bench --config bert-base.yaml --device cuda
//   bench/cuda_trace.py trace

#include <cupti.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace {

struct Record {
  uint64_t start;  // ns
  uint32_t length;
  uint32_t name;
};

std::mutex guard;
std::vector<Record> records;
std::map<std::string, uint32_t> names;

void add(uint64_t start, uint64_t end, const std::string& name) {
  const auto id = names.emplace(name, static_cast<uint32_t>(names.size())).first->second;
  records.push_back({start, static_cast<uint32_t>(end - start), id});
}

void CUPTIAPI give_buffer(uint8_t** buffer, size_t* bytes, size_t* most_records) {
  constexpr size_t kBytes = size_t{8} << 20;
  *buffer = static_cast<uint8_t*>(std::aligned_alloc(8, kBytes));
  *bytes = kBytes;
  *most_records = 0;  // as many as fit
}

void CUPTIAPI take_buffer(CUcontext /*context*/, uint32_t /*stream*/, uint8_t* buffer, size_t /*bytes*/,
                          size_t filled) {
  const std::lock_guard lock(guard);
  CUpti_Activity* record = nullptr;
  while (cuptiActivityGetNextRecord(buffer, filled, &record) == CUPTI_SUCCESS) {
    if (record->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) {
      const auto* const kernel = reinterpret_cast<const CUpti_ActivityKernel10*>(record);
      add(kernel->start, kernel->end, kernel->name != nullptr ? kernel->name : "unknown");
    } else if (record->kind == CUPTI_ACTIVITY_KIND_MEMCPY) {
      const auto* const copy = reinterpret_cast<const CUpti_ActivityMemcpy6*>(record);
      add(copy->start, copy->end, "memcpy, kind " + std::to_string(copy->copyKind));
    } else if (record->kind == CUPTI_ACTIVITY_KIND_MEMSET) {
      const auto* const fill = reinterpret_cast<const CUpti_ActivityMemset4*>(record);
      add(fill->start, fill->end, "memset");
    }
  }
  std::free(buffer);
}

void write_all() {
  cuptiActivityFlushAll(1);
  const char* const path = std::getenv("TRACE_OUT");
  if (path == nullptr) {
    return;
  }
  std::FILE* const out = std::fopen(path, "wb");
  std::FILE* const out_names = std::fopen((std::string(path) + ".names").c_str(), "w");
  if (out == nullptr || out_names == nullptr) {
    std::perror(path);
    return;
  }
  std::fwrite(records.data(), sizeof(Record), records.size(), out);
  for (const auto& [name, id] : names) {
    std::fprintf(out_names, "%u\t%s\n", id, name.c_str());
  }
  std::fclose(out);
  std::fclose(out_names);
}

}  // namespace

/// CUDA calls it before its first use.
extern "C" int InitializeInjection(void) {
  cuptiActivityRegisterCallbacks(give_buffer, take_buffer);
  for (const auto kind :
       {CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_MEMCPY, CUPTI_ACTIVITY_KIND_MEMSET}) {
    cuptiActivityEnable(kind);
  }
  std::atexit(write_all);
  return 1;
}
