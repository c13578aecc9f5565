// Test tool: the logits of a model folder for given ids, so that other implementations can be compared with.
//   dump_logits MODEL_DIR IN.safetensors OUT.safetensors
// IN: ids [batch, seq] int64, token_types [batch, seq] int64, lengths [batch] int64 (positions behind are padding).
// OUT: logits, [batch, seq, vocab] of a masked LM or [batch, outputs] of a classifier, and states [batch, seq, hidden].

#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <cstdio>
#include <limits>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/checkpoint/tensor_files.h"
#include "bertcram/model/bert.h"

namespace {

using namespace bertcram;

at::Tensor input_tensor(const checkpoint::SafetensorsFile& file, const std::string& name) {
  const auto& stored = file.tensors().at(name);
  return at::from_blob(const_cast<std::byte*>(stored.bytes.data()), stored.shape, at::kLong).clone();
}

void run(const char* model_directory, const char* in, const char* out) {
  const c10::NoGradGuard no_grad;
  const auto source = checkpoint::open_model_directory(model_directory);
  nn::Parameters parameters(model::parameter_specs(source.shape, source.head), at::kFloat, at::kCPU);
  checkpoint::load_weights(model_directory, parameters, checkpoint::Strictness::kComplete);
  const model::Bert bert(source.shape, parameters);

  const checkpoint::SafetensorsFile file(in);
  const at::Tensor ids = input_tensor(file, "ids");
  const at::Tensor lengths = input_tensor(file, "lengths");
  const int64_t batch = ids.size(0);
  const int64_t seq = ids.size(1);
  const at::Tensor is_padding = at::arange(seq).unsqueeze(0).ge(lengths.unsqueeze(1));  // [batch, seq]
  const at::Tensor key_bias =
      at::zeros({batch, 1, 1, seq})
          .masked_fill(is_padding.view({batch, 1, 1, seq}), -std::numeric_limits<float>::infinity());
  const at::Tensor states = bert.encode(
      {.ids = ids, .token_types = input_tensor(file, "token_types"), .key_bias = key_bias}, /*dropout=*/0.0);
  const at::Tensor logits = source.head.kind == model::HeadKind::kMaskedLm
                                ? bert.masked_lm_logits(states, at::arange(batch * seq)).view({batch, seq, -1})
                                : bert.classify(states, 0.0);
  checkpoint::write_tensors(out, {{"logits", logits}, {"states", states}});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: dump_logits MODEL_DIR IN.safetensors OUT.safetensors\n", stderr);
    return 2;
  }
  try {
    run(argv[1], argv[2], argv[3]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dump_logits: %s\n", error.what());
    return 1;
  }
}
