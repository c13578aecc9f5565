#include "bertcram/checkpoint/model_directory.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "bertcram/checkpoint/tensor_files.h"
#include "bertcram/text/tokenizer_files.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/json.h"
#include "bertcram/util/staged_folder.h"
#include "bertcram/util/text.h"

namespace bertcram::checkpoint {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kWeightsFile = "model.safetensors";
constexpr const char* kConfigFile = "config.json";
constexpr size_t kShownNames = 5;

bool is_head_parameter(const std::string& name) {
  return name.starts_with("cls.") || name.starts_with("classifier.") || name.starts_with("bert.pooler.");
}

json read_config(const fs::path& directory) {
  const fs::path path = directory / kConfigFile;
  if (!fs::exists(path)) {
    throw DataError(cat("--model ", directory.string(), ": no model here (", kConfigFile,
                        " is missing); expected a folder written by 'bertcram pretrain' or Hugging Face"));
  }
  try {
    return json::parse(util::read_file(path));
  } catch (const json::exception& error) {
    throw DataError(cat(path.string(), ": not valid JSON (", util::json_error_text(error.what()), ")"));
  }
}

/// The targets under the names that the file has: BertModel checkpoints name the encoder without the `bert.` prefix, and
/// those converted from TensorFlow (bert-base-uncased among them) call the layer norms' weight and bias gamma and beta.
std::vector<nn::NamedTensor> with_names_of(const SafetensorsFile& file, std::vector<nn::NamedTensor> targets) {
  constexpr std::string_view kPrefix = "bert.";
  const bool is_bare = !file.tensors().contains("bert.embeddings.word_embeddings.weight") &&
                       file.tensors().contains("embeddings.word_embeddings.weight");
  for (nn::NamedTensor& target : targets) {
    if (is_bare && target.name.starts_with(kPrefix)) {
      target.name.erase(0, kPrefix.size());
    }
    for (const auto& [ours, theirs] :
         {std::pair(".LayerNorm.weight", ".LayerNorm.gamma"), std::pair(".LayerNorm.bias", ".LayerNorm.beta")}) {
      if (target.name.ends_with(ours)) {
        const std::string legacy = target.name.substr(0, target.name.size() - std::string_view(ours).size()) + theirs;
        target.name = file.tensors().contains(legacy) ? legacy : target.name;
      }
    }
  }
  return targets;
}

}  // namespace

void write_model_directory(const fs::path& directory, const model::BertShape& shape, const model::Head& head,
                           nn::Parameters& parameters, const text::Tokenizer& tokenizer) {
  util::StagedFolder staged(directory);
  tokenizer.save(staged.staging(), shape.max_positions);
  write_tensors(staged.staging() / kWeightsFile, parameters.stored_views(parameters.masters()));
  util::write_file_atomically(staged.staging() / kConfigFile,
                              util::json_text(model::to_hub_config(shape, head), 2) + "\n");
  staged.publish(kConfigFile, {});
}

bool is_model_of(const fs::path& directory, nn::Parameters& parameters, const text::Tokenizer& tokenizer) {
  if (!text::has_tokenizer_files(directory)) {
    return false;
  }
  try {
    if (open_model_directory(directory).tokenizer->fingerprint() != tokenizer.fingerprint()) {
      return false;
    }
    const SafetensorsFile file(directory / kWeightsFile);
    const auto views = parameters.stored_views(parameters.masters());
    return file.tensors().size() == views.size() && std::ranges::all_of(views, [&](const nn::NamedTensor& view) {
             const auto found = file.tensors().find(view.name);
             const at::Tensor host = view.tensor.to(at::kCPU).contiguous();
             return found != file.tensors().end() && found->second.dtype == DType::kF32 &&
                    found->second.bytes.size() == host.nbytes() &&
                    std::memcmp(found->second.bytes.data(), host.data_ptr(), host.nbytes()) == 0;
           });
  } catch (const DataError&) {
    return false;
  }
}

ModelDirectory open_model_directory(const fs::path& directory) {
  util::refuse_half_published(directory);
  ModelDirectory opened;
  opened.path = directory;
  const json config = read_config(directory);
  opened.shape = model::shape_from_hub_config(config, (directory / kConfigFile).string());
  opened.head = model::head_from_hub_config(config);
  if (!fs::exists(directory / kWeightsFile) && fs::exists(directory / "pytorch_model.bin")) {
    throw DataError(cat(directory.string(),
                        ": pytorch_model.bin is a pickle, which bertcram never reads; convert it "
                        "with model.save_pretrained(DIR, safe_serialization=True)"));
  }
  opened.tokenizer = text::load_tokenizer(directory, std::nullopt);
  if (opened.tokenizer->vocab_size() > opened.shape.vocab) {
    throw DataError(cat(directory.string(), ": the tokenizer has ", opened.tokenizer->vocab_size(),
                        " pieces, the model only ", opened.shape.vocab, " embeddings; they do not belong together"));
  }
  return opened;
}

void require_masked_lm(const ModelDirectory& model) {
  if (model.head.kind == model::HeadKind::kMaskedLm) {
    return;
  }
  throw DataError(
      cat("--model ", model.path.string(),
          model.head.kind == model::HeadKind::kClassifier
              ? " is a classifier; this needs the pretrained model (its dev score: bertcram eval --task T "
                "--data DIR)"
              : " is an encoder without the masked-LM head that this needs; 'bertcram embed' goes without"));
}

void load_weights(const fs::path& directory, nn::Parameters& parameters, Strictness strictness) {
  const SafetensorsFile file(directory / kWeightsFile);
  const LoadReport report = read_tensors(file, with_names_of(file, parameters.stored_views(parameters.masters())));
  std::vector<std::string> missing;
  for (const std::string& name : report.missing) {
    if (strictness == Strictness::kComplete || !is_head_parameter(name)) {
      missing.push_back(name);
    }
  }
  if (!missing.empty()) {
    const size_t count = missing.size();
    missing.resize(std::min(count, kShownNames));
    throw DataError(cat(file.path().string(), ": ", count, " tensors are missing: ", util::join(missing, ", "),
                        count > kShownNames ? ", …" : ""));
  }
  parameters.sync_compute();
}

}  // namespace bertcram::checkpoint
