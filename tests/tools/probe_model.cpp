// Test tool: what a model folder computes for given ids, so that other implementations can be compared with.
//   probe_model MODEL_DIR IN.safetensors OUT.safetensors fp32|bf16 [EXPORT_DIR]
// IN: ids [batch, seq] int64, token_types [batch, seq] int64, lengths [batch] int64 (positions behind are padding) and,
// for gradients of a masked LM, positions and targets [masked] int64.
// OUT, fp32: states [batch, seq, hidden]; logits, [batch, seq, vocab or outputs] or, of a classifier, [batch, outputs];
// the same of the sequences as one row, "flat.states" [tokens, hidden] and "flat.logits"; the masked LM's summed loss and,
// as "gradient.NAME", its gradients, and "recomputed.NAME" those with recomputation.
// EXPORT_DIR: the model as bertcram writes it.

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <cstdio>
#include <cstring>
#include <limits>
#include <numeric>

#include "bertcram/checkpoint/model_directory.h"
#include "bertcram/checkpoint/tensor_files.h"
#include "bertcram/model/encoder.h"
#include "bertcram/model/parameter_specs.h"

namespace {

using namespace bertcram;

struct Input {
  at::Tensor ids;
  at::Tensor types;
  std::vector<int64_t> lengths;
};

at::Tensor input_tensor(const checkpoint::SafetensorsFile& file, const std::string& name) {
  const auto& stored = file.tensors().at(name);
  return at::from_blob(const_cast<std::byte*>(stored.bytes.data()), stored.shape, at::kLong).clone();
}

model::EncoderInput padded(const Input& input, at::ScalarType type) {
  const int64_t batch = input.ids.size(0);
  const int64_t seq = input.ids.size(1);
  const at::Tensor bias = at::zeros({batch, 1, 1, seq});
  for (int64_t row = 0; row < batch; ++row) {
    const int64_t length = input.lengths[static_cast<size_t>(row)];
    bias[row].narrow(2, length, seq - length).fill_(-std::numeric_limits<double>::infinity());
  }
  return {.ids = input.ids, .token_types = input.types, .key_bias = bias.to(type)};
}

model::EncoderInput flat(const Input& input) {
  std::vector<at::Tensor> ids;
  std::vector<at::Tensor> types;
  std::vector<int64_t> starts = {0};
  for (size_t row = 0; row < input.lengths.size(); ++row) {
    const auto index = static_cast<int64_t>(row);
    ids.push_back(input.ids[index].narrow(0, 0, input.lengths[row]));
    types.push_back(input.types[index].narrow(0, 0, input.lengths[row]));
    starts.push_back(starts.back() + input.lengths[row]);
  }
  return {.ids = at::cat(ids).unsqueeze(0),
          .token_types = at::cat(types).unsqueeze(0),
          .key_bias = {},
          .cu_seqlens = starts};
}

/// @return undefined for an encoder alone
at::Tensor logits_of(const model::Encoder& encoder, const model::Head& head, const at::Tensor& states,
                     const model::EncoderInput& input) {
  switch (head.kind) {
    case model::HeadKind::kNone: return {};
    case model::HeadKind::kMaskedLm:
      return encoder.masked_lm_logits(states.flatten(0, 1)).view({states.size(0), states.size(1), -1});
    case model::HeadKind::kClassifier: return encoder.classify(input);
    case model::HeadKind::kTokenClassifier: return encoder.classify_tokens(states);
  }
  return {};
}

void add_gradients(const model::Encoder& encoder, nn::Parameters& parameters, const model::EncoderInput& input,
                   const checkpoint::SafetensorsFile& file, model::Recompute recompute, const std::string& prefix,
                   std::vector<nn::NamedTensor>& results) {
  parameters.zero_gradients();
  const at::Tensor states = encoder.encode_at(input, input_tensor(file, "positions"), {.recompute = recompute});
  const at::Tensor loss = encoder.masked_lm_loss(states, input_tensor(file, "targets"));
  loss.backward();
  results.push_back({prefix + "loss", loss.detach()});
  for (const nn::NamedTensor& view : parameters.stored_views(parameters.gradients())) {
    results.push_back({prefix + view.name, view.tensor.clone()});
  }
}

void run(int argc, char** argv) {
  const auto source = checkpoint::open_model_directory(argv[1]);
  const at::ScalarType type = std::strcmp(argv[4], "bf16") == 0 ? at::kBFloat16 : at::kFloat;
  nn::Parameters parameters(model::parameter_specs(source.shape, source.head), type, at::kCPU);
  checkpoint::load_weights(argv[1], parameters, checkpoint::Strictness::kComplete);
  const auto encoder = model::make_encoder(source.shape, source.head, parameters);

  const checkpoint::SafetensorsFile file(argv[2]);
  Input input = {.ids = input_tensor(file, "ids"), .types = input_tensor(file, "token_types"), .lengths = {}};
  const at::Tensor lengths = input_tensor(file, "lengths");
  input.lengths.assign(lengths.data_ptr<int64_t>(), lengths.data_ptr<int64_t>() + lengths.numel());
  std::vector<nn::NamedTensor> results;
  {
    const c10::NoGradGuard no_grad;
    for (const auto& [name, layout] : {std::pair("", padded(input, type)), std::pair("flat.", flat(input))}) {
      const at::Tensor states = encoder->encode(layout);
      results.push_back({std::string(name) + "states", states.to(at::kFloat)});
      const at::Tensor logits = logits_of(*encoder, source.head, states, layout);
      if (logits.defined()) {
        results.push_back({std::string(name) + "logits", logits});
      }
    }
  }
  if (file.tensors().contains("targets")) {
    add_gradients(*encoder, parameters, padded(input, type), file, model::Recompute::kNever, "gradient.", results);
    add_gradients(*encoder, parameters, padded(input, type), file, model::Recompute::kPerLayer, "recomputed.", results);
  }
  checkpoint::write_tensors(argv[3], results);
  if (argc > 5) {
    checkpoint::write_model_directory(argv[5],
                                      {.shape = source.shape,
                                       .head = source.head,
                                       .tensors = checkpoint::model_tensors(source.shape, source.head, parameters)},
                                      *source.tokenizer);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5 && argc != 6) {
    std::fputs("usage: probe_model MODEL_DIR IN.safetensors OUT.safetensors fp32|bf16 [EXPORT_DIR]\n", stderr);
    return 2;
  }
  try {
    run(argc, argv);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "probe_model: %s\n", error.what());
    return 1;
  }
}
