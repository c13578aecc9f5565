#include "bertcram/checkpoint/model_directory.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "bertcram/checkpoint/tensor_files.h"
#include "bertcram/checkpoint/weights.h"
#include "bertcram/model/hub_config.h"
#include "bertcram/model/parameter_specs.h"
#include "bertcram/text/tokenizer_files.h"
#include "bertcram/util/error.h"
#include "bertcram/util/file.h"
#include "bertcram/util/json.h"
#include "bertcram/util/log.h"
#include "bertcram/util/staged_folder.h"
#include "bertcram/util/text.h"

namespace bertcram::checkpoint {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kConfigFile = "config.json";
constexpr size_t kShownNames = 5;

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

constexpr std::string_view kPrefixes[] = {"bert.", "model."};  // of encoders, see model::encoder_prefix

bool is_encoder_name(std::string_view name) {
  return std::ranges::any_of(kPrefixes, [&](std::string_view prefix) { return name.starts_with(prefix); }) &&
         !name.starts_with("bert.pooler.");
}

/// Whether fine-tuning draws it anew.
bool is_task_parameter(std::string_view name) {
  return name.starts_with("classifier.") || name.starts_with("bert.pooler.");
}

/// The file's tensors under the names of models with a head: BertModel and ModernBertModel leave out the encoder's prefix,
/// and models converted from TensorFlow (bert-base-uncased among them) call the norms' weight and bias gamma and beta.
std::map<std::string, TensorBytes> with_usual_names(const Weights& weights) {
  const auto has = [&](const std::string& name) { return weights.tensors().contains(name); };
  const bool is_bare_bert = has("embeddings.word_embeddings.weight");
  const bool is_bare_modern = has("embeddings.tok_embeddings.weight");
  std::map<std::string, TensorBytes> usual;
  for (const auto& [name, tensor] : weights.tensors()) {
    std::string better = is_bare_bert ? "bert." + name : is_bare_modern ? "model." + name : name;
    for (const auto& [legacy, ours] :
         {std::pair(".LayerNorm.gamma", ".LayerNorm.weight"), std::pair(".LayerNorm.beta", ".LayerNorm.bias")}) {
      if (better.ends_with(legacy)) {
        better.replace(better.size() - std::string_view(legacy).size(), std::string::npos, ours);
      }
    }
    if (!usual.emplace(better, tensor).second) {
      throw DataError(cat(weights.path().string(), ": the tensor '", better, "' is there twice, under two names"));
    }
  }
  return usual;
}

/// What may be left in a file: heads that are not asked for, and what is computed or tied.
bool is_passed_over(std::string_view name, bool is_head_wanted) {
  if (is_encoder_name(name)) {
    return name.ends_with(".position_ids");
  }
  return !is_head_wanted || name.starts_with("bert.pooler.") || name.starts_with("cls.seq_relationship.") ||
         name == "cls.predictions.decoder.weight" || name == "cls.predictions.decoder.bias" || name == "decoder.weight";
}

/// "a, b, c, …"
std::string shown(std::vector<std::string> names) {
  const size_t count = names.size();
  names.resize(std::min(count, kShownNames));
  return util::join(names, ", ") + (count > kShownNames ? ", …" : "");
}

/// A decoder that is stored beside the embeddings it is tied to; Hugging Face takes the embeddings.
void warn_of_untied_decoder(const std::map<std::string, TensorBytes>& tensors, const std::string& where) {
  for (const auto& [decoder, embeddings] :
       {std::pair("cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"),
        std::pair("decoder.weight", "model.embeddings.tok_embeddings.weight")}) {
    const auto first = tensors.find(decoder);
    const auto second = tensors.find(embeddings);
    if (first != tensors.end() && second != tensors.end() &&
        !std::ranges::equal(first->second.bytes, second->second.bytes)) {
      util::log_warning("model", cat(where, ": ", decoder,
                                     " differs from the word embeddings, to which config.json "
                                     "ties it; the embeddings are used, as Hugging Face does"));
    }
  }
}

}  // namespace

std::vector<nn::NamedTensor> model_tensors(const model::EncoderShape& shape, const model::Head& head,
                                           nn::Parameters& parameters, const std::string& prefix) {
  std::map<std::string, at::Tensor> views;
  for (const nn::NamedTensor& view : parameters.stored_views(parameters.masters())) {
    views[view.name] = view.tensor;
  }
  std::vector<nn::NamedTensor> tensors;
  for (const nn::ParameterSpec& spec : model::parameter_specs(shape, head)) {
    for (const std::string& name : spec.parts) {
      tensors.push_back({name, views.at((model::is_embedding(name, shape.arch) ? "" : prefix) + name)});
    }
  }
  return tensors;
}

void write_model_directory(const fs::path& directory, const StoredModel& model, const text::Tokenizer& tokenizer) {
  util::StagedFolder staged(directory);
  tokenizer.save(staged.staging(), model.shape.max_positions);
  write_tensors(staged.staging() / kWeightsFile, model.tensors);
  util::write_file_atomically(staged.staging() / kConfigFile,
                              util::json_text(model::to_hub_config(model.shape, model.head), 2) + "\n");
  staged.publish(kConfigFile, {});
}

bool is_model_of(const fs::path& directory, const StoredModel& model, const text::Tokenizer& tokenizer) {
  if (!text::has_tokenizer_files(directory)) {
    return false;
  }
  try {
    if (open_model_directory(directory).tokenizer->fingerprint() != tokenizer.fingerprint()) {
      return false;
    }
    const SafetensorsFile file(directory / kWeightsFile);
    return file.tensors().size() == model.tensors.size() &&
           std::ranges::all_of(model.tensors, [&](const nn::NamedTensor& view) {
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
  opened.head = model::head_from_hub_config(config, (directory / kConfigFile).string());
  const Weights weights(directory);  // before a tokenizer is missed: what is wrong with the weights
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
  const auto what = [&]() -> const char* {
    switch (model.head.kind) {
      case model::HeadKind::kClassifier:
        return "a classifier; this needs the pretrained model (its dev score: bertcram eval --task T --data DIR)";
      case model::HeadKind::kTokenClassifier:
        return "a classifier of tokens; of a run with objective rtd, 'generator' beside it is the masked LM";
      default: return "an encoder without the masked-LM head that this needs; 'bertcram embed' goes without";
    }
  };
  throw DataError(cat("--model ", model.path.string(), " is ", what()));
}

void load_weights(const fs::path& directory, nn::Parameters& parameters, Strictness strictness) {
  const Weights weights(directory);
  const std::string where = weights.path().string();
  const auto tensors = with_usual_names(weights);
  auto targets = parameters.stored_views(parameters.masters());
  if (strictness == Strictness::kEncoderOnly) {
    std::erase_if(targets, [](const nn::NamedTensor& target) { return is_task_parameter(target.name); });
  }
  const auto report = read_tensors(tensors, where, targets);
  std::vector<std::string> missing;
  for (const std::string& name : report.missing) {
    if (strictness == Strictness::kComplete || is_encoder_name(name)) {
      missing.push_back(name);
    }
  }
  if (!missing.empty()) {
    throw DataError(cat(where, ": ", missing.size(), " tensors are missing: ", shown(missing)));
  }
  const bool is_head_wanted =
      strictness == Strictness::kComplete &&
      std::ranges::any_of(targets, [](const nn::NamedTensor& target) { return !is_encoder_name(target.name); });
  std::vector<std::string> unexpected = report.unexpected;
  std::erase_if(unexpected, [&](const std::string& name) { return is_passed_over(name, is_head_wanted); });
  if (!unexpected.empty()) {
    throw DataError(
        cat(where, ": ", unexpected.size(), " tensors have no place in the model of config.json: ", shown(unexpected)));
  }
  warn_of_untied_decoder(tensors, where);
  parameters.sync_compute();
}

}  // namespace bertcram::checkpoint
